"""Defaulting: what the API fills in when a manifest leaves it out, kind by kind.

https://kubernetes.io/docs/reference/kubernetes-api/ names the default of each field.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from ...apimachinery.apierrors import bad_request
from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile
from ..objects.allocation import EXTERNAL_TYPES

# What a Job had no idea of in 1.20: dropped silently, as that server does.
_NOT_YET = (
    "backoffLimitPerIndex",
    "completionMode",
    "managedBy",
    "maxFailedIndexes",
    "podFailurePolicy",
    "podReplacementPolicy",
    "successPolicy",
    "suspend",
)
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


def _probe(probe: Obj) -> None:
    probe.setdefault("timeoutSeconds", 1)
    probe.setdefault("periodSeconds", 10)
    probe.setdefault("successThreshold", 1)
    probe.setdefault("failureThreshold", 3)


def _tag(image: str) -> str:
    last = image.rpartition("/")[2]
    return last.partition(":")[2] or ("" if "@" in last else "latest")


def _container(container: Obj) -> None:
    image = container.get("image")
    if isinstance(image, str):
        policy = "Always" if _tag(image) == "latest" else "IfNotPresent"
        container.setdefault("imagePullPolicy", policy)
    container.setdefault("resources", {})
    limits = container["resources"].get("limits")
    if limits:
        requests = container["resources"].setdefault("requests", {})
        for name, value in limits.items():
            requests.setdefault(name, value)
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    for port in container.get("ports") or []:
        port.setdefault("protocol", "TCP")
    for kind in ("readinessProbe", "livenessProbe", "startupProbe"):
        if container.get(kind):
            _probe(container[kind])
    for variable in container.get("env") or []:
        _field_source(variable.get("valueFrom") or {})


def _field_source(source: Obj) -> None:
    """Set the defaults of a reference to a field of the pod."""
    if source.get("fieldRef") is not None:
        source["fieldRef"].setdefault("apiVersion", "v1")
    if source.get("resourceFieldRef") is not None:
        source["resourceFieldRef"].setdefault("divisor", "0")


def _volume(volume: Obj) -> None:
    kinds = set(volume) - {"name"}
    if not kinds:
        volume["emptyDir"] = {}
    for kind in kinds & {"secret", "configMap", "projected", "downwardAPI"}:
        volume[kind].setdefault("defaultMode", 420)
    projected = (volume.get("projected") or {}).get("sources") or []
    for source in (volume, *projected):
        for item in (source.get("downwardAPI") or {}).get("items") or []:
            _field_source(item)


def _pod_spec(spec: Obj) -> None:
    """Fill in a pod's spec, in a pod or in a template."""
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(kind) or []:
            if isinstance(container, dict):
                _container(container)
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


def _pod(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    _pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    spec.setdefault("serviceAccountName", spec.get("serviceAccount") or "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    tolerations = spec.setdefault("tolerations", [])
    known = {toleration.get("key") for toleration in tolerations}
    tolerations += [dict(t) for t in _TOLERATIONS if t["key"] not in known]
    obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}


def _service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if profile().modern:
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if profile().modern and spec["type"] != "ExternalName":
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] in EXTERNAL_TYPES:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if profile().modern and spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
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
            if not isinstance(value, str):
                raise bad_request(
                    'Secret in version "v1" cannot be handled as a Secret: json: cannot unmarshal'
                    f" {json.dumps(value)} into Go struct field Secret.stringData of type string"
                )
            data[name] = base64.b64encode(value.encode()).decode()
    obj.setdefault("type", "Opaque")


def _namespace(obj: Obj) -> None:
    name = obj["metadata"]["name"]
    if profile().modern:
        labels = obj["metadata"].get("labels") or {}
        obj["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": name}
    obj["spec"] = {"finalizers": ["kubernetes"]}
    obj["status"] = {"phase": "Active"}


def _template(spec: Obj) -> Obj:
    template: Obj = spec.setdefault("template", {})
    template.setdefault("metadata", {}).setdefault("creationTimestamp", None)
    _pod_spec(template.setdefault("spec", {}))
    return template


def _job(obj: Obj, *, new: bool) -> None:
    """Complete a Job; a new one gets the labels and the selector that tie its pods to it."""
    spec = obj.setdefault("spec", {})
    if not profile().modern:
        for name in _NOT_YET:
            spec.pop(name, None)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    limited = spec.get("backoffLimitPerIndex") is not None
    spec.setdefault("backoffLimit", _UNLIMITED if limited else 6)
    if profile().modern:
        _modern_job(spec)
    template = _template(spec)
    if new and not spec.get("manualSelector"):
        _select_own_pods(obj, spec, template)
    labels = template["metadata"].get("labels")
    if labels and not obj["metadata"].get("labels"):
        obj["metadata"]["labels"] = dict(labels)
    obj["status"] = {}


def _modern_job(spec: Obj) -> None:
    policy = spec.get("podFailurePolicy")
    for rule in (policy or {}).get("rules") or []:
        for wanted in rule.get("onPodConditions") or []:
            wanted.setdefault("status", "True")
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if policy else "TerminatingOrFailed")
    spec.setdefault("manualSelector", False)


def _select_own_pods(obj: Obj, spec: Obj, template: Obj) -> None:
    """Label the template with what only this Job's pods have, and select by it."""
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    marks = {"controller-uid": uid, "job-name": name}
    chosen = "controller-uid"
    if profile().modern:
        marks |= {f"batch.kubernetes.io/{key}": value for key, value in marks.items()}
        chosen = "batch.kubernetes.io/controller-uid"
    template["metadata"]["labels"] = {**marks, **(template["metadata"].get("labels") or {})}
    selector = spec.setdefault("selector", {})
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), chosen: uid}


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


def _stored_template(spec: Obj) -> None:
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _priority_class(obj: Obj) -> None:
    obj.setdefault("value", 0)
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _role_binding(obj: Obj) -> None:
    obj.setdefault("roleRef", {}).setdefault("apiGroup", _RBAC)
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", _RBAC)


def _cron_job(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    _stored_template(spec.setdefault("jobTemplate", {}).setdefault("spec", {}))
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
    _stored_template(spec)
    obj.setdefault("status", {"replicas": 0, "availableReplicas": 0})


def _daemon_set(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("revisionHistoryLimit", 10)
    _update_strategy(spec, {"maxSurge": 0, "maxUnavailable": 1})
    _stored_template(spec)
    counts = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled")
    obj.setdefault("status", dict.fromkeys((*counts, "numberReady"), 0))


def _replication_controller(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _stored_template(spec)
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    spec.setdefault("selector", dict(labels))
    obj.setdefault("status", {"replicas": 0})


def _event(obj: Obj) -> None:
    obj.setdefault("eventTime", None)
    obj.setdefault("reportingComponent", "")
    obj.setdefault("reportingInstance", "")


def _volume_claim(obj: Obj) -> None:
    obj.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    obj.setdefault("status", {}).setdefault("phase", "Pending")


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
    "Event": _event,
    "NetworkPolicy": _network_policy,
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
