"""Warnings: what is deprecated or doubtful, in upstream's words, and what is ignored here.

A field that the API accepts and no part of the cluster acts on is in a table here, unless ignoring
it makes no difference. What only restricts a process (`runAsUser`, dropped capabilities, a
read-only root) is left out: the pod works without it, and docs/pods.md says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import is_quantity, quantity
from ...apimachinery.resources import Resource
from .names import label_faults
from .pods import template_of

_NODE_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
}
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_SYSCTLS = 'non-functional in v1.11+; use the "sysctls" field instead'
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": _SYSCTLS,
    "security.alpha.kubernetes.io/unsafe-sysctls": _SYSCTLS,
}
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_VOLUMES = {
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
}
# The pods of these take over the name of their owner.
_NAME_PODS = {"CronJob", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController"}

_PROCESSES = "pods are your own processes and share your computer's namespaces"
_NO_DNS = "there is no DNS server"
_AS_YOU = "every process runs as you, with no extra privileges"
_ONE_RUNTIME = "there is only one runtime, plain processes"
# What is ignored: the path in a spec or container, why, and the values that make no difference.
_Field = tuple[str, str, tuple[Any, ...]]
_POD_FIELDS: tuple[_Field, ...] = (
    ("hostNetwork", "every pod has a loopback address of its own", (False,)),
    ("hostPID", _PROCESSES, (False,)),
    ("hostIPC", _PROCESSES, (False,)),
    ("hostUsers", _PROCESSES, (True,)),
    ("shareProcessNamespace", _PROCESSES, (False,)),
    ("hostAliases", "pods have no hosts file of their own", ()),
    ("dnsConfig", "pods use your computer's name servers", ()),
    ("dnsPolicy", "pods use your computer's name servers", ("ClusterFirst", "Default")),
    ("subdomain", _NO_DNS, ()),
    ("setHostnameAsFQDN", _NO_DNS, (False,)),
    ("hostnameOverride", "a pod's host name is its own name", ()),
    ("runtimeClassName", _ONE_RUNTIME, ()),
    ("overhead", _ONE_RUNTIME, ()),
    ("os", _ONE_RUNTIME, ({"name": "linux"},)),
    ("priorityClassName", "no running pod is preempted for it", ()),
    ("resourceClaims", "there are no devices to claim", ()),
    ("resources.limits", "only the limits of the containers are enforced", ()),
    ("schedulingGroup", "pods are scheduled one at a time", ()),
    ("automountServiceAccountToken", "pods get no service account token", (False,)),
    ("securityContext.supplementalGroups", _AS_YOU, ()),
    ("securityContext.sysctls", _AS_YOU, ()),
    ("securityContext.seLinuxOptions", _AS_YOU, ()),
    ("securityContext.windowsOptions", _ONE_RUNTIME, ()),
    ("volumes.emptyDir.medium", "the volume is a folder on your disk", ("",)),
    ("volumes.emptyDir.sizeLimit", "the volume can grow without limit", ()),
)
_CONTAINER_FIELDS: tuple[_Field, ...] = (
    ("ports.hostPort", "the port is open only at the pod's own address", (0,)),
    ("securityContext.privileged", _AS_YOU, (False,)),
    ("securityContext.capabilities.add", _AS_YOU, ()),
    ("securityContext.procMount", _AS_YOU, ("Default",)),
    ("securityContext.seLinuxOptions", _AS_YOU, ()),
    ("securityContext.windowsOptions", _ONE_RUNTIME, ()),
    ("resources.claims", "there are no devices to claim", ()),
    ("restartPolicyRules", "containers restart according to restartPolicy alone", ()),
    ("lifecycle.stopSignal", "containers are stopped with SIGTERM", ("SIGTERM",)),
    ("livenessProbe.grpc", "gRPC probes are not supported and always fail", ()),
    ("readinessProbe.grpc", "gRPC probes are not supported and always fail", ()),
    ("startupProbe.grpc", "gRPC probes are not supported and always fail", ()),
    ("volumeMounts.mountPropagation", "nothing is really mounted", ("None",)),
    ("volumeMounts.recursiveReadOnly", "nothing is really mounted", ("Disabled",)),
)
_SCHEDULED = ("priorityClassName", "ports.hostPort")
_FIELDS: dict[str, tuple[_Field, ...]] = {
    "Service": (
        ("externalIPs", "the Service is reachable only at its cluster IP", ()),
        ("loadBalancerClass", "there are no load balancers", ()),
        ("loadBalancerIP", "there are no load balancers", ()),
        ("loadBalancerSourceRanges", "there are no load balancers", ()),
        ("sessionAffinity", "each connection may go to any pod", ("None",)),
        ("ports.protocol", "only TCP is forwarded", ("TCP",)),
    ),
}  # fmt: skip


def deprecation(resource: Resource) -> list[str]:
    """Return the warning that goes with every request for a deprecated resource."""
    if (resource.group, resource.plural) != ("", "endpoints"):
        return []
    return ["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"]


def warnings_for(obj: Obj, old: Obj | None = None) -> list[str]:
    """Return what the writer of an object should be told.

    Args:
        old: What it was before; what it had already been told is not repeated.
    """
    if old is not None and old.get("spec") == obj.get("spec"):
        return []
    found = list(_all(obj))
    known = set(_all(old)) if old is not None else set()
    return [warning for warning in dict.fromkeys(found) if warning not in known]


def _all(obj: Obj) -> Iterator[str]:
    kind, spec = obj["kind"], obj.get("spec") or {}
    faults = label_faults(obj["metadata"]["name"]) if kind in _NAME_PODS else []
    if faults:
        yield (
            "metadata.name: this is used in Pod names and hostnames, which can result in"
            f" surprising behavior; a DNS label is recommended: [{' '.join(faults)}]"
        )
    yield from _BY_KIND.get(kind, _nothing)(obj)
    at, template = template_of(obj)
    if template.get("spec"):
        yield from _pod(template, at + "." * bool(at))
    yield from _ignored(spec, "spec", _FIELDS.get(kind, ()))


def _nothing(_obj: Obj) -> Iterator[str]:
    yield from ()


def _pod(template: Obj, prefix: str) -> Iterator[str]:
    """Yield the warnings of a pod or of a template, in the order of the real server."""
    spec, at = template["spec"], f"{prefix}spec"
    metadata = template.get("metadata") or {}
    for name in spec.get("nodeSelector") or {}:
        if name in _NODE_LABELS:
            yield f"{at}.nodeSelector[{name}]: {_node_label(name)}"
    affinity = spec.get("affinity") or {}
    yield from _node_affinity(affinity.get("nodeAffinity") or {}, f"{at}.affinity.nodeAffinity")
    for i, spread in enumerate(spec.get("topologySpreadConstraints") or []):
        where, key = f"{at}.topologySpreadConstraints[{i}]", spread.get("topologyKey")
        if key in _NODE_LABELS:
            yield f"{where}.topologyKey: {key} is {_node_label(key)}"
        if spread.get("labelSelector") is None:
            yield f"{where}.labelSelector: {_NO_SELECTOR}"
    notes = metadata.get("annotations") or {}
    for name in notes.keys() & _ANNOTATIONS.keys():
        yield f"{prefix}metadata.annotations[{name}]: {_ANNOTATIONS[name]}"
    for i, volume in enumerate(spec.get("volumes") or []):
        for kind in volume.keys() & _VOLUMES.keys():
            yield f"{at}.volumes[{i}].{kind}: {_VOLUMES[kind]}"
    for volume in spec.get("volumes") or []:
        yield from _overlaps(volume)
    yield from _doubled(spec, at, "hostAliases", "ip")
    yield from _doubled(spec, at, "imagePullSecrets", "name")
    if _SECCOMP_POD in notes and not (spec.get("securityContext") or {}).get("seccompProfile"):
        yield f"{prefix}metadata.annotations[{_SECCOMP_POD}]: {_SECCOMP}"
    containers = [
        (f"{at}.{part}[{i}]", container)
        for part in ("initContainers", "containers", "ephemeralContainers")
        for i, container in enumerate(spec.get(part) or [])
    ]
    for where, container in containers:
        note = f"{_SECCOMP_CONTAINER}{container.get('name')}"
        if note in notes and not (container.get("securityContext") or {}).get("seccompProfile"):
            yield f"{prefix}metadata.annotations[{note}]: {_SECCOMP}"
        for part in ("limits", "requests"):
            amounts = (container.get("resources") or {}).get(part) or {}
            yield from _fractions(amounts, f"{where}.resources.{part}")
        yield from _hidden_variables(container.get("env") or [], f"{where}.env")
    yield from _ports(containers)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{at}.terminationGracePeriodSeconds: {why}"
    for kind in ("podAffinity", "podAntiAffinity"):
        yield from _pod_affinity(affinity.get(kind) or {}, f"{at}.affinity.{kind}")
    yield from _ignored(spec, at, _POD_FIELDS)
    # On the host's network every port is a host port by default, and that network is ignored above.
    fields = _CONTAINER_FIELDS[1:] if spec.get("hostNetwork") else _CONTAINER_FIELDS
    for where, container in containers:
        yield from _ignored(container, where, fields)


_NO_SELECTOR = "a null labelSelector results in matching no pod"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _node_label(name: str) -> str:
    since, instead = _NODE_LABELS[name]
    return f'deprecated since {since}; use "{instead}" instead'


def _node_affinity(affinity: Obj, at: str) -> Iterator[str]:
    required = (affinity.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []
    terms = [(f"{at}.{_REQUIRED}.nodeSelectorTerms[{i}]", t) for i, t in enumerate(required)]
    terms += [
        (f"{at}.{_PREFERRED}[{i}].preference", preferred.get("preference") or {})
        for i, preferred in enumerate(affinity.get(_PREFERRED) or [])
    ]
    for where, term in terms:
        for i, wanted in enumerate(term.get("matchExpressions") or []):
            if wanted.get("key") in _NODE_LABELS:
                key = wanted["key"]
                yield f"{where}.matchExpressions[{i}].key: {key} is {_node_label(key)}"


def _pod_affinity(affinity: Obj, at: str) -> Iterator[str]:
    for i, term in enumerate(affinity.get(_REQUIRED) or []):
        if term.get("labelSelector") is None:
            yield f"{at}.{_REQUIRED}[{i}].labelSelector: {_NO_SELECTOR}"
    for i, weighted in enumerate(affinity.get(_PREFERRED) or []):
        if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
            yield f"{at}.{_PREFERRED}[{i}].podAffinityTerm.labelSelector: {_NO_SELECTOR}"


def _doubled(spec: Obj, at: str, part: str, name: str) -> Iterator[str]:
    values = [one.get(name, "") for one in spec.get(part) or []]
    for i, value in enumerate(values):
        where = f"{at}.{part}[{i}].{name}"
        if value in values[:i]:
            yield f"{where}: duplicate {name} {json.dumps(value)}"
        if not value:
            yield f'{where}: invalid empty name ""'


def _overlaps(volume: Obj) -> Iterator[str]:
    """Yield the files of a volume of which one hides another."""
    names = {"configMap": "ConfigMap", "secret": "Secret", "downwardAPI": "DownwardAPI"}
    parts = [("", volume)]
    parts += [("Projected ", one) for one in (volume.get("projected") or {}).get("sources") or []]
    seen: list[str] = []
    for kind, part in parts:
        for name in names.keys() & part.keys():
            source = part[name] or {}
            what = f"{kind}{names[name]}"
            if name != "downwardAPI":
                what += f" {json.dumps(source.get('secretName') or source.get('name') or '')}"
            for item in source.get("items") or []:
                path = str(item.get("path", "")).rstrip("/")
                for other in seen:
                    if path and (f"{path}/".startswith(other) or f"{other}/".startswith(path)):
                        about = f"volume {json.dumps(volume['name'])} ({what}): overlapping paths"
                        yield f"{about}: {json.dumps(path)} with {json.dumps(other)}"
                        break
                seen.append(path)


def _fractions(amounts: Obj, at: str) -> Iterator[str]:
    for name in ("memory", "ephemeral-storage", "storage"):
        value = amounts.get(name)
        if value is not None and is_quantity(value) and quantity(value) % 1:
            text = json.dumps(str(value))
            yield f"{at}[{name}]: fractional byte value {text} is invalid, must be an integer"


def _hidden_variables(variables: list[Obj], at: str) -> Iterator[str]:
    seen = set()
    for i, variable in enumerate(variables):
        name, value = variable.get("name"), variable.get("value") or ""
        reference = f"$({name})"
        if name in seen and (
            variable.get("valueFrom") is not None or value == reference or reference not in value
        ):
            text = json.dumps(name)
            why = f"hides previous definition of {text}, which may be dropped when using apply"
            yield f"{at}[{i}]: {why}"
        seen.add(name)


def _ports(containers: list[tuple[str, Obj]]) -> Iterator[str]:
    """Yield the ports that are defined twice in a pod."""
    known: dict[tuple[Any, Any], list[tuple[str, Any, int]]] = {}
    for at, container in containers:
        for i, port in enumerate(container.get("ports") or []):
            where, ip = f"{at}.ports[{i}]", port.get("hostIP") or ""
            host = port.get("hostPort") or 0
            others = known.setdefault((port.get("containerPort"), port.get("protocol")), [])
            for other, other_ip, other_host in others:
                if (ip, host) == (other_ip, other_host):
                    yield f"{where}: duplicate port definition with {other}"
                elif not host or not other_host:
                    yield f"{where}: overlapping port definition with {other}"
                elif host == other_host and bool(ip) != bool(other_ip):
                    yield f"{where}: dangerously ambiguous port definition with {other}"
            others.append((where, ip, host))


def _ignored(obj: Obj, at: str, fields: tuple[_Field, ...]) -> Iterator[str]:
    for path, why, harmless in fields:
        first, *rest = path.split(".")
        if first in obj:
            for where, value in _values(obj[first], rest, f"{at}.{first}"):
                if value not in (None, [], {}, *harmless):
                    how = "only used for scheduling" if path in _SCHEDULED else "ignored"
                    yield f"{where}: {how} by the local cluster: {why}"


def _values(value: Any, path: list[str], at: str) -> Iterator[tuple[str, Any]]:
    """Yield what lies at a path, with its place; in a list, what lies in each of its parts."""
    if isinstance(value, list) and path:
        for i, one in enumerate(value):
            yield from _values(one, path, f"{at}[{i}]")
    elif not path:
        yield at, value
    elif isinstance(value, dict) and path[0] in value:
        yield from _values(value[path[0]], path[1:], f"{at}.{path[0]}")


def _service(obj: Obj) -> Iterator[str]:
    spec = obj["spec"]
    if spec["type"] != "ExternalName" and spec.get("clusterIP") == "None":
        for name in ("loadBalancerIP", "externalIPs"):
            if spec.get(name):
                yield f"spec.{name} is ignored for headless services"
        if spec.get("sessionAffinity", "None") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    if spec["type"] != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'


def _ingress(obj: Obj) -> Iterator[str]:
    name = "kubernetes.io/ingress.class"
    if name in (obj["metadata"].get("annotations") or {}):
        instead = "please use 'spec.ingressClassName' instead"
        yield f"annotation {json.dumps(name)} is deprecated, {instead}"


def _claim(obj: Obj) -> Iterator[str]:
    wanted = (obj["spec"].get("resources") or {}).get("requests") or {}
    yield from _fractions(wanted, "spec.resources.requests")


def _volume(obj: Obj) -> Iterator[str]:
    for kind in obj["spec"].keys() & _VOLUMES.keys():
        yield f"spec.{kind}: {_VOLUMES[kind]}"
    if obj["spec"].get("persistentVolumeReclaimPolicy") == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated."
            " Instead, the recommended approach is to use dynamic provisioning."
        )


_BY_KIND: dict[str, Callable[[Obj], Iterator[str]]] = {
    "Ingress": _ingress,
    "PersistentVolume": _volume,
    "PersistentVolumeClaim": _claim,
    "Service": _service,
}
