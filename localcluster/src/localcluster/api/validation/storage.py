"""What the server refuses about PersistentVolumes and the claims to them."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import is_quantity, quantity
from .apps import frozen
from .metadata import validate_selector
from .names import subdomain_faults
from .part import Part
from .specdiff import spec_diff
from .volumes import require_parts

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


def _access(spec: Part, why: str = "") -> None:
    modes, known = spec["accessModes"] or [], list(spec.kind.part("accessModes").part("").enum)
    spec.require("accessModes", why=why)
    for mode in modes:
        if mode not in known:
            spec.causes.unsupported("spec.accessModes", mode, known)
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        why = "may not use ReadWriteOncePod with other access modes"
        spec.forbidden("accessModes", why)


def _classes(spec: Part) -> None:
    spec.check("storageClassName", subdomain_faults)
    spec.choose("volumeMode")


def _size(spec: Part, at: str, value: object) -> None:
    if is_quantity(value) and quantity(value) <= 0:
        spec.invalid(at, "must be greater than zero", str(value))


def validate_claim(obj: Part) -> None:
    """Complain about a PersistentVolumeClaim."""
    spec = obj.part("spec")
    _access(spec, "at least 1 access mode is required")
    validate_selector(spec.part("selector"))
    wanted = spec.part("resources").part("requests")["storage"]
    if wanted is None:
        spec.required("resources[storage]")
    _size(spec, "resources[storage]", wanted)
    _classes(spec)


def validate_claim_update(old: Obj, new: Part) -> None:
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
        new.forbidden("spec", why + spec_diff("PersistentVolumeClaimSpec", was, kept))
    sizes = [((s.get("resources") or {}).get("requests") or {}).get("storage") for s in (was, now)]
    if all(map(is_quantity, sizes)) and quantity(sizes[1]) < quantity(sizes[0]):
        why = "field can not be less than status.capacity"
        new.forbidden("spec.resources.requests.storage", why)


def validate_volume(obj: Part) -> None:
    """Complain about a PersistentVolume."""
    spec, recycled = obj.part("spec"), "persistentVolumeReclaimPolicy"
    _access(spec)
    spec.require("capacity")
    capacity = spec["capacity"] or {}
    if capacity and set(capacity) != {"storage"}:
        spec.unsupported("capacity", ["storage"])
    _size(spec, "capacity[storage]", capacity.get("storage"))
    spec.choose(recycled)
    kinds = [name for name in spec.value if name not in _NOT_A_SOURCE and spec[name] is not None]
    for kind in kinds[1:]:
        spec.forbidden(kind, "may not specify more than 1 volume type")
    if not kinds:
        spec.required("", "must specify a volume type")
    else:
        require_parts(spec, kinds[0])
    if spec[recycled] == "Recycle" and spec.part("hostPath")["path"] == "/":
        spec.forbidden(recycled, "may not be 'recycle' for a hostPath mount of '/'")
    if "local" in kinds:
        spec.require("nodeAffinity", why="Local volume requires node affinity")
    _classes(spec)


def validate_volume_update(old: Obj, new: Part) -> None:
    """Complain about another source in the place of a volume's own."""
    may_change = tuple(_NOT_A_SOURCE)
    if frozen(old["spec"], may_change) != frozen(new["spec"], may_change):
        why = "spec.persistentvolumesource is immutable after creation"
        new.forbidden("spec.persistentvolumesource", why)
    new.causes.immutable("volumeMode", old["spec"].get("volumeMode"), new["spec"].get("volumeMode"))
