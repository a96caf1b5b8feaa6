"""The `scale` subresource: the size of a Deployment or ReplicaSet, as `kubectl scale` sets it.

https://kubernetes.io/docs/reference/kubernetes-api/autoscaling-resources/
"""

from __future__ import annotations

from ..apimachinery.apierrors import bad_request, invalid
from ..apimachinery.jsontypes import Obj
from ..apimachinery.selectors import selector_text
from .validation.causes import Causes

_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Obj) -> Obj:
    """Return the `Scale` of an object that has replicas."""
    spec, status = obj["spec"], obj.get("status") or {}
    size, selector = int(spec.get("replicas", 1)), selector_text(spec.get("selector"))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: obj["metadata"][name] for name in _KEPT if name in obj["metadata"]},
        "spec": {"replicas": size} if size else {},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": selector,
        },
    }


def scaled(obj: Obj, scale: Obj) -> Obj:
    """Return the object with the size that a `Scale` asks for."""
    if (scale.get("apiVersion"), scale.get("kind")) != ("autoscaling/v1", "Scale"):
        raise bad_request("the object provided is no Scale of autoscaling/v1")
    spec, given = scale.get("spec") or {}, scale.get("metadata") or {}
    size = spec.get("replicas", 0)
    if not isinstance(size, int) or isinstance(size, bool):
        raise bad_request("spec.replicas of a Scale must be a number")
    if size < 0:
        causes = Causes()
        causes.invalid("spec.replicas", size, "must be greater than or equal to 0")
        raise invalid("Scale", "autoscaling", obj["metadata"]["name"], list(causes))
    metadata = dict(obj["metadata"])
    for name in ("uid", "resourceVersion"):
        metadata.pop(name, None)
        if given.get(name):
            metadata[name] = given[name]
    return {**obj, "metadata": metadata, "spec": {**obj["spec"], "replicas": size}}
