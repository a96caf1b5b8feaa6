"""The first steps of the daemon, before it imports what it consists of.

What needs a process of its own is started here, so that it is there when the imports are done.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import resource
import sys
import time
from collections.abc import Iterator

from . import certs
from .locks import lock_file
from .paths import State


def serve(state: State, namespace: str, nodes: int, linger: float | None, ready_fd: int) -> None:
    """Run the daemon in this process until it ends.

    Args:
        namespace: The one that the kubeconfig's context names.
        nodes: How many nodes the cluster has.
        linger: How many seconds it stays without an owner; None stays for ever.
        ready_fd: Gets a byte once the cluster can be used; none if negative.

    Raises:
        BlockingIOError: Another daemon runs on the same state folder.
    """
    state.create()
    lock = _only_daemon(state)
    if lock is None:
        raise BlockingIOError(f"a local cluster already runs on {state.root}")
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    os.umask(0o077)
    making = certs.prepare(state.root)
    with _without_public_authorities():
        import asyncio

        from . import daemon

    _raise_file_limit()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    # What a handler did not expect is a fault of ours, and worth a line.
    logging.getLogger("tornado.application").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    # What was imported stays; looking through it again and again would take a tenth of the time.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    asyncio.run(daemon.Daemon(state, namespace, nodes, linger, ready_fd).run(making))


@contextlib.contextmanager
def _without_public_authorities() -> Iterator[None]:
    """Spare Tornado the system's list of authorities, which it reads when it is imported."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _only_daemon(state: State) -> int | None:
    """Return the daemon's lock; whoever only looks whether it is free holds it for an instant."""
    for _ in range(50):
        lock = lock_file(state.daemon_lock, wait=False)
        if lock is not None:
            return lock
        time.sleep(0.01)
    return None


def _raise_file_limit() -> None:
    """Allow more open files: each pod needs a few, and macOS gives 256 by default."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if most == resource.RLIM_INFINITY else min(8192, most)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
