"""TLS of many connections in one thread: what one leaves behind is not taken for another's."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import pytest
import trustme

from localcluster import tls


def connection(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLSocket, ...]:
    """Both ends of a connection, ours and a client's."""
    ours, theirs = socket.socketpair()
    made: list[ssl.SSLSocket] = []
    thread = threading.Thread(
        target=lambda: made.append(client.wrap_socket(theirs, server_hostname="localhost"))
    )
    thread.start()
    wrapped = server.wrap_socket(ours, server_side=True)
    thread.join()
    wrapped.setblocking(False)
    return wrapped, made[0]


def test_a_connection_that_waits_is_not_told_that_another_broke() -> None:
    authority = trustme.CA()
    server = tls.tidy(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    waiting, other = connection(server, client)
    ours, theirs = connection(server, client)
    ours.send(b"never read: the client is gone with it")
    theirs.close()
    for call, *given in ((ours.send, bytes(100_000)), (ours.recv, 9), (ours.unwrap,)):
        with contextlib.suppress(OSError):
            call(*given)
        with pytest.raises(ssl.SSLWantReadError):
            waiting.recv(9)
    other.send(b"here")
    while True:
        with contextlib.suppress(ssl.SSLWantReadError):
            assert waiting.recv(9) == b"here"
            break
    for one in (waiting, other, ours):
        one.close()
