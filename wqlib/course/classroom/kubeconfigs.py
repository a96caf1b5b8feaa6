"""A kubeconfig for a learner: made, tried, and kept where nobody else can read it."""

from __future__ import annotations

import base64
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from ...cluster import proxies
from ...cluster.kube import get
from ...errors import ClassError
from . import objects
from .names import Learner
from .objects import Object
from .teacher import Teacher, ensure

LASTING_SECONDS = 15  # how long a cluster may take to fill a Secret with a token
RIGHTS_SECONDS = 15  # how long new rights may take to come into force
_NO_SUCH_CALL = (404, 405, 501)


@dataclass(frozen=True, slots=True)
class Token:
    """What a learner logs in with.

    Attributes:
        text: The token itself.
        ends_at: When it stops working, in seconds since the epoch; `math.inf`: never.
    """

    text: str
    ends_at: float


def token_of(text: str) -> Token:
    """Return a token, and when it ends: it says so itself, in the middle part of a JWT.

    https://datatracker.ietf.org/doc/html/rfc7519#section-4.1.4
    """
    try:
        middle = text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        return Token(text, float(claims["exp"]))
    except (IndexError, ValueError, KeyError, TypeError):
        return Token(text, math.inf)


def fresh_token(teacher: Teacher, learner: Learner, seconds: int) -> Token:
    """Let the cluster make a token for the learner's account.

    Args:
        teacher: The connection to the cluster.
        learner: For whom.
        seconds: How long it should work. A cluster may shorten that.

    Raises:
        ClassError: The cluster makes none.
    """
    body = {"spec": {"expirationSeconds": seconds}}
    make = teacher.core.create_namespaced_service_account_token
    try:
        return token_of(get(make, objects.ACCOUNT, learner.namespace, body)["status"]["token"])
    except ApiException as error:
        if error.status not in _NO_SUCH_CALL:
            raise
    return _lasting_token(teacher, learner)


def _lasting_token(teacher: Teacher, learner: Learner) -> Token:
    """Get one that never ends, from a cluster that makes no others: it fills a Secret with it."""
    body, where = objects.lasting_token(learner), learner.namespace
    ensure(teacher.core, "secret", body, where)
    deadline = time.monotonic() + LASTING_SECONDS
    while time.monotonic() < deadline:
        found = get(teacher.core.read_namespaced_secret, body["metadata"]["name"], where)
        data = found.get("data") or {}
        if data.get("token"):
            return token_of(base64.b64decode(data["token"]).decode())
        time.sleep(0.1)
    raise ClassError(
        f"The cluster of the context {teacher.context!r} makes no tokens for service accounts, so "
        "learners cannot log in. Kubernetes does unless told not to; ask its administrator. "
        "`wqlib class delete` removes what was made."
    )


def content(teacher: Teacher, learner: Learner, token: Token, server: str) -> Object:
    """Return the kubeconfig, whose one context has the name of the learner's namespace."""
    settings, name = teacher.api.configuration, learner.namespace
    cluster: Object = {"server": server}
    if not settings.verify_ssl:
        cluster["insecure-skip-tls-verify"] = True
    elif settings.ssl_ca_cert:
        authority = Path(settings.ssl_ca_cert).read_bytes()
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    if settings.tls_server_name:
        cluster["tls-server-name"] = settings.tls_server_name
    context = {"cluster": name, "user": name, "namespace": name}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token.text}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }


def server_and_token(path: Path) -> tuple[str, Token] | None:
    """Return what is in a kubeconfig that `content` made; None if there is no such file.

    Raises:
        ClassError: It is another file.
    """
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
        server = str(found["clusters"][0]["cluster"]["server"])
        return server, token_of(str(found["users"][0]["user"]["token"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, yaml.YAMLError, KeyError, IndexError, TypeError):
        raise ClassError(
            f"{path} is not a kubeconfig that `wqlib class` made, and is not overwritten. Nothing "
            "was changed. Move it away, or name another folder with --output."
        ) from None


def works(teacher: Teacher, learner: Learner, token: Token, patience_seconds: float = 0.0) -> bool:
    """Return whether the owner of a token may list the pods of the learner's namespace.

    Args:
        teacher: The connection to the cluster.
        learner: Whose token it is.
        token: What to try.
        patience_seconds: How long to try again while it does not.
    """
    kubeconfig = content(teacher, learner, token, teacher.server)
    settings = proxies.load_configuration(config.load_kube_config_from_dict, kubeconfig)
    deadline = time.monotonic() + patience_seconds
    with client.ApiClient(settings) as api:
        look = client.CoreV1Api(api).list_namespaced_pod
        while True:
            try:
                get(look, learner.namespace, limit=1, _request_timeout=(4, 10))
                return True
            except ApiException as error:
                if error.status not in (401, 403):
                    raise
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.2)


def private_folder(path: Path) -> None:
    """Make a folder that only its owner may read, or check that this is one.

    Raises:
        ClassError: It is none.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise ClassError(
            f"The folder {path} cannot be made: {error.strerror}. Nothing was changed. Name "
            "another one with --output."
        ) from None
    if found.st_mode & 0o077 or found.st_uid != os.geteuid():
        raise ClassError(
            f"Others may read the folder {path}, and kubeconfigs are keys. Nothing was changed. "
            f"`chmod 700 {path}`, or name another one with --output."
        )


def write(path: Path, text: str) -> None:
    """Write a file for its owner alone, whole or not at all."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
