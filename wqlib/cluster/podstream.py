"""The two kinds of WebSocket into a pod: for a command, and for a port.

https://kubernetes.io/docs/reference/kubectl/generated/kubectl_exec/
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream

from ..errors import ClusterError, WaitTimeout
from . import states
from .kube import Object, get, translate_errors
from .manifests import Kind
from .statusline import StatusLine

STDOUT, STDERR, STATUS = 1, 2, 3


@dataclass(frozen=True, slots=True)
class ExecResult:
    """The result of a command in a pod.

    Attributes:
        stdout: What it wrote to standard output.
        stderr: What it wrote to standard error.
        exit_code: 0 if it succeeded.
    """

    stdout: str
    stderr: str
    exit_code: int


def execute(api: Any, namespace: str, pod: str, command: list[str], seconds: float) -> ExecResult:
    """Run a command in a pod's first container. See `Cluster.exec`."""
    container = _first_container(api, namespace, pod)
    channel = _websocket(
        api,
        "connect_get_namespaced_pod_exec",
        pod,
        namespace,
        container=container,
        command=command,
        stdin=False,
        stdout=True,
        stderr=True,
        tty=False,
    )
    deadline = time.monotonic() + seconds
    parts: dict[int, list[bytes]] = {STDOUT: [], STDERR: [], STATUS: []}
    try:
        ended = False
        with StatusLine() as status:
            while not ended and (left := deadline - time.monotonic()) > 0:
                status.update(f"a command in pod/{pod}")  # not its words: they may hold a password
                channel.update(timeout=min(left, 1))
                # Output is taken as it comes: the client's buffer costs n² to grow. To read a
                # channel may bring more for another one, and the end; so ask first whether it
                # is the end, and read once more after it.
                ended = not channel.is_open()
                for number, got in parts.items():
                    if part := channel.read_channel(number):  # "" if nothing came
                        got.append(part)
    finally:
        channel.sock.shutdown()  # its close() leaves the socket open
    text = {number: b"".join(got).decode("utf-8", "replace") for number, got in parts.items()}
    if not ended and not text[STATUS]:
        raise WaitTimeout(
            f"{command[0]!r} in pod/{pod} did not end within {seconds:g} s. "
            "Give it more time with timeout_seconds=…, or use a command that ends by itself."
        )
    return ExecResult(text[STDOUT], text[STDERR], _exit_code(pod, command, text[STATUS]))


@translate_errors
def dial(api: Any, namespace: str, kind: Kind, name: str, port: int) -> Any:
    """Open a WebSocket to the port of a pod that is ready to serve a target."""
    pod, number = ready_endpoint(api, namespace, kind, name, port)
    call = "connect_get_namespaced_pod_portforward"
    return _websocket(api, call, pod, namespace, ports=str(number)).sock


def _websocket(api: Any, call: str, pod: str, namespace: str, **options: Any) -> Any:
    """Open one WebSocket by a method of CoreV1Api.

    It gets a client of its own: `kubernetes.stream` swaps a method of its client while it connects,
    so one that other threads use meanwhile would break.
    """
    method = getattr(client.CoreV1Api(client.ApiClient(api.configuration)), call)
    try:
        return stream(method, pod, namespace, binary=True, _preload_content=False, **options)
    except ApiException as error:
        error.via = api.configuration.via  # type: ignore[attr-defined]
        raise


def ready_endpoint(api: Any, namespace: str, kind: Kind, name: str, port: int) -> tuple[str, int]:
    """Return the name and the port of a pod that is ready to serve "service/…" or "pod/…"."""
    core = client.CoreV1Api(api)
    target_port: int | str = port
    if kind.name == "Pod":
        pods = [get(core.read_namespaced_pod, name, namespace)]
    elif kind.name == "Service":
        service = get(core.read_namespaced_service, name, namespace)
        target_port = _target_port(service, port)
        wanted = service["spec"].get("selector") or {}
        chosen = ",".join(f"{key}={value}" for key, value in wanted.items())
        listed = get(core.list_namespaced_pod, namespace, label_selector=chosen)
        pods = (listed.get("items") or []) if wanted else []
    else:
        raise ClusterError(f"A {kind.noun} has no port. Name a service or a pod.")
    for pod in pods:
        leaving = pod["metadata"].get("deletionTimestamp")
        if states.has_condition(pod, "Ready") and not leaving:
            return pod["metadata"]["name"], _port_number(pod, target_port)
    lines = "; ".join(states.pod_summary(pod) for pod in pods) or "it has no pods"
    raise ClusterError(
        f"No pod behind {kind.noun}/{name} is ready ({lines}). Wait for one first, as in "
        "cluster.wait('pod/redis', 'ready')."
    )


def _first_container(api: Any, namespace: str, pod: str) -> str:
    raw = get(client.CoreV1Api(api).read_namespaced_pod, pod, namespace)
    if raw.get("status", {}).get("phase") != "Running":
        raise ClusterError(
            f"pod/{pod} is not running ({states.pod_summary(raw)}), so no command can run in it. "
            f"Wait for it first: cluster.wait('pod/{pod}', 'running')."
        )
    return str(raw["spec"]["containers"][0]["name"])


def _target_port(service: Object, port: int) -> int | str:
    ports = service["spec"].get("ports") or []
    for one in ports:
        if one["port"] == port:
            target: int | str = one.get("targetPort") or port
            return target
    raise ClusterError(
        f"service/{service['metadata']['name']} has no port {port}. "
        f"It has: {', '.join(str(one['port']) for one in ports) or 'none'}."
    )


def _port_number(pod: Object, port: int | str) -> int:
    """Return the number of a port that a service may call by its name."""
    for container in pod["spec"].get("containers", []):
        for one in container.get("ports") or []:
            if one.get("name") == port:
                return int(one["containerPort"])
    return int(port)


def _exit_code(pod: str, command: list[str], status: str) -> int:
    """Return the exit code from the last message of an exec, a Status object."""
    try:
        said = json.loads(status or "{}")
    except ValueError:
        said = {"message": status}
    if said.get("status") == "Success":
        return 0
    for cause in (said.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    why = str(said.get("message") or "the connection ended before the command did")
    raise ClusterError(f"{command[0]!r} could not be run in pod/{pod}: {why.strip()}.")
