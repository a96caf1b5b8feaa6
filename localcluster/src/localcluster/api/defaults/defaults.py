"""Defaults that depend on the rest of an object: what the API fills in, kind by kind.

https://kubernetes.io/docs/reference/kubernetes-api/ names the default of each field.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from ...apimachinery.jsontypes import Obj, deep_copy

# The types of Services that the world outside of the cluster reaches by a node port.
EXTERNAL_TYPES = ("LoadBalancer", "NodePort")
_UNLIMITED = 2**31 - 1
_RBAC = "rbac.authorization.k8s.io"
_TOLERATIONS = [
    {
        "key": f"node.kubernetes.io/{trouble}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for trouble in ("not-ready", "unreachable")
]
# The status of a new object of each kind, unless a function below says it.
_STATUS: dict[str, Obj] = {
    "CronJob": {},
    "Deployment": {},
    "Job": {},
    "Namespace": {"phase": "Active"},
    "PersistentVolume": {"phase": "Pending"},
    "PersistentVolumeClaim": {"phase": "Pending"},
    # Like the real one, it allows nothing at first.
    "PodDisruptionBudget": {
        "disruptionsAllowed": 0,
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "expectedPods": 0,
    },
    "ReplicaSet": {"replicas": 0},
    "Service": {"loadBalancer": {}},
}


def _pull_policy(image: str) -> str:
    return "Always" if _tag(image) == "latest" else "IfNotPresent"


def _tag(image: str) -> str:
    last = image.rpartition("/")[2]
    return last.partition(":")[2] or ("" if "@" in last else "latest")


def _pod_spec(spec: Obj) -> None:
    """Fill in a pod's spec, in a pod or in a template."""
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind) or []:
            if container.get("image"):
                container.setdefault("imagePullPolicy", _pull_policy(container["image"]))
            for port in container.get("ports") or [] if spec.get("hostNetwork") else []:
                port.setdefault("hostPort", port.get("containerPort"))
    for volume in spec.get("volumes") or []:
        if not set(volume) - {"name"}:
            volume["emptyDir"] = {}
        if volume.get("image"):
            policy = _pull_policy(volume["image"].get("reference") or "")
            volume["image"].setdefault("pullPolicy", policy)


def _requests(container: Obj) -> None:
    """Let a container of a pod request what it is limited to, where it does not say."""
    limits = container["resources"].get("limits")
    if limits:
        container["resources"]["requests"] = {
            **limits,
            **(container["resources"].get("requests") or {}),
        }


def qos_class(spec: Obj) -> str:
    """Return the pod's quality-of-service class.

    https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
    """
    containers = [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
    demands = [container.get("resources") or {} for container in containers]
    if not any(demand.get("requests") or demand.get("limits") for demand in demands):
        return "BestEffort"
    for demand in demands:
        limits, requests = demand.get("limits") or {}, demand.get("requests") or {}
        for name in ("cpu", "memory"):
            if name not in limits or requests.get(name, limits[name]) != limits[name]:
                return "Burstable"
    return "Guaranteed"


def _has_toleration(tolerations: list[Obj], wanted: Obj) -> bool:
    return any(
        (one.get("key") or wanted["key"], one.get("effect") or wanted["effect"])
        == (wanted["key"], wanted["effect"])
        for one in tolerations
    )


def _pod(obj: Obj) -> None:
    spec = obj["spec"]
    _pod_spec(spec)
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        _requests(container)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    spec.setdefault("serviceAccountName", spec.get("serviceAccount") or "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    tolerations = spec.setdefault("tolerations", [])
    tolerations += [dict(one) for one in _TOLERATIONS if not _has_toleration(tolerations, one)]
    obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}


def _service(obj: Obj) -> None:
    spec = obj["spec"]
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] in EXTERNAL_TYPES:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    if spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client.setdefault("timeoutSeconds", 10800)
    for port in spec.get("ports") or []:
        port.setdefault("targetPort", port.get("port"))


def _secret(obj: Obj) -> None:
    """Turn `stringData` into `data`, as every write of a Secret does."""
    text = obj.pop("stringData", None)
    if text:
        data = obj["data"] = obj.get("data") or {}
        for name, value in text.items():
            data[name] = base64.b64encode(value.encode()).decode()


