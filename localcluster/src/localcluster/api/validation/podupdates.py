"""What the subresources of a pod may change: `ephemeralcontainers` and `resize`. Pure.

Each takes a whole pod, heeds its own part of it and leaves all else as it was.
https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
"""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import quantity
from ..defaults.defaults import qos_class
from .part import Part

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


def validate_ephemeral_containers(spec: Part) -> None:
    """Complain about what only an ephemeral container may not have."""
    others = [container["name"] for container in spec.each(*_CONTAINERS)]
    for container in spec.each("ephemeralContainers"):
        target = container["targetContainerName"]
        if container["name"] in others:
            container.duplicate("name")
        if target and target not in others:
            container.causes.not_found(container.at("targetContainerName"), target)
        for field in _NOT_EPHEMERAL:
            if container[field]:
                container.forbidden(field, _EPHEMERAL_RULE)
        for mount in container.each("volumeMounts"):
            for field in ("subPath", "subPathExpr"):
                if mount[field]:
                    mount.forbidden(field, _EPHEMERAL_RULE)


def validate_pod_subresource(subresource: str, old: Obj, new: Part) -> None:
    """Complain about a change through a subresource that is not allowed."""
    spec = new.part("spec")
    if subresource == "resize":
        _resize(old, spec)
        return
    found = {container["name"]: container.value for container in spec.each("ephemeralContainers")}
    for container in old["spec"].get("ephemeralContainers") or []:
        name = container["name"]
        if found.get(name) != container:
            how = "changed" if name in found else "removed"
            why = f'existing ephemeral containers "{name}" may not be {how}\n'
            spec.forbidden("ephemeralContainers", why)


def _resize(old: Obj, spec: Part) -> None:
    was, now = old["spec"], spec.value
    before = (old.get("status") or {}).get("qosClass") or qos_class(was)
    if before != qos_class(now):
        spec.invalid("", "Pod QOS Class may not change as a result of resizing", before)
    _resize_pod_level(was.get("resources"), spec)
    if not _same_containers(was, spec):
        return
    pairs = {
        kind: list(zip(was.get(kind) or [], spec.each(kind), strict=True)) for kind in _CONTAINERS
    }
    for a, b in (pair for kind in _CONTAINERS for pair in pairs[kind]):
        _not_removed(a.get("resources"), b.part("resources"), "resource")
    for a, b in pairs["containers"]:
        if _fixed(a) != _fixed(b.value):
            spec.forbidden("", "only cpu and memory resources are mutable")
    for a, b in pairs["initContainers"]:
        if _fixed(a) != _fixed(b.value):
            why = "only cpu and memory resources for init or sidecar containers are mutable"
            b.forbidden("", why)
        policies = [policy["restartPolicy"] for policy in b.each("resizePolicy")]
        restarts = "RestartContainer" in policies and b["restartPolicy"] != "Always"
        if a != b.value and restarts:
            why = "non-sidecar init containers with a resize policy of RestartContainer"
            b.forbidden("", f"{why} cannot be resized")


def _resize_pod_level(old: Obj | None, spec: Part) -> None:
    """Complain about the resources of the pod as a whole."""
    if old and not spec["resources"]:
        spec.forbidden("resources", "pod-level resources cannot be removed")
        return
    _not_removed(old, spec.part("resources"), "pod-level resource")
    if _fixed({"resources": old}) != _fixed({"resources": spec["resources"]}):
        spec.forbidden("", "only cpu and memory resources are mutable at pod-level")


def _same_containers(was: Obj, spec: Part) -> bool:
    """Complain when the containers are not the same, in the same order."""
    found = len(spec.causes)
    for kind in reversed(_CONTAINERS):
        before, after = was.get(kind) or [], spec.each(kind)
        if len(before) != len(after):
            spec.forbidden(kind, f"{kind} may not be added or removed on resize")
            continue
        for a, b in zip(before, after, strict=True):
            if a["name"] != b["name"]:
                b.forbidden("name", f"{kind} may not be renamed or reordered on resize")
    return len(spec.causes) == found


def _not_removed(old: Obj | None, new: Part, what: str) -> None:
    for part in ("requests", "limits"):
        if set((old or {}).get(part) or {}) - set(new[part] or {}):
            new.forbidden(part, f"{what} {part} cannot be removed")


def _fixed(container: Obj) -> Obj:
    """Return what a resize may not change; equal amounts are equal however they are written."""
    resources: Obj = dict(container.get("resources") or {})
    for part in ("limits", "requests"):
        amounts = resources.pop(part, None) or {}
        others = {n: quantity(v) for n, v in amounts.items() if n not in ("cpu", "memory")}
        resources |= {part: others} if others else {}
    return {**container, "resources": resources}
