"""A TCP relay to Redis that can swallow replies, as a bad network does, or answer itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType


class Proxy:
    """Relays connections from a port of its own to `port`.

    `cut_replies` is how many of the next replies are swallowed: the server gets the request and
    acts on it, then the client's connection breaks instead of bringing the answer.
    `refusals` is how many of the next scripts get the error `refusal` from us, and are not passed
    on; `refused` counts them, `connections` those that were made.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.cut_replies = 0
        self.cuts = 0
        self.refusal = ""
        self.refusals = 0
        self.refused = 0
        self.connections = 0
        self.before_retry: Callable[[], object] = lambda: None
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._server.close()
        self.drop()

    def drop(self) -> None:
        """Cut every connection now."""
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._sockets.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                for source, sink, is_reply in ((client, server, False), (server, client, True)):
                    threading.Thread(
                        target=self._relay, args=(source, sink, is_reply), daemon=True
                    ).start()

    def _relay(self, source: socket.socket, sink: socket.socket, is_reply: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_reply and self.cut_replies > 0 and not data.startswith(b"+OK"):
                    self.cut_replies -= 1
                    self.cuts += 1
                    self.before_retry()
                    break
                if not is_reply and self.refusals > 0 and (scripts := data.count(b"EVALSHA")):
                    self.refusals -= 1
                    self.refused += 1
                    source.sendall(f"-{self.refusal}\r\n".encode() * scripts)
                    continue
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
