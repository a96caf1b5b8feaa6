"""The tables of the core group's kinds: Pods, Services, Nodes, Events and so on."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from .columns import (
    AGE,
    CREATED,
    NAME,
    WIDE,
    Layout,
    Row,
    age,
    balancers,
    column,
    columns,
    containers_of,
    first_three,
    joined,
    row,
)


def _conditions(obj: Obj) -> dict[str, Obj]:
    """Return the conditions in an object's status by their types."""
    return {c["type"]: c for c in (obj.get("status") or {}).get("conditions") or []}


def _holds(obj: Obj, condition: str) -> bool:
    return _conditions(obj).get(condition, {}).get("status") == "True"


def _ended_word(ended: Obj) -> str:
    """Return why a container ended, or how."""
    if ended.get("signal") and not ended.get("reason"):
        return f"Signal:{ended['signal']}"
    return ended.get("reason") or f"ExitCode:{ended.get('exitCode')}"


def _initializing(pod: Obj, sidecars: set[str]) -> str:
    """Return the STATUS of a pod whose init containers are not over, or nothing."""
    if _holds(pod, "Initialized"):
        return ""
    for i, container in enumerate(pod["status"].get("initContainerStatuses") or []):
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), (state.get("waiting") or {}).get("reason")
        if ended and ended.get("exitCode") == 0:
            continue
        if container["name"] in sidecars and container.get("started"):
            continue
        if ended:
            return "Init:" + _ended_word(ended)
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{i}/{len(pod['spec'].get('initContainers') or [])}"
    return ""


def _running(pod: Obj, reason: str) -> str:
    """Return the STATUS of a pod that is initialized: what the first container has to say."""
    running, failed = False, ""
    for container in reversed(pod["status"].get("containerStatuses") or []):
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended:
            reason = _ended_word(ended)
            failed = reason if ended.get("exitCode") else failed
        elif container.get("ready") and state.get("running"):
            running = True
    if reason != "Completed":
        return reason
    if running and _holds(pod, "Ready"):
        return "Running"
    return failed or ("NotReady" if running else reason)


def _pod_reason(pod: Obj, initializing: str) -> str:
    """Return the word in the STATUS column, as the real server finds it."""
    status = pod["status"]
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    if _conditions(pod).get("PodScheduled", {}).get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    reason = initializing or _running(pod, reason)
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return reason


def _restarts(containers: list[Obj]) -> str:
    """Return how often containers were restarted, and when that was last."""
    count = sum(c.get("restartCount", 0) for c in containers)
    ends = [(c.get("lastState") or {}).get("terminated") or {} for c in containers]
    last = max((end.get("finishedAt") or "" for end in ends), default="")
    return f"{count} ({age(last)} ago)" if count and last else str(count)


def _pod(pod: Obj) -> Row:
    spec, status = pod["spec"], pod["status"]
    sidecars = {
        c["name"] for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"
    }
    first = status.get("initContainerStatuses") or []
    containers = [c for c in first if c["name"] in sidecars]
    containers += status.get("containerStatuses") or []
    initializing = _initializing(pod, sidecars)
    ready = [c for c in containers if c.get("ready") and (c.get("state") or {}).get("running")]
    gates = [gate["conditionType"] for gate in spec.get("readinessGates") or []]
    return [
        pod["metadata"]["name"],
        f"{len(ready)}/{len(spec.get('containers') or []) + len(sidecars)}",
        _pod_reason(pod, initializing),
        _restarts(first if initializing else containers),
        age(pod["metadata"].get("creationTimestamp")),
        status.get("podIP") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        f"{sum(_holds(pod, gate) for gate in gates)}/{len(gates)}" if gates else "<none>",
    ]


def _service(service: Obj) -> Row:
    spec = service["spec"]
    ports = ",".join(
        f"{p['port']}{':' + str(p['nodePort']) if p.get('nodePort') else ''}"
        f"/{p.get('protocol', 'TCP')}"
        for p in spec.get("ports") or []
    )
    outside = ",".join([*balancers(service), *(spec.get("externalIPs") or [])])
    if spec.get("type") == "ExternalName":
        outside = spec.get("externalName")
    elif spec.get("type") == "LoadBalancer":
        outside = outside or "<pending>"
    cells = (spec.get("clusterIP") or "<none>", outside or "<none>", ports or "<none>")
    return [*row(service, spec.get("type"), *cells), joined(spec.get("selector"))]


def _endpoints(obj: Obj) -> Row:
    found = [
        address["ip"] + (f":{port['port']}" if port else "")
        for subset in obj.get("subsets") or []
        for port in subset.get("ports") or [None]
        for address in subset.get("addresses") or []
    ]
    return row(obj, first_three(found) or "<none>")


def _event(event: Obj) -> Row:
    involved = event.get("involvedObject") or {}
    first = event.get("firstTimestamp") or event.get("eventTime")
    last = event.get("lastTimestamp") or first
    count = event.get("count") or 1
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    origin = ", ".join(part for part in (component, source.get("host")) if part)
    return [
        age(last),
        event.get("type"),
        event.get("reason"),
        f"{involved.get('kind', '').lower()}/{involved.get('name', '')}",
        involved.get("fieldPath") or "",
        origin,
        (event.get("message") or "").strip(),
        age(first),
        str(count),
        event["metadata"]["name"],
    ]


