"""What is asked of one object by a subresource: bind a pod, evict it, finalize a namespace."""

from __future__ import annotations

from typing import Any

from ..apimachinery import apierrors, resources
from ..apimachinery.jsontypes import Obj, now
from .rest import Options, Rest


def _pods() -> resources.Resource:
    found = resources.find("", "v1", "pods")
    assert found is not None
    return found


def _with_condition(pod: Obj, condition: Obj) -> Obj:
    others = [
        c for c in pod["status"].get("conditions") or [] if c.get("type") != condition["type"]
    ]
    return {**pod["status"], "conditions": [*others, condition]}


def bind(rest: Rest, namespace: str, name: str, body: Any) -> None:
    """Give a pod to a node, as the scheduler asks by a `Binding`.

    Args:
        name: the pod's, when the path says it; else the `Binding` does.
    """
    resource, binding = _pods(), resources.find("", "v1", "bindings")
    assert binding is not None
    body = rest.incoming(binding, namespace, body, Options())
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


def evict(rest: Rest, namespace: str, name: str, body: Any, options: Options) -> Obj:
    """Delete a pod as `kubectl drain` asks; budgets (PodDisruptionBudget) are not looked at.

    https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
    """
    resource = _pods()
    old = rest.get(resource, namespace, name).obj
    if not isinstance(body, dict):
        raise apierrors.no_object("Eviction", body)
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
    """Set a namespace's own finalizers; without any, a deleted namespace goes."""
    resource = resources.find("", "v1", "namespaces")
    assert resource is not None
    old = rest.get(resource, "", name).obj
    body = rest.incoming(resource, "", body, Options())
    kept = (body.get("spec") or {}).get("finalizers") or []
    spec = {**(old.get("spec") or {}), "finalizers": kept}
    obj = dict(old, metadata=dict(old["metadata"]), spec=spec)
    metadata = obj["metadata"]
    if metadata.get("deletionTimestamp") and not kept and not metadata.get("finalizers"):
        return rest.store.delete(resource.name, ("", name)).obj
    return rest.store.put(resource.name, ("", name), obj).obj
