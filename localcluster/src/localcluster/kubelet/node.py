"""The Node object: how the kubelet announces its machine, and shows that it lives.

https://kubernetes.io/docs/reference/node/node-status/
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import shutil
from pathlib import Path

from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import Client
from ..apimachinery.jsontypes import Obj, now, now_micro
from ..apimachinery.quantities import quantity
from ..apimachinery.version import GIT_VERSION
from ..errors import ClusterError

log = logging.getLogger(__name__)

_LABEL = "localcluster/stand-in"
_LEASE_SECONDS = 40
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_NO_PRESSURE = {
    "Memory": ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "Disk": ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PID": ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
}


class Node:
    """The Node of one kubelet.

    Args:
        address: Where the machine is reached.
        folder: Where the files of its pods lie.

    Attributes:
        port: Where the kubelet's own server listens; set before `register`.
        taints: What pods have to tolerate to come here.
        renew_seconds: How often the kubelet shows that it lives.
        registered: Whether the cluster has the Node.
    """

    def __init__(self, client: Client, name: str, address: str, folder: Path) -> None:
        self.client = client
        self.name = name
        self.address = address
        self.folder = folder
        self.port = 0
        self.taints: list[Obj] = []
        self.renew_seconds = 10.0
        self.registered = False
        self._lease: Obj | None = None

    async def register(self) -> None:
        """Create the Node, or take over the one of an earlier kubelet; say that it is ready.

        Raises:
            ClusterError: The Node is another machine's.
        """
        path = f"/api/v1/nodes/{self.name}"
        spec = {"taints": self.taints} if self.taints else {}
        try:
            await self.client.create("/api/v1/nodes", {**_node(self.name), "spec": spec})
        except ApiError as error:
            if error.code != 409:
                raise
            labels = (await self.client.get(path))["metadata"].get("labels") or {}
            if _LABEL not in labels:
                raise ClusterError(
                    f"The cluster has a node {self.name} that is a real one. Choose another name."
                ) from None
            await self.client.patch(path, {"spec": {"taints": self.taints or None}})
        self.registered = True
        await self._post_status()

    async def renew_lease(self) -> None:
        """Renew the Node's Lease for ever: without it a control plane thinks the node dead."""
        while True:
            try:
                await self._renew()
                await self._reconcile_status()
            except ApiError as error:
                self._lease = None
                # As long as somebody has deleted the Node, this goes on.
                level = logging.DEBUG if error.code == 404 else logging.WARNING
                log.log(level, "the lease of node %s: %s", self.name, error)
            except OSError as error:
                log.warning("the lease of node %s: %s", self.name, error)
            await asyncio.sleep(self.renew_seconds)

    async def deregister(self) -> None:
        """Take the Node and its Lease away."""
        for path in (f"/api/v1/nodes/{self.name}", f"{_LEASES}/{self.name}"):
            try:
                await self.client.delete(path)
            except (ApiError, OSError) as error:
                log.warning("leaving: %s", error)

    async def _reconcile_status(self) -> None:
        """Say again that the node is ready, if the control plane came to believe that it is not."""
        node = await self.client.get(f"/api/v1/nodes/{self.name}")
        conditions = (node.get("status") or {}).get("conditions") or []
        if not any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            await self._post_status()

    async def _post_status(self) -> None:
        await self.client.patch(f"/api/v1/nodes/{self.name}/status", {"status": self._status()})

    async def _renew(self) -> None:
        if self._lease is None:
            try:
                self._lease = await self.client.get(f"{_LEASES}/{self.name}")
            except ApiError as error:
                if error.code != 404:
                    raise
                self._lease = await self.client.create(_LEASES, await self._new_lease())
                return
        change = {"spec": {"renewTime": now_micro()}}
        self._lease = await self.client.patch(f"{_LEASES}/{self.name}", change)

    async def _new_lease(self) -> Obj:
        node = await self.client.get(f"/api/v1/nodes/{self.name}")
        owner = {
            "apiVersion": "v1",
            "kind": "Node",
            "name": self.name,
            "uid": node["metadata"]["uid"],
        }
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self.name,
                "namespace": "kube-node-lease",
                "ownerReferences": [owner],
            },
            "spec": {
                "holderIdentity": self.name,
                "leaseDurationSeconds": _LEASE_SECONDS,
                "renewTime": now_micro(),
            },
        }

    def _status(self) -> Obj:
        found = capacity(self.folder)
        conditions = [
            _condition(f"{kind}Pressure", False, reason, message)
            for kind, (reason, message) in _NO_PRESSURE.items()
        ]
        ready = "kubelet is posting ready status"
        return {
            "capacity": found,
            "allocatable": found,
            "conditions": [*conditions, _condition("Ready", True, "KubeletReady", ready)],
            "addresses": [
                {"type": "InternalIP", "address": self.address},
                {"type": "Hostname", "address": self.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "nodeInfo": {
                "architecture": _architecture(),
                "bootID": "",
                "containerRuntimeVersion": f"process://{platform.python_version()}",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": GIT_VERSION,
                "kubeletVersion": GIT_VERSION,
                "machineID": "",
                "operatingSystem": platform.system().lower(),
                "osImage": "local stand-in: pods are processes",
                "systemUUID": "",
            },
        }


def _condition(kind: str, holds: bool, reason: str, message: str) -> Obj:
    moment = now()
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "lastHeartbeatTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


def capacity(folder: Path) -> Obj:
    """Return how much this machine has for pods, whose files lie in `folder`."""
    return {
        "cpu": str(os.cpu_count() or 1),
        "ephemeral-storage": f"{shutil.disk_usage(folder).total // 1024}Ki",
        "memory": f"{_memory_kib()}Ki",
        "pods": "1000",
    }


def lacking(spec: Obj, available: Obj) -> str:
    """Return what a pod asks for more than a node has, as a real kubelet says it; or nothing."""
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    requests = [
        (c.get("resources") or {}).get("requests") or {} for c in [*spec["containers"], *sidecars]
    ]
    for name, unit in (("memory", 1), ("cpu", 1000)):
        wanted = round(unit * sum(quantity(asked.get(name, 0)) for asked in requests))
        most = round(unit * quantity(available[name]))
        if wanted > most:
            what = f"{name}, requested: {wanted}, capacity: {most}"
            return f"Node didn't have enough capacity: {what}"
    return ""


def _memory_kib() -> int:
    """Return the machine's memory, or 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    except (ValueError, OSError):
        return 0


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _node(name: str) -> Obj:
    system, machine = platform.system().lower(), _architecture()
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": machine,
                "beta.kubernetes.io/os": system,
                "kubernetes.io/arch": machine,
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": system,
                _LABEL: "true",
            },
            "annotations": {
                "localcluster/what-this-is": (
                    "a stand-in for one machine: pods are plain processes, without isolation"
                    " or a network of their own"
                )
            },
        },
    }
