"""The tables of the core group's kinds: Pods, Services, Nodes, Events and so on."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from .columns import (
    AGE,
    CONTAINERS,
    CREATED,
    NAME,
    Cell,
    Column,
    age,
    balancers,
    first_three,
    found,
    joined,
    number,
    text,
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


def _pod_reason(pod: Obj) -> str:
    """Return the word in the STATUS column, as the real server finds it."""
    status = pod["status"]
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    if _conditions(pod).get("PodScheduled", {}).get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    reason = _initializing(pod, _sidecars(pod)) or _running(pod, reason)
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


def _sidecars(pod: Obj) -> set[str]:
    inits = pod["spec"].get("initContainers") or []
    return {c["name"] for c in inits if c.get("restartPolicy") == "Always"}


def _long_running(pod: Obj) -> list[Obj]:
    """Return the states of a pod's sidecars and containers."""
    first, sidecars = pod["status"].get("initContainerStatuses") or [], _sidecars(pod)
    started = [c for c in first if c["name"] in sidecars]
    return started + (pod["status"].get("containerStatuses") or [])


def _pod_ready(pod: Obj) -> str:
    states = [c.get("state") or {} for c in _long_running(pod) if c.get("ready")]
    wanted = len(pod["spec"].get("containers") or []) + len(_sidecars(pod))
    return f"{sum(bool(state.get('running')) for state in states)}/{wanted}"


def _pod_restarts(pod: Obj) -> str:
    starting = _initializing(pod, _sidecars(pod))
    first = pod["status"].get("initContainerStatuses") or []
    return _restarts(first if starting else _long_running(pod))


def _gates(pod: Obj) -> str:
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    return f"{sum(_holds(pod, gate) for gate in gates)}/{len(gates)}" if gates else "<none>"


def _service_ports(service: Obj) -> str:
    ports = [
        f"{p['port']}{':' + str(p['nodePort']) if p.get('nodePort') else ''}"
        f"/{p.get('protocol', 'TCP')}"
        for p in service["spec"].get("ports") or []
    ]
    return ",".join(ports) or "<none>"


def _external(service: Obj) -> str:
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return spec.get("externalName") or "<none>"
    outside = ",".join([*balancers(service), *(spec.get("externalIPs") or [])])
    return outside or ("<pending>" if spec.get("type") == "LoadBalancer" else "<none>")


def _endpoints(obj: Obj) -> str:
    ends = [
        address["ip"] + (f":{port['port']}" if port else "")
        for subset in obj.get("subsets") or []
        for port in subset.get("ports") or [None]
        for address in subset.get("addresses") or []
    ]
    return first_three(ends) or "<none>"


def _first_seen(event: Obj) -> str:
    return age(event.get("firstTimestamp") or event.get("eventTime"))


def _last_seen(event: Obj) -> str:
    last = event.get("lastTimestamp")
    return age(last) if last else _first_seen(event)


def _involved(event: Obj) -> str:
    involved = event.get("involvedObject") or {}
    return f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"


def _source(event: Obj) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    return ", ".join(part for part in (component, source.get("host")) if part)


def _node_status(node: Obj) -> str:
    word = ("Ready" if _holds(node, "Ready") else "NotReady") if _conditions(node) else "Unknown"
    return word + (",SchedulingDisabled" if node.get("spec", {}).get("unschedulable") else "")


def _roles(node: Obj) -> str:
    prefix, labels = "node-role.kubernetes.io/", node["metadata"].get("labels") or {}
    roles = [name.removeprefix(prefix) for name in labels if name.startswith(prefix)]
    return ",".join(sorted(roles)) or "<none>"


def _internal_ip(node: Obj) -> str:
    addresses = (node.get("status") or {}).get("addresses") or []
    return {a["type"]: a["address"] for a in addresses}.get("InternalIP") or "<none>"


def _size(obj: Obj) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _volume(part: str) -> list[Column]:
    """Return capacity and access modes of a volume, as its spec or its status has them."""

    def access(obj: Obj) -> str:
        given = _bound(obj, part).get("accessModes") or []
        return ",".join(short for mode, short in _MODES.items() if mode in given)

    def capacity(obj: Obj) -> str:
        return (_bound(obj, part).get("capacity") or {}).get("storage") or ""

    return [Column("Capacity", capacity), Column("Access Modes", access)]


