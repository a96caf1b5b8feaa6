"""Defaults by type: what the API fills in wherever an object leaves a field out.

Those that the schema names are mostly zero values, as the real server reads them: a missing text
is an empty one. Whether that is allowed is a matter of validation, which then needs not ask for
each field whether it is there. The others are in a table here.
"""

from __future__ import annotations

import functools
from typing import Any

from ...apimachinery.jsontypes import Obj
from ..schema import schema
from ..schema.schema import Type

_ZERO = {"string": "", "integer": 0, "number": 0, "boolean": False, "quantity": "0", "bytes": ""}
_CONTAINER: Obj = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_FILES = {"defaultMode": 420}
_RBAC = {"apiGroup": "rbac.authorization.k8s.io"}
_TCP = {"protocol": "TCP"}
_TABLE: dict[str, Obj] = {
    "apps.v1.DaemonSetSpec": {"revisionHistoryLimit": 10},
    "apps.v1.DaemonSetUpdateStrategy": {"type": "RollingUpdate"},
    "apps.v1.DeploymentSpec": {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    },
    "apps.v1.DeploymentStrategy": {"type": "RollingUpdate"},
    "apps.v1.ReplicaSetSpec": {"replicas": 1},
    "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy": {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    },
    "apps.v1.StatefulSetSpec": {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "revisionHistoryLimit": 10,
        "persistentVolumeClaimRetentionPolicy": {},
    },
    "apps.v1.StatefulSetUpdateStrategy": {"type": "RollingUpdate"},
    "batch.v1.CronJobSpec": {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    },
    "batch.v1.PodFailurePolicyOnPodConditionsPattern": {"status": "True"},
    "core.v1.ConfigMapVolumeSource": _FILES,
    "core.v1.Container": _CONTAINER,
    "core.v1.DownwardAPIVolumeSource": _FILES,
    "core.v1.EndpointPort": _TCP,
    "core.v1.EphemeralContainer": _CONTAINER,
    "core.v1.GRPCAction": {"service": ""},
    "core.v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core.v1.HostPathVolumeSource": {"type": ""},
    "core.v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.v1.PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "core.v1.PersistentVolumeSpec": {
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
    },
    "core.v1.PodCertificateProjection": {"maxExpirationSeconds": 86400},
    "core.v1.PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    },
    "core.v1.Probe": {
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    },
    "core.v1.ProjectedVolumeSource": _FILES,
    "core.v1.ReplicationControllerSpec": {"template": {}},
    "core.v1.ResourceFieldSelector": {"divisor": "0"},
    "core.v1.Secret": {"type": "Opaque"},
    "core.v1.SecretVolumeSource": _FILES,
    "core.v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core.v1.ServiceSpec": {"type": "ClusterIP", "sessionAffinity": "None"},
    "discovery.v1.EndpointPort": {"name": "", **_TCP},
    "networking.v1.NetworkPolicyPort": _TCP,
    "networking.v1.NetworkPolicySpec": {"podSelector": {}},
    "policy.v1.PodDisruptionBudget": {"spec": {}},
    "rbac.v1.RoleRef": _RBAC,
    "scheduling.v1.PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
}


def fill(obj: Obj, before: Obj | None) -> Obj:
    """Give the object the default of each field that it leaves out, and return it.

    Args:
        obj: An object of our own, which has been checked; it is changed.
        before: What was stored so far; the parts that are the same are complete.
    """
    kind = schema.of(obj)
    for key in kind.composed.keys() & obj.keys():
        if before is None or key not in before or before[key] != obj[key]:
            _fill(obj[key], kind.composed[key])
    _fill_missing(obj, kind)
    return obj


def zero_value(kind: Type) -> Any:
    """Return the value of a type that was not given."""
    return _filled({}, kind) if kind.type == "struct" else _ZERO.get(kind.type)


@functools.cache
def _defaults(kind: Type) -> Obj:
    """Return the defaults of a struct's fields."""
    named = {key: one.default for key, one in kind.defaults.items()}
    return named | _TABLE.get(kind.name.removeprefix("io.k8s.api."), {})


def _fill_missing(struct: Obj, kind: Type) -> None:
    for key, default in _defaults(kind).items():
        value = struct.get(key)
        if value is None or (value == "" and default):
            struct[key] = _filled({}, kind.part(key)) if default == {} else default


def _filled(value: Any, kind: Type) -> Any:
    _fill(value, kind)
    return value


def _fill(value: Any, kind: Type) -> None:
    if kind.type == "struct":
        if isinstance(value, dict):
            for key in kind.composed.keys() & value.keys():
                _fill(value[key], kind.composed[key])
            _fill_missing(value, kind)
    elif kind.items:
        for one in value.values() if isinstance(value, dict) else value or ():
            _fill(one, kind.items)
