"""The kubelet: makes the pods that are bound to this node run, as processes.

It follows the API like a real kubelet does, and knows nothing of the store.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from wqlib.localcluster.addresses import Addresses
from wqlib.localcluster.apimachinery.apierrors import ApiError
from wqlib.localcluster.apimachinery.client import Client
from wqlib.localcluster.apimachinery.informer import Informer, Recorder
from wqlib.localcluster.apimachinery.jsontypes import Obj, now
from wqlib.localcluster.apimachinery.profile import profile
from wqlib.localcluster.images.imagestore import Images, remove_tree
from wqlib.localcluster.kubelet import podenv
from wqlib.localcluster.kubelet.following import Follower
from wqlib.localcluster.kubelet.podworker import PodWorker
from wqlib.localcluster.kubelet.processes import Processes
from wqlib.localcluster.kubelet.servicenames import ServiceNames
from wqlib.localcluster.paths import State

log = logging.getLogger(__name__)

NODE = "wqlib-local"
_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH")


@dataclass
class Kubelet:
    """Runs the pods of one node."""

    client: Client
    state: State
    addresses: Addresses
    images: Images
    processes: Processes
    workers: dict[str, PodWorker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.client, "kubelet", NODE)
        self.pods = Informer(
            self.client,
            "/api/v1/pods",
            self._pod_changed,
            {"fieldSelector": f"spec.nodeName={NODE}"},
        )
        self.services = Informer(self.client, "/api/v1/services", self._service_changed)
        self.follower = Follower(self.client)
        self.names = ServiceNames(self.state.root / "service-names")

    async def run(self) -> None:
        """Register the node, then follow its pods for ever."""
        await self._register()
        services = asyncio.create_task(self.services.run())
        recorder = asyncio.create_task(self.recorder.run())
        await self.services.synced.wait()
        try:
            await self.pods.run()
        finally:
            services.cancel()
            recorder.cancel()

    async def stop(self, seconds: float) -> None:
        """End all pods: ask them, wait a little, kill them."""
        workers = list(self.workers.values())
        for worker in workers:
            worker.abandon()
            worker.signal(signal.SIGTERM)
        tasks = [worker.task for worker in workers if not worker.task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for worker in workers:
            worker.signal(signal.SIGKILL)
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    def worker(self, namespace: str, name: str) -> PodWorker | None:
        """Return what runs the pod of that name."""
        pod = self.pods.get(namespace, name)
        return self.workers.get(pod["metadata"]["uid"]) if pod else None

    def forget(self, worker: PodWorker) -> None:
        """The pod is over and gone: remove its files."""
        worker.volumes.close()
        self.workers.pop(worker.pod["metadata"]["uid"], None)
        remove_tree(worker.folder)

    def took(self, pod: Obj) -> None:
        """Take in what an update of a pod returned."""
        self.pods.put(pod)

    async def fetch(self, plural: str, namespace: str, name: str) -> Obj:
        """Return a Secret or a ConfigMap."""
        return await self.client.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")

    def base_environment(self) -> dict[str, str]:
        """Return what every container gets; of the daemon's own environment nearly nothing."""
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {
            "LANG": "C.UTF-8",
            **passed,
            # The image's files are shared by pods and stay as they are.
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def service_environment(self, pod: Obj) -> dict[str, str]:
        """Return the variables of the Services that are there now."""
        url = urlsplit(self.client.server)
        port = {"name": "https", "port": 443}
        kubernetes = {
            "metadata": {"name": "kubernetes"},
            "spec": {"clusterIP": str(url.hostname), "ports": [port]},
        }
        api = podenv.service_environment([kubernetes], lambda _: {"443": url.port})
        if pod["spec"].get("enableServiceLinks") is False:
            return api
        namespace = pod["metadata"]["namespace"]
        services = [s for key, s in sorted(self.services.objects.items()) if key[0] == namespace]
        return api | podenv.service_environment(services, real_ports)

    def _service_changed(self, old: Obj | None, new: Obj | None) -> None:
        self.names.changed(self.services.objects, real_ports)

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is None:
            assert old is not None
            worker = self.workers.get(old["metadata"]["uid"])
            if worker:
                worker.vanish()
            return
        uid = new["metadata"]["uid"]
        worker = self.workers.get(uid)
        if worker is not None:
            worker.update(new)
        elif new["status"].get("phase") not in ("Succeeded", "Failed"):
            self.workers[uid] = worker = PodWorker(self, new)
            worker.update(new)

    async def _register(self) -> None:
        node = _node()
        try:
            await self.client.create("/api/v1/nodes", node)
        except ApiError as error:
            if error.code != 409:
                raise
        await self.client.patch(f"/api/v1/nodes/{NODE}/status", {"status": self._node_status()})

    def room(self) -> Obj:
        """Return how much the node has for pods."""
        return {
            "cpu": str(os.cpu_count() or 1),
            "ephemeral-storage": f"{_disk_kib(self.state.root)}Ki",
            "memory": f"{_memory_kib()}Ki",
            "pods": "1000",
        }

    def _node_status(self) -> Obj:
        room, moment = self.room(), now()

        def condition(kind: str, holds: bool, reason: str, message: str) -> Obj:
            return {
                "type": kind,
                "status": "True" if holds else "False",
                "lastHeartbeatTime": moment,
                "lastTransitionTime": moment,
                "reason": reason,
                "message": message,
            }

        return {
            "capacity": room,
            "allocatable": room,
            "conditions": [
                condition(
                    "MemoryPressure",
                    False,
                    "KubeletHasSufficientMemory",
                    "kubelet has sufficient memory available",
                ),
                condition(
                    "DiskPressure",
                    False,
                    "KubeletHasNoDiskPressure",
                    "kubelet has no disk pressure",
                ),
                condition(
                    "PIDPressure",
                    False,
                    "KubeletHasSufficientPID",
                    "kubelet has sufficient PID available",
                ),
                condition("Ready", True, "KubeletReady", "kubelet is posting ready status"),
            ],
            "addresses": [
                {"type": "InternalIP", "address": self.addresses.node},
                {"type": "Hostname", "address": NODE},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
            "nodeInfo": {
                "architecture": _architecture(),
                "bootID": "",
                "containerRuntimeVersion": f"process://{platform.python_version()}",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": profile().git_version,
                "kubeletVersion": profile().git_version,
                "machineID": "",
                "operatingSystem": platform.system().lower(),
                "osImage": "wqlib local stand-in: pods are processes",
                "systemUUID": "",
            },
        }


def real_ports(obj: Obj) -> Obj:
    """Return which port stands for which, where addresses are shared: {"6379": 40123}."""
    text = (obj["metadata"].get("annotations") or {}).get(podenv.PORTS_ANNOTATION, "")
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {inside: int(real) for inside, _, real in pairs}


def _memory_kib() -> int:
    """Return the machine's memory, or 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    except (ValueError, OSError):
        return 0


def _disk_kib(path: Path) -> int:
    """Return the size of the disk on which the pods' files lie."""
    return shutil.disk_usage(path).total // 1024


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _node() -> Obj:
    system, machine = platform.system().lower(), _architecture()
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "labels": {
                "beta.kubernetes.io/arch": machine,
                "beta.kubernetes.io/os": system,
                "kubernetes.io/arch": machine,
                "kubernetes.io/hostname": NODE,
                "kubernetes.io/os": system,
                "wqlib.local/stand-in": "true",
            },
            "annotations": {
                "wqlib.local/what-this-is": (
                    "a stand-in for one machine: pods are plain processes, without isolation,"
                    " limits or a network of their own"
                )
            },
        },
        "spec": {},
    }
