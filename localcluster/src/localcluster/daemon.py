"""The daemon: one process that holds the whole cluster, and ends when nobody needs it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
from dataclasses import dataclass

from tornado.httpserver import HTTPServer

from . import certs
from .addresses import Addresses
from .api.endpoints.api import Api
from .api.http import guard, kubeletproxy, nodepower
from .api.http.server import Door
from .api.inprocess import InProcess
from .api.objects import bootstrap
from .api.objects.rest import Rest
from .api.schema.documents import OpenApi
from .apimachinery.client import Client
from .apimachinery.jsontypes import now
from .controllers.manager import Controllers
from .controllers.nodelifecycle import NodeWaits
from .images.imagestore import Images, remove_tree
from .kubelet import authorization
from .kubelet import server as kubelet_server
from .kubelet.kubelet import Kubelet
from .kubelet.processes import Processes
from .kubeproxy import KubeProxy
from .lifecycle import installation
from .locks import lock_file, owner_alive
from .paths import State, plain_link
from .settings import seconds
from .store import Store

log = logging.getLogger(__name__)

_OWNER_CHECK_SECONDS = 1.0
_STOP_SECONDS = 2.0


@dataclass
class _Node:
    """A kubelet, its server, and the task in which it runs."""

    kubelet: Kubelet
    server: HTTPServer
    work: asyncio.Task[None] | None = None

    async def lose_power(self) -> None:
        """End all of it at once."""
        if self.work is not None:
            self.work.cancel()
        self.server.stop()
        await asyncio.gather(self.kubelet.stop(), self.server.close_all_connections())


class Daemon:
    """The parts of the cluster, wired together.

    Args:
        namespace: The one that the kubeconfig's context names.
        nodes: How many nodes the cluster has: `worker-1`, `worker-2` and so on.
        linger: How many seconds it stays without an owner; None stays for ever.
        ready_fd: Gets a byte once the cluster can be used; none if negative.
    """

    def __init__(
        self, state: State, namespace: str, nodes: int, linger: float | None, ready_fd: int
    ) -> None:
        self.state = state
        self.namespace = namespace
        self.names = [f"worker-{number}" for number in range(1, nodes + 1)]
        self.linger = linger
        self.ready_fd = ready_fd
        self.stopped = asyncio.Event()
        self.processes = Processes()
        self.nodes: dict[str, _Node] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._has_folder = True

    async def run(self, making: subprocess.Popen[bytes] | None) -> None:
        """Serve until a signal comes or the last owner has been gone for long enough.

        Args:
            making: The process that makes the certificates, if there were none.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stopped.set)
        self._clean()
        link = plain_link(self.state.root.parent)
        self.processes.start(self.state.reaper_lock, link)
        # Under this path pods know their files, and scripts hold it as text.
        self.plain = State((link or self.state.root.parent) / self.state.root.name)
        self.images = Images(self.plain)
        try:
            await self._start(making)
            await self.stopped.wait()
        finally:
            await self._stop()

    def _clean(self) -> None:
        """Remove what a daemon that crashed left behind."""
        for path in list(self.state.pods.iterdir()):
            remove_tree(path)
        for path in (self.state.info, self.state.kubeconfig):
            path.unlink(missing_ok=True)

    async def _start(self, making: subprocess.Popen[bytes] | None) -> None:
        state = self.state
        self.images.prepare()
        self.images.prune()
        self.addresses = Addresses(str(state.root), self.images.ports())
        store = Store()
        rest = Rest(store, self.addresses)
        credentials = certs.load(state.root, making)
        application = guard.Guarded(credentials.token)
        self.server, port = guard.listen(application, credentials.server_context)
        url = f"https://127.0.0.1:{port}"
        bootstrap.create_system_objects(rest, port)
        api = Api(rest, OpenApi())
        client = Client(InProcess(api, url))
        secret = secrets.token_urlsafe(32)
        backoff = seconds(os.environ, "LOCALCLUSTER_JOB_BACKOFF_SECONDS", 10)
        waits = NodeWaits.from_environment(os.environ)
        for name in self.names:
            kubelet = Kubelet(client, self.plain, self.addresses, self.images, self.processes, name)
            listening, kubelet.node.port = kubelet_server.listen(
                kubelet, credentials.server_context, authorization.by_token(secret)
            )
            kubelet.node.renew_seconds = waits.renew_seconds
            self.nodes[name] = _Node(kubelet, listening)
        authority = credentials.ca_pem.decode()
        self.controllers = Controllers(client, backoff, authority, waits)
        self.proxy = KubeProxy(client, self.addresses)
        routes = kubeletproxy.routes(
            store, kubeletproxy.KubeletCredentials(secret, credentials.client_context())
        )
        application.add_handlers(
            r".*", [*routes, nodepower.route(self.kill_node), (r".*", Door, {"api": api})]
        )
        self.processes.ready()
        for node in self.nodes.values():
            node.work = asyncio.create_task(node.kubelet.run())
        for part in (self.controllers.run(), self.proxy.run()):
            self._tasks.append(asyncio.create_task(part))
        self._tasks.append(asyncio.create_task(self._watch_folder()))
        if self.linger is not None:
            self._tasks.append(asyncio.create_task(self._watch_owners(self.linger)))
        while not all(node.kubelet.node.registered for node in self.nodes.values()):
            await asyncio.sleep(0.002)
        certs.write_kubeconfig(state.kubeconfig, url, credentials, self.namespace)
        self._write_info(url)
        if self.ready_fd >= 0:
            os.write(self.ready_fd, b"r")
            os.close(self.ready_fd)
        self._tasks.append(asyncio.create_task(self._keep_count()))

    async def kill_node(self, name: str) -> bool:
        """Cut a node's power: nothing of it runs any more, and the API is not told.

        Returns:
            Whether there was one of that name.
        """
        node = self.nodes.pop(name, None)
        if node is not None:
            await node.lose_power()
            self._count()
        return node is not None

    def _write_info(self, url: str) -> None:
        about = {"pid": os.getpid(), "server": url, "started_at": now(), "copy": installation()}
        self._info = {**about, "nodes": len(self.nodes), "pods": 0}
        self._save_info()

    def _save_info(self) -> None:
        draft = self.state.info.with_name("daemon.json.new")
        draft.write_text(json.dumps(self._info), "utf-8")
        draft.chmod(0o600)
        draft.replace(self.state.info)

    async def _keep_count(self) -> None:
        """Keep the numbers of nodes and of running pods where `status` finds them."""
        while True:
            self._count()
            await asyncio.sleep(1.0)

    def _count(self) -> None:
        found = {"nodes": len(self.nodes), "pods": self.processes.running_pods()}
        if not found.items() <= self._info.items():
            self._info |= found
            with contextlib.suppress(OSError):  # The next second may find room on the disk.
                self._save_info()

    async def _watch_folder(self) -> None:
        """Stop the daemon when its folder is gone: nobody could find or stop it any more."""
        own = self.state.daemon_lock.stat().st_ino
        while True:
            await asyncio.sleep(_OWNER_CHECK_SECONDS)
            try:
                if self.state.daemon_lock.stat().st_ino == own:
                    continue
            except FileNotFoundError:
                pass
            except OSError:
                continue
            log.error("the folder %s was removed: the cluster ends", self.state.root)
            self._has_folder = False
            self.stopped.set()
            return

    async def _watch_owners(self, linger: float) -> None:
        """Stop the daemon when no owner has been alive for `linger` seconds."""
        loop = asyncio.get_running_loop()
        seen = loop.time()
        while True:
            await asyncio.sleep(min(_OWNER_CHECK_SECONDS, max(linger / 2, 0.05)))
            if not self.state.owners.is_dir():
                continue  # `_watch_folder` sees to that.
            if owner_alive(self.state):
                seen = loop.time()
                continue
            if loop.time() - seen < linger:
                continue
            # Nobody can become an owner while we hold this lock and decide.
            lock = lock_file(self.state.start_lock, wait=False)
            if lock is None:
                continue
            try:
                if not owner_alive(self.state):
                    self.state.info.unlink(missing_ok=True)
                    log.info("no owner is left: the cluster ends")
                    self.stopped.set()
                    return
            finally:
                os.close(lock)

    async def _stop(self) -> None:
        if self._has_folder:
            self.state.info.unlink(missing_ok=True)
        with contextlib.suppress(Exception):
            await asyncio.gather(*(n.kubelet.stop(_STOP_SECONDS) for n in self.nodes.values()))
        for task in [*self._tasks, *(n.work for n in self.nodes.values() if n.work)]:
            task.cancel()
        if hasattr(self, "proxy"):
            self.controllers.close()
            self.proxy.close()
        self.processes.stop()
        if hasattr(self, "server"):
            self.server.stop()
        for node in self.nodes.values():
            node.server.stop()
        if not self._has_folder:
            return  # What lies there now is another cluster's.
        for path in list(self.state.pods.iterdir()):
            with contextlib.suppress(OSError):
                remove_tree(path)
        self.state.kubeconfig.unlink(missing_ok=True)
