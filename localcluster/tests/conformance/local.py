"""A local cluster to play the scenarios on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import localcluster

from ..redisimage import find_redis, redis_image
from .cluster import Cluster

_SETTINGS = {"LOCALCLUSTER_LINGER_SECONDS": "10"}


@contextmanager
def local_cluster() -> Iterator[Cluster]:
    """Start one with a folder of its own, and stop it afterwards."""
    home = Path(tempfile.mkdtemp(prefix="localcluster-"))
    try:
        with _environment():
            redis = find_redis()
            images = {"redis": redis_image(redis)} if redis else {}
            kubeconfig = localcluster.ensure(home, images=images)
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
    for name in ("LOCALCLUSTER_LOOPBACK", "LOCALCLUSTER_JOB_BACKOFF_SECONDS"):
        os.environ.pop(name, None)
    os.environ.update(_SETTINGS)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
