"""Bootstrap: the namespaces, priority classes and the API's own Service of every new cluster."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from ...apimachinery.resources import named
from .rest import SYSTEM_NAMESPACES, Rest

_CRITICAL = {
    "system-cluster-critical": (
        2000000000,
        "run in the cluster, but can be moved to another node if necessary.",
    ),
    "system-node-critical": (2000001000, "not be moved from their current node."),
}


def create_system_objects(rest: Rest, port: int) -> None:
    """Create the objects of the system; `port` is where the API listens on 127.0.0.1."""
    for name in SYSTEM_NAMESPACES:
        rest.create(named("namespaces"), "", {"metadata": {"name": name}})
    _service(rest, port)
    for name, (value, what) in _CRITICAL.items():
        about = f"Used for system critical pods that must {what}"
        made = {"metadata": {"name": name}, "value": value, "description": about}
        rest.create(named("priorityclasses.scheduling.k8s.io"), "", made)


def _service(rest: Rest, port: int) -> None:
    """Create the Service of the API with its endpoints, on 127.0.0.1."""
    metadata = {"name": "kubernetes", "namespace": "default"}
    labels = {"component": "apiserver", "provider": "kubernetes"}
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]
    service: Obj = {"metadata": {**metadata, "labels": labels}, "spec": {"ports": ports}}
    rest.create(named("services"), "default", service)
    ends = [{"name": "https", "port": port, "protocol": "TCP"}]
    mirrored = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    subsets = [{"addresses": [{"ip": "127.0.0.1"}], "ports": ends}]
    endpoints: Obj = {"metadata": {**metadata, "labels": mirrored}, "subsets": subsets}
    rest.create(named("endpoints"), "default", endpoints)
    made = {
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
        "ports": ends,
    }
    rest.create(named("endpointslices.discovery.k8s.io"), "default", made)
