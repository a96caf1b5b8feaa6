"""Subresources: a pod's `binding` and `eviction`, a namespace's `finalize`, and `scale`.

https://kubernetes.io/docs/reference/kubernetes-api/autoscaling-resources/
"""

from __future__ import annotations

from typing import Any

from ...apimachinery import apierrors, resources
from ...apimachinery.disruption import covers, with_condition
from ...apimachinery.jsontypes import Obj, key_of, now
from ...apimachinery.selectors import selector_text
from ..options import WriteOptions
from ..validation import fieldvalidation
from ..validation.causes import Causes
from .objectmeta import check_version
from .rest import Rest

_NOTHING = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0}
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
    check_version(resource, (namespace, name), body["metadata"], old["metadata"])
    node = (body.get("target") or {}).get("name")
    if old["metadata"].get("deletionTimestamp"):
        why = f"pod {name} is being deleted, cannot be assigned to a host"
        raise apierrors.conflict("pods/binding", "", name, why)
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
    """Delete a pod as `kubectl drain` asks, if its PodDisruptionBudget has room for that.

    https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
    """
    resource = resources.named("pods")
    old = rest.get(resource, namespace, name).obj
    if not isinstance(body, dict):
        raise apierrors.not_an_object("Eviction", body)
    eviction = {"apiVersion": "policy/v1", **body, "kind": "Eviction"}
    asked = fieldvalidation.check(eviction, options, None).get("deleteOptions") or {}
    dry_run = options.dry_run or asked.get("dryRun") == ["All"]
    deleted, phase = old["metadata"].get("deletionTimestamp"), old["status"].get("phase")
    if not deleted and phase not in ("Succeeded", "Failed", "Pending"):
        _use_budget(rest, old, dry_run=dry_run)
    if not dry_run and not deleted and phase not in ("Succeeded", "Failed"):
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


def _use_budget(rest: Rest, pod: Obj, *, dry_run: bool) -> None:
    """Take one disruption from the pod's budget, if it has one; refuse when none is left."""
    resource, (namespace, name) = "poddisruptionbudgets.policy", key_of(pod)
    found = [e.obj for e in rest.store.list(resource, namespace) if covers(e.obj, pod)]
    if len(found) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource"
        raise apierrors.ApiError(500, "", f"{text} does not support.")
    if not found or _may_ignore(found[0], pod):
        return
    budget, status, about = found[0], {**_NOTHING, **found[0]["status"]}, found[0]["metadata"]
    if status.get("observedGeneration", 0) < about["generation"]:
        why = f"The disruption budget {about['name']} is still being processed by the server."
        raise _too_disruptive(why, retry_seconds=10)
    if status["disruptionsAllowed"] <= 0:
        raise _too_disruptive(_why_none(about["name"], status))
    if not dry_run:
        left = {**status, "disruptionsAllowed": status["disruptionsAllowed"] - 1}
        left["disruptedPods"] = {**(status.get("disruptedPods") or {}), name: now()}
        changed = {**budget, "metadata": dict(about), "status": with_condition(left)}
        rest.store.put(resource, key_of(budget), changed)


def _may_ignore(budget: Obj, pod: Obj) -> bool:
    """Tell whether the pod, as it is not ready, may go whatever the budget has left."""
    conditions = pod["status"].get("conditions") or []
    if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
        return False
    status = {**_NOTHING, **budget["status"]}
    always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    return always or bool(status["currentHealthy"] >= status["desiredHealthy"] > 0)


def _why_none(name: str, status: Obj) -> str:
    for condition in status.get("conditions") or []:
        if condition.get("reason") == "SyncFailed":
            return (
                f"The disruption budget {name} does not allow evicting pods currently because it"
                f" failed sync: {condition.get('message')}"
            )
    return (
        f"The disruption budget {name} needs {status['desiredHealthy']} healthy pods and has"
        f" {status['currentHealthy']} currently"
    )


def _too_disruptive(why: str, retry_seconds: int = 0) -> apierrors.ApiError:
    details: Obj = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_seconds:
        details["retryAfterSeconds"] = retry_seconds
    text = "Cannot evict pod as it would violate the pod's disruption budget."
    return apierrors.ApiError(429, "TooManyRequests", text, details)


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


def checked_scale(scale: Obj) -> Obj:
    """Return what is a `Scale`; refuse what is not."""
    if (scale.get("apiVersion"), scale.get("kind")) != ("autoscaling/v1", "Scale"):
        raise apierrors.bad_request("the object provided is no Scale of autoscaling/v1")
    return scale


def scaled(obj: Obj, scale: Obj) -> Obj:
    """Return the object with the size that a `Scale` asks for."""
    spec, given = scale.get("spec") or {}, scale.get("metadata") or {}
    size = spec.get("replicas", 0)
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