def _node(node: Obj) -> Row:
    status = node.get("status") or {}
    word = ("Ready" if _holds(node, "Ready") else "NotReady") if _conditions(node) else "Unknown"
    prefix = "node-role.kubernetes.io/"
    roles = [
        name.removeprefix(prefix)
        for name in node["metadata"].get("labels") or {}
        if name.startswith(prefix)
    ]
    addresses = {a["type"]: a["address"] for a in status.get("addresses") or []}
    info = status.get("nodeInfo") or {}
    return [
        node["metadata"]["name"],
        word + (",SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else ""),
        ",".join(sorted(roles)) or "<none>",
        age(node["metadata"].get("creationTimestamp")),
        info.get("kubeletVersion"),
        addresses.get("InternalIP") or "<none>",
        "<none>",
        info.get("osImage"),
        info.get("kernelVersion"),
        info.get("containerRuntimeVersion"),
    ]


def _size(obj: Obj) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _volume_cells(part: Obj, spec: Obj) -> Row:
    """Return capacity and access modes of a volume, and its classes."""
    modes = ",".join(_MODES[mode] for mode in _MODES if mode in (part.get("accessModes") or []))
    kept = (part.get("capacity") or {}).get("storage") or ""
    classes = (spec.get("storageClassName") or "", spec.get("volumeAttributesClassName"))
    return [kept, modes, classes[0], classes[1] or "<unset>"]


def _volume(obj: Obj) -> Row:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    kept, modes, *classes = _volume_cells(spec, spec)
    claim = spec.get("claimRef") or {}
    bound = f"{claim.get('namespace')}/{claim.get('name')}" if claim else ""
    policy, reason = spec.get("persistentVolumeReclaimPolicy"), status.get("reason") or ""
    cells = (kept, modes, policy, status.get("phase"), bound, *classes, reason)
    return [*row(obj, *cells), spec.get("volumeMode") or "<unset>"]


def _volume_claim(obj: Obj) -> Row:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    volume = spec.get("volumeName") or ""
    kept, modes, *classes = _volume_cells(status if volume else {}, spec)
    cells = (status.get("phase"), volume, kept, modes, *classes)
    return [*row(obj, *cells), spec.get("volumeMode") or "<unset>"]


def _quota(obj: Obj) -> Row:
    status = obj.get("status") or {}
    hard = status.get("hard") or (obj.get("spec") or {}).get("hard") or {}
    used = status.get("used") or {}
    limits = [name for name in sorted(hard) if name.startswith("limits.")]
    requests = [name for name in sorted(hard) if name not in limits]
    parts = [
        ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)
        for names in (requests, limits)
    ]
    return row(obj, *parts)


def _replication_controller(obj: Obj) -> Row:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    sizes = (spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0))
    return [*row(obj, *sizes), *containers_of(spec), joined(spec.get("selector"))]


CORE: dict[str, Layout] = {
    "Pod": (
        [
            NAME,
            *columns("Ready", "Status", "Restarts"),
            AGE,
            *columns("IP", "Node", "Nominated Node", "Readiness Gates", priority=1),
        ],
        _pod,
    ),
    "Service": (
        [
            NAME,
            *columns("Type", "Cluster-IP", "External-IP", "Port(s)"),
            AGE,
            column("Selector", priority=1),
        ],
        _service,
    ),
    "Endpoints": ([NAME, column("Endpoints"), AGE], _endpoints),
    "Event": (
        [
            *columns("Last Seen", "Type", "Reason", "Object"),
            *columns("Subobject", "Source", priority=1),
            column("Message"),
            *columns("First Seen", "Count", priority=1),
            column("Name", form="name", priority=1),
        ],
        _event,
    ),
    "Node": (
        [
            NAME,
            *columns("Status", "Roles"),
            AGE,
            column("Version"),
            *columns("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", priority=1),
            column("Container-Runtime", priority=1),
        ],
        _node,
    ),
    "Namespace": (
        [NAME, column("Status"), AGE],
        lambda obj: row(obj, (obj.get("status") or {}).get("phase")),
    ),
    "Secret": (
        [NAME, *columns("Type", "Data"), AGE],
        lambda obj: row(obj, obj.get("type"), _size(obj)),
    ),
    "ConfigMap": ([NAME, column("Data"), AGE], lambda obj: row(obj, _size(obj))),
    "PersistentVolume": (
        [
            NAME,
            *columns("Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim"),
            *columns("StorageClass", "VolumeAttributesClass", "Reason"),
            AGE,
            column("VolumeMode", priority=1),
        ],
        _volume,
    ),
    "PersistentVolumeClaim": (
        [
            NAME,
            *columns("Status", "Volume", "Capacity", "Access Modes"),
            *columns("StorageClass", "VolumeAttributesClass"),
            AGE,
            column("VolumeMode", priority=1),
        ],
        _volume_claim,
    ),
    "ReplicationController": (
        [NAME, *columns("Desired", "Current", "Ready", kind="integer"), AGE, *WIDE],
        _replication_controller,
    ),
    "LimitRange": CREATED,
    "ResourceQuota": ([NAME, *columns("Request", "Limit"), AGE], _quota),
}
OTHERS: Layout = ([NAME, AGE], row)
