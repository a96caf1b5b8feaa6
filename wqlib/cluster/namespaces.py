"""The namespace that we work in: made when it is missing, taken away when it is ours.

https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ..errors import WaitTimeout
from .kube import get, in_words
from .kubeconfig import namespace_of
from .manifests import (
    KINDS,
    LABEL,
    LABEL_VALUE,
    OURS,
    Kind,
    belongs_to_kubernetes,
    delete,
    is_ours,
    kind_of,
    list_all,
    owned_by,
)
from .waiting import wait_gone

SECONDS = 90  # a namespace takes some seconds to go
USUAL, PREFIX, VARIABLE = "wq-course", "wq-", "WQLIB_NAMESPACE"
# An annotation: the images are on the nodes, or can be pulled, and need not be built.
IMAGES, IMAGES_ARE_THERE = "wqlib/images", "provided"


def named(kubeconfig: Path | None = None, context: str = "") -> str:
    """The namespace to work in, if the environment or the kubeconfig names one.

    Args:
        kubeconfig: The file that holds the context of a real cluster; None: the local one.
        context: The context's name.

    Returns:
        WQLIB_NAMESPACE; else the context's own, if its name says that it is for this course;
        else "".
    """
    if namespace := os.environ.get(VARIABLE):
        return namespace
    own = namespace_of(kubeconfig, context) if kubeconfig else ""
    return own if own.startswith(PREFIX) else ""


def ensure(api: Any, namespace: str) -> None:
    """Make the namespace if it is not there, and wait until pods can be made in it."""
    core = client.CoreV1Api(api)
    try:
        found = get(core.read_namespace, namespace)
        if found.get("status", {}).get("phase") != "Terminating":
            return
        wait_until_gone(core, namespace, time.monotonic() + SECONDS)
    except ApiException as error:
        if error.status == 403:  # we may not look, but may well work inside it
            return
        if error.status != 404:
            raise
    body = {"metadata": {"name": namespace, "labels": {LABEL: LABEL_VALUE}}}
    try:
        get(core.create_namespace, body)
    except ApiException as error:
        if error.status != 409:  # somebody else was faster
            raise
    wait_service_account(api, namespace)


@in_words
def images_are_there(api: Any, namespace: str) -> bool:
    """True if somebody else sees to it that pods here find their images, as in a class."""
    try:
        found = get(client.CoreV1Api(api).read_namespace, namespace)
    except ApiException as error:
        if error.status in (403, 404):
            return False
        raise
    return bool((found["metadata"].get("annotations") or {}).get(IMAGES) == IMAGES_ARE_THERE)


def clean_up(api: Any, namespace: str) -> list[str]:
    """Delete what carries our label, and the namespace if it is ours. See `Cluster.clean_up`."""
    deadline = time.monotonic() + SECONDS
    deleted: dict[Kind, dict[str, str]] = {}
    for kind in KINDS:
        for found in list_all(api, namespace, kind, OURS):
            name = found["metadata"]["name"]
            deleted.setdefault(kind, {})[found["metadata"]["uid"]] = name
            delete(api, namespace, kind, name)
    uids = {uid for names in deleted.values() for uid in names}
    # A pod may be owned by a ReplicaSet, which is owned by what we deleted.
    sets = list_all(api, namespace, kind_of("replicaset")) if deleted else []
    uids |= {one["metadata"]["uid"] for one in sets if owned_by(one, uids)}
    for kind in dict.fromkeys([*deleted, kind_of("pod")] if deleted else ()):
        wait_gone(api, namespace, kind, uids, deadline, {})
    lines = [f"{kind.noun}/{name}" for kind, names in deleted.items() for name in names.values()]
    if _is_ours_and_empty(api, namespace):
        core = client.CoreV1Api(api)
        get(core.delete_namespace, namespace)
        wait_until_gone(core, namespace, deadline)
        lines.append(f"namespace/{namespace}")
    return sorted(lines)


def _is_ours_and_empty(api: Any, namespace: str) -> bool:
    try:
        found = get(client.CoreV1Api(api).read_namespace, namespace)
    except ApiException as error:
        if error.status in (403, 404):
            return False
        raise
    return is_ours(found) and not any(
        not belongs_to_kubernetes(kind, one)
        for kind in KINDS
        for one in list_all(api, namespace, kind)
    )


def wait_service_account(api: Any, namespace: str) -> None:
    """A new namespace refuses pods until it has its default service account.

    Up to Kubernetes 1.23, that must have got a token as well.
    """
    core = client.CoreV1Api(api)
    version = get(client.VersionApi(api).get_code)
    needs_token = version.get("major") == "1" and int(version["minor"].rstrip("+")) < 24
    for _ in range(100):
        try:
            account = get(core.read_namespaced_service_account, "default", namespace)
            if account.get("secrets") or not needs_token:
                return
        except ApiException as error:
            if error.status != 404 or "default" not in str(error.body):
                return
        time.sleep(0.1)


def wait_until_gone(core: Any, namespace: str, deadline: float) -> None:
    while time.monotonic() < deadline:
        try:
            get(core.read_namespace, namespace)
        except ApiException as error:
            if error.status == 404:
                return
            raise
        time.sleep(0.1)
    raise WaitTimeout(
        f"The namespace {namespace} is still being deleted. Wait a little and try again, "
        f"or look at `kubectl describe namespace {namespace}`."
    )
