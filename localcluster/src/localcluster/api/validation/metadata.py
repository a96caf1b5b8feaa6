"""What the server refuses about metadata, labels and label selectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .names import (
    is_ip,
    label_faults,
    label_value_faults,
    qualified_name_faults,
    segment_faults,
    subdomain_faults,
)
from .part import Part

_NAMES: dict[str, Callable[[str], list[str]]] = {
    **dict.fromkeys(("Namespace", "Service", "StatefulSet"), label_faults),
    **dict.fromkeys(("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"), segment_faults),
    "IPAddress": lambda name: [] if is_ip(name) else ["must be a valid IP address"],
}
_MOST_ANNOTATIONS = 256 * 1024
_FINALIZERS = {"kubernetes", "orphan", "foregroundDeletion"}


def validate_metadata(obj: Part, *, new: bool) -> None:
    """Complain about an object's metadata; only the name of a new object matters."""
    metadata = obj.part("metadata")
    if new:
        metadata.check("name", _NAMES.get(obj["kind"], subdomain_faults))
    # A Job that has no labels of its own shows its template's, which are checked there.
    if obj["kind"] != "Job" or metadata["labels"] != _template_labels(obj):
        validate_labels(metadata, "labels")
    validate_annotations(metadata)
    _owners(metadata)


def _template_labels(job: Part) -> Any:
    return job["spec"]["template"]["metadata"].get("labels")


def _owners(metadata: Part) -> None:
    at, references = "ownerReferences", metadata["ownerReferences"] or []
    for reference in references:
        for name in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(name):
                why = "version must not be empty" if name == "apiVersion" else "must not be empty"
                metadata.invalid(f"{at}.{name}", why, "")
    controllers = [f"{r.get('kind')}/{r.get('name')}" for r in references if r.get("controller")]
    if len(controllers) > 1:
        why = 'Only one reference can have Controller set to true. Found "true" in references for'
        metadata.invalid(at, f"{why} {' and '.join(controllers[:2])}")


def validate_finalizers(metadata: Part) -> None:
    """Complain about finalizers that are nobody's."""
    for one in metadata.each("finalizers"):
        if "/" not in one.value and one.value not in _FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            one.invalid("", why)


def validate_annotations(metadata: Part) -> None:
    """Complain about keys of annotations, and when all together are too long."""
    found, at = metadata["annotations"] or {}, metadata.at("annotations")
    for key in found:
        metadata.causes.faults(at, key, qualified_name_faults(key.lower()))
    if sum(len(str(text).encode()) for pair in found.items() for text in pair) > _MOST_ANNOTATIONS:
        metadata.causes.too_long(at, _MOST_ANNOTATIONS)


def validate_labels(part: Part, name: str) -> None:
    """Complain about the keys and the values of the labels in a field."""
    for key, value in sorted((part[name] or {}).items(), key=str):
        part.causes.faults(part.at(name), key, qualified_name_faults(key))
        part.causes.faults(part.at(name), value, label_value_faults(str(value)))


def validate_selector(selector: Part) -> None:
    """Complain about a `LabelSelector`."""
    validate_labels(selector, "matchLabels")
    for wanted in selector.each("matchExpressions"):
        if wanted["operator"] in ("In", "NotIn"):
            why = "must be specified when `operator` is 'In' or 'NotIn'"
            wanted.require("values", why=why)
        elif wanted["operator"] not in ("Exists", "DoesNotExist"):
            wanted.invalid("operator", "not a valid selector operator", wanted["operator"] or "")
        elif wanted["values"]:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            wanted.forbidden("values", why)
        wanted.causes.faults(wanted.at("key"), wanted["key"], qualified_name_faults(wanted["key"]))
        for value in wanted.each("values"):
            value.check("", label_value_faults)
