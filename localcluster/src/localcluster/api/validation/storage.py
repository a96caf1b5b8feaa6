"""What the server refuses about PersistentVolumes and the claims to them."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import is_quantity, quantity
from .apps import frozen
from .causes import Causes
from .metadata import validate_selector
from .names import subdomain_faults
from .specdiff import spec_diff
from .volumes import require

_MODES = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]
_POLICIES = ["Delete", "Recycle", "Retain"]
_VOLUME_MODES = ["Block", "Filesystem"]
# What a PersistentVolume's spec has besides its one source.
_NOT_A_SOURCE = {
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
}


def _access(spec: Obj, why: str, causes: Causes) -> None:
    modes = spec.get("accessModes") or []
    if not modes:
        causes.required("spec.accessModes", why)
    for mode in modes:
        if mode not in _MODES:
            causes.unsupported("spec.accessModes", mode, _MODES)
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        why = "may not use ReadWriteOncePod with other access modes"
        causes.forbidden("spec.accessModes", why)


def _classes(spec: Obj, causes: Causes) -> None:
    name = spec.get("storageClassName")
    if name:
        causes.faults("spec.storageClassName", name, subdomain_faults(name))
    causes.one_of("spec.volumeMode", spec.get("volumeMode"), _VOLUME_MODES)


def _size(value: object, at: str, causes: Causes) -> None:
    if is_quantity(value) and quantity(value) <= 0:
        causes.invalid(at, str(value), "must be greater than zero")


def validate_claim(obj: Obj, causes: Causes) -> None:
    """Complain about a PersistentVolumeClaim."""
    spec, at = obj["spec"], "spec.resources[storage]"
    _access(spec, "at least 1 access mode is required", causes)
    validate_selector(spec.get("selector"), "spec.selector", causes)
    wanted = (spec.get("resources") or {}).get("requests") or {}
    if "storage" in wanted:
        _size(wanted["storage"], at, causes)
    else:
        causes.required(at)
    _classes(spec, causes)


def validate_claim_update(old: Obj, new: Obj, causes: Causes) -> None:
    """Complain about a change of a claim; one that is bound may grow."""
    bound = (old.get("status") or {}).get("phase") == "Bound"
    was, now = old["spec"], new["spec"]
    may_change = ("volumeName",) if not was.get("volumeName") else ()
    if bound:
        may_change = (*may_change, "resources", "volumeAttributesClassName")
    if frozen(was, may_change) != frozen(now, may_change):
        why = "spec is immutable after creation except resources.requests and"
        why += " volumeAttributesClassName for bound claims"
        kept = {**now, **{name: was[name] for name in may_change if name in was}}
        causes.forbidden("spec", why + spec_diff("PersistentVolumeClaimSpec", was, kept))
    sizes = [((s.get("resources") or {}).get("requests") or {}).get("storage") for s in (was, now)]
    if all(map(is_quantity, sizes)) and quantity(sizes[1]) < quantity(sizes[0]):
        why = "field can not be less than status.capacity"
        causes.forbidden("spec.resources.requests.storage", why)


def validate_volume(obj: Obj, causes: Causes) -> None:
    """Complain about a PersistentVolume."""
    spec = obj["spec"]
    _access(spec, "", causes)
    capacity = spec.get("capacity") or {}
    if not capacity:
        causes.required("spec.capacity")
    elif set(capacity) != {"storage"}:
        causes.unsupported("spec.capacity", capacity, ["storage"])
    else:
        _size(capacity["storage"], "spec.capacity[storage]", causes)
    policy = spec.get("persistentVolumeReclaimPolicy")
    causes.one_of("spec.persistentVolumeReclaimPolicy", policy, _POLICIES)
    kinds = [name for name in spec if name not in _NOT_A_SOURCE and spec[name] is not None]
    for kind in kinds[1:]:
        causes.forbidden(f"spec.{kind}", "may not specify more than 1 volume type")
    if not kinds:
        causes.required("spec", "must specify a volume type")
    else:
        require(kinds[0], spec[kinds[0]], f"spec.{kinds[0]}", causes)
    if policy == "Recycle" and (spec.get("hostPath") or {}).get("path") == "/":
        why = "may not be 'recycle' for a hostPath mount of '/'"
        causes.forbidden("spec.persistentVolumeReclaimPolicy", why)
    if "local" in kinds and not spec.get("nodeAffinity"):
        causes.required("spec.nodeAffinity", "Local volume requires node affinity")
    _classes(spec, causes)


def validate_volume_update(old: Obj, new: Obj, causes: Causes) -> None:
    """Complain about another source in the place of a volume's own."""
    may_change = tuple(_NOT_A_SOURCE)
    if frozen(old["spec"], may_change) != frozen(new["spec"], may_change):
        why = "spec.persistentvolumesource is immutable after creation"
        causes.forbidden("spec.persistentvolumesource", why)
    causes.immutable("volumeMode", old["spec"].get("volumeMode"), new["spec"].get("volumeMode"))
