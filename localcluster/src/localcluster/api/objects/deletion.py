"""Deletion: preconditions, propagation policy and grace period."""

from __future__ import annotations

import datetime

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj, format_time, parse_time
from ...apimachinery.resources import Resource

# Years; what is longer would lead beyond the times that can be told.
_LONGEST_GRACE = 10**9


def check_preconditions(resource: Resource, name: str, obj: Obj, wanted: Obj) -> None:
    """Raise a 409 when the object is not the one that the client means."""
    endings = {
        "UID": "The object might have been deleted and then recreated",
        "ResourceVersion": "The object might have been modified",
    }
    for field_name, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        value, found = wanted.get(field_name), obj["metadata"].get(field_name)
        if value and value != found:
            why = (
                f"the {word} in the precondition ({value}) does not match the {word} in record"
                f" ({found}). {endings[word]}"
            )
            raise apierrors.conflict(resource.kind, resource.group, name, why)


def apply_propagation_policy(resource: Resource, metadata: Obj, options: Obj) -> list[str]:
    """Set the finalizers that the propagation policy asks for, and return all of them."""
    policy = options.get("propagationPolicy")
    if policy is not None and options.get("orphanDependents") is not None:
        raise apierrors.invalid_option(
            "DeleteOptions",
            "FieldValueInvalid",
            "propagationPolicy",
            f'Invalid value: "{policy}": orphanDependents and deletionPropagation cannot be'
            " both set",
        )
    if policy is None and options.get("orphanDependents") is not None:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy is None:
        # The real server keeps this default of batch/v1 for clients of long ago.
        policy = "Orphan" if resource.kind == "Job" else "Background"
    if policy not in ("Orphan", "Background", "Foreground"):
        supported = '"Foreground", "Background", "Orphan", "nil"'
        raise apierrors.invalid_option(
            "DeleteOptions",
            "FieldValueNotSupported",
            "propagationPolicy",
            f'Unsupported value: "{policy}": supported values: {supported}',
        )
    wanted = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}.get(policy)
    finalizers = [
        name
        for name in metadata.get("finalizers") or []
        if name not in ("orphan", "foregroundDeletion")
    ]
    if wanted:
        finalizers.append(wanted)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    return finalizers


def mark_deleted(metadata: Obj, grace: int) -> None:
    """Set the deletion timestamp; the grace period can only become shorter."""
    earlier = metadata.get("deletionTimestamp")
    if earlier and (metadata.get("deletionGracePeriodSeconds") or 0) <= grace:
        return
    metadata["deletionTimestamp"] = _deletion_timestamp(metadata, grace)
    metadata["deletionGracePeriodSeconds"] = grace
    if metadata.get("generation") and not earlier:
        metadata["generation"] += 1


def _deletion_timestamp(metadata: Obj, grace: int) -> str:
    """Return when the object is to be gone: `grace` seconds after the request to delete it."""
    asked = datetime.datetime.now(datetime.UTC)
    if metadata.get("deletionTimestamp"):
        earlier = metadata.get("deletionGracePeriodSeconds") or 0
        asked = parse_time(metadata["deletionTimestamp"]) - datetime.timedelta(seconds=earlier)
    return format_time(asked + datetime.timedelta(seconds=grace))


def grace_seconds(pod: Obj, options: Obj) -> int:
    """Return the grace period of a pod in seconds; 0 when nothing of it runs."""
    if not pod["spec"].get("nodeName"):
        return 0
    if pod["status"].get("phase") in ("Succeeded", "Failed"):
        return 0
    asked = options.get("gracePeriodSeconds")
    if asked is None:
        asked = pod["spec"].get("terminationGracePeriodSeconds", 30)
    if not isinstance(asked, int) or asked < 0:
        raise apierrors.bad_request("gracePeriodSeconds must be a number from 0 on")
    return min(asked, _LONGEST_GRACE)
