"""The endpoints controller: keeps each Service's list of the pods that serve it."""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery.apierrors import ApiError, ignored
from ..apimachinery.conventions import real_ports
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, key_of, owner_reference
from ..apimachinery.selectors import labels
from .controller import Controller
from .podstate import condition_of, is_active, is_ready

_TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
_MANAGED = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


@dataclass
class EndpointsController(Controller):
    """Keeps each Service's list of the pods that serve it."""

    services: Informer
    pods: Informer

    def __post_init__(self) -> None:
        super().__post_init__()
        self._written: dict[Key, list[Obj]] = {}
        # What the next write of a Service's list is a reaction to: since when that is so.
        self._triggers: dict[Key, str] = {}

    def service_changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        key = key_of(obj)
        if old is None:
            self._triggers.setdefault(key, obj["metadata"]["creationTimestamp"])
        self.queue.add(key)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        since = _ready_since(new)
        for pod in (old, new):
            if pod is None:
                continue
            for key, service in self.services.objects.items():
                if key[0] == pod["metadata"]["namespace"] and _selects(service, pod):
                    if since and since != _ready_since(old):
                        self._triggers.setdefault(key, since)
                    self.queue.add(key)

    async def _sync(self, key: Key) -> None:
        namespace, name = key
        service = self.services.get(namespace, name)
        trigger = self._triggers.pop(key, "")
        path = f"/api/v1/namespaces/{namespace}/endpoints"
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        if service is None:
            self._written.pop(key, None)
            for gone in (f"{path}/{name}", f"{slices}/{name}"):
                with ignored(404):
                    await self.client.delete(gone)
            return
        if not service["spec"].get("selector"):
            return
        subsets = self._subsets(service)
        if self._written.get(key) == subsets:
            return
        body: Obj = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {**labels(service), **_MANAGED},
                **({"annotations": {_TRIGGER: trigger}} if trigger else {}),
            },
            **({"subsets": subsets} if subsets else {}),
        }
        await self._replace_or_create(path, body)
        self._written[key] = subsets
        # Newer clients read an EndpointSlice instead.
        await self._replace_or_create(slices, _slice(service, subsets))

    async def _replace_or_create(self, path: str, body: Obj) -> None:
        try:
            await self.client.replace(f"{path}/{body['metadata']['name']}", body)
        except ApiError as error:
            if error.code != 404:
                raise
            await self.client.create(path, body)

    def _subsets(self, service: Obj) -> list[Obj]:
        namespace = service["metadata"]["namespace"]
        found: dict[str, Obj] = {}
        for pod in sorted(self.pods.objects.values(), key=lambda p: str(p["metadata"]["name"])):
            status, metadata = pod.get("status") or {}, pod["metadata"]
            if metadata["namespace"] != namespace or not _selects(service, pod):
                continue
            if not status.get("podIP") or not is_active(pod):
                continue
            ready = is_ready(pod) or service["spec"].get("publishNotReadyAddresses")
            ports = _ports(service, pod)
            if not ports:
                continue
            subset = found.setdefault(str(ports), {"ports": ports})
            subset.setdefault("addresses" if ready else "notReadyAddresses", []).append(
                {
                    "ip": status["podIP"],
                    "nodeName": pod["spec"].get("nodeName"),
                    "targetRef": {
                        "kind": "Pod",
                        "name": metadata["name"],
                        "namespace": namespace,
                        "uid": metadata["uid"],
                    },
                }
            )
        return list(found.values())


def _ready_since(pod: Obj | None) -> str:
    """Return since when a pod has been ready, or not."""
    condition = condition_of(pod or {}, "Ready") or {}
    return str(condition.get("lastTransitionTime") or "")


def _slice(service: Obj, subsets: list[Obj]) -> Obj:
    metadata = service["metadata"]
    ends = [
        {
            "addresses": [address["ip"]],
            "conditions": {"ready": ready, "serving": ready, "terminating": False},
            "nodeName": address.get("nodeName"),
            "targetRef": address.get("targetRef"),
        }
        for subset in subsets
        for kind, ready in (("addresses", True), ("notReadyAddresses", False))
        for address in subset.get(kind) or []
    ]
    ports = [{"name": "", **port} for port in (subsets[0]["ports"] if subsets else [])]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": {
                "kubernetes.io/service-name": metadata["name"],
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": ends,
        "ports": ports,
    }


def _selects(service: Obj, pod: Obj) -> bool:
    selector = service["spec"].get("selector") or {}
    return bool(selector) and selector.items() <= labels(pod).items()


def _ports(service: Obj, pod: Obj) -> list[Obj]:
    """Return the ports of a pod that a Service leads to."""
    named = {
        port["name"]: port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or []
        if port.get("name")
    }
    found = []
    for port in service["spec"].get("ports") or []:
        target = port.get("targetPort", port["port"])
        number = named.get(target) if isinstance(target, str) else target
        if number is None:
            continue
        real = real_ports(pod).get(str(number), number)
        entry = {"port": real, "protocol": port.get("protocol", "TCP")}
        found.append({"name": port["name"], **entry} if port.get("name") else entry)
    return found
