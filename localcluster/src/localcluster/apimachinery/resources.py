"""The resources that the API knows, as discovery announces them."""

from __future__ import annotations

from dataclasses import dataclass, field

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
            return "get", "patch", "update"
        return self.subresources.get(subresource, ()) if subresource else self.verbs

    @property
    def name(self) -> str:
        """Return the key in the store, which is unique over the groups."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_CREATED = ("create",)
_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
_RBAC = "rbac.authorization.k8s.io"

ALL = [
    Resource("bindings", "Binding", verbs=_CREATED),
    Resource("configmaps", "ConfigMap", short=("cm",)),
    Resource("endpoints", "Endpoints", short=("ep",), singular="endpoints"),
    Resource("events", "Event", short=("ev",)),
    Resource(
        "namespaces",
        "Namespace",
        namespaced=False,
        short=("ns",),
        status=True,
        subresources={"finalize": ("update",)},
        verbs=tuple(verb for verb in VERBS if verb != "deletecollection"),
    ),
    Resource("nodes", "Node", namespaced=False, short=("no",), status=True),
    Resource(
        "pods",
        "Pod",
        short=("po",),
        categories=("all",),
        status=True,
        subresources={
            "attach": ("create", "get"),
            "binding": ("create",),
            "ephemeralcontainers": ("get", "patch", "update"),
            "eviction": ("create",),
            "exec": ("create", "get"),
            "log": ("get",),
            "portforward": ("create", "get"),
            "resize": ("get", "patch", "update"),
        },
    ),
    Resource("limitranges", "LimitRange", short=("limits",), idle="enforce"),
    Resource(
        "persistentvolumes",
        "PersistentVolume",
        namespaced=False,
        short=("pv",),
        status=True,
        idle="provide",
    ),
    Resource(
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        short=("pvc",),
        status=True,
        idle="bind",
    ),
    Resource(
        "replicationcontrollers",
        "ReplicationController",
        short=("rc",),
        categories=("all",),
        status=True,
        idle="run",
    ),
    Resource(
        "resourcequotas", "ResourceQuota", short=("quota",), status=True, idle="enforce all of"
    ),
    Resource("secrets", "Secret"),
    Resource("serviceaccounts", "ServiceAccount", short=("sa",)),
    Resource("services", "Service", short=("svc",), categories=("all",), status=True),
    Resource(
        "deployments",
        "Deployment",
        "apps",
        short=("deploy",),
        categories=("all",),
        status=True,
        subresources={"scale": ("get", "patch", "update")},
    ),
    Resource(
        "replicasets",
        "ReplicaSet",
        "apps",
        short=("rs",),
        categories=("all",),
        status=True,
        subresources={"scale": ("get", "patch", "update")},
    ),
    Resource(
        "daemonsets",
        "DaemonSet",
        "apps",
        short=("ds",),
        categories=("all",),
        status=True,
        idle="run",
    ),
    Resource(
        "statefulsets",
        "StatefulSet",
        "apps",
        short=("sts",),
        categories=("all",),
        status=True,
        subresources={"scale": ("get", "patch", "update")},
        idle="run",
    ),
    Resource(
        "selfsubjectreviews",
        "SelfSubjectReview",
        _AUTHENTICATION,
        namespaced=False,
        verbs=_CREATED,
    ),
    Resource(
        "localsubjectaccessreviews", "LocalSubjectAccessReview", _AUTHORIZATION, verbs=_CREATED
    ),
    Resource(
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        _AUTHORIZATION,
        namespaced=False,
        verbs=_CREATED,
    ),
    Resource(
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        _AUTHORIZATION,
        namespaced=False,
        verbs=_CREATED,
    ),
    Resource(
        "subjectaccessreviews",
        "SubjectAccessReview",
        _AUTHORIZATION,
        namespaced=False,
        verbs=_CREATED,
    ),
    Resource("jobs", "Job", "batch", categories=("all",), status=True),
    Resource(
        "cronjobs",
        "CronJob",
        "batch",
        short=("cj",),
        categories=("all",),
        status=True,
    ),
    Resource(
        "ingresses", "Ingress", "networking.k8s.io", short=("ing",), status=True, idle="serve"
    ),
    Resource(
        "ipaddresses",
        "IPAddress",
        "networking.k8s.io",
        namespaced=False,
        short=("ip",),
        idle="reserve",
    ),
    Resource(
        "networkpolicies", "NetworkPolicy", "networking.k8s.io", short=("netpol",), idle="enforce"
    ),
    Resource(
        "servicecidrs",
        "ServiceCIDR",
        "networking.k8s.io",
        namespaced=False,
        status=True,
        idle="allocate from",
    ),
    Resource(
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        "policy",
        short=("pdb",),
        status=True,
    ),
    Resource("clusterroles", "ClusterRole", _RBAC, namespaced=False, idle="enforce"),
    Resource("clusterrolebindings", "ClusterRoleBinding", _RBAC, namespaced=False, idle="enforce"),
    Resource("roles", "Role", _RBAC, idle="enforce"),
    Resource("rolebindings", "RoleBinding", _RBAC, idle="enforce"),
    Resource(
        "priorityclasses",
        "PriorityClass",
        "scheduling.k8s.io",
        namespaced=False,
        short=("pc",),
        idle="enforce",
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
    for resource in ALL:
        versions = found.setdefault(resource.group, []) if resource.group else [resource.version]
        if resource.version not in versions:
            versions.append(resource.version)
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
