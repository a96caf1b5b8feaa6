"""Defaulting: what the API fills in when a manifest leaves it out, kind by kind.

https://kubernetes.io/docs/reference/kubernetes-api/ names the default of each field.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from ...apimachinery.jsontypes import Obj
from ..objects.allocation import EXTERNAL_TYPES

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


# What a volume of each type, or a part of a projected one, has by default; the schema knows more.
_FILES = {"defaultMode": 420}
_VOLUMES: dict[str, Obj] = {
    "configMap": _FILES,
    "downwardAPI": _FILES,
    "hostPath": {"type": ""},
    "projected": _FILES,
    "secret": _FILES,
}
_PROJECTIONS: dict[str, Obj] = {
    "podCertificate": {"maxExpirationSeconds": 86400},
    "serviceAccountToken": {"expirationSeconds": 3600},
}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_HANDLERS: dict[str, Obj] = {"grpc": {"service": ""}, "httpGet": {"path": "/", "scheme": "HTTP"}}


def _fill(parts: Obj, defaults: dict[str, Obj]) -> None:
    """Set the defaults of those parts of an object that are there."""
    for name in parts.keys() & defaults.keys():
        if isinstance(parts[name], dict):
            parts[name].update({**defaults[name], **parts[name]})


def _pull_policy(image: str) -> str:
    return "Always" if _tag(image) == "latest" else "IfNotPresent"


def _tag(image: str) -> str:
    last = image.rpartition("/")[2]
    return last.partition(":")[2] or ("" if "@" in last else "latest")


def _container(container: Obj) -> None:
    image = container.get("image")
    if isinstance(image, str):
        container.setdefault("imagePullPolicy", _pull_policy(image))
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports") or []:
        port.setdefault("protocol", "TCP")
    for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
        if container.get(kind):
            container[kind].update({**_PROBE, **container[kind]})
            _fill(container[kind], _HANDLERS)
    for kind in ("postStart", "preStop"):
        _fill((container.get("lifecycle") or {}).get(kind) or {}, _HANDLERS)
    for variable in container.get("env") or []:
        _field_source(variable.get("valueFrom") or {})


def _requests(container: Obj) -> None:
    """Let a container of a pod request what it is limited to, where it does not say."""
    limits = container["resources"].get("limits")
    if limits:
        container["resources"]["requests"] = {
            **limits,
            **(container["resources"].get("requests") or {}),
        }


def _field_source(source: Obj) -> None:
    """Set the defaults of a reference to a field of the pod."""
    if source.get("fieldRef") is not None:
        source["fieldRef"].setdefault("apiVersion", "v1")
    if source.get("resourceFieldRef") is not None:
        source["resourceFieldRef"].setdefault("divisor", "0")


def _volume(volume: Obj) -> None:
    if not set(volume) - {"name"}:
        volume["emptyDir"] = {}
    _fill(volume, _VOLUMES)
    image = volume.get("image")
    if image:
        image.setdefault("pullPolicy", _pull_policy(str(image.get("reference", ""))))
    claim = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
    if claim:
        claim.setdefault("metadata", {})
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    projected = (volume.get("projected") or {}).get("sources") or []
    for source in (volume, *projected):
        _fill(source, _PROJECTIONS)
        for item in (source.get("downwardAPI") or {}).get("items") or []:
            _field_source(item)


def _pod_spec(spec: Obj) -> None:
    """Fill in a pod's spec, in a pod or in a template."""
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind) or []:
            if isinstance(container, dict):
                _container(container)
                for port in container.get("ports") or [] if spec.get("hostNetwork") else []:
                    port.setdefault("hostPort", port.get("containerPort"))
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    for volume in spec.get("volumes") or []:
        _volume(volume)


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
    spec = obj.setdefault("spec", {})
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
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
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
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    obj["status"] = {"loadBalancer": {}}


def _secret(obj: Obj) -> None:
    """Turn `stringData` into `data`, as every write of a Secret does."""
    text = obj.pop("stringData", None)
    if text:
        data = obj["data"] = obj.get("data") or {}
        for name, value in text.items():
            data[name] = base64.b64encode(value.encode()).decode()
    obj.setdefault("type", "Opaque")


def _namespace(obj: Obj) -> None:
    name = obj["metadata"]["name"]
    labels = obj["metadata"].get("labels") or {}
    obj["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": name}
    obj["spec"] = {"finalizers": ["kubernetes"]}
    obj["status"] = {"phase": "Active"}


def _template(spec: Obj) -> Obj:
    template: Obj = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    _pod_spec(template.setdefault("spec", {}))
    return template


def _job(obj: Obj, *, new: bool) -> None:
    """Complete a Job; a new one gets the labels and the selector that tie its pods to it."""
    spec = obj.setdefault("spec", {})
    template = _job_spec(spec)
    spec.setdefault("manualSelector", False)
    if new and not spec.get("manualSelector"):
        _select_own_pods(obj, spec, template)
    labels = template["metadata"].get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    obj["status"] = {}


