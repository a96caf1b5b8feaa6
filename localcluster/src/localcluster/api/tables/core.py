"""The tables of the core group's kinds: Pods, Services, Nodes, Events and so on."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile
from .columns import AGE, CREATED, NAME, Layout, Row, age, column, columns, first_three, joined, row


def _pod_reason(pod: Obj) -> str:
    """Return the word in the STATUS column, as the real server finds it."""
    status = pod.get("status") or {}
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    initializing = False
    for i, container in enumerate(status.get("initContainerStatuses") or []):
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting")
        if ended and ended.get("exitCode") == 0:
            continue
        if ended:
            reason = "Init:" + (ended.get("reason") or f"ExitCode:{ended.get('exitCode')}")
        elif waiting and waiting.get("reason") not in (None, "PodInitializing"):
            reason = f"Init:{waiting['reason']}"
        else:
            reason = f"Init:{i}/{len(pod['spec'].get('initContainers') or [])}"
        initializing = True
        break
    if not initializing:
        running = False
        for container in reversed(status.get("containerStatuses") or []):
            state = container.get("state") or {}
            ended, waiting = state.get("terminated"), state.get("waiting")
            if waiting and waiting.get("reason"):
                reason = waiting["reason"]
            elif ended:
                reason = ended.get("reason") or f"ExitCode:{ended.get('exitCode')}"
            elif container.get("ready") and state.get("running"):
                running = True
        if reason == "Completed" and running:
            reason = "Running"
    if pod["metadata"].get("deletionTimestamp"):
        reason = "Terminating"
    return reason


def _restarts(pod: Obj) -> str:
    count, last = 0, ""
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        count += container.get("restartCount", 0)
        ended = (container.get("lastState") or {}).get("terminated")
        if ended and ended.get("finishedAt", "") > last:
            last = ended["finishedAt"]
    # Since 1.22 it says when the last one was.
    return f"{count} ({age(last)} ago)" if count and last and profile().modern else str(count)


def _pod(pod: Obj) -> Row:
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    ready = sum(1 for c in containers if c.get("ready"))
    return [
        pod["metadata"]["name"],
        f"{ready}/{len(pod['spec'].get('containers') or [])}",
        _pod_reason(pod),
        _restarts(pod),
        age(pod["metadata"].get("creationTimestamp")),
        status.get("podIP") or "<none>",
        pod["spec"].get("nodeName") or "<none>",
        "<none>",
        "<none>",
    ]


def _service(service: Obj) -> Row:
    spec = service["spec"]
    ports = ",".join(
        f"{p['port']}{':' + str(p['nodePort']) if p.get('nodePort') else ''}"
        f"/{p.get('protocol', 'TCP')}"
        for p in spec.get("ports") or []
    )
    outside = ",".join(spec.get("externalIPs") or []) or spec.get("externalName")
    if spec.get("type") == "LoadBalancer":
        outside = outside or "<pending>"
    cells = (spec.get("clusterIP") or "<none>", outside or "<none>", ports or "<none>")
    return [*row(service, spec.get("type"), *cells), joined(spec.get("selector"))]


def _endpoints(obj: Obj) -> Row:
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in obj.get("subsets") or []
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or []
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
    ready = any(
        c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or []
    )
    word = "Ready" if ready else "NotReady"
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


def _volume_claim(obj: Obj) -> Row:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    name = spec.get("storageClassName") or ""
    return row(obj, status.get("phase"), spec.get("volumeName") or "", "", "", name)


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
    return row(obj, *parts) if profile().modern else [*row(obj), *parts]


_AMOUNTS = columns("Request", "Limit")

CORE: dict[str, Layout] = {
    "Pod": (
        [
            NAME,
            *columns("Ready", "Status"),
            column("Restarts", kind="string" if profile().modern else "integer"),
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
    "ServiceAccount": (
        [NAME, column("Secrets"), AGE],
        lambda obj: row(obj, len(obj.get("secrets") or [])),
    ),
    "PersistentVolumeClaim": (
        [NAME, *columns("Status", "Volume", "Capacity", "Access Modes", "StorageClass"), AGE],
        _volume_claim,
    ),
    "LimitRange": CREATED,
    "ResourceQuota": (
        [NAME, *_AMOUNTS, AGE] if profile().modern else [NAME, AGE, *_AMOUNTS],
        _quota,
    ),
}
OTHERS: Layout = ([NAME, AGE], row)
