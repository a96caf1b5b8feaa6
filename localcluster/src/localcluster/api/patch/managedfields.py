"""Field management: `metadata.managedFields`, and the conflicts of server-side apply.

Recorded are the managers outside: those that name themselves by `fieldManager` or a user agent.
The cluster's own controllers and its kubelet are not, so that their many writes cost nothing.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from ...apimachinery.apierrors import ApiError
from ...apimachinery.jsontypes import Obj, now
from ..schema import schema
from . import fieldsets
from .fieldsets import Path

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass
class FieldOwner:
    """One entry of `managedFields`."""

    manager: str
    operation: str
    version: str
    subresource: str = ""
    time: str = ""
    paths: set[Path] = field(default_factory=set)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Return what tells two entries apart; an applier has one whatever the version."""
        version = "" if self.operation == "Apply" else self.version
        return self.manager, self.operation, version, self.subresource

    def entry(self) -> Obj:
        made = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.version,
            **({"time": self.time} if self.time else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": fieldsets.to_fields_v1(self.paths),
        }
        return {**made, "subresource": self.subresource} if self.subresource else made

    def named(self) -> str:
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        if self.operation == "Update":
            text += f" using {self.version}"
        return text


def owners_of(obj: Obj) -> list[FieldOwner]:
    """Return the entries of an object's `managedFields`."""
    found = []
    for entry in obj["metadata"].get("managedFields") or []:
        if isinstance(entry, dict) and entry.get("manager"):
            found.append(
                FieldOwner(
                    entry["manager"],
                    entry.get("operation", "Update"),
                    entry.get("apiVersion", ""),
                    entry.get("subresource", ""),
                    entry.get("time") or "",
                    fieldsets.from_fields_v1(entry.get("fieldsV1")),
                )
            )
    return found


def _entries(owners: list[FieldOwner]) -> list[Obj]:
    kept = [owner for owner in owners if owner.paths]
    kept.sort(key=lambda owner: (owner.operation, owner.time, owner.manager))
    return [owner.entry() for owner in kept]


def _find_or_add(owners: list[FieldOwner], wanted: FieldOwner) -> FieldOwner:
    for owner in owners:
        if owner.identity == wanted.identity:
            return owner
    owners.append(wanted)
    return wanted


# What the server fills in after it noted who owns what.
_DEFAULTED_LATER = {
    "Pod": (
        "nodeName",
        "preemptionPolicy",
        "priority",
        "serviceAccount",
        "serviceAccountName",
        "tolerations",
    ),
    "Service": ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"),
    "Job": ("selector",),
}
_JOB_LABELS = tuple(
    f"f:{prefix}{name}"
    for prefix in ("", "batch.kubernetes.io/")
    for name in ("controller-uid", "job-name")
)


def _belongs_to(path: Path, subresource: str) -> bool:
    """Tell whether a changed field is of the part of the object that is being written."""
    return (path[0] == "f:status") == (subresource == "status") and path[-1] not in _JOB_LABELS


def record_create(new: Obj, manager: str, sent: Obj) -> None:
    """Write into a new object that `manager` owns what it sent, and the defaults.

    Args:
        sent: The object as it came: what the server itself chose is nobody's.
    """
    tree = fieldsets.to_fields_v1(fieldsets.fields_of(new))
    tree.pop("f:status", None)
    chosen, given = tree.get("f:spec", {}), sent.get("spec") or {}
    for name in _DEFAULTED_LATER.get(new["kind"], ()):
        if name not in given:
            chosen.pop(f"f:{name}", None)
    if new["kind"] == "Job":
        _drop_job_labels(tree)
        _drop_job_labels(chosen.get("f:template", {}))
    if tree:
        owner = FieldOwner(manager, "Update", new["apiVersion"], time=now()).entry()
        new["metadata"]["managedFields"] = [{**owner, "fieldsV1": tree}]


def _drop_job_labels(tree: Obj) -> None:
    labels = tree.get("f:metadata", {}).get("f:labels", {})
    for name in _JOB_LABELS:
        labels.pop(name, None)
    if labels == {".": {}}:
        del tree["f:metadata"]["f:labels"]
    if not tree.get("f:metadata", True):
        del tree["f:metadata"]


