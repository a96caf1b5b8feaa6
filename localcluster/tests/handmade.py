"""A Node made by hand: the cluster thinks that a kubelet is there, but nobody runs its pods."""

from __future__ import annotations

import contextlib
import datetime
import threading
from typing import Any

from kubernetes import client

from .conftest import Local

_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")


def handmade_node(name: str, **labels: str) -> dict[str, Any]:
    """Return the manifest of a Node with two CPUs."""
    found = {"kubernetes.io/hostname": name, **{k.replace("_", "/"): v for k, v in labels.items()}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": found}}


class HandmadeNode(contextlib.AbstractContextManager["HandmadeNode"]):
    """A ready Node whose Lease is renewed until `die` is called.

    At the end the Node and the pods on it are removed.
    """

    def __init__(self, local: Local, name: str, **labels: str) -> None:
        self.local = local
        self.name = name
        self.labels = labels
        self.leases = client.CoordinationV1Api(local.core.api_client)
        self._dead = threading.Event()

    def __enter__(self) -> HandmadeNode:
        self.local.core.create_node(handmade_node(self.name, **self.labels))
        lease = {"metadata": {"name": self.name}, "spec": {"holderIdentity": self.name}}
        self.leases.create_namespaced_lease("kube-node-lease", lease)
        self.post_status()
        self.live()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()
        core = self.local.core
        for pod in core.list_pod_for_all_namespaces(
            field_selector=f"spec.nodeName={self.name}"
        ).items:
            core.delete_namespaced_pod(
                pod.metadata.name, pod.metadata.namespace, grace_period_seconds=0
            )
        for delete in (
            lambda: core.delete_node(self.name),
            lambda: self.leases.delete_namespaced_lease(self.name, "kube-node-lease"),
        ):
            with contextlib.suppress(client.ApiException):
                delete()

    def post_status(self) -> None:
        """Say as a kubelet does that all is well."""
        moment = datetime.datetime.now(datetime.UTC).isoformat()
        times = {"lastHeartbeatTime": moment, "lastTransitionTime": moment}
        good = [{"type": kind, "status": "False", "reason": "Enough"} for kind in _PRESSURES]
        good.append({"type": "Ready", "status": "True", "reason": "KubeletReady"})
        status = {
            "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"},
            "conditions": [{**one, **times} for one in good],
        }
        self.local.core.patch_node_status(self.name, {"status": status})

    def live(self) -> None:
        """Renew the Lease from now on."""
        self._dead = threading.Event()
        self._thread = threading.Thread(target=self._renew, args=(self._dead,))
        self._thread.start()

    def die(self) -> None:
        """Stop renewing the Lease, as if the machine had lost its power."""
        self._dead.set()
        self._thread.join()

    def _renew(self, dead: threading.Event) -> None:
        while not dead.wait(0.5):
            moment = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            change = {"spec": {"renewTime": moment}}
            self.leases.patch_namespaced_lease(self.name, "kube-node-lease", change)
