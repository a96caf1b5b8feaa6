"""A bad network: a TCP relay that cuts connections, delays what it carries and loses replies."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Coroutine
from typing import Any

# What else can happen to a piece of data on its way, and how likely it is.
_CHANCES = {
    "stalled": 0.001,  # the connection brings nothing any more, but stays open
    "delayed": 0.02,  # the reply comes later
    "held": 0.002,  # the request arrives after the client has given it up
}
_DELAY_SECONDS = (0.005, 0.2)
_HOLD_SECONDS = (1.0, 2.5)


class Network:
    """The thread in which all relays run.

    Args:
        seed: Decides what happens to which piece of data.
        swallow: Share of the replies that are lost, each with its connection.

    Attributes:
        is_bad: Faults happen.
        copying: "on"; or "held": replicas get nothing; or "cut": what was held is lost.
        counts: How often each fault has happened; "cuts" are connections that were cut.
    """

    def __init__(self, seed: int, swallow: float) -> None:
        self.is_bad = False
        self.copying = "on"
        self.chances = _CHANCES | {"swallowed": swallow}
        self.counts: Counter[str] = Counter()
        self.rng = random.Random(f"{seed}/network")
        self._loop = asyncio.new_event_loop()
        self._relays: list[Relay] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def relay(self) -> Relay:
        """A new relay; say with `target` where it leads."""
        relay = Relay(self)
        self._wait_for(relay.open())
        self._relays.append(relay)
        return relay

    def cut(self, share: float = 1.0) -> None:
        """Cut this share of all connections, or all."""

        async def cut() -> None:
            for relay in self._relays:
                relay.cut(share)

        self._wait_for(cut())

    def close(self) -> None:
        """Close all relays and end the thread."""

        async def close() -> None:
            for relay in self._relays:
                relay.shut()
                relay.cut(1.0)
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        self._wait_for(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait_for(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


class Relay:
    """Relays connections from a port of its own to `target`, which may change at any time."""

    def __init__(self, network: Network) -> None:
        self.target = 0
        self.port = 0
        self._network = network
        self._ends: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._calm: set[asyncio.StreamWriter] = set()
        self._replicas: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.close()

    def cut(self, share: float) -> None:
        """Cut this share of the connections, half of them with a reset."""
        for client, server in list(self._ends.items()):
            if client not in self._calm and self._network.rng.random() < share:
                self._network.counts["cuts"] += 1
                self._end(client, server)

    def _end(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        for end in (client, server):
            if self._network.rng.random() < 0.5:
                end.transport.abort()
            else:
                end.close()

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            from_server, server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            client.transport.abort()
            return
        self._ends[client] = server
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._requests(reader, client, server))
                both.create_task(self._replies(from_server, client, server))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            del self._ends[client]
            self._calm.discard(client)
            self._replicas.discard(client)
            client.close()
            server.close()

    async def _requests(
        self,
        source: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        server: asyncio.StreamWriter,
    ) -> None:
        while data := await source.read(65536):
            if b"REPLCONF" in data or b"PSYNC" in data or b"sentinel-" in data:
                # A replica speaks: its stream must not be damaged. Or a sentinel, which must not
                # depose a primary that is well.
                self._calm.add(client)
            if b"PSYNC" in data:
                self._replicas.add(client)
            if self._strikes("held", client):
                await asyncio.sleep(self._network.rng.uniform(*_HOLD_SECONDS))
            server.write(data)
            await server.drain()
        await self._let_go(server)

    async def _replies(
        self,
        source: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        server: asyncio.StreamWriter,
    ) -> None:
        stalled, network = False, self._network
        while data := await source.read(65536):
            while client in self._replicas and network.copying == "held":
                await asyncio.sleep(0.002)
            if client in self._replicas and network.copying == "cut":
                self._end(client, server)
                return
            # Replies to a login are let through: nothing is decided there, and it takes several.
            if not data.startswith(b"+OK") and self._strikes("swallowed", client):
                self._end(client, server)
                return
            stalled = stalled or self._strikes("stalled", client)
            if stalled:
                continue
            if self._strikes("delayed", client):
                await asyncio.sleep(network.rng.uniform(*_DELAY_SECONDS))
            client.write(data)
            with contextlib.suppress(OSError):
                await client.drain()
        client.close()

    async def _let_go(self, server: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            server.write_eof()

    def _strikes(self, fault: str, client: asyncio.StreamWriter) -> bool:
        network = self._network
        if not network.is_bad or client in self._calm:
            return False
        if network.rng.random() >= network.chances[fault]:
            return False
        network.counts[fault] += 1
        return True
