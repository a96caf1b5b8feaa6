"""What the server refuses about metadata, labels and label selectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...apimachinery.jsontypes import Obj
from .causes import Causes
from .names import (
    is_ip,
    label_faults,
    label_value_faults,
    qualified_name_faults,
    segment_faults,
    subdomain_faults,
)

_NAMES: dict[str, Callable[[str], list[str]]] = {
    **dict.fromkeys(("Namespace", "Service", "StatefulSet"), label_faults),
    **dict.fromkeys(("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"), segment_faults),
    "IPAddress": lambda name: [] if is_ip(name) else ["must be a valid IP address"],
}
_MOST_ANNOTATIONS = 256 * 1024
_FINALIZERS = {"kubernetes", "orphan", "foregroundDeletion"}


def validate_metadata(obj: Obj, causes: Causes, *, new: bool) -> None:
    """Complain about an object's metadata; only the name of a new object matters."""
    metadata, at = obj["metadata"], "metadata"
    if new:
        faults = _NAMES.get(obj["kind"], subdomain_faults)
        causes.faults("metadata.name", metadata["name"], faults(metadata["name"]))
    # A Job that has no labels of its own shows its template's, which are checked there.
    if obj["kind"] != "Job" or metadata.get("labels") != _template_labels(obj):
        validate_labels(metadata.get("labels"), f"{at}.labels", causes)
    validate_annotations(metadata.get("annotations"), f"{at}.annotations", causes)
    _owners(metadata.get("ownerReferences") or [], causes)


def _template_labels(job: Obj) -> Any:
    return job["spec"]["template"]["metadata"].get("labels")


def _owners(references: list[Obj], causes: Causes) -> None:
    at = "metadata.ownerReferences"
    for reference in references:
        for name, why in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not reference.get(name):
                causes.invalid(f"{at}.{name}", "", why)
    controllers = [f"{r.get('kind')}/{r.get('name')}" for r in references if r.get("controller")]
    if len(controllers) > 1:
        why = 'Only one reference can have Controller set to true. Found "true" in references for'
        causes.invalid(at, references, f"{why} {' and '.join(controllers[:2])}")


def validate_finalizers(metadata: Obj, causes: Causes) -> None:
    """Complain about finalizers that are nobody's."""
    for i, name in enumerate(metadata.get("finalizers") or []):
        if "/" not in name and name not in _FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            causes.invalid(f"metadata.finalizers[{i}]", name, why)


def validate_annotations(found: Obj | None, at: str, causes: Causes) -> None:
    """Complain about keys of annotations, and when all together are too long."""
    for key in found or {}:
        causes.faults(at, key, qualified_name_faults(key.lower()))
    size = sum(len(str(k).encode()) + len(str(v).encode()) for k, v in (found or {}).items())
    if size > _MOST_ANNOTATIONS:
        causes.too_long(at, _MOST_ANNOTATIONS)


def validate_labels(found: Obj | None, at: str, causes: Causes) -> None:
    """Complain about the keys and the values of labels."""
    for key, value in sorted((found or {}).items(), key=str):
        causes.faults(at, key, qualified_name_faults(key))
        causes.faults(at, value, label_value_faults(str(value)))


def validate_selector(selector: Obj | None, at: str, causes: Causes) -> None:
    """Complain about a `LabelSelector`."""
    validate_labels((selector or {}).get("matchLabels"), f"{at}.matchLabels", causes)
    for i, wanted in enumerate((selector or {}).get("matchExpressions") or []):
        where, operator = f"{at}.matchExpressions[{i}]", wanted.get("operator") or ""
        if operator in ("In", "NotIn"):
            if not wanted.get("values"):
                why = "must be specified when `operator` is 'In' or 'NotIn'"
                causes.required(f"{where}.values", why)
        elif operator in ("Exists", "DoesNotExist"):
            if wanted.get("values"):
                why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                causes.forbidden(f"{where}.values", why)
        else:
            causes.invalid(f"{where}.operator", operator, "not a valid selector operator")
        causes.faults(f"{where}.key", wanted["key"], qualified_name_faults(wanted["key"]))
        for j, value in enumerate(wanted.get("values") or []):
            causes.faults(f"{where}.values[{j}]", value, label_value_faults(value))
