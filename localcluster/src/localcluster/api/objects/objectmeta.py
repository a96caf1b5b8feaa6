"""Metadata: what the server writes into it itself, and what an update cannot change.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Key, Obj, now, parse_integer, random_suffix
from ...apimachinery.resources import Resource

_SET_BY_SERVER = (
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)
_FIXED = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "generation",
    "resourceVersion",
)
_OMITTED_WHEN_EMPTY = ("annotations", "finalizers", "labels", "ownerReferences")
_WITH_GENERATION = {
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Ingress",
    "Job",
    "NetworkPolicy",
    "Pod",
    "PodDisruptionBudget",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
}


def complete_new(resource: Resource, metadata: Obj, is_taken: Callable[[str], bool]) -> None:
    """Give a new object its name, if it asks for one, its uid and what else is the server's.

    Args:
        is_taken: Tells whether another object has a name.

    Raises:
        ApiError: It has no name, or a resourceVersion.
    """
    if metadata.get("resourceVersion"):
        why = "resourceVersion should not be set on objects to be created"
        raise apierrors.ApiError(500, "", why)
    if not metadata.get("name"):
        metadata["name"] = _generated_name(resource, metadata.get("generateName"), is_taken)
    if not isinstance(metadata["name"], str):
        raise apierrors.bad_request("metadata.name must be a string")
    for unwanted in _SET_BY_SERVER:
        metadata.pop(unwanted, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = now()
    if resource.kind in _WITH_GENERATION:
        metadata["generation"] = 1


def _generated_name(resource: Resource, prefix: object, is_taken: Callable[[str], bool]) -> str:
    if not isinstance(prefix, str) or not prefix:
        message = "Required value: name or generateName is required"
        cause = {"reason": "FieldValueRequired", "message": message, "field": "metadata.name"}
        raise apierrors.invalid(resource.kind, resource.group, "", [cause])
    while is_taken(name := prefix[:58] + random_suffix()):
        pass
    return name


def check_version(resource: Resource, key: Key, given: Obj, found: Obj) -> None:
    """Raise a 409 when an update means another version, or another object, than the stored one."""
    version, uid = given.get("resourceVersion"), given.get("uid")
    if version and version != found["resourceVersion"]:
        try:
            parse_integer(str(version), unsigned=True)
        except ValueError as error:
            raise apierrors.ApiError(500, "", str(error)) from None
        raise apierrors.conflict(resource.plural, resource.group, key[1])
    if uid and uid != found["uid"]:
        raise apierrors.uid_mismatch(resource, key, uid, found["uid"])


def complete_update(metadata: Obj, before: Obj, managed: list[Obj] | None) -> Obj:
    """Return the metadata of an update, with what the client cannot change as it was.

    Args:
        managed: The `managedFields` from now on.
    """
    fixed = {name: before[name] for name in _FIXED if name in before}
    made = {name: value for name, value in metadata.items() if name != "managedFields"} | fixed
    for name in _OMITTED_WHEN_EMPTY:
        if name in made and not made[name]:
            del made[name]
    if managed and managed != [{}]:
        made["managedFields"] = managed
    return made


def count_change(resource: Resource, old: Obj, obj: Obj) -> None:
    """Count the generation up if the spec has changed."""
    if resource.kind in _WITH_GENERATION:
        changed = old.get("spec") != obj.get("spec")
        obj["metadata"]["generation"] = old["metadata"].get("generation", 1) + int(changed)
