"""A cluster behind a kubeconfig: raw requests over the official client, and kubectl."""

from __future__ import annotations

import functools
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes import client, config

_SECONDS = 100.0


@dataclass(frozen=True)
class Reply:
    """An answer of the API: its status, and its body, which is text when it is no JSON."""

    status: int
    body: Any


@dataclass
class Cluster:
    """Sends the steps of scenarios to one cluster.

    Args:
        kubeconfig: The file that says where it is.
        folder: For kubectl's caches.
        context: A context of that file other than its current one.
        patience: Seconds to wait for what a scenario waits for.
    """

    kubeconfig: Path
    folder: Path
    context: str | None = None
    patience: float = 90.0
    version: str = ""
    parts: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._api: client.ApiClient = config.new_client_from_config(
            str(self.kubeconfig), context=self.context
        )
        self.version = self.request("GET", "/version").body["gitVersion"]
        nodes = self.request("GET", "/api/v1/nodes").body["items"]
        runtimes = {node["status"]["nodeInfo"]["containerRuntimeVersion"] for node in nodes}
        runtime = ", ".join(sorted(runtimes)).replace("://", " ")
        size = "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
        self.parts = f"Kubernetes {self.version}, {runtime}, {size}"
        # What this cluster calls its own parts is nobody else's: long names go first.
        self.facts = {self.version: "<server version>", self._api.configuration.host: "<server>"}
        for node in nodes:
            self.facts[node["metadata"]["name"]] = "<node>"
            addresses = [a["address"] for a in node["status"]["addresses"]]
            self.facts |= {a: "<node ip>" for a in addresses if a not in self.facts}
            self.facts[node["status"]["nodeInfo"]["kubeletVersion"]] = "<server version>"

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Reply:
        """Send one request, and return its whole answer."""
        answer = self._send(method, path, body, headers, query)
        try:
            return Reply(answer.status, json.loads(answer.data))
        except ValueError:
            return Reply(answer.status, answer.data.decode(errors="replace"))

    def stranger(self, method: str, path: str) -> Reply:
        """Send a request without this kubeconfig's certificate, and with a token of no meaning."""
        settings = self._api.configuration
        headers = {"Authorization": "Bearer stranger"}
        with urllib3.PoolManager(ca_certs=settings.ssl_ca_cert) as pool:
            answer = pool.request(method, settings.host + path, headers=headers, timeout=_SECONDS)
            return Reply(answer.status, json.loads(answer.data))

    def watch(self, path: str, seconds: float, **query: Any) -> Iterator[dict[str, Any]]:
        """Return the events of a watch until the server ends it after `seconds`."""
        query |= {"watch": "true", "timeoutSeconds": int(seconds)}
        answer = self._send("GET", path, None, None, query, stream=True)
        try:
            rest = b""
            for chunk in answer.stream(None):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
        finally:
            answer.close()

    def _send(
        self,
        method: str,
        path: str,
        body: Any,
        headers: dict[str, str] | None,
        query: dict[str, Any],
        *,
        stream: bool = False,
    ) -> Any:
        sent = {"Content-Type": "application/json", **(headers or {})}
        for setting in self._api.configuration.auth_settings().values():
            if setting["in"] == "header" and setting["key"] not in sent:
                sent[setting["key"]] = setting["value"]
        target = self._api.configuration.host + path
        if query:
            target += ("&" if "?" in path else "?") + urlencode(query)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        # The client's own connections, without its models: they would hide unknown fields.
        return self._api.rest_client.pool_manager.request(
            method, target, body=data, headers=sent, preload_content=not stream, timeout=_SECONDS
        )

    def kubectl(
        self, command: str, namespace: str, folder: Path, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one kubectl command in a folder, as a learner types it."""
        program = shutil.which("kubectl")
        if program is None:
            raise FileNotFoundError("kubectl is not on PATH")
        named = ["--kubeconfig", str(self.kubeconfig), "--namespace", namespace]
        named += ["--context", self.context] if self.context else []
        return subprocess.run(
            [program, *named, "--cache-dir", str(self.folder / "cache"), *shlex.split(command)],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
        )


@functools.cache
def kubectl_version() -> str:
    """Return the version of the kubectl on PATH as "1.32", or "" if there is none."""
    program = shutil.which("kubectl")
    if program is None:
        return ""
    command = [program, "version", "--client", "--output=json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    found = json.loads(done.stdout)["clientVersion"]
    return f"{found['major']}.{found['minor'].rstrip('+')}"