def _job_spec(spec: Obj) -> Obj:
    """Complete the spec of a Job, and return its template."""
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    limited = spec.get("backoffLimitPerIndex") is not None
    spec.setdefault("backoffLimit", _UNLIMITED if limited else 6)
    policy = spec.get("podFailurePolicy")
    for rule in (policy or {}).get("rules") or []:
        for wanted in rule.get("onPodConditions") or []:
            wanted["status"] = wanted.get("status") or "True"
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if policy else "TerminatingOrFailed")
    return _template(spec)


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


def _replica_set(obj: Obj) -> None:
    """Complete a ReplicaSet."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _template(spec)
    obj["status"] = {"replicas": 0}


def _deployment(obj: Obj) -> None:
    """Complete a Deployment."""
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _template(spec)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    obj["status"] = {}


def _priority_class(obj: Obj) -> None:
    obj.setdefault("value", 0)
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _role_binding(obj: Obj) -> None:
    role = obj.setdefault("roleRef", {})
    role["apiGroup"] = role.get("apiGroup") or _RBAC
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", _RBAC)


def _cron_job(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    job = spec.setdefault("jobTemplate", {})
    job.setdefault("metadata", {})
    _template(job.setdefault("spec", {}))
    obj["status"] = {}


def _network_policy(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    for rule in [*(spec.get("ingress") or []), *(spec.get("egress") or [])]:
        for port in rule.get("ports") or []:
            port.setdefault("protocol", "TCP")
    spec.setdefault("policyTypes", ["Ingress", *(["Egress"] if spec.get("egress") else [])])


def _update_strategy(spec: Obj, rolling: Obj) -> None:
    update = spec.setdefault("updateStrategy", {})
    update.setdefault("type", "RollingUpdate")
    if update["type"] == "RollingUpdate":
        update["rollingUpdate"] = {**rolling, **(update.get("rollingUpdate") or {})}


def _stateful_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("revisionHistoryLimit", 10)
    _update_strategy(spec, {"partition": 0})
    kept = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for name in ("whenDeleted", "whenScaled"):
        kept.setdefault(name, "Retain")
    for claim in spec.get("volumeClaimTemplates") or []:
        claim.setdefault("kind", "PersistentVolumeClaim")
        claim.setdefault("apiVersion", "v1")
        _volume_claim(claim)
    _template(spec)


def _daemon_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("revisionHistoryLimit", 10)
    _update_strategy(spec, {"maxSurge": 0, "maxUnavailable": 1})
    _template(spec)


def _replication_controller(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _template(spec)
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    spec.setdefault("selector", dict(labels))


def _event(obj: Obj) -> None:
    obj.setdefault("eventTime", None)


def _volume_claim(obj: Obj) -> None:
    obj.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def _persistent_volume(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    _fill(spec, _VOLUMES)
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def _limit_range(obj: Obj) -> None:
    for limit in obj.setdefault("spec", {}).get("limits") or []:
        if limit.get("type") == "Container":
            most = {**(limit.get("max") or {}), **(limit.get("default") or {})}
            wanted = {**(limit.get("min") or {}), **most, **(limit.get("defaultRequest") or {})}
            if most:
                limit["default"] = most
            if wanted:
                limit["defaultRequest"] = wanted


def _endpoints(obj: Obj) -> None:
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            port.setdefault("protocol", "TCP")


def _endpoint_slice(obj: Obj) -> None:
    for port in obj.get("ports") or []:
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def _disruption_budget(obj: Obj) -> None:
    """Give a PodDisruptionBudget a status; like the real one, it allows nothing at first."""
    obj.setdefault("spec", {})
    names = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    obj["status"] = dict.fromkeys(names, 0)


_BY_KIND: dict[str, Callable[[Obj], None]] = {
    "Pod": _pod,
    "ReplicaSet": _replica_set,
    "Deployment": _deployment,
    "Service": _service,
    "Secret": _secret,
    "Namespace": _namespace,
    "ClusterRoleBinding": _role_binding,
    "CronJob": _cron_job,
    "DaemonSet": _daemon_set,
    "EndpointSlice": _endpoint_slice,
    "Endpoints": _endpoints,
    "Event": _event,
    "LimitRange": _limit_range,
    "NetworkPolicy": _network_policy,
    "PersistentVolume": _persistent_volume,
    "PersistentVolumeClaim": _volume_claim,
    "PodDisruptionBudget": _disruption_budget,
    "PriorityClass": _priority_class,
    "ReplicationController": _replication_controller,
    "RoleBinding": _role_binding,
    "StatefulSet": _stateful_set,
}


def set_defaults(obj: Obj, *, new: bool = True) -> None:
    """Complete an object in place; its metadata has name, namespace and uid already.

    Args:
        new: Whether it is being created, not changed.
    """
    if obj["kind"] == "Job":
        _job(obj, new=new)
    complete = _BY_KIND.get(obj["kind"])
    if complete:
        complete(obj)
