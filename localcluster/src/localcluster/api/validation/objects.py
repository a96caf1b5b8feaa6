"""Validation of objects: what their kind allows, and what it does not (422)."""

from __future__ import annotations

from collections.abc import Callable

from ...apimachinery.apierrors import invalid
from ...apimachinery.jsontypes import Obj
from ...apimachinery.resources import Resource
from . import apps, batch, config, networking, policy, storage
from .causes import Causes
from .metadata import validate_finalizers, validate_metadata
from .part import Part, whole
from .pods import validate_limits, validate_pod_spec
from .podupdates import validate_ephemeral_containers, validate_pod_subresource
from .specdiff import spec_diff

_POD_FIELDS = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only"
    " additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be"
    " set to 1 if it was previously negative)"
)
_POD_MAY_CHANGE = (
    "activeDeadlineSeconds",
    "tolerations",
    "terminationGracePeriodSeconds",
    "nodeName",
)


def _pod(obj: Part) -> None:
    validate_pod_spec(obj.part("spec"))
    validate_ephemeral_containers(obj.part("spec"))


_Check = Callable[[Part], None]
_SPECS: dict[str, _Check] = {
    "ConfigMap": config.validate_config_map,
    "CronJob": batch.validate_cron_job,
    "DaemonSet": apps.validate_daemon_set,
    "Deployment": apps.validate_deployment,
    "EndpointSlice": networking.validate_endpoint_slice,
    "Endpoints": networking.validate_endpoints,
    "IPAddress": networking.validate_ip_address,
    "Ingress": networking.validate_ingress,
    "Job": batch.validate_job,
    "Lease": policy.validate_lease,
    "LimitRange": policy.validate_limit_range,
    "PersistentVolume": storage.validate_volume,
    "PersistentVolumeClaim": storage.validate_claim,
    "Pod": _pod,
    "PodDisruptionBudget": policy.validate_budget,
    "PriorityClass": policy.validate_priority_class,
    "ReplicaSet": apps.validate_replica_set,
    "ReplicationController": apps.validate_replication_controller,
    "ResourceQuota": policy.validate_quota,
    "Secret": config.validate_secret,
    "Service": networking.validate_service,
    "ServiceCIDR": networking.validate_service_cidr,
    "StatefulSet": apps.validate_stateful_set,
}


def _new_pod(obj: Part) -> None:
    if obj["spec"].get("ephemeralContainers"):
        obj.forbidden("spec.ephemeralContainers", "cannot be set on create")


# The rules for a new object alone.
_CREATES: dict[str, _Check] = {"Ingress": networking.validate_new_ingress, "Pod": _new_pod}


def _event(obj: Part) -> None:
    about = obj.part("involvedObject")["namespace"]
    if about and about != obj["metadata"]["namespace"]:
        obj.part("involvedObject").invalid("namespace", "does not match event.namespace")


# The rules that are only checked in an object that is valid so far.
_RULES: dict[str, _Check] = {
    "ClusterRole": policy.validate_role,
    "ClusterRoleBinding": policy.validate_role_binding,
    "ConfigMap": config.validate_config_map_keys,
    "Event": _event,
    "NetworkPolicy": networking.validate_network_policy,
    "Role": policy.validate_role,
    "RoleBinding": policy.validate_role_binding,
    "Secret": config.validate_secret_type,
}


def _pod_update(old: Obj, new: Part) -> None:
    was, now = old["spec"], _with_what_may_change(old["spec"], new["spec"])
    if was != now:
        new.forbidden("spec", _POD_FIELDS + spec_diff("PodSpec", was, now))


def _with_what_may_change(was: Obj, now: Obj) -> Obj:
    """Return a pod's new spec with those fields of the old one that may change."""
    kept = apps.frozen(now, _POD_MAY_CHANGE)
    kept |= {name: was[name] for name in _POD_MAY_CHANGE if name in was}
    for kind in ("containers", "initContainers"):
        before, after = was.get(kind) or [], now.get(kind) or []
        if kind in now and len(before) == len(after):
            pairs = zip(before, after, strict=True)
            kept[kind] = [{**new, "image": old["image"]} for old, new in pairs]
    return kept


def _selector(old: Obj, new: Part) -> None:
    new.part("spec").immutable("selector", old["spec"])


def _address_type(old: Obj, new: Part) -> None:
    new.immutable("addressType", old)


_UPDATES: dict[str, Callable[[Obj, Part], None]] = {
    "ClusterRoleBinding": policy.validate_role_binding_update,
    "ConfigMap": config.validate_immutable,
    "DaemonSet": _selector,
    "Deployment": _selector,
    "EndpointSlice": _address_type,
    "Job": batch.validate_job_update,
    "PersistentVolume": storage.validate_volume_update,
    "PersistentVolumeClaim": storage.validate_claim_update,
    "Pod": _pod_update,
    "PriorityClass": policy.validate_priority_class_update,
    "ReplicaSet": _selector,
    "ResourceQuota": policy.validate_quota_update,
    "RoleBinding": policy.validate_role_binding_update,
    "Secret": config.validate_immutable,
    "Service": networking.validate_service_update,
    "StatefulSet": apps.validate_stateful_set_update,
}


def _nothing(*_: object) -> None:
    """Take a kind that has no rules of its own."""


def _with_spec(obj: Obj) -> Obj:
    """Return an object with a spec: one that is left out is empty."""
    return obj if obj.get("spec") else {**obj, "spec": {}}


def validate_create(resource: Resource, obj: Obj) -> None:
    """Raise a 422 when the new object (with its defaults) is not valid."""
    new = whole(_with_spec(obj), Causes())
    validate_metadata(new, new=True)
    for checks in (_SPECS, _CREATES):
        checks.get(obj["kind"], _nothing)(new)
    _raise_if_any(resource, new)
    _validate_rules(resource, new)


def validate_update(resource: Resource, old: Obj, obj: Obj, subresource: str = "") -> None:
    """Raise a 422 when the change from `old` to `obj` is not allowed."""
    new, old, kind = whole(_with_spec(obj), Causes()), _with_spec(old), obj["kind"]
    validate_metadata(new, new=False)
    _no_new_finalizers(old["metadata"], new.part("metadata"))
    _SPECS.get(kind, _nothing)(new)
    if kind == "Pod" and subresource:
        validate_pod_subresource(subresource, old, new)
    else:
        _UPDATES.get(kind, _nothing)(old, new)
    _raise_if_any(resource, new)
    _validate_rules(resource, new)


def _no_new_finalizers(old: Obj, new: Part) -> None:
    added = sorted(set(new["finalizers"] or []) - set(old.get("finalizers") or []))
    if old.get("deletionTimestamp") and added:
        listed = ", ".join(f'"{name}"' for name in added)
        why = "no new finalizers can be added if the object is being deleted, found new finalizers"
        for _ in range(2):  # as the real server, which looks at the metadata twice
            new.forbidden("finalizers", f"{why} []string{{{listed}}}")


def _validate_rules(resource: Resource, obj: Part) -> None:
    """Raise a 422 for the rules that are only checked in an object that is valid so far."""
    validate_finalizers(obj.part("metadata"))
    _RULES.get(obj["kind"], _nothing)(obj)
    validate_limits(obj)
    _raise_if_any(resource, obj)


def _raise_if_any(resource: Resource, obj: Part) -> None:
    if obj.causes:
        raise invalid(obj["kind"], resource.group, obj["metadata"]["name"], list(obj.causes))
