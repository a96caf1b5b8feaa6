"""TLS for many connections in one thread: the end of one is not taken for that of another.

Python asks OpenSSL what went wrong without emptying the thread's list of errors first
(https://github.com/python/cpython/issues/148594). From OpenSSL 3.4 on, a client that hangs up
leaves an error there, and from Python 3.13 on it stays: every other connection that merely has to
wait is told "Broken pipe". So a connection that ends empties the list behind itself.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import Any

_NOTHING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Socket(ssl.SSLSocket):
    """A socket that leaves no error behind."""

    def read(self, *args: Any, **kwargs: Any) -> Any:
        return _tidily(super().read, *args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        return int(_tidily(super().send, *args, **kwargs))

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        _tidily(super().do_handshake, *args, **kwargs)

    def unwrap(self) -> Any:
        return _tidily(super().unwrap)


def tidy(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a context make such sockets, and return it."""
    context.sslsocket_class = Socket
    return context


def _tidily(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call it; at the end of a connection, or at an error, empty the list of errors."""
    try:
        done = call(*args, **kwargs)
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        raise
    except OSError:
        _forget_errors()
        raise
    if not done:
        _forget_errors()
    return done


def _forget_errors() -> None:
    with contextlib.suppress(ssl.SSLError):
        _NOTHING.set_ciphers("none")  # there is no such cipher: to say so empties the list
