"""One local cluster for all tests here, and a namespace of its own for each test."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from kubernetes import client, config

import localcluster

from .redisimage import find_redis, redis_image

# The exit code of a program that does not handle SIGTERM when its container is stopped.
ENDED_DEAF = 137 if sys.platform == "linux" else 143
REDIS = find_redis()
IMAGES = {"redis": redis_image(REDIS)} if REDIS else {}
_numbers = itertools.count(1)


def wait_until(condition: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """Wait for a condition to hold, and return its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.02)


@dataclass
class Reply:
    """An answer of the API."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Local:
    """A running cluster, and ways to speak to it."""

    home: Path
    kubeconfig: Path
    server: str = ""
    token: str = ""
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)

    def __post_init__(self) -> None:
        loaded = json.loads(self.kubeconfig.read_text())
        cluster = loaded["clusters"][0]["cluster"]
        self.server = cluster["server"]
        self.token = loaded["users"][0]["user"]["token"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.context = ssl.create_default_context(cadata=authority)
        api = config.new_client_from_config(str(self.kubeconfig))
        self.core = client.CoreV1Api(api)
        self.batch = client.BatchV1Api(api)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        **params: str,
    ) -> Reply:
        """Send one request with the token, and return the whole answer."""
        connection = http.client.HTTPSConnection(
            str(urlsplit(self.server).hostname),
            urlsplit(self.server).port,
            context=self.context,
            timeout=20,
        )
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": kind, **(headers or {})}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        target = f"{path}?{urlencode(params)}" if params else path
        try:
            connection.request(method, target, data, sent)
            reply = connection.getresponse()
            got: dict[str, str] = {}
            for name, value in reply.getheaders():
                got[name.lower()] = ", ".join(filter(None, (got.get(name.lower()), value)))
            return Reply(reply.status, got, reply.read())
        finally:
            connection.close()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALCLUSTER_LINGER_SECONDS", "10")
        patch.setenv("LOCALCLUSTER_JOB_BACKOFF_SECONDS", "1")
        patch.delenv("LOCALCLUSTER_LOOPBACK", raising=False)
        kubeconfig = localcluster.ensure(home, images=IMAGES)
        yield Local(home, kubeconfig)
        assert localcluster.stop(home)


@pytest.fixture
def ns(local: Local) -> Iterator[str]:
    name = f"test-{next(_numbers)}"
    local.core.create_namespace({"metadata": {"name": name}})
    yield name
    local.core.delete_namespace(name, grace_period_seconds=0)


@pytest.fixture
def kubectl(local: Local, ns: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on PATH")

    def run(
        *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(program), "--kubeconfig", str(local.kubeconfig), "-n", ns, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(local.home)},
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def redis_server() -> Path:
    if REDIS is None:
        pytest.skip("there is no redis-server on PATH")
    return REDIS


def pod(name: str, *command: str, image: str = "python:3.11", **spec: Any) -> dict[str, Any]:
    """Return a pod's manifest; a container's fields are given as `container`.

    As process 1 most programs are deaf to SIGTERM: the short grace keeps deletions short.
    """
    container = {"name": "main", "image": image, **spec.pop("container", {})}
    if command:
        container["command"] = list(command)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": spec.pop("labels", {"app": name})},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            **spec,
        },
    }


def job(name: str, *command: str, policy: str = "Never", **spec: Any) -> dict[str, Any]:
    """Return a Job's manifest."""
    container = {"name": "main", "image": "python:3.11", "command": list(command)}
    grace = {"terminationGracePeriodSeconds": 1}
    template = {"spec": {"restartPolicy": policy, "containers": [container], **grace}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"template": template, **spec},
    }
