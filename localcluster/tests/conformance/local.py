"""A local cluster that behaves as the version that was recorded."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wqlib import localcluster, redisserver

from .cluster import Cluster

_SETTINGS = {"WQLIB_PROFILE": "1.20", "WQLIB_LINGER_SECONDS": "10"}


@contextmanager
def local_cluster() -> Iterator[Cluster]:
    """Start one with a folder of its own, and stop it afterwards."""
    home = Path(tempfile.mkdtemp(prefix="wqlib-"))
    try:
        with _environment():
            server = redisserver.find()
            cli = redisserver.find_cli(server)
            kubeconfig = localcluster.ensure(home, redis_server=server, redis_cli=cli)
        try:
            yield Cluster(kubeconfig, home, patience=30.0)
        finally:
            localcluster.stop(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _environment() -> Iterator[None]:
    """The daemon takes its settings from the environment that it starts in."""
    before = dict(os.environ)
    for name in ("WQLIB_LOOPBACK", "WQLIB_JOB_BACKOFF_SECONDS"):
        os.environ.pop(name, None)
    os.environ.update(_SETTINGS)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
