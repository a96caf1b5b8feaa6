"""What the subresources of a pod may change: `ephemeralcontainers` and `resize`. Pure.

Each takes a whole pod, heeds its own part of it and leaves all else as it was.
https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
"""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import quantity
from ..defaults.defaults import qos_class
from .causes import Causes

SUBRESOURCES = ("ephemeralcontainers", "resize")
_CONTAINERS = ("initContainers", "containers")
_RESIZABLE = ("resources", "resizePolicy")
_KEPT_METADATA = ("resourceVersion", "uid", "name", "namespace")
# Those that an ephemeral container has in common with others, and may not use.
_NOT_EPHEMERAL = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)
_EPHEMERAL_RULE = "cannot be set for an Ephemeral Container"


def narrowed(subresource: str, old: Obj, new: Obj) -> Obj:
    """Return the old pod with what the subresource may change, as the new one has it."""
    given = {name: new["metadata"][name] for name in _KEPT_METADATA if name in new["metadata"]}
    pod = {**old, "metadata": {**old["metadata"], **given}, "spec": dict(old["spec"])}
    was, now = pod["spec"], new.get("spec") or {}
    if subresource == "ephemeralcontainers":
        was.pop("ephemeralContainers", None)
        if now.get("ephemeralContainers"):
            was["ephemeralContainers"] = now["ephemeralContainers"]
        return pod
    if any(len(was.get(kind) or []) != len(now.get(kind) or []) for kind in _CONTAINERS):
        return {**pod, "spec": now}
    was.pop("resources", None)
    if now.get("resources"):
        was["resources"] = now["resources"]
    for kind in _CONTAINERS:
        pairs = list(zip(was.get(kind) or [], now.get(kind) or [], strict=True))
        if any(a["name"] != b.get("name") for a, b in pairs):
            was[kind] = now[kind]
        elif pairs:
            was[kind] = [_resized(a, b) for a, b in pairs]
    return pod


def _resized(old: Obj, new: Obj) -> Obj:
    kept = {name: value for name, value in old.items() if name not in _RESIZABLE}
    return kept | {name: new[name] for name in _RESIZABLE if name in new}


def validate_ephemeral_containers(spec: Obj, at: str, causes: Causes) -> None:
    """Complain about what only an ephemeral container may not have."""
    others = {c.get("name") for kind in _CONTAINERS for c in spec.get(kind) or []}
    for i, container in enumerate(spec.get("ephemeralContainers") or []):
        where, name = f"{at}.ephemeralContainers[{i}]", container.get("name")
        if name in others:
            causes.duplicate(f"{where}.name", name)
        target = container.get("targetContainerName")
        if target and target not in others:
            causes.not_found(f"{where}.targetContainerName", target)
        for field in _NOT_EPHEMERAL:
            if container.get(field):
                causes.forbidden(f"{where}.{field}", _EPHEMERAL_RULE)
        for j, mount in enumerate(container.get("volumeMounts") or []):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    causes.forbidden(f"{where}.volumeMounts[{j}].{field}", _EPHEMERAL_RULE)


def validate_pod_subresource(subresource: str, old: Obj, new: Obj, causes: Causes) -> None:
    """Complain about a change through a subresource that is not allowed."""
    if subresource == "resize":
        _resize(old, new, causes)
        return
    found = {c["name"]: c for c in new["spec"].get("ephemeralContainers") or []}
    for container in old["spec"].get("ephemeralContainers") or []:
        name = container["name"]
        if found.get(name) != container:
            how = "changed" if name in found else "removed"
            why = f'existing ephemeral containers "{name}" may not be {how}\n'
            causes.forbidden("spec.ephemeralContainers", why)


def _resize(old: Obj, new: Obj, causes: Causes) -> None:
    was, now = old["spec"], new["spec"]
    before = (old.get("status") or {}).get("qosClass") or qos_class(was)
    if before != qos_class(now):
        causes.invalid("spec", before, "Pod QOS Class may not change as a result of resizing")
    _resize_pod_level(was.get("resources"), now.get("resources"), causes)
    if not _same_containers(was, now, causes):
        return
    for kind in _CONTAINERS:
        for i, (a, b) in enumerate(zip(was.get(kind) or [], now.get(kind) or [], strict=True)):
            at = f"spec.{kind}[{i}].resources"
            _not_removed(a.get("resources"), b.get("resources"), at, "resource", causes)
    for a, b in zip(was["containers"], now["containers"], strict=True):
        if _fixed(a) != _fixed(b):
            causes.forbidden("spec", "only cpu and memory resources are mutable")
    inits = zip(was.get("initContainers") or [], now.get("initContainers") or [], strict=True)
    for i, (a, b) in enumerate(inits):
        if _fixed(a) != _fixed(b):
            why = "only cpu and memory resources for init or sidecar containers are mutable"
            causes.forbidden(f"spec.initContainers[{i}]", why)
        restarts = any(
            policy.get("restartPolicy") == "RestartContainer"
            for policy in b.get("resizePolicy") or []
        )
        if a != b and restarts and b.get("restartPolicy") != "Always":
            why = "non-sidecar init containers with a resize policy of RestartContainer"
            causes.forbidden(f"spec.initContainers[{i}]", f"{why} cannot be resized")


def _resize_pod_level(old: Obj | None, new: Obj | None, causes: Causes) -> None:
    """Complain about the resources of the pod as a whole."""
    if old and not new:
        causes.forbidden("spec.resources", "pod-level resources cannot be removed")
        return
    _not_removed(old, new, "spec.resources", "pod-level resource", causes)
    if _fixed({"resources": old}) != _fixed({"resources": new}):
        causes.forbidden("spec", "only cpu and memory resources are mutable at pod-level")


def _same_containers(was: Obj, now: Obj, causes: Causes) -> bool:
    """Complain when the containers are not the same, in the same order."""
    found = len(causes)
    for kind in reversed(_CONTAINERS):
        before = [container["name"] for container in was.get(kind) or []]
        after = [container.get("name") for container in now.get(kind) or []]
        if len(before) != len(after):
            causes.forbidden(f"spec.{kind}", f"{kind} may not be added or removed on resize")
            continue
        for i, name in enumerate(before):
            if name != after[i]:
                why = f"{kind} may not be renamed or reordered on resize"
                causes.forbidden(f"spec.{kind}[{i}].name", why)
    return len(causes) == found


def _not_removed(old: Obj | None, new: Obj | None, at: str, what: str, causes: Causes) -> None:
    for part in ("requests", "limits"):
        if set((old or {}).get(part) or {}) - set((new or {}).get(part) or {}):
            causes.forbidden(f"{at}.{part}", f"{what} {part} cannot be removed")


def _fixed(container: Obj) -> Obj:
    """Return what a resize may not change; equal amounts are equal however they are written."""
    resources: Obj = dict(container.get("resources") or {})
    for part in ("limits", "requests"):
        amounts = resources.pop(part, None) or {}
        others = {n: quantity(v) for n, v in amounts.items() if n not in ("cpu", "memory")}
        resources |= {part: others} if others else {}
    return {**container, "resources": resources}
