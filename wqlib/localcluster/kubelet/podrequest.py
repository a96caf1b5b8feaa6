"""What the requests about one pod have in common: finding it, and its container."""

from __future__ import annotations

from wqlib.localcluster.apimachinery import apierrors
from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.kubelet.containers import Container
from wqlib.localcluster.kubelet.kubelet import Kubelet
from wqlib.localcluster.kubelet.podworker import PodWorker
from wqlib.localcluster.store import Store


class PodRequest:
    """Finds the pod and the container that a request means."""

    store: Store
    kubelet: Kubelet

    def find(self, namespace: str, name: str) -> tuple[Obj, PodWorker]:
        """Return the pod and its worker."""
        entry = self.store.get("pods", (namespace, name))
        if entry is None:
            raise apierrors.not_found("pods", "", name)
        worker = self.kubelet.workers.get(entry.obj["metadata"]["uid"])
        if worker is None:
            raise apierrors.bad_request(f"pod {name} does not have a host assigned")
        return entry.obj, worker

    def container(self, pod: Obj, worker: PodWorker, name: str) -> Container:
        """Return the container of that name, or the only one."""
        pod_name = pod["metadata"]["name"]
        if not name:
            annotations = pod["metadata"].get("annotations") or {}
            name = annotations.get("kubectl.kubernetes.io/default-container", "")
        if not name and len(worker.main) > 1:
            names = " ".join(c.name for c in worker.main)
            raise apierrors.bad_request(
                f"a container name must be specified for pod {pod_name}, choose one of: [{names}]"
            )
        found = worker.find(name) if name else worker.main[0]
        if found is None:
            raise apierrors.bad_request(f"container {name} is not valid for pod {pod_name}")
        return found
