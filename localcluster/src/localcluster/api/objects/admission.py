"""Admission: what else a new object needs or may not do in this cluster; a 403 when it fails.

It stands for the plugins ServiceAccount, Priority, PodSecurity and ResourceQuota.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""

from __future__ import annotations

import copy

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import is_quantity, quantity
from ...apimachinery.resources import Resource
from ...store import Store
from ..validation.causes import Causes
from ..validation.pods import template_of
from . import podsecurity

# Pods of a cluster, whatever their state; more would only slow down everything else.
MOST_PODS = 2000


def admit(resource: Resource, obj: Obj, store: Store) -> None:
    """Complete a new pod from what it names, or raise a 403 when that is not there."""
    if obj["kind"] != "Pod":
        return
    spec, metadata = obj["spec"], obj["metadata"]
    account, namespace = spec.get("serviceAccountName"), metadata["namespace"]
    found = store.get("serviceaccounts", (namespace, account))
    # The account `default` comes a moment after its namespace; a pod need not wait for it.
    if account != "default" and not found:
        why = (
            f"error looking up service account {namespace}/{account}:"
            f' serviceaccount "{account}" not found'
        )
        raise apierrors.forbidden(resource.plural, "", metadata["name"], why)
    if found and found.obj.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = copy.deepcopy(found.obj["imagePullSecrets"])
    _set_priority(resource, obj, store)


def _set_priority(resource: Resource, pod: Obj, store: Store) -> None:
    """Give a pod the priority of its class, or of the one that is the default of all pods."""
    kind, spec = "priorityclasses.scheduling.k8s.io", pod["spec"]
    name = spec.get("priorityClassName")
    found = store.get(kind, ("", name)) if name else None
    if name and found is None:
        why = f"no PriorityClass with name {name} was found"
        raise apierrors.forbidden(resource.plural, "", pod["metadata"]["name"], why)
    classes = [found] if found else store.list(kind)
    chosen = [one.obj for one in classes if one and (name or one.obj.get("globalDefault"))]
    if chosen:
        lowest = min(chosen, key=lambda one: one["value"])
        spec["priorityClassName"] = lowest["metadata"]["name"]
        spec["priority"] = lowest["value"]
        spec["preemptionPolicy"] = lowest.get("preemptionPolicy", "PreemptLowerPriority")


def check(resource: Resource, obj: Obj, store: Store, old: Obj | None = None) -> list[str]:
    """Raise a 403 when a valid object breaks a rule of its namespace; return the warnings.

    Args:
        old: What it was before, when it is changed.
    """
    if obj["kind"] == "Namespace":
        return _check_namespace(resource, obj, store, old)
    _, template = template_of(obj)
    if not template.get("spec") or (old and not _is_significant(resource, obj, old)):
        return []
    warnings = _check_pod_security(resource, obj, template, store)
    if obj["kind"] == "Pod" and not old:
        _check_quotas(resource, obj, store)
    return warnings


def _is_significant(resource: Resource, obj: Obj, old: Obj) -> bool:
    """Tell whether an update can break the rules: of a pod's fields, only images change."""
    if resource.kind != "Pod":
        return bool(template_of(obj)[1] != template_of(old)[1])
    parts = ("initContainers", "containers", "ephemeralContainers")
    was, now = (
        [[c.get("image") for c in o["spec"].get(p) or []] for p in parts] for o in (old, obj)
    )
    return was != now


def _check_pod_security(resource: Resource, obj: Obj, template: Obj, store: Store) -> list[str]:
    namespace = store.get("namespaces", ("", obj["metadata"]["namespace"]))
    labels = namespace.obj["metadata"].get("labels") or {} if namespace else {}
    if not any(name.startswith(podsecurity.PREFIX) for name in labels):
        return []
    policies, _ = podsecurity.policies(labels)
    enforced, warned = policies["enforce"], policies["warn"]
    found = podsecurity.violations(enforced, template) if obj["kind"] == "Pod" else None
    if found:
        why = f'violates PodSecurity "{enforced}": {found}'
        raise apierrors.forbidden(resource.plural, resource.group, obj["metadata"]["name"], why)
    found = podsecurity.violations(warned, template)
    return [f'would violate PodSecurity "{warned}": {found}'] if found else []


def _check_namespace(resource: Resource, obj: Obj, store: Store, old: Obj | None) -> list[str]:
    """Complain about the labels for Pod Security; warn of pods that the new ones would refuse."""
    labels = obj["metadata"].get("labels") or {}
    policies, faults = podsecurity.policies(labels)
    before, known = podsecurity.policies((old or obj)["metadata"].get("labels") or {})
    if faults and (old is None or faults != known):
        causes = Causes()
        for label, value, why in faults:
            causes.invalid(f"metadata.labels[{label}]", value, why)
        raise apierrors.invalid(obj["kind"], resource.group, obj["metadata"]["name"], list(causes))
    new, was = policies["enforce"], before["enforce"]
    if old is None or new == was or (new.version == was.version and new.rank <= was.rank):
        return []
    name = obj["metadata"]["name"]
    pods: dict[str, list[str]] = {}
    for entry in store.list("pods", name):
        found = podsecurity.violations(new, entry.obj)
        if found:
            pods.setdefault(found.reasons, []).append(entry.obj["metadata"]["name"])
    listed = sorted(f"{_shown(sorted(names))}: {why}" for why, names in pods.items())
    head = f'existing pods in namespace "{name}" violate the new PodSecurity enforce level "{new}"'
    return [head, *listed] if listed else []


def _shown(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{names[0]} (and {others} other pod{'s' * (others > 1)})"


def _check_quotas(resource: Resource, obj: Obj, store: Store) -> None:
    metadata = obj["metadata"]
    if store.count("pods") >= MOST_PODS:
        why = f"the local cluster holds at most {MOST_PODS} pods"
        raise apierrors.forbidden(resource.plural, "", metadata["name"], why)
    for quota in store.list("resourcequotas", metadata["namespace"]):
        pods = store.list("pods", metadata["namespace"])
        phases = [pod.obj.get("status", {}).get("phase") for pod in pods]
        used = sum(phase not in ("Succeeded", "Failed") for phase in phases)
        limit = ((quota.obj.get("spec") or {}).get("hard") or {}).get("pods")
        if is_quantity(limit) and used >= quantity(limit):
            why = (
                f"exceeded quota: {quota.obj['metadata']['name']}, requested: pods=1,"
                f" used: pods={used}, limited: pods={limit}"
            )
            raise apierrors.forbidden(resource.plural, "", metadata["name"], why)
