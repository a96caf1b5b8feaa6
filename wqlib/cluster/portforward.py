"""Reach a port inside the cluster through 127.0.0.1, as `kubectl port-forward` does.

A `PortForward` listens on a free local port. Each connection that it accepts becomes one
WebSocket to the API server, which carries the bytes on to the pod. One thread a connection
moves them, with its own few lines of WebSocket framing: a notebook fills and watches its
queue through here, so a round trip must cost little.

The framing is that of `v4.channel.k8s.io`: the first byte of a message is its channel (0 is
data, 1 is errors), and the first message on each channel only repeats the port number.
https://kubernetes.io/docs/tasks/access-application-cluster/port-forward-access-application-cluster/
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import ClusterError

DATA, ERRORS = 0, 1
CHUNK = 64 * 1024
HIGH_WATER = 4 * 1024 * 1024  # stop reading from one side while the other takes nothing
POD_GONE_SECONDS = 3.0  # how long a new connection waits for a pod that is being replaced

_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class PortForward:
    """A local port whose connections end in a pod.

    Made by `Cluster.port_forward()`. Closing it, or leaving its `with` block, ends every
    connection and every thread of it.

    Args:
        dial: Opens one WebSocket to the port of a pod that is ready; raises ClusterError if
            there is none.
        label: What it leads to, for its `repr`.

    Attributes:
        host: Always "127.0.0.1".
        port: The local port.
        problem: Why the latest connection that failed did so, or "".

    Example:
        with cluster.port_forward("service/redis", 6379) as forward:
            redis.Redis(forward.host, forward.port, password=password).ping()
    """

    host = "127.0.0.1"

    def __init__(self, dial: Callable[[], Any], label: str) -> None:
        self._dial = dial
        self._label = label
        self.problem = ""
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._listener = socket.create_server((self.host, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(
            target=self._accept, name=f"wqlib port-forward {label}", daemon=True
        )
        self._acceptor.start()

    def close(self) -> None:
        """End all connections and free the port. May be called twice."""
        if self._closed.is_set():
            return
        self._closed.set()
        with contextlib.suppress(OSError):  # closing a socket does not wake its accept()
            socket.create_connection((self.host, self.port), timeout=1).close()
        self._acceptor.join(2)
        self._listener.close()
        with self._lock:
            connections = dict(self._open)
        for local in connections:
            with contextlib.suppress(OSError):
                local.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join(2)

    def __enter__(self) -> PortForward:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"PortForward({self._label!r})"

    def _accept(self) -> None:
        while True:
            try:
                local, _ = self._listener.accept()
            except OSError:
                return
            if self._closed.is_set():
                local.close()
                return
            thread = threading.Thread(target=self._serve, args=(local,), daemon=True)
            with self._lock:
                self._open[local] = thread
            thread.start()

    def _serve(self, local: socket.socket) -> None:
        """Carry one connection, from its accept to its end."""
        try:
            websocket = self._dial_with_retries()
            if websocket is None:
                return
            try:
                if not self._closed.is_set():
                    _Pump(local, websocket.sock).run()
            finally:
                with contextlib.suppress(Exception):
                    websocket.shutdown()
        except Exception as error:
            self.problem = str(error)  # a thread must not print
        finally:
            with self._lock:
                self._open.pop(local, None)
            local.close()

    def _dial_with_retries(self) -> Any | None:
        """Open the WebSocket, also to a pod that is only just being replaced."""
        deadline = time.monotonic() + POD_GONE_SECONDS
        while not self._closed.is_set():
            try:
                return self._dial()
            except ClusterError:
                if time.monotonic() > deadline:
                    raise
                self._closed.wait(0.1)
        return None


class _Pump:
    """Moves bytes between a local socket and a WebSocket until one of them ends.

    Neither side ever blocks the other: a client that sends a million commands before it
    reads the first answer must not come to a stand.
    """

    def __init__(self, local: socket.socket, remote: socket.socket) -> None:
        self.local, self.remote = local, remote
        self.to_local, self.to_remote = bytearray(), bytearray()
        self.frames = _Frames()
        self.seen_channels: set[int] = set()
        self.local_ended = self.remote_ended = False
        for side in (local, remote):
            side.setblocking(False)
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            wanted = dict.fromkeys((self.local, self.remote), selectors.EVENT_READ)
            for side, events in wanted.items():
                selector.register(side, events)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self.remote:
                        self._from_remote()
                    else:
                        self._from_local()
                self._flush(self.remote, self.to_remote)
                self._flush(self.local, self.to_local)
                if (self.local_ended and not self.to_remote) or (
                    self.remote_ended and not self.to_local
                ):
                    return
                for side, events in (
                    (self.local, self._events(self.local_ended, self.to_local, self.to_remote)),
                    (self.remote, self._events(self.remote_ended, self.to_remote, self.to_local)),
                ):
                    if events != wanted[side]:
                        _change(selector, side, wanted[side], events)
                        wanted[side] = events

    @staticmethod
    def _events(ended: bool, outgoing: bytearray, incoming: bytearray) -> int:
        read = 0 if ended or len(incoming) > HIGH_WATER else selectors.EVENT_READ
        return read | (selectors.EVENT_WRITE if outgoing else 0)

    def _from_local(self) -> None:
        try:
            data = self.local.recv(CHUNK)
        except _WOULD_BLOCK:
            return
        if data:
            self.to_remote += _frame(bytes((DATA,)) + data)
        else:
            self.local_ended = True

    def _from_remote(self) -> None:
        # All that TLS has decrypted must be read: the selector does not see it.
        while not self.remote_ended:
            try:
                data = self.remote.recv(CHUNK)
            except _WOULD_BLOCK:
                return
            if not data:
                self.remote_ended = True
                return
            for opcode, payload in self.frames.feed(data):
                self._take(opcode, payload)

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 0x8:  # close
            self.remote_ended = True
        elif opcode == 0x9:  # ping
            self.to_remote += _frame(payload, opcode=0xA)
        elif opcode in (0x1, 0x2) and payload:
            channel = payload[0]
            if channel not in self.seen_channels:
                self.seen_channels.add(channel)
            elif channel == DATA:
                self.to_local += payload[1:]
            elif channel == ERRORS:  # e.g. connection refused, or the pod is gone
                self.remote_ended = True

    @staticmethod
    def _flush(side: socket.socket, buffer: bytearray) -> None:
        while buffer:
            try:
                sent = side.send(buffer)
            except _WOULD_BLOCK:
                return
            del buffer[:sent]


def _change(selector: selectors.BaseSelector, side: socket.socket, before: int, after: int) -> None:
    """Wait for other events; a selector refuses to wait for none at all."""
    if not after:
        selector.unregister(side)
    elif not before:
        selector.register(side, after)
    else:
        selector.modify(side, after)


def _frame(payload: bytes, *, opcode: int = 0x2) -> bytes:
    """Return one WebSocket frame from a client.

    A client must mask its frames, against proxies that mistake plain text for HTTP. Inside
    TLS no proxy sees them, so the mask is zero, which leaves the payload as it is.
    """
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + b"\0\0\0\0" + payload


class _Frames:
    """Cuts the bytes from a WebSocket server into messages."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.parts = bytearray()
        self.parts_opcode = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take some bytes; yield (opcode, payload) of each message that is complete now."""
        buffer = self.buffer
        buffer += data
        at = 0
        while len(buffer) - at >= 2:
            head, size, start = buffer[at], buffer[at + 1] & 0x7F, at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                if len(buffer) < start + width:
                    break
                size = int.from_bytes(buffer[start : start + width], "big")
                start += width
            if len(buffer) < start + size:
                break
            payload = bytes(buffer[start : start + size])
            at = start + size
            final, opcode = head & 0x80, head & 0x0F
            if opcode >= 0x8:
                yield opcode, payload
                continue
            if opcode:
                self.parts_opcode = opcode
            self.parts += payload
            if final:
                yield self.parts_opcode, bytes(self.parts)
                self.parts.clear()
        del buffer[:at]
