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
from ..schema.schema import UNKNOWN
from .causes import Causes
from .names import label_faults
from .part import Part, repeated
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
    ("livenessProbe.grpc", "gRPC probes are not supported and never succeed", ()),
    ("readinessProbe.grpc", "gRPC probes are not supported and never succeed", ()),
    ("startupProbe.grpc", "gRPC probes are not supported and never succeed", ()),
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
}


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
    kind, whole = obj["kind"], Part(obj, UNKNOWN, "", Causes())
    faults = label_faults(obj["metadata"]["name"]) if kind in _NAME_PODS else []
    if faults:
        yield (
            "metadata.name: this is used in Pod names and hostnames, which can result in"
            f" surprising behavior; a DNS label is recommended: [{' '.join(faults)}]"
        )
    if kind in _BY_KIND:
        yield from _BY_KIND[kind](whole)
    at, template = template_of(obj)
    if template.get("spec"):
        yield from _pod(Part(template, UNKNOWN, at, Causes()))
    yield from _ignored(whole.part("spec"), _FIELDS.get(kind, ()))


def _pod(pod: Part) -> Iterator[str]:
    """Yield the warnings of a pod or of a template, in the order of the real server."""
    spec, notes = pod.part("spec"), pod.part("metadata").part("annotations")
    for name in spec["nodeSelector"] or {}:
        if name in _NODE_LABELS:
            yield f"{spec.at('nodeSelector')}[{name}]: {_node_label(name)}"
    affinity = spec.part("affinity")
    yield from _node_affinity(affinity.part("nodeAffinity"))
    for spread in spec.each("topologySpreadConstraints"):
        if spread["topologyKey"] in _NODE_LABELS:
            key = spread["topologyKey"]
            yield f"{spread.at('topologyKey')}: {key} is {_node_label(key)}"
        yield from _no_selector(spread)
    for name in notes.value.keys() & _ANNOTATIONS.keys():
        yield f"{notes.path}[{name}]: {_ANNOTATIONS[name]}"
    volumes = spec.each("volumes")
    for volume in volumes:
        for kind in volume.value.keys() & _VOLUMES.keys():
            yield f"{volume.at(kind)}: {_VOLUMES[kind]}"
    for volume in volumes:
        yield from _overlaps(volume)
    yield from _doubled(spec.each("hostAliases"), "ip")
    yield from _doubled(spec.each("imagePullSecrets"), "name")
    if notes[_SECCOMP_POD] is not None and not spec.part("securityContext")["seccompProfile"]:
        yield f"{notes.path}[{_SECCOMP_POD}]: {_SECCOMP}"
    containers = spec.each("initContainers", "containers", "ephemeralContainers")
    for container in containers:
        note = f"{_SECCOMP_CONTAINER}{container['name']}"
        if notes[note] is not None and not container.part("securityContext")["seccompProfile"]:
            yield f"{notes.path}[{note}]: {_SECCOMP}"
        yield from _fractions(container.part("resources").part("limits"))
        yield from _fractions(container.part("resources").part("requests"))
        yield from _hidden_variables(container.each("env"))
    yield from _ports(containers)
    if (spec["terminationGracePeriodSeconds"] or 0) < 0:
        why = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{spec.at('terminationGracePeriodSeconds')}: {why}"
    for kind in ("podAffinity", "podAntiAffinity") if affinity.value else ():
        for term in affinity.part(kind).each(_REQUIRED):
            yield from _no_selector(term)
        for weighted in affinity.part(kind).each(_PREFERRED):
            yield from _no_selector(weighted.part("podAffinityTerm"))
    yield from _ignored(spec, _POD_FIELDS)
    # On the host's network every port is a host port by default, and that network is ignored above.
    fields = _CONTAINER_FIELDS[1:] if spec["hostNetwork"] else _CONTAINER_FIELDS
    for container in containers:
        yield from _ignored(container, fields)


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _node_label(name: str) -> str:
    since, instead = _NODE_LABELS[name]
    return f'deprecated since {since}; use "{instead}" instead'


def _node_affinity(affinity: Part) -> Iterator[str]:
    terms = affinity.part(_REQUIRED).each("nodeSelectorTerms")
    terms += [preferred.part("preference") for preferred in affinity.each(_PREFERRED)]
    for wanted in (one for term in terms for one in term.each("matchExpressions")):
        if wanted["key"] in _NODE_LABELS:
            yield f"{wanted.at('key')}: {wanted['key']} is {_node_label(wanted['key'])}"


def _no_selector(term: Part) -> Iterator[str]:
    if term["labelSelector"] is None:
        yield f"{term.at('labelSelector')}: a null labelSelector results in matching no pod"


