"""The resources that the API knows, as discovery announces them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from .jsontypes import Obj, key_of

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One kind of object: where it lies in the API, and what it is called.

    Attributes:
        verbs: What can be done with it; one that can only be created is answered, not stored.
        idle: What the cluster does not do with it; such objects are only stored, and say so.
    """

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    status: bool = False
    subresources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    singular: str = ""
    idle: str = ""
    verbs: tuple[str, ...] = VERBS

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def verbs_of(self, subresource: str) -> tuple[str, ...]:
        """Return what can be done with a subresource, or with the whole if it is empty."""
        if subresource == "status" and self.status:
            return _CHANGE
        return self.subresources.get(subresource, ()) if subresource else self.verbs

    @property
    def name(self) -> str:
        """Return the key in the store, which is unique over the groups."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_CHANGE = ("get", "patch", "update")
_SCALE = {"scale": _CHANGE}
_POD_SUBRESOURCES = {
    "attach": ("create", "get"),
    "binding": ("create",),
    "ephemeralcontainers": _CHANGE,
    "eviction": ("create",),
    "exec": ("create", "get"),
    "log": ("get",),
    "portforward": ("create", "get"),
    "resize": _CHANGE,
}
_workload = partial(Resource, categories=("all",), status=True)
_apps = partial(_workload, group="apps")
_networking = partial(Resource, group="networking.k8s.io")
_rbac = partial(Resource, group="rbac.authorization.k8s.io", idle="enforce")
_global = partial(Resource, namespaced=False)
_act = partial(Resource, verbs=("create",))
_review = partial(_act, group="authorization.k8s.io", namespaced=False)

ALL = [
    _act("bindings", "Binding"),
    Resource("configmaps", "ConfigMap", short=("cm",)),
    Resource("endpoints", "Endpoints", short=("ep",), singular="endpoints"),
    Resource("events", "Event", short=("ev",)),
    _global(
        "namespaces",
        "Namespace",
        short=("ns",),
        status=True,
        subresources={"finalize": ("update",)},
        verbs=tuple(verb for verb in VERBS if verb != "deletecollection"),
    ),
    _global("nodes", "Node", short=("no",), status=True),
    _workload("pods", "Pod", short=("po",), subresources=_POD_SUBRESOURCES),
    Resource("limitranges", "LimitRange", short=("limits",), idle="enforce"),
    _global("persistentvolumes", "PersistentVolume", short=("pv",), status=True, idle="provide"),
    Resource(
        "persistentvolumeclaims", "PersistentVolumeClaim", short=("pvc",), status=True, idle="bind"
    ),
    _workload("replicationcontrollers", "ReplicationController", short=("rc",), idle="run"),
    Resource(
        "resourcequotas", "ResourceQuota", short=("quota",), status=True, idle="enforce all of"
    ),
    Resource("secrets", "Secret"),
    Resource("serviceaccounts", "ServiceAccount", short=("sa",)),
    _workload("services", "Service", short=("svc",)),
    _apps("deployments", "Deployment", short=("deploy",), subresources=_SCALE),
    _apps("replicasets", "ReplicaSet", short=("rs",), subresources=_SCALE),
    _apps("daemonsets", "DaemonSet", short=("ds",), idle="run"),
    _apps("statefulsets", "StatefulSet", short=("sts",), subresources=_SCALE, idle="run"),
    _act("selfsubjectreviews", "SelfSubjectReview", "authentication.k8s.io", namespaced=False),
    _review("localsubjectaccessreviews", "LocalSubjectAccessReview", namespaced=True),
    _review("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    _review("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    _review("subjectaccessreviews", "SubjectAccessReview"),
    _workload("jobs", "Job", "batch"),
    _workload("cronjobs", "CronJob", "batch", short=("cj",)),
    _networking("ingresses", "Ingress", short=("ing",), status=True, idle="serve"),
    _networking("ipaddresses", "IPAddress", namespaced=False, short=("ip",), idle="reserve"),
    _networking("networkpolicies", "NetworkPolicy", short=("netpol",), idle="enforce"),
    _networking("servicecidrs", "ServiceCIDR", namespaced=False, status=True, idle="allocate from"),
    Resource("poddisruptionbudgets", "PodDisruptionBudget", "policy", short=("pdb",), status=True),
    _rbac("clusterroles", "ClusterRole", namespaced=False),
    _rbac("clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _rbac("roles", "Role"),
    _rbac("rolebindings", "RoleBinding"),
    _global(
        "priorityclasses",
        "PriorityClass",
        "scheduling.k8s.io",
        short=("pc",),
        idle="preempt running pods for",
    ),
    Resource("leases", "Lease", "coordination.k8s.io"),
    Resource("endpointslices", "EndpointSlice", "discovery.k8s.io"),
]

_BY_PATH = {(r.group, r.version, r.plural): r for r in ALL}
_BY_NAME = {r.name: r for r in ALL}
_BY_KIND = {(r.group_version, r.kind): r for r in ALL}


def find(group: str, version: str, plural: str) -> Resource | None:
    """Return the resource at a path of the API."""
    return _BY_PATH.get((group, version, plural))


def find_kind(api_version: str, kind: str) -> Resource | None:
    """Return the resource of an object's `apiVersion` and `kind`."""
    return _BY_KIND.get((api_version, kind))


def groups() -> dict[str, list[str]]:
    """Return the versions of each group outside the core one."""
    found: dict[str, list[str]] = {}
    for group, version in dict.fromkeys((r.group, r.version) for r in ALL if r.group):
        found.setdefault(group, []).append(version)
    return found


def stored_namespaced() -> list[Resource]:
    """Return what a namespace can contain."""
    return [r for r in ALL if r.namespaced and "list" in r.verbs]


def named(name: str) -> Resource:
    """Return the resource that the store knows by a name, such as `jobs.batch`."""
    return _BY_NAME[name]


def object_path(obj: Obj, subresource: str = "") -> str:
    """Return the path of an object that is there, or of something under it."""
    path = path_of(_BY_KIND[obj["apiVersion"], obj["kind"]], *key_of(obj))
    return f"{path}/{subresource}" if subresource else path


def path_of(resource: Resource, namespace: str = "", name: str = "") -> str:
    """Return the path of a resource, or of one object."""
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else "/api/v1"
    if namespace:
        base += f"/namespaces/{namespace}"
    return f"{base}/{resource.plural}" + (f"/{name}" if name else "")
