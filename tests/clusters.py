"""Small pods and Jobs for the tests of a cluster; the fixture `cluster` is in conftest.py."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

REAL = bool(os.environ.get("WQLIB_CONTEXT"))
MANIFESTS = Path(__file__).parent.parent / "notebooks" / "manifests"
IMAGE = "python:3.11-slim"

local_only = pytest.mark.skipif(REAL, reason="about the local cluster")


def pod(name: str, code: str, **spec: object) -> dict:
    """A pod that runs a line of Python."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "main",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python", "-u", "-c", code],
                }
            ],
            **spec,
        },
    }


def job(name: str, code: str, *, parallelism: int = 1, **spec: object) -> dict:
    """A work-queue Job of such pods."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "parallelism": parallelism,
            "template": {"spec": pod(name, code)["spec"]},
            **spec,
        },
    }


def eventually(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


SLEEP = "import time; time.sleep(600)"
