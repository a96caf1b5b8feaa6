"""Registries that want a login, on a machine that pulls from none.

Images whose name begins with the host of such a registry are had only by pods with an
`imagePullSecrets` that holds its user and password.
https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from ..apimachinery.jsontypes import Obj
from ..paths import State
from . import programs


def require_login(state: State, host: str, user: str, password: str) -> None:
    """Let only those pull images of this registry who name this user and password."""
    path = _file(state, host)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    programs.write(path, json.dumps(f"{user}:{password}"), 0o600)


def refusal(state: State, image: str, secrets: Iterable[Obj]) -> str:
    """Say why an image cannot be pulled, in the words of containerd; "" if it can be.

    Args:
        image: Its name, as a manifest has it.
        secrets: Those of the pod's `imagePullSecrets` that are there.
    """
    host, slash, _ = image.partition("/")
    try:
        login = json.loads(_file(state, host).read_text("utf-8")) if slash else ""
    except OSError:
        return ""
    known = [said for secret in secrets for said in _logins(secret, host)]
    if not login or login in known:
        return ""
    why = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": '
    if known:
        return f"{why}pull access denied: unexpected status from {host}: 401 Unauthorized"
    return (
        f"{why}pull access denied, repository does not exist or may require authorization:"
        " authorization failed: no basic auth credentials"
    )


def _logins(secret: Obj, host: str) -> list[str]:
    """Return what a Secret has for a registry, each as "user:password"."""
    try:
        data = base64.b64decode((secret.get("data") or {}).get(".dockerconfigjson", ""))
        found = json.loads(data)["auths"].items()
        auths = [one for name, one in found if name.split("://")[-1].split("/")[0] == host]
        encoded = [base64.b64decode(one.get("auth", "")).decode() for one in auths]
        return [
            said or f"{one['username']}:{one['password']}"
            for said, one in zip(encoded, auths, strict=True)
        ]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        return []  # as a kubelet: what cannot be read is no login


def _file(state: State, host: str) -> Path:
    return state.images / "registries" / f"{quote(host, safe='')}.json"
