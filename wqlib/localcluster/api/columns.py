"""The columns of each kind's table, and how a row is made of an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wqlib.localcluster.api.cells import AGE as _AGE
from wqlib.localcluster.api.cells import NAME as _NAME
from wqlib.localcluster.api.cells import Layout, Row, age
from wqlib.localcluster.api.cells import column as _column
from wqlib.localcluster.apimachinery.jsontypes import Obj


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
    return f"{count} ({age(last)} ago)" if count and last else str(count)


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


def _selector(selector: Obj | None) -> str:
    parts = [f"{k}={v}" for k, v in sorted(((selector or {}).get("matchLabels") or {}).items())]
    return ",".join(parts) or "<none>"


def _service(service: Obj) -> Row:
    spec = service["spec"]
    ports = ",".join(f"{p['port']}/{p.get('protocol', 'TCP')}" for p in spec.get("ports") or [])
    selector = ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items()))
    return [
        service["metadata"]["name"],
        spec.get("type"),
        spec.get("clusterIP") or "<none>",
        spec.get("externalName") or "<none>",
        ports or "<none>",
        age(service["metadata"].get("creationTimestamp")),
        selector or "<none>",
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
    seen = age(last)
    if count > 1:
        seen = f"{seen} (x{count} over {age(first)})"
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    origin = ", ".join(part for part in (component, source.get("host")) if part)
    return [
        seen,
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
        "Ready" if ready else "NotReady",
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
            _NAME,
            _column("Ready"),
            _column("Status"),
            _column("Restarts"),
            _AGE,
            _column("IP", priority=1),
            _column("Node", priority=1),
            _column("Nominated Node", priority=1),
            _column("Readiness Gates", priority=1),
        ],
        _pod,
    ),
    "Service": (
        [
            _NAME,
            _column("Type"),
            _column("Cluster-IP"),
            _column("External-IP"),
            _column("Port(s)"),
            _AGE,
            _column("Selector", priority=1),
        ],
        _service,
    ),
    "Endpoints": ([_NAME, _column("Endpoints"), _AGE], _endpoints),
    "Event": (
        [
            _column("Last Seen"),
            _column("Type"),
            _column("Reason"),
            _column("Object"),
            _column("Subobject", priority=1),
            _column("Source", priority=1),
            _column("Message"),
            _column("First Seen", priority=1),
            _column("Count", priority=1),
            _column("Name", form="name", priority=1),
        ],
        _event,
    ),
    "Node": (
        [
            _NAME,
            _column("Status"),
            _column("Roles"),
            _AGE,
            _column("Version"),
            _column("Internal-IP", priority=1),
            _column("External-IP", priority=1),
            _column("OS-Image", priority=1),
            _column("Kernel-Version", priority=1),
            _column("Container-Runtime", priority=1),
        ],
        _node,
    ),
    "Namespace": (
        [_NAME, _column("Status"), _AGE],
        _simple(lambda obj: (obj.get("status") or {}).get("phase")),
    ),
    "Secret": (
        [_NAME, _column("Type"), _column("Data", kind="integer"), _AGE],
        _simple(lambda obj: obj.get("type"), _size),
    ),
    "ConfigMap": ([_NAME, _column("Data", kind="integer"), _AGE], _simple(_size)),
    "ServiceAccount": (
        [_NAME, _column("Secrets", kind="integer"), _AGE],
        _simple(lambda obj: len(obj.get("secrets") or [])),
    ),
    "NetworkPolicy": (
        [_NAME, _column("Pod-Selector"), _AGE],
        _simple(lambda obj: _selector((obj.get("spec") or {}).get("podSelector"))),
    ),
    "PodDisruptionBudget": (
        [
            _NAME,
            _column("Min Available"),
            _column("Max Unavailable"),
            _column("Allowed Disruptions", kind="integer"),
            _AGE,
        ],
        _simple(
            lambda obj: str((obj.get("spec") or {}).get("minAvailable", "N/A")),
            lambda obj: str((obj.get("spec") or {}).get("maxUnavailable", "N/A")),
            lambda obj: (obj.get("status") or {}).get("disruptionsAllowed", 0),
        ),
    ),
    "Role": (
        [_NAME, _column("Created At")],
        lambda obj: [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")],
    ),
    "RoleBinding": (
        [_NAME, _column("Role"), _AGE],
        _simple(
            lambda obj: "{kind}/{name}".format(**(obj.get("roleRef") or {"kind": "", "name": ""}))
        ),
    ),
}
PLAIN: Layout = ([_NAME, _AGE], _simple())
