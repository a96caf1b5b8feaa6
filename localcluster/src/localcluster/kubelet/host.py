"""What a node's pods share: its client to the API, folders, addresses, images and processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..addresses import Addresses
from ..apimachinery.client import Client
from ..apimachinery.conventions import real_ports
from ..apimachinery.events import Recorder
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Obj
from ..images.imagestore import Images
from ..paths import State
from . import podenv
from .node import capacity
from .objectwatch import ObjectWatches
from .processes import Processes
from .servicenames import ServiceNames


@dataclass
class Host:
    """The machine, as the pods of one kubelet see it."""

    client: Client
    state: State
    addresses: Addresses
    images: Images
    processes: Processes
    recorder: Recorder
    services: Informer = field(init=False)
    watches: ObjectWatches = field(init=False)
    names: ServiceNames = field(init=False)

    def __post_init__(self) -> None:
        self.services = Informer(self.client, "/api/v1/services", self._service_changed)
        self.watches = ObjectWatches(self.client)
        self.names = ServiceNames(self.state.root / "service-names")

    async def fetch(self, plural: str, namespace: str, name: str) -> Obj:
        """Return a Secret or a ConfigMap."""
        return await self.client.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")

    def capacity(self) -> Obj:
        """Return how much the node has for pods."""
        return capacity(self.state.root)

    def service_environment(self, pod: Obj) -> dict[str, str]:
        """Return the variables of the Services that are there now."""
        url = urlsplit(self.client.server)
        port = {"name": "https", "port": 443}
        kubernetes = {
            "metadata": {"name": "kubernetes"},
            "spec": {"clusterIP": str(url.hostname), "ports": [port]},
        }
        api = podenv.service_environment([kubernetes], lambda _: {"443": url.port})
        if pod["spec"].get("enableServiceLinks") is False:
            return api
        namespace = pod["metadata"]["namespace"]
        services = [
            service
            for key, service in sorted(self.services.objects.items())
            if key[0] == namespace and key != ("default", "kubernetes")
        ]
        return api | podenv.service_environment(services, real_ports)

    def _service_changed(self, old: Obj | None, new: Obj | None) -> None:
        self.names.update(self.services.objects)
