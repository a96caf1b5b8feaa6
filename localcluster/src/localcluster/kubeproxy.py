"""Services that answer: a relay on each ClusterIP that leads to the ready pods behind it.

It stands for kube-proxy. It listens only while there is a pod that can answer, so a client sees
a refused connection when there is none, as it would on a real cluster.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass, field

from .addresses import Addresses
from .apimachinery.client import Client
from .apimachinery.conventions import ports_change, real_ports
from .apimachinery.events import Recorder
from .apimachinery.informer import Informer
from .apimachinery.jsontypes import Key, Obj
from .apimachinery.keyqueue import KeyQueue

log = logging.getLogger(__name__)

Target = tuple[str, int]


class _RelayEnd(asyncio.Protocol):
    """One side of a relayed connection: what it receives goes out at the other side."""

    def __init__(self, other: _RelayEnd | None = None) -> None:
        self.other = other
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.other and self.other.transport:
            self.other.transport.write(data)
        else:
            self._early.append(data)

    def eof_received(self) -> bool:
        self._ended = True
        if self.other and self.other.transport and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other and self.other.transport:
            self.other.transport.close()

    def join(self, other: _RelayEnd) -> None:
        """Send what came in before the other side was there."""
        self.other = other
        assert other.transport is not None
        for data in self._early:
            other.transport.write(data)
        self._early.clear()
        if self._ended:
            self.eof_received()


@dataclass
class _Port:
    """One port of one Service."""

    targets: list[Target]
    server: asyncio.Server | None = None
    number: int = 0
    turn: itertools.count[int] = field(default_factory=itertools.count)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self) -> _RelayEnd:
        """Take a connection from a client, and connect it to the next pod."""
        client = _RelayEnd()
        task = asyncio.get_running_loop().create_task(self._connect(client))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return client

    async def _connect(self, client: _RelayEnd) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(len(self.targets)):
            host, port = self.targets[next(self.turn) % len(self.targets)]
            try:
                _, pod = await loop.create_connection(lambda: _RelayEnd(client), host, port)
            except OSError:
                continue
            client.join(pod)
            if client.transport is None or client.transport.is_closing():
                assert pod.transport is not None
                pod.transport.close()
            return
        if client.transport:
            client.transport.abort()

    def close(self) -> None:
        if self.server:
            # Listen no more, then close a turn of the loop later: a connection that asyncio has
            # just accepted would otherwise meet a closed server, and hang.
            loop = asyncio.get_running_loop()
            for listening in self.server.sockets:
                loop.remove_reader(listening.fileno())
            loop.call_soon(self.server.close)
            self.server = None


@dataclass
class KubeProxy:
    """Follows Services and Endpoints, and listens for them."""

    client: Client
    addresses: Addresses
    _ports: dict[tuple[Key, str, int], _Port] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.client, "kube-proxy")
        self.queue = KeyQueue(self._work)
        self.services = Informer(self.client, "/api/v1/services", self._changed)
        self.endpoints = Informer(self.client, "/api/v1/endpoints", self._changed)

    async def run(self) -> None:
        """Serve for ever."""
        await asyncio.gather(self.services.run(), self.endpoints.run(), self.recorder.run())

    def close(self) -> None:
        self.queue.close()
        for port in self._ports.values():
            port.close()

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        self.queue.add((obj["metadata"]["namespace"], obj["metadata"]["name"]))

    async def _work(self, key: Key) -> None:
        service, endpoints = self.services.get(*key), self.endpoints.get(*key)
        spec = service["spec"] if service else {}
        address = spec.get("clusterIP") or "None"
        wanted: set[tuple[str, int]] = set()
        # The API's own Service does not answer: pods have no token to use it with.
        if service is not None and address != "None" and key != ("default", "kubernetes"):
            service = await self._publish_ports(key, service)
            for port in spec.get("ports") or []:
                if port.get("protocol", "TCP") != "TCP":
                    continue
                number = real_ports(service).get(str(port["port"]), port["port"])
                places = [(address, number)]
                if port.get("nodePort"):
                    places.append(("127.0.0.1", port["nodePort"]))
                for place in places:
                    await self._serve(key, service, place, _targets(endpoints, port))
                wanted.update(places)
        for known in [known for known in self._ports if known[0] == key]:
            if known[1:] not in wanted:
                self._ports.pop(known).close()

    async def _serve(
        self, key: Key, service: Obj, place: tuple[str, int], targets: list[Target]
    ) -> None:
        address, number = place
        relay = self._ports.setdefault((key, address, number), _Port([]))
        relay.targets = targets
        if not targets:
            relay.close()
            return
        if relay.server is not None:
            return
        loop = asyncio.get_running_loop()
        try:
            relay.server = await loop.create_server(relay.accept, address, number)
        except OSError as error:
            text = f"nobody can listen on {address}:{number} for this Service: {error.strerror}"
            self.recorder.event(service, "FailedToListen", text, kind="Warning")

    async def _publish_ports(self, key: Key, service: Obj) -> Obj:
        """Choose ports and say which they are, where Services share one address.

        Returns the Service that says so.
        """
        if not self.addresses.single:
            return service
        known = real_ports(service)
        missing = [
            p["port"] for p in service["spec"].get("ports") or [] if str(p["port"]) not in known
        ]
        if not missing:
            return service
        for number in missing:
            known[str(number)] = self.addresses.port(number)
        path = f"/api/v1/namespaces/{key[0]}/services/{key[1]}"
        changed = await self.client.patch(path, ports_change(known))
        self.services.put(changed)
        return changed


def _targets(endpoints: Obj | None, port: Obj) -> list[Target]:
    found: list[Target] = []
    for subset in (endpoints or {}).get("subsets") or []:
        for target in subset.get("ports") or []:
            if target.get("name") == port.get("name"):
                found += [(a["ip"], target["port"]) for a in subset.get("addresses") or []]
    return found