def _doubled(parts: list[Part], name: str) -> Iterator[str]:
    for part, again in repeated(parts, name):
        if again:
            yield f"{part.at(name)}: duplicate {name} {json.dumps(part[name] or '')}"
        if not part[name]:
            yield f'{part.at(name)}: invalid empty name ""'


def _overlaps(volume: Part) -> Iterator[str]:
    """Yield the files of a volume of which one hides another."""
    names = {"configMap": "ConfigMap", "secret": "Secret", "downwardAPI": "DownwardAPI"}
    parts = [("", volume)]
    parts += [("Projected ", one) for one in volume.part("projected").each("sources")]
    seen: list[str] = []
    for kind, part in parts:
        for name in names.keys() & part.value.keys():
            source = part.part(name)
            what = f"{kind}{names[name]}"
            if name != "downwardAPI":
                what += f" {json.dumps(source['secretName'] or source['name'] or '')}"
            for item in source.each("items"):
                path = str(item["path"] or "").rstrip("/")
                for other in seen:
                    if path and (f"{path}/".startswith(other) or f"{other}/".startswith(path)):
                        about = f"volume {json.dumps(volume['name'])} ({what}): overlapping paths"
                        yield f"{about}: {json.dumps(path)} with {json.dumps(other)}"
                        break
                seen.append(path)


def _fractions(amounts: Part) -> Iterator[str]:
    for name in ("memory", "ephemeral-storage", "storage"):
        value = amounts[name]
        if value is not None and is_quantity(value) and quantity(value) % 1:
            text = json.dumps(str(value))
            why = f"fractional byte value {text} is invalid, must be an integer"
            yield f"{amounts.path}[{name}]: {why}"


def _hidden_variables(variables: list[Part]) -> Iterator[str]:
    for variable, again in repeated(variables, "name"):
        value, reference = variable["value"] or "", f"$({variable['name']})"
        if again and (
            variable["valueFrom"] is not None or value == reference or reference not in value
        ):
            text = json.dumps(variable["name"])
            why = f"hides previous definition of {text}, which may be dropped when using apply"
            yield f"{variable.path}: {why}"


def _ports(containers: list[Part]) -> Iterator[str]:
    """Yield the ports that are defined twice in a pod."""
    known: dict[tuple[Any, Any], list[tuple[str, Any, int]]] = {}
    for port in (port for container in containers for port in container.each("ports")):
        ip, host = port["hostIP"] or "", port["hostPort"] or 0
        others = known.setdefault((port["containerPort"], port["protocol"]), [])
        for other, other_ip, other_host in others:
            if (ip, host) == (other_ip, other_host):
                yield f"{port.path}: duplicate port definition with {other}"
            elif not host or not other_host:
                yield f"{port.path}: overlapping port definition with {other}"
            elif host == other_host and bool(ip) != bool(other_ip):
                yield f"{port.path}: dangerously ambiguous port definition with {other}"
        others.append((port.path, ip, host))


def _ignored(part: Part, fields: tuple[_Field, ...]) -> Iterator[str]:
    for path, why, harmless in fields:
        first, *others = path.split(".")
        if first in part.value:
            for where, value in _values(part[first], others, part.at(first)):
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


def _service(obj: Part) -> Iterator[str]:
    spec = obj.part("spec")
    if spec["type"] == "ExternalName":
        return
    if spec["clusterIP"] == "None":
        for name in ("loadBalancerIP", "externalIPs"):
            if spec[name]:
                yield f"spec.{name} is ignored for headless services"
        if spec["sessionAffinity"] not in (None, "None"):
            yield "spec.SessionAffinity is ignored for headless services"
    if spec["externalName"]:
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'


def _ingress(obj: Part) -> Iterator[str]:
    name = "kubernetes.io/ingress.class"
    if obj.part("metadata").part("annotations")[name] is not None:
        instead = "please use 'spec.ingressClassName' instead"
        yield f"annotation {json.dumps(name)} is deprecated, {instead}"


def _claim(obj: Part) -> Iterator[str]:
    yield from _fractions(obj.part("spec").part("resources").part("requests"))


def _volume(obj: Part) -> Iterator[str]:
    spec = obj.part("spec")
    for kind in spec.value.keys() & _VOLUMES.keys():
        yield f"spec.{kind}: {_VOLUMES[kind]}"
    if spec["persistentVolumeReclaimPolicy"] == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated."
            " Instead, the recommended approach is to use dynamic provisioning."
        )


_BY_KIND: dict[str, Callable[[Part], Iterator[str]]] = {
    "Ingress": _ingress,
    "PersistentVolume": _volume,
    "PersistentVolumeClaim": _claim,
    "Service": _service,
}
