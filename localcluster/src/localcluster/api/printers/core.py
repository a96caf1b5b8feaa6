"""The columns of each kind's table, and how a row is made of an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile
from .columns import AGE, NAME, Layout, Row, age, column


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
    chosen = ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items()))
    outside = ",".join(spec.get("externalIPs") or []) or spec.get("externalName")
    if spec.get("type") == "LoadBalancer":
        outside = outside or "<pending>"
    return [
        service["metadata"]["name"],
        spec.get("type"),
        spec.get("clusterIP") or "<none>",
        outside or "<none>",
        ports or "<none>",
        age(service["metadata"].get("creationTimestamp")),
        chosen or "<none>",
    ]


def _endpoints(obj: Obj) -> Row:
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in obj.get("subsets") or []
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or []
    ]
    shown = ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return [
        obj["metadata"]["name"],
        shown or "<none>",
        age(obj["metadata"].get("creationTimestamp")),
    ]


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


def _simple(*middle: Callable[[Obj], Any]) -> Callable[[Obj], Row]:
    def row(obj: Obj) -> Row:
        created = obj["metadata"].get("creationTimestamp")
        return [obj["metadata"]["name"], *(cell(obj) for cell in middle), age(created)]

    return row


def _size(obj: Obj) -> int:
    return len(obj.get("data") or {}) + len(obj.get("binaryData") or {})


LAYOUTS: dict[str, Layout] = {
    "Pod": (
        [
            NAME,
            column("Ready"),
            column("Status"),
            column("Restarts", kind="string" if profile().modern else "integer"),
            AGE,
            column("IP", priority=1),
            column("Node", priority=1),
            column("Nominated Node", priority=1),
            column("Readiness Gates", priority=1),
        ],
        _pod,
    ),
    "Service": (
        [
            NAME,
            column("Type"),
            column("Cluster-IP"),
            column("External-IP"),
            column("Port(s)"),
            AGE,
            column("Selector", priority=1),
        ],
        _service,
    ),
    "Endpoints": ([NAME, column("Endpoints"), AGE], _endpoints),
    "Event": (
        [
            column("Last Seen"),
            column("Type"),
            column("Reason"),
            column("Object"),
            column("Subobject", priority=1),
            column("Source", priority=1),
            column("Message"),
            column("First Seen", priority=1),
            column("Count", priority=1),
            column("Name", form="name", priority=1),
        ],
        _event,
    ),
    "Node": (
        [
            NAME,
            column("Status"),
            column("Roles"),
            AGE,
            column("Version"),
            column("Internal-IP", priority=1),
            column("External-IP", priority=1),
            column("OS-Image", priority=1),
            column("Kernel-Version", priority=1),
            column("Container-Runtime", priority=1),
        ],
        _node,
    ),
    "Namespace": (
        [NAME, column("Status"), AGE],
        _simple(lambda obj: (obj.get("status") or {}).get("phase")),
    ),
    "Secret": (
        [NAME, column("Type"), column("Data"), AGE],
        _simple(lambda obj: obj.get("type"), _size),
    ),
    "ConfigMap": ([NAME, column("Data"), AGE], _simple(_size)),
    "ServiceAccount": (
        [NAME, column("Secrets"), AGE],
        _simple(lambda obj: len(obj.get("secrets") or [])),
    ),
}
PLAIN: Layout = ([NAME, AGE], _simple())