def _namespace(obj: Obj) -> None:
    name = obj["metadata"]["name"]
    labels = obj["metadata"].get("labels") or {}
    obj["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": name}
    obj["spec"] = {"finalizers": ["kubernetes"]}


def _job(obj: Obj, *, new: bool) -> None:
    """Complete a Job; a new one gets the labels and the selector that tie its pods to it."""
    spec, template = obj["spec"], obj["spec"]["template"]
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    limited = spec.get("backoffLimitPerIndex") is not None
    spec.setdefault("backoffLimit", _UNLIMITED if limited else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    replaced = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
    spec.setdefault("podReplacementPolicy", replaced)
    spec.setdefault("manualSelector", False)
    _pod_spec(template["spec"])
    if new and not spec.get("manualSelector"):
        _select_own_pods(obj, spec, template)
    labels = template["metadata"].get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)


def _select_own_pods(obj: Obj, spec: Obj, template: Obj) -> None:
    """Label the template with what only this Job's pods have, and select by it."""
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    marks = {"controller-uid": uid, "job-name": name}
    marks |= {f"batch.kubernetes.io/{key}": value for key, value in marks.items()}
    template["metadata"]["labels"] = {**marks, **(template["metadata"].get("labels") or {})}
    selector = spec.setdefault("selector", {})
    selector["matchLabels"] = {
        **(selector.get("matchLabels") or {}),
        "batch.kubernetes.io/controller-uid": uid,
    }


def _template(obj: Obj) -> None:
    _pod_spec(obj["spec"]["template"]["spec"])


def _roll(strategy: Obj, rolling: Obj) -> None:
    """Complete how an update replaces pods, if it does so one by one."""
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = {**rolling, **(strategy.get("rollingUpdate") or {})}


def _deployment(obj: Obj) -> None:
    _template(obj)
    _roll(obj["spec"]["strategy"], {"maxUnavailable": "25%", "maxSurge": "25%"})


def _role_binding(obj: Obj) -> None:
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", _RBAC)


def _cron_job(obj: Obj) -> None:
    _template(obj["spec"]["jobTemplate"])


def _network_policy(obj: Obj) -> None:
    spec = obj["spec"]
    spec.setdefault("policyTypes", ["Ingress", *(["Egress"] if spec.get("egress") else [])])


def _stateful_set(obj: Obj) -> None:
    for claim in obj["spec"].get("volumeClaimTemplates") or []:
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("status", {}).setdefault("phase", "Pending")
    _template(obj)
    _roll(obj["spec"]["updateStrategy"], {"partition": 0})


def _daemon_set(obj: Obj) -> None:
    _template(obj)
    _roll(obj["spec"]["updateStrategy"], {"maxSurge": 0, "maxUnavailable": 1})


def _replication_controller(obj: Obj) -> None:
    _template(obj)
    labels = obj["spec"]["template"]["metadata"].get("labels") or {}
    obj["spec"].setdefault("selector", dict(labels))


def _event(obj: Obj) -> None:
    obj.setdefault("eventTime", None)


def _limit_range(obj: Obj) -> None:
    for limit in (obj.get("spec") or {}).get("limits") or []:
        if limit.get("type") == "Container":
            most = {**(limit.get("max") or {}), **(limit.get("default") or {})}
            wanted = {**(limit.get("min") or {}), **most, **(limit.get("defaultRequest") or {})}
            if most:
                limit["default"] = most
            if wanted:
                limit["defaultRequest"] = wanted


_BY_KIND: dict[str, Callable[[Obj], None]] = {
    "ClusterRoleBinding": _role_binding,
    "CronJob": _cron_job,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "Event": _event,
    "LimitRange": _limit_range,
    "Namespace": _namespace,
    "NetworkPolicy": _network_policy,
    "Pod": _pod,
    "ReplicaSet": _template,
    "ReplicationController": _replication_controller,
    "RoleBinding": _role_binding,
    "Secret": _secret,
    "Service": _service,
    "StatefulSet": _stateful_set,
}


def set_defaults(obj: Obj, *, new: bool = True) -> None:
    """Complete an object in place; its metadata has name, namespace and uid already.

    Args:
        new: Whether it is being created, not changed.
    """
    kind = obj["kind"]
    if kind in _STATUS:
        obj["status"] = deep_copy(_STATUS[kind])
    if kind == "Job":
        _job(obj, new=new)
    elif kind in _BY_KIND:
        _BY_KIND[kind](obj)