def record_update(old: Obj, new: Obj, manager: str, subresource: str = "") -> None:
    """Write into `new` who owns what after `manager` made it of `old`."""
    owners = owners_of(new)
    before, after = fieldsets.fields_of(old), fieldsets.fields_of(new)
    gone = {path for path in before if path not in after and path[0] != "f:status"}
    after = {path: value for path, value in after.items() if _belongs_to(path, subresource)}
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    mine = FieldOwner(manager, "Update", new["apiVersion"], subresource)
    for owner in owners:
        owner.paths -= gone
        if owner.identity != mine.identity:
            owner.paths -= changed
    if changed:
        mine = _find_or_add(owners, mine)
        mine.paths |= changed
        mine.time = now()
    entries = _entries(owners)
    if entries:
        new["metadata"]["managedFields"] = entries
    else:
        new["metadata"].pop("managedFields", None)


def apply(
    live: Obj | None, config: Obj, manager: str, *, subresource: str = "", force: bool = False
) -> tuple[Obj, list[Obj]]:
    """Return the object after `manager` applied `config`, and its `managedFields`.

    Raises:
        ApiError: Others own fields that would change, and the manager does not force it (409).
    """
    applied = fieldsets.fields_of(config, applied=True)
    mine = FieldOwner(manager, "Apply", config["apiVersion"], subresource, now(), set(applied))
    if live is None:
        return config, _entries([mine])
    owners = owners_of(live)
    current = fieldsets.fields_of(live)
    if not owners:
        paths = {path for path in current if path[0] != "f:status"}
        first = FieldOwner("before-first-apply", "Update", live["apiVersion"], "", now(), paths)
        owners = [first]
    others = [owner for owner in owners if owner.identity != mine.identity]
    conflicts = [
        (owner, path)
        for owner in others
        for path in sorted(owner.paths & applied.keys())
        if fieldsets.differs(applied, current, path)
    ]
    if conflicts and not force:
        raise _conflict(conflicts)
    for owner, path in conflicts:
        owner.paths.discard(path)
    previous = next((owner for owner in owners if owner.identity == mine.identity), None)
    if previous and previous.paths == mine.paths:
        mine.time = previous.time
    dropped = _dropped(previous.paths - mine.paths, others) if previous else set()
    kept = fieldsets.without(live, dropped)
    merged = fieldsets.merge(kept, _with_last_applied(live, config, manager), schema.of(live))
    return merged, _entries([mine, *others])


def _dropped(left_out: set[Path], others: list[FieldOwner]) -> set[Path]:
    """Return the fields to remove, as nobody owns them or anything below them any more."""
    held = {path[:i] for owner in others for path in owner.paths for i in range(1, len(path) + 1)}
    return {path for path in left_out if path not in held}


def _with_last_applied(live: Obj, config: Obj, manager: str) -> Obj:
    """Keep the annotation of `kubectl apply` in step, for a return to client-side apply."""
    annotations = live["metadata"].get("annotations") or {}
    if manager != "kubectl" or _LAST_APPLIED not in annotations:
        return config
    text = json.dumps(config, separators=(",", ":"), sort_keys=True) + "\n"
    metadata = config["metadata"]
    known = {**(metadata.get("annotations") or {}), _LAST_APPLIED: text}
    return {**config, "metadata": {**metadata, "annotations": known}}


def _conflict(conflicts: list[tuple[FieldOwner, Path]]) -> ApiError:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {owner.named()}",
            "field": fieldsets.path_text(path),
        }
        for owner, path in conflicts
    ]
    if len(causes) == 1:
        text = f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    else:
        by_owner: dict[str, list[str]] = {}
        for owner, path in conflicts:
            by_owner.setdefault(owner.named(), []).append(fieldsets.path_text(path))
        listed = "\n".join(
            f"conflicts with {name}:\n" + "\n".join(f"- {path}" for path in paths)
            for name, paths in sorted(by_owner.items())
        )
        text = f"Apply failed with {len(causes)} conflicts: {listed}"
    return ApiError(409, "Conflict", text, {"causes": causes})