def _bound(obj: Obj, part: str) -> Obj:
    """Return a part of a volume; that of a claim without one is empty."""
    waits = part == "status" and not (obj.get("spec") or {}).get("volumeName")
    return {} if waits else obj.get(part) or {}


def _claim(volume: Obj) -> str:
    claim = (volume.get("spec") or {}).get("claimRef") or {}
    return f"{claim.get('namespace')}/{claim.get('name')}" if claim else ""


_CLASSES = [
    text("StorageClass", "spec.storageClassName", ""),
    text("VolumeAttributesClass", "spec.volumeAttributesClassName", "<unset>"),
]
_VOLUME_MODE = text("VolumeMode", "spec.volumeMode", "<unset>", wide=True)


def _used(*, limits: bool) -> Cell:
    """Return the cell of a quota with how much of its limits, or of all else, is in use."""

    def cell(obj: Obj) -> str:
        hard = found("status.hard")(obj) or found("spec.hard", {})(obj)
        used = found("status.used", {})(obj)
        names = [name for name in sorted(hard) if name.startswith("limits.") == limits]
        return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)

    return cell


CORE: dict[str, list[Column]] = {
    "ConfigMap": [NAME, Column("Data", _size), AGE],
    "Endpoints": [NAME, Column("Endpoints", _endpoints), AGE],
    "Event": [
        Column("Last Seen", _last_seen),
        text("Type", "type"),
        text("Reason", "reason"),
        Column("Object", _involved),
        text("Subobject", "involvedObject.fieldPath", "", wide=True),
        Column("Source", _source, wide=True),
        Column("Message", lambda event: (event.get("message") or "").strip()),
        Column("First Seen", _first_seen, wide=True),
        Column("Count", lambda event: str(event.get("count") or 1), wide=True),
        Column("Name", found("metadata.name"), format="name", wide=True),
    ],
    "LimitRange": CREATED,
    "Namespace": [NAME, text("Status", "status.phase"), AGE],
    "Node": [
        NAME,
        Column("Status", _node_status),
        Column("Roles", _roles),
        AGE,
        text("Version", "status.nodeInfo.kubeletVersion"),
        Column("Internal-IP", _internal_ip, wide=True),
        Column("External-IP", lambda _node: "<none>", wide=True),
        text("OS-Image", "status.nodeInfo.osImage", wide=True),
        text("Kernel-Version", "status.nodeInfo.kernelVersion", wide=True),
        text("Container-Runtime", "status.nodeInfo.containerRuntimeVersion", wide=True),
    ],
    "PersistentVolume": [
        NAME,
        *_volume("spec"),
        text("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
        text("Status", "status.phase"),
        Column("Claim", _claim),
        *_CLASSES,
        text("Reason", "status.reason", ""),
        AGE,
        _VOLUME_MODE,
    ],
    "PersistentVolumeClaim": [
        NAME,
        text("Status", "status.phase"),
        text("Volume", "spec.volumeName", ""),
        *_volume("status"),
        *_CLASSES,
        AGE,
        _VOLUME_MODE,
    ],
    "Pod": [
        NAME,
        Column("Ready", _pod_ready),
        Column("Status", _pod_reason),
        Column("Restarts", _pod_restarts),
        AGE,
        text("IP", "status.podIP", "<none>", wide=True),
        text("Node", "spec.nodeName", "<none>", wide=True),
        text("Nominated Node", "status.nominatedNodeName", "<none>", wide=True),
        Column("Readiness Gates", _gates, wide=True),
    ],
    "ReplicationController": [
        NAME,
        number("Desired", "spec.replicas", 1),
        number("Current", "status.replicas"),
        number("Ready", "status.readyReplicas"),
        AGE,
        *CONTAINERS,
        Column("Selector", lambda obj: joined(found("spec.selector")(obj)), wide=True),
    ],
    "ResourceQuota": [
        NAME,
        Column("Request", _used(limits=False)),
        Column("Limit", _used(limits=True)),
        AGE,
    ],
    "Secret": [NAME, text("Type", "type"), Column("Data", _size), AGE],
    "Service": [
        NAME,
        text("Type", "spec.type"),
        text("Cluster-IP", "spec.clusterIP", "<none>"),
        Column("External-IP", _external),
        Column("Port(s)", _service_ports),
        AGE,
        Column("Selector", lambda obj: joined(obj["spec"].get("selector")), wide=True),
    ],
}
OTHERS = [NAME, AGE]
