"""The controllers besides the Job controller, and what starts them all.

Scheduler, garbage collector, namespaces and endpoints. Each follows the API and writes to the
API; none knows of the others.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from wqlib.localcluster import resources
from wqlib.localcluster.client import MERGE, Client, pod_path
from wqlib.localcluster.informer import Informer, Key, Recorder, WorkQueue
from wqlib.localcluster.jobs import JobController
from wqlib.localcluster.jsontypes import Obj, controller_of
from wqlib.localcluster.kubelet import NODE, real_ports
from wqlib.localcluster.resources import Resource
from wqlib.localcluster.selectors import labels
from wqlib.localcluster.status import ApiError

log = logging.getLogger(__name__)


def path_of(resource: Resource, namespace: str = "", name: str = "") -> str:
    """Return the path of a resource, or of one object."""
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else "/api/v1"
    if namespace:
        base += f"/namespaces/{namespace}"
    return f"{base}/{resource.plural}" + (f"/{name}" if name else "")


@dataclass
class Controllers:
    """All controllers over one set of informers."""

    client: Client
    first_backoff: float = 10.0
    informers: dict[str, Informer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        followed = [r for r in resources.ALL if r.plural not in ("bindings", "events")]
        for resource in followed:
            self.informers[resource.name] = Informer(self.client, path_of(resource))
        pods, jobs = self.informers["pods"], self.informers["jobs.batch"]
        services, namespaces = self.informers["services"], self.informers["namespaces"]
        self.jobs = JobController(self.client, jobs, pods, self.first_backoff)
        self.scheduler = Scheduler(self.client, pods, self.informers["nodes"])
        self.endpoints = Endpoints(self.client, services, pods)
        self.garbage = Garbage(self.client, self.informers)
        self.namespaces = Namespaces(self.client, namespaces)
        jobs.on_change = self._both(self.jobs.job_changed, self.garbage.changed)
        pods.on_change = self._both(
            self.jobs.pod_changed,
            self.scheduler.pod_changed,
            self.endpoints.pod_changed,
            self.garbage.changed,
        )
        services.on_change = self._both(self.endpoints.service_changed, self.garbage.changed)
        namespaces.on_change = self._both(self.namespaces.changed)
        self.informers["nodes"].on_change = self.scheduler.node_changed
        for name, informer in self.informers.items():
            if name not in ("jobs.batch", "pods", "services", "namespaces", "nodes"):
                informer.on_change = self.garbage.changed

    @staticmethod
    def _both(*followers: object) -> object:
        def tell(old: Obj | None, new: Obj | None) -> None:
            for follower in followers:
                follower(old, new)  # type: ignore[operator]

        return tell

    async def run(self) -> None:
        """Run all controllers for ever."""
        recorders = [self.jobs.recorder, self.scheduler.recorder]
        work = [*(i.run() for i in self.informers.values()), *(r.run() for r in recorders)]
        await asyncio.gather(*work)

    def close(self) -> None:
        for queue in (
            self.jobs.queue,
            self.scheduler.queue,
            self.endpoints.queue,
            self.garbage.queue,
            self.namespaces.queue,
        ):
            queue.close()


@dataclass
class Scheduler:
    """Gives each pod to the one node there is, if it may run there."""

    client: Client
    pods: Informer
    nodes: Informer

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.client, "default-scheduler")
        self.queue = WorkQueue(self._bind)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None and not new["spec"].get("nodeName"):
            self.queue.add((new["metadata"]["namespace"], new["metadata"]["name"]))

    def node_changed(self, old: Obj | None, new: Obj | None) -> None:
        for pod in self.pods.objects.values():
            self.pod_changed(None, pod)

    async def _bind(self, key: Key) -> None:
        pod, node = self.pods.get(*key), self.nodes.get("", NODE)
        if pod is None or node is None or pod["spec"].get("nodeName"):
            return
        if pod["metadata"].get("deletionTimestamp"):
            return
        why = self._unfit(pod, node)
        if why:
            await self._refuse(pod, why)
            return
        namespace, name = key
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        try:
            await self.client.create(pod_path(namespace, name, "binding"), binding)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return
        text = f"Successfully assigned {namespace}/{name} to {NODE}"
        self.recorder.event(pod, "Scheduled", text)

    def _unfit(self, pod: Obj, node: Obj) -> str:
        wanted, found = pod["spec"].get("nodeSelector") or {}, labels(node)
        if any(found.get(key) != value for key, value in wanted.items()):
            return "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
        if node["spec"].get("unschedulable"):
            return "0/1 nodes are available: 1 node(s) were unschedulable."
        return ""

    async def _refuse(self, pod: Obj, why: str) -> None:
        conditions = (pod["status"].get("conditions")) or []
        if any(c["type"] == "PodScheduled" and c.get("message") == why for c in conditions):
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": why,
            "lastProbeTime": None,
            "lastTransitionTime": pod["metadata"]["creationTimestamp"],
        }
        path = pod_path(pod["metadata"]["namespace"], pod["metadata"]["name"], "status")
        await self.client.patch(path, {"status": {"conditions": [condition]}}, MERGE)
        self.recorder.event(pod, "FailedScheduling", why, kind="Warning")


@dataclass
class Garbage:
    """Deletes what has lost its owner, and carries out Orphan and Foreground deletions.

    https://kubernetes.io/docs/concepts/architecture/garbage-collection/
    """

    client: Client
    informers: dict[str, Informer]

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self._work)
        self._kinds: dict[str, tuple[str, Key]] = {}

    def changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        resource = resources.find_kind(obj["apiVersion"], obj["kind"])
        if resource is None:
            return
        uid, metadata = obj["metadata"]["uid"], obj["metadata"]
        if new is None:
            self._kinds.pop(uid, None)
            for child in self._dependents(uid):
                self._note(child)
            for reference in metadata.get("ownerReferences") or []:
                self._look_at_owner(reference["uid"])
        elif metadata.get("ownerReferences") or metadata.get("deletionTimestamp"):
            self._note(obj)
            for reference in metadata.get("ownerReferences") or []:
                if metadata.get("deletionTimestamp"):
                    self._look_at_owner(reference["uid"])

    def _note(self, obj: Obj) -> None:
        resource = resources.find_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        metadata = obj["metadata"]
        self._kinds[metadata["uid"]] = (
            resource.name,
            (metadata.get("namespace", ""), metadata["name"]),
        )
        self.queue.add(("", metadata["uid"]))

    def _look_at_owner(self, uid: str) -> None:
        if uid in self._kinds:
            self.queue.add(("", uid))

    def _dependents(self, uid: str) -> list[Obj]:
        return [
            obj
            for informer in self.informers.values()
            for obj in informer.objects.values()
            if any(r["uid"] == uid for r in obj["metadata"].get("ownerReferences") or [])
        ]

    def _exists(self, obj: Obj, reference: Obj) -> Obj | None:
        resource = resources.find_kind(reference["apiVersion"], reference["kind"])
        if resource is None or resource.name not in self.informers:
            return None
        namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
        owner = self.informers[resource.name].get(namespace, reference["name"])
        return owner if owner and owner["metadata"]["uid"] == reference["uid"] else None

    async def _work(self, key: Key) -> None:
        place = self._kinds.get(key[1])
        if place is None:
            return
        resource_name, (namespace, name) = place
        obj = self.informers[resource_name].get(namespace, name)
        if obj is None or obj["metadata"]["uid"] != key[1]:
            return
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp"):
            finalizers = metadata.get("finalizers") or []
            if "orphan" in finalizers:
                await self._orphan(obj)
            elif "foregroundDeletion" in finalizers:
                await self._foreground(obj)
            return
        references = metadata.get("ownerReferences") or []
        if not references:
            return
        owners = [self._exists(obj, reference) for reference in references]
        if any(owner is not None for owner in owners):
            return
        if not await self._really_gone(obj, references):
            return
        await self._delete(obj, "Background")

    async def _really_gone(self, obj: Obj, references: list[Obj]) -> bool:
        """Ask the API itself: the cache may not have seen a new owner yet."""
        for reference in references:
            resource = resources.find_kind(reference["apiVersion"], reference["kind"])
            if resource is None:
                continue
            namespace = obj["metadata"].get("namespace", "") if resource.namespaced else ""
            try:
                owner = await self.client.get(path_of(resource, namespace, reference["name"]))
            except ApiError as error:
                if error.code != 404:
                    raise
                continue
            if owner["metadata"]["uid"] == reference["uid"]:
                return False
        return True

    async def _orphan(self, obj: Obj) -> None:
        uid = obj["metadata"]["uid"]
        for child in self._dependents(uid):
            kept = [r for r in child["metadata"]["ownerReferences"] if r["uid"] != uid]
            await self._patch(child, {"metadata": {"ownerReferences": kept or None}})
        await self._drop_finalizer(obj, "orphan")

    async def _foreground(self, obj: Obj) -> None:
        children = self._dependents(obj["metadata"]["uid"])
        for child in children:
            if not child["metadata"].get("deletionTimestamp"):
                await self._delete(
                    child, "Foreground" if controller_of(child) is None else "Background"
                )
        blocking = [
            child
            for child in children
            if any(
                r.get("blockOwnerDeletion") and r["uid"] == obj["metadata"]["uid"]
                for r in child["metadata"].get("ownerReferences") or []
            )
        ]
        if not blocking:
            await self._drop_finalizer(obj, "foregroundDeletion")

    async def _drop_finalizer(self, obj: Obj, name: str) -> None:
        kept = [f for f in obj["metadata"].get("finalizers") or [] if f != name]
        await self._patch(obj, {"metadata": {"finalizers": kept or None}})

    async def _patch(self, obj: Obj, change: Obj) -> None:
        try:
            await self.client.patch(self._path(obj), change)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _delete(self, obj: Obj, policy: str) -> None:
        try:
            await self.client.delete(
                self._path(obj),
                propagationPolicy=policy,
                preconditions={"uid": obj["metadata"]["uid"]},
            )
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    @staticmethod
    def _path(obj: Obj) -> str:
        resource = resources.find_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        metadata = obj["metadata"]
        return path_of(resource, metadata.get("namespace", ""), metadata["name"])


@dataclass
class Namespaces:
    """Gives each namespace what every namespace has, and empties those that are deleted."""

    client: Client
    namespaces: Informer

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self._work)

    def changed(self, old: Obj | None, new: Obj | None) -> None:
        if new is not None:
            self.queue.add(("", new["metadata"]["name"]))

    async def _work(self, key: Key) -> None:
        namespace = self.namespaces.get(*key)
        if namespace is None:
            return
        if namespace["metadata"].get("deletionTimestamp"):
            await self._empty(key[1])
            return
        path = f"/api/v1/namespaces/{key[1]}/serviceaccounts"
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": key[1]},
        }
        try:
            await self.client.create(path, account)
        except ApiError as error:
            if error.code not in (403, 404, 409):
                raise

    async def _empty(self, name: str) -> None:
        left = 0
        for resource in resources.stored_namespaced():
            await self.client.delete(path_of(resource, name), propagationPolicy="Background")
            left += len((await self.client.get(path_of(resource, name)))["items"])
        if left:
            self.queue.add_after(("", name), 0.05)
            return
        path = f"/api/v1/namespaces/{name}/finalize"
        try:
            await self.client.replace(path, {"spec": {"finalizers": []}})
        except ApiError as error:
            if error.code != 404:
                raise


@dataclass
class Endpoints:
    """Keeps each Service's list of the pods that serve it."""

    client: Client
    services: Informer
    pods: Informer

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self._work)
        self._written: dict[Key, list[Obj]] = {}

    def service_changed(self, old: Obj | None, new: Obj | None) -> None:
        obj = new or old
        assert obj is not None
        self.queue.add((obj["metadata"]["namespace"], obj["metadata"]["name"]))

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        for pod in (old, new):
            if pod is None:
                continue
            for key, service in self.services.objects.items():
                if key[0] == pod["metadata"]["namespace"] and _selects(service, pod):
                    self.queue.add(key)

    async def _work(self, key: Key) -> None:
        namespace, name = key
        service = self.services.get(namespace, name)
        path = f"/api/v1/namespaces/{namespace}/endpoints"
        if service is None:
            self._written.pop(key, None)
            try:
                await self.client.delete(f"{path}/{name}")
            except ApiError as error:
                if error.code != 404:
                    raise
            return
        if not service["spec"].get("selector"):
            return
        subsets = self._subsets(service)
        if self._written.get(key) == subsets:
            return
        body: Obj = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": dict(labels(service)),
            },
            **({"subsets": subsets} if subsets else {}),
        }
        try:
            await self.client.replace(f"{path}/{name}", body)
        except ApiError as error:
            if error.code != 404:
                raise
            await self.client.create(path, body)
        self._written[key] = subsets

    def _subsets(self, service: Obj) -> list[Obj]:
        namespace = service["metadata"]["namespace"]
        found: dict[str, Obj] = {}
        for pod in sorted(self.pods.objects.values(), key=lambda p: str(p["metadata"]["name"])):
            status, metadata = pod.get("status") or {}, pod["metadata"]
            if metadata["namespace"] != namespace or not _selects(service, pod):
                continue
            if not status.get("podIP") or status.get("phase") in ("Succeeded", "Failed"):
                continue
            if metadata.get("deletionTimestamp"):
                continue
            ready = any(
                c["type"] == "Ready" and c["status"] == "True"
                for c in status.get("conditions") or []
            ) or service["spec"].get("publishNotReadyAddresses")
            ports = _ports(service, pod)
            if not ports:
                continue
            subset = found.setdefault(str(ports), {"ports": ports})
            subset.setdefault("addresses" if ready else "notReadyAddresses", []).append(
                {
                    "ip": status["podIP"],
                    "nodeName": pod["spec"].get("nodeName"),
                    "targetRef": {
                        "kind": "Pod",
                        "name": metadata["name"],
                        "namespace": namespace,
                        "uid": metadata["uid"],
                    },
                }
            )
        return list(found.values())


def _selects(service: Obj, pod: Obj) -> bool:
    selector, found = service["spec"].get("selector") or {}, labels(pod)
    return bool(selector) and all(found.get(key) == value for key, value in selector.items())


def _ports(service: Obj, pod: Obj) -> list[Obj]:
    """Return the ports of a pod that a Service leads to."""
    named = {
        port["name"]: port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or []
        if port.get("name")
    }
    found = []
    for port in service["spec"].get("ports") or []:
        target = port.get("targetPort", port["port"])
        number = named.get(target) if isinstance(target, str) else target
        if number is None:
            continue
        real = real_ports(pod).get(str(number), number)
        entry = {"port": real, "protocol": port.get("protocol", "TCP")}
        found.append({"name": port["name"], **entry} if port.get("name") else entry)
    return found
