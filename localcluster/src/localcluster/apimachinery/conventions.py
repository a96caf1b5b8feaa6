"""This cluster's own conventions: the path that kills a node, which real port stands for which."""

from __future__ import annotations

from collections.abc import Mapping

from .jsontypes import Obj

_PORTS_ANNOTATION = "localcluster/ports"
KILL_NODE = "/localcluster/nodes/{name}/kill"


def real_ports(obj: Obj) -> dict[str, int]:
    """Return which port stands for which, where addresses are shared: {"6379": 40123}."""
    text = (obj["metadata"].get("annotations") or {}).get(_PORTS_ANNOTATION, "")
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {inside: int(real) for inside, _, real in pairs}


def ports_change(ports: Mapping[str, int]) -> Obj:
    """Return the patch of an object that says which port stands for which."""
    text = ",".join(f"{inside}={real}" for inside, real in ports.items())
    return {"metadata": {"annotations": {_PORTS_ANNOTATION: text}}}
