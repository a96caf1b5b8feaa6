"""Allocation of cluster IPs and node ports to Services.

https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from ...addresses import Addresses
from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj
from ..defaults.defaults import EXTERNAL_TYPES
from ..validation.causes import Causes

_NODE_PORTS = range(30000, 32768)


def retain(old: Obj, new: Obj) -> None:
    """Keep in an update what the old spec was allocated, as far as its type has it."""
    for name in ("clusterIP", "clusterIPs"):
        if old.get(name) and not new.get(name):
            new[name] = old[name]
    external = new.get("type") in EXTERNAL_TYPES
    known = {port["port"]: port.get("nodePort") for port in old.get("ports") or []}
    for port in new.get("ports") or []:
        given = known.get(port.get("port"))
        if external and given and not port.get("nodePort"):
            port["nodePort"] = given
        elif not external and given and port.get("nodePort") == given:
            del port["nodePort"]
    if not external and new.get("externalTrafficPolicy") == old.get("externalTrafficPolicy"):
        new.pop("externalTrafficPolicy", None)


def allocate(service: Obj, others: Iterable[Obj], addresses: Addresses) -> None:
    """Allocate the cluster IP and the node ports that a Service lacks.

    Args:
        others: All Services but this one.

    Raises:
        ApiError: It asks for a node port that it cannot have.
    """
    spec = service["spec"]
    specs = [other["spec"] for other in others]
    if spec["type"] == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = addresses.service({s.get("clusterIP", "") for s in specs})
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    if spec["type"] in EXTERNAL_TYPES:
        taken = {p.get("nodePort") for s in specs for p in s.get("ports") or []}
        _allocate_node_ports(service, taken)


def _allocate_node_ports(service: Obj, taken: set[int | None]) -> None:
    causes = Causes()
    ports = service["spec"].get("ports") or []
    for i, port in enumerate(ports):
        number = port.get("nodePort")
        if not number:
            continue
        at = f"spec.ports[{i}].nodePort"
        if number not in _NODE_PORTS:
            span = f"{_NODE_PORTS[0]}-{_NODE_PORTS[-1]}"
            why = f"provided port is not in the valid range. The range of valid ports is {span}"
            causes.invalid(at, number, why)
        elif number in taken:
            causes.invalid(at, number, "provided port is already allocated")
        taken.add(number)
    if causes:
        raise apierrors.invalid("Service", "", service["metadata"]["name"], list(causes))
    for port in ports:
        if not port.get("nodePort"):
            port["nodePort"] = random.choice([n for n in _NODE_PORTS if n not in taken])
            taken.add(port["nodePort"])
