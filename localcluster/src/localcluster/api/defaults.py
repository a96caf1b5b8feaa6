"""What the API fills in when a manifest leaves it out, kind by kind, as the real server does.

https://kubernetes.io/docs/reference/kubernetes-api/ names the default of each field.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

from ..apimachinery.apierrors import bad_request
from ..apimachinery.jsontypes import Obj
from ..apimachinery.profile import profile
from . import workloaddefaults
from .allocation import OUTSIDE

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
        _references(variable.get("valueFrom") or {})


def _references(source: Obj) -> None:
    """Complete what takes the value of a field of the pod."""
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
            _references(item)


def pod_spec(spec: Obj) -> None:
    """Fill in a pod's spec, in a pod or in a template."""
    for kind in ("containers", "initContainers"):
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


def _quality(spec: Obj) -> str:
    """Return the pod's class of service.

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
    pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    spec.setdefault("serviceAccountName", spec.get("serviceAccount") or "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    tolerations = spec.setdefault("tolerations", [])
    known = {toleration.get("key") for toleration in tolerations}
    tolerations += [dict(t) for t in _TOLERATIONS if t["key"] not in known]
    obj["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def _service(obj: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if profile().modern:
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if profile().modern and spec["type"] != "ExternalName":
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] in OUTSIDE:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if profile().modern and spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))
    obj["status"] = {"loadBalancer": {}}


def fold_string_data(obj: Obj) -> None:
    """Turn a Secret's `stringData` into `data`, as every write of a Secret does."""
    text = obj.pop("stringData", None)
    if not text:
        return
    data = obj.setdefault("data", {}) or {}
    for name, value in text.items():
        if not isinstance(value, str):
            raise bad_request(
                'Secret in version "v1" cannot be handled as a Secret: json: cannot unmarshal'
                f" {json.dumps(value)} into Go struct field Secret.stringData of type string"
            )
        data[name] = base64.b64encode(value.encode()).decode()
    obj["data"] = data


def _secret(obj: Obj) -> None:
    obj.setdefault("type", "Opaque")


def _namespace(obj: Obj) -> None:
    name = obj["metadata"]["name"]
    if profile().modern:
        labels = obj["metadata"].get("labels") or {}
        obj["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": name}
    obj["spec"] = {"finalizers": ["kubernetes"]}
    obj["status"] = {"phase": "Active"}


_BY_KIND: dict[str, Callable[[Obj], None]] = {
    "Pod": _pod,
    "ReplicaSet": lambda obj: workloaddefaults.replica_set(obj, pod_spec),
    "Deployment": lambda obj: workloaddefaults.deployment(obj, pod_spec),
    "Service": _service,
    "Secret": _secret,
    "Namespace": _namespace,
}


def fill_in(obj: Obj, *, new: bool = True) -> None:
    """Complete an object in place; its metadata has name, namespace and uid already.

    Args:
        new: it is being created, not changed.
    """
    if obj["kind"] == "Job":
        workloaddefaults.job(obj, pod_spec, new=new)
    complete = _BY_KIND.get(obj["kind"])
    if complete:
        complete(obj)
