"""The objects of one learner: namespace, quota, limits, rights, and where the progress goes. Pure.

Nothing here carries the label by which `Cluster.clean_up` finds what it deletes, so the
learner's own reset cells leave it all alone.
"""

from __future__ import annotations

from typing import Any

from ...cluster.namespaces import IMAGES, IMAGES_ARE_THERE
from .names import Learner

Object = dict[str, Any]

ACCOUNT = "learner"
PROGRESS = "wqlib-progress"

# What a worker asks for in notebooks/manifests/job.yaml, and Redis in redis.yaml.
CPU_MILLI, MEMORY_MIB, LIMIT_MIB = 50, 32, 128
REDIS_MEMORY_MIB = 64
# What redis-durable.yaml asks for, the largest that the course has.
LARGEST_CPU_MILLI, LARGEST_MIB = 250, 768
JOBS, SMALL_OBJECTS, SERVICES, DISKS, DISK_GIB = 100, 100, 10, 2, 2

_ALL, _LOOK = "get list watch create patch delete", "get list watch"


def _rule(group: str, resources: str, verbs: str, **only: list[str]) -> Object:
    what = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}
    return what | only


# What the notebooks and `wqlib.cluster` do, and no more. Not included: rights (Roles,
# ServiceAccounts and their tokens), other namespaces, anything that is cluster-wide.
RULES = [
    _rule("", "pods services configmaps secrets persistentvolumeclaims", _ALL),
    _rule("", "pods/log", "get"),
    # A WebSocket begins with GET, and SPDY, which older kubectls speak, with POST.
    _rule("", "pods/exec pods/portforward", "get create"),
    _rule("", "events resourcequotas limitranges", _LOOK),
    _rule("batch", "jobs", _ALL),
    _rule("apps", "deployments replicasets statefulsets", _ALL),
    _rule("apps", "deployments/scale replicasets/scale statefulsets/scale", "get patch"),
    _rule("networking.k8s.io", "networkpolicies", _ALL),
]


def namespace(learner: Learner) -> Object:
    """Return the namespace. `baseline` lets no pod reach for the node that it runs on.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    labels = {**learner.labels, "pod-security.kubernetes.io/enforce": "baseline"}
    annotations = {IMAGES: IMAGES_ARE_THERE}
    return {"metadata": {"name": learner.namespace, "labels": labels, "annotations": annotations}}


def quota(learner: Learner, pods: int) -> Object:
    """Return how much the learner may use at once: that many pods like the worker's, and Redis.

    Load balancers and node ports, which cost money or open doors, are excluded.
    """
    hard = {
        "pods": pods,
        "requests.cpu": f"{pods * CPU_MILLI + LARGEST_CPU_MILLI}m",
        "requests.memory": f"{pods * MEMORY_MIB + LARGEST_MIB}Mi",
        "limits.memory": f"{pods * LIMIT_MIB + LARGEST_MIB}Mi",
        "services": SERVICES,
        "services.loadbalancers": 0,
        "services.nodeports": 0,
        "persistentvolumeclaims": DISKS,
        "requests.storage": f"{DISKS * DISK_GIB}Gi",
        "count/jobs.batch": JOBS,
        "count/configmaps": SMALL_OBJECTS,
        "count/secrets": SMALL_OBJECTS,
    }
    return _named(learner, "class", spec={"hard": {key: str(hard[key]) for key in hard}})


def limits(learner: Learner) -> Object:
    """Return what a container gets that does not say, and the most that one may ask for."""
    container = {
        "type": "Container",
        "default": {"memory": f"{LIMIT_MIB}Mi"},
        "defaultRequest": {"cpu": f"{CPU_MILLI}m", "memory": f"{MEMORY_MIB}Mi"},
        "max": {"memory": f"{LARGEST_MIB}Mi"},
    }
    return _named(learner, "class", spec={"limits": [container]})


def account(learner: Learner) -> Object:
    """Return the account that the learner's kubeconfig logs in with. Pods do not get its token."""
    return _named(learner, ACCOUNT, automountServiceAccountToken=False)


def role(learner: Learner) -> Object:
    """Return the rights of the learner, all of them in the learner's own namespace."""
    own = _rule("", "namespaces", "get", resourceNames=[learner.namespace])
    return _named(learner, ACCOUNT, rules=[*RULES, own])


def role_binding(learner: Learner) -> Object:
    """Return what gives the learner these rights."""
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": learner.namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT}
    return _named(learner, ACCOUNT, subjects=[subject], roleRef=reference)


def progress(learner: Learner) -> Object:
    """Return where the learner's progress is published; see `progress.py`."""
    return _named(learner, PROGRESS)


def lasting_token(learner: Learner) -> Object:
    """Return a Secret that the cluster fills with a token that never ends."""
    annotations = {"kubernetes.io/service-account.name": ACCOUNT}
    secret = _named(learner, f"{ACCOUNT}-token", type="kubernetes.io/service-account-token")
    secret["metadata"]["annotations"] = annotations
    return secret


def _named(learner: Learner, name: str, **content: Any) -> Object:
    return {"metadata": {"name": name, "labels": learner.labels}, **content}
