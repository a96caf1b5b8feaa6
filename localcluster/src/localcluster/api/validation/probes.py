"""What the server refuses about the probes and hooks of a container."""

from __future__ import annotations

import re

from ...apimachinery.jsontypes import Obj
from .causes import Causes

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_COUNTS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_PORT_NAME = re.compile(r"[-a-zA-Z0-9]+")


def check(container: Obj, at: str, causes: Causes) -> None:
    """Complain about the hooks and probes of a container, in the order of the real server."""
    lifecycle = container.get("lifecycle") or {}
    for kind in ("postStart", "preStop"):
        if lifecycle.get(kind) is not None:
            _handler(lifecycle[kind], f"{at}.lifecycle.{kind}", causes)
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(kind) is not None:
            _probe(container[kind], f"{at}.{kind}", kind, causes)


def _probe(probe: Obj, at: str, kind: str, causes: Causes) -> None:
    _handler(probe, at, causes)
    for name in _COUNTS:
        if (probe.get(name) or 0) < 0:
            causes.invalid(f"{at}.{name}", probe[name], "must be greater than or equal to 0")
    wins = probe.get("successThreshold") or 1
    if kind != "readinessProbe" and wins != 1:
        causes.invalid(f"{at}.successThreshold", wins, "must be 1")


def _handler(handler: Obj, at: str, causes: Causes) -> None:
    """Complain unless there is exactly one way to ask, and a possible one."""
    known = [name for name in _HANDLERS if handler.get(name) is not None]
    if not known:
        causes.required(at, "must specify a handler type")
    for name in known[1:]:
        causes.forbidden(f"{at}.{name}", "may not specify more than 1 handler type")
    for name in known[:1]:
        if name == "exec" and not handler["exec"].get("command"):
            causes.required(f"{at}.exec.command")
        elif name in ("httpGet", "tcpSocket"):
            _port(handler[name].get("port"), f"{at}.{name}.port", causes)


def _port(port: int | str | None, at: str, causes: Causes) -> None:
    if isinstance(port, str) and not _PORT_NAME.fullmatch(port):
        words = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
        causes.invalid(at, port, words)
    elif not isinstance(port, str) and not 0 < (port or 0) < 65536:
        causes.invalid(at, port or 0, "must be between 1 and 65535, inclusive")
