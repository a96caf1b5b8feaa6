"""The namespace that we work in: made when it is missing, deleted when it is ours.

What a namespace has by itself differs from platform to platform. So clean-up makes a second one
for a moment, the twin: whoever puts something there does so in every new namespace, and what
the same manager put into ours is no reason to keep it. Anything else is.
https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ..errors import WaitTimeout
from .kube import Object, get, get_or_none, server_message, translate_errors
from .manifests import (
    KINDS,
    LABEL,
    LABEL_VALUE,
    OUR_SELECTOR,
    Kind,
    delete,
    is_ours,
    kind_of,
    list_all,
    owned_by,
)
from .statusline import poll
from .waiting import wait_gone

SECONDS = 90  # a namespace takes some seconds to go
ACCOUNT_SECONDS = 10
SETTLING_SECONDS = 10  # by then a new namespace has got what every one gets
POD_OWNERS = (kind_of("job"), kind_of("replicaset"))
DEFAULT, PREFIX, VARIABLE = "wq-course", "wq-", "WQLIB_NAMESPACE"
# An annotation: the images are on the nodes, or can be pulled, and need not be built.
IMAGES, IMAGES_ARE_THERE = "wqlib/images", "provided"


def ensure(api: Any, namespace: str) -> None:
    """Create the namespace if it is not there, and wait until pods can be made in it."""
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
    get_or_none(core.create_namespace, body, statuses=[409])  # somebody else may be faster
    wait_service_account(api, namespace)


@translate_errors
def images_provided(api: Any, namespace: str) -> bool:
    """Tell whether somebody else provides the images of the pods here, as in a class."""
    found = get_or_none(client.CoreV1Api(api).read_namespace, namespace) or {"metadata": {}}
    return bool((found["metadata"].get("annotations") or {}).get(IMAGES) == IMAGES_ARE_THERE)


def clean_up(api: Any, namespace: str) -> list[str]:
    """Delete what carries our label, and the namespace if it is ours. See `Cluster.clean_up`."""
    deadline = time.monotonic() + SECONDS
    deleted: dict[Kind, dict[str, str]] = {}
    # Owners of pods that are owned by what we delete; they are gone before their pods are.
    between = [one for kind in POD_OWNERS for one in list_all(api, namespace, kind)]
    for kind in KINDS:
        for found in list_all(api, namespace, kind, OUR_SELECTOR):
            name = found["metadata"]["name"]
            deleted.setdefault(kind, {})[found["metadata"]["uid"]] = name
            delete(api, namespace, kind, name)
    uids = {uid for names in deleted.values() for uid in names}
    uids |= {one["metadata"]["uid"] for one in between if owned_by(one, uids)}
    for kind in dict.fromkeys([*deleted, kind_of("pod")] if deleted else ()):
        wait_gone(api, namespace, kind, uids, deadline, {})
    lines = [f"{kind.noun}/{name}" for kind, names in deleted.items() for name in names.values()]
    return sorted([*lines, *_delete_if_ours(api, namespace, deadline)])


def _delete_if_ours(api: Any, namespace: str, deadline: float) -> list[str]:
    """Delete the namespace if it is ours and holds nothing else; say so, or why it is kept."""
    core = client.CoreV1Api(api)
    found = get_or_none(core.read_namespace, namespace)
    if found is None or not is_ours(found):
        return []
    try:
        with _twin(core, found["metadata"], deadline) as twin:
            others = _foreign_objects(api, namespace, twin)
            if not others:
                get(core.delete_namespace, namespace)
    except ApiException as error:
        return [
            f"The namespace {namespace} was kept: wqlib is not allowed to look whether anything "
            f"else is in it ({server_message(error)}). If nothing is, "
            f"`kubectl delete namespace {namespace}`."
        ]
    if others:
        return [
            f"The namespace {namespace} was kept: it also holds {', '.join(others)}. "
            "If nobody needs that, delete it and clean up again."
        ]
    wait_until_gone(core, namespace, deadline)
    return [f"namespace/{namespace}"]


@contextlib.contextmanager
def _twin(core: Any, ours: Object, deadline: float) -> Iterator[str]:
    """Create a namespace with the labels of ours, for the length of a `with` block."""
    name = f"{ours['name'][:50]}-{secrets.token_hex(4)}"
    labels = {k: v for k, v in ours["labels"].items() if k != "kubernetes.io/metadata.name"}
    # If we are killed meanwhile, it goes when ours goes.
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": ours["name"], "uid": ours["uid"]}
    metadata = {"name": name, "labels": labels, "ownerReferences": [owner]}
    get(core.create_namespace, {"metadata": metadata})
    try:
        yield name
    finally:
        with contextlib.suppress(ApiException):
            get(core.delete_namespace, name)
        wait_until_gone(core, name, deadline)


def _foreign_objects(api: Any, namespace: str, twin: str) -> list[str]:
    """Return what somebody put into this namespace, and does not put into every new one."""
    kinds: Iterable[Kind] = KINDS
    seen: set[str] = set()
    others: list[tuple[Kind, Object]] = []
    what = f"what a new namespace gets, to tell what else is in {namespace}"
    for _ in poll(what, time.monotonic() + SETTLING_SECONDS, pause=0.2):
        found = _content(api, namespace, kinds)
        seen |= {one["metadata"]["uid"] for _, one in found}
        in_twin: dict[tuple[str, str], set[str]] = {}
        for kind, one in _content(api, twin, dict.fromkeys(kind for kind, _ in found)):
            one["metadata"]["name"] = one["metadata"]["name"].replace(twin, namespace)
            in_twin.setdefault(_comparable_name(kind, one), set()).update(_fingerprint(one))
        others = []
        for kind, one in found:
            in_both = _fingerprint(one) <= in_twin.get(_comparable_name(kind, one), set())
            if not in_both and not owned_by(one, seen):  # what is owned goes with its owner
                others.append((kind, one))
        if not others:
            break
        kinds = dict.fromkeys(kind for kind, _ in others)
    return sorted(_describe(kind, one) for kind, one in others)


def _content(api: Any, namespace: str, kinds: Iterable[Kind]) -> list[tuple[Kind, Object]]:
    """Return what is in a namespace. Unlike `list_all`, it fails if we may not look."""
    found = []
    for kind in kinds:
        # 404: this cluster has no such kind
        listed = get_or_none(kind.method(api, "list"), namespace, statuses=[404])
        found += [(kind, one) for one in (listed or {}).get("items") or []]
    return found


def _comparable_name(kind: Kind, found: Object) -> tuple[str, str]:
    """Return kind and name, up to its random end, by which to find its like elsewhere."""
    return kind.name, re.sub(r"-[bcdfghjklmnpqrstvwxz2456789]{5}$", "-", found["metadata"]["name"])


def _managers(found: Object) -> set[str]:
    """Return who made and who changed an object; nobody if that is not recorded."""
    return {str(one.get("manager")) for one in found["metadata"].get("managedFields") or []}


def _fingerprint(found: Object) -> set[str]:
    """Return its managers. None is recorded of what was made empty: then the keys that it has."""
    marks = [found["metadata"].get(kind) or {} for kind in ("annotations", "labels")]
    return _managers(found) or {*found, *marks[0], *marks[1]}


def _describe(kind: Kind, found: Object) -> str:
    name, managers = found["metadata"]["name"], " and ".join(sorted(_managers(found)))
    return f"{kind.noun}/{name} (managed by {managers})" if managers else f"{kind.noun}/{name}"


def wait_service_account(api: Any, namespace: str) -> None:
    """Wait until a new namespace has its default service account; it refuses pods before that."""
    core = client.CoreV1Api(api)
    what = f"the service account of namespace/{namespace}"
    for _ in poll(what, time.monotonic() + ACCOUNT_SECONDS):
        try:
            get(core.read_namespaced_service_account, "default", namespace)
            return
        except ApiException as error:
            if error.status != 404 or "default" not in str(error.body):
                return


def wait_until_gone(core: Any, namespace: str, deadline: float) -> None:
    """Wait until a namespace is gone, or raise WaitTimeout at `deadline`."""
    for _ in poll(f"the end of namespace/{namespace}", deadline):
        if get_or_none(core.read_namespace, namespace, statuses=[404]) is None:
            return
    raise WaitTimeout(
        f"The namespace {namespace} is still being deleted. Wait a little and try again, "
        f"or look at `kubectl describe namespace {namespace}`."
    )
