"""Subresources: a pod's `binding` and `eviction`, a namespace's `finalize`, and `scale`.

https://kubernetes.io/docs/reference/kubernetes-api/autoscaling-resources/
"""

from __future__ import annotations

from typing import Any

from ...apimachinery import apierrors, resources
from ...apimachinery.jsontypes import Obj, now
from ...apimachinery.selectors import selector_text
from ..options import WriteOptions
from ..validation.causes import Causes
from .rest import Rest

_SCALE_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def _with_condition(pod: Obj, condition: Obj) -> Obj:
    others = [
        c for c in pod["status"].get("conditions") or [] if c.get("type") != condition["type"]
    ]
    return {**pod["status"], "conditions": [*others, condition]}


def bind(rest: Rest, namespace: str, name: str, body: Any) -> None:
    """Bind a pod to a node, as the scheduler asks by a `Binding`.

    Args:
        name: The pod's, when the path says it; else the `Binding` does.
    """
    resource = resources.named("pods")
    body = rest.incoming(resources.named("bindings"), namespace, body, WriteOptions())
    name = name or body["metadata"].get("name") or ""
    old = rest.get(resource, namespace, name).obj
    node = (body.get("target") or {}).get("name")
    if (old.get("spec") or {}).get("nodeName"):
        why = f'pod {name} is already assigned to node "{old["spec"]["nodeName"]}"'
        raise apierrors.conflict("pods/binding", "", name, why)
    obj = dict(old, metadata=dict(old["metadata"]), spec={**old["spec"], "nodeName": node})
    condition = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": now(),
    }
    obj["status"] = _with_condition(old, condition)
    rest.store.put(resource.name, (namespace, name), obj)


def evict(rest: Rest, namespace: str, name: str, body: Any, options: WriteOptions) -> Obj:
    """Delete a pod as `kubectl drain` asks; budgets (PodDisruptionBudget) are not looked at.

    https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
    """
    resource = resources.named("pods")
    old = rest.get(resource, namespace, name).obj
    if not isinstance(body, dict):
        raise apierrors.not_an_object("Eviction", body)
    eviction = {"apiVersion": "policy/v1", **body, "kind": "Eviction"}
    asked = rest.check_schema(eviction, options, None).get("deleteOptions") or {}
    dry_run = options.dry_run or asked.get("dryRun") == ["All"]
    ended = old["status"].get("phase") in ("Succeeded", "Failed")
    if not dry_run and not ended and not old["metadata"].get("deletionTimestamp"):
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": now(),
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
        }
        marked = dict(old, metadata=dict(old["metadata"]), status=_with_condition(old, condition))
        rest.store.put(resource.name, (namespace, name), marked)
    rest.delete(resource, namespace, name, asked, dry_run=dry_run)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def finalize_namespace(rest: Rest, name: str, body: Any) -> Obj:
    """Set a namespace's own finalizers; a deleted namespace without any is removed."""
    resource = resources.named("namespaces")
    old = rest.get(resource, "", name).obj
    body = rest.incoming(resource, "", body, WriteOptions())
    kept = (body.get("spec") or {}).get("finalizers") or []
    spec = {**(old.get("spec") or {}), "finalizers": kept}
    obj = dict(old, metadata=dict(old["metadata"]), spec=spec)
    metadata = obj["metadata"]
    if metadata.get("deletionTimestamp") and not kept and not metadata.get("finalizers"):
        return rest.store.delete(resource.name, ("", name)).obj
    return rest.store.put(resource.name, ("", name), obj).obj


def scale_of(obj: Obj) -> Obj:
    """Return the `Scale` of an object that has replicas."""
    spec, status = obj["spec"], obj.get("status") or {}
    size, selector = int(spec.get("replicas", 1)), selector_text(spec.get("selector"))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            name: obj["metadata"][name] for name in _SCALE_METADATA if name in obj["metadata"]
        },
        "spec": {"replicas": size} if size else {},
        "status": {"replicas": status.get("replicas", 0), "selector": selector},
    }


def scaled(obj: Obj, scale: Obj) -> Obj:
    """Return the object with the size that a `Scale` asks for."""
    if (scale.get("apiVersion"), scale.get("kind")) != ("autoscaling/v1", "Scale"):
        raise apierrors.bad_request("the object provided is no Scale of autoscaling/v1")
    spec, given = scale.get("spec") or {}, scale.get("metadata") or {}
    size = spec.get("replicas", 0)
    if not isinstance(size, int) or isinstance(size, bool):
        raise apierrors.bad_request("spec.replicas of a Scale must be a number")
    if size < 0:
        causes = Causes()
        causes.invalid("spec.replicas", size, "must be greater than or equal to 0")
        raise apierrors.invalid("Scale", "autoscaling", obj["metadata"]["name"], list(causes))
    metadata = dict(obj["metadata"])
    for name in ("uid", "resourceVersion"):
        metadata.pop(name, None)
        if given.get(name):
            metadata[name] = given[name]
    return {**obj, "metadata": metadata, "spec": {**obj["spec"], "replicas": size}}
