"""What the API fills in: without its defaults, `kubectl describe` stops with a panic."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from .conftest import Local, job, pod

_SAMPLES = {"string": "x", "integer": 1, "boolean": True, "object": {}}
# What a part of a pod needs besides the fields that its model requires.
_EXTRA: dict[str, Any] = {
    "azureDisk": {"diskURI": "u"},
    "configMap": {"name": "x"},
    "csi": {"driver": "x.example"},
    "emptyDir": {},
    "ephemeral": {
        "volumeClaimTemplate": {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            }
        }
    },
    "fc": {"targetWWNs": ["x"], "lun": 1},
    "image": {"reference": "x"},
    "projected": {
        "sources": [
            {"configMap": {"name": "x"}},
            {"secret": {"name": "x"}},
            {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"serviceAccountToken": {"path": "token"}},
            {"clusterTrustBundle": {"name": "x", "path": "bundle"}},
        ]
    },
    "downwardAPI": {
        "items": [
            {"path": "a", "fieldRef": {"fieldPath": "metadata.name"}},
            {
                "path": "b",
                "resourceFieldRef": {"containerName": "exec", "resource": "limits.cpu"},
            },
        ]
    },
    "scaleIO": {"volumeName": "v"},
    "secret": {"secretName": "x"},
    "storageos": {"volumeName": "v", "volumeNamespace": "n"},
    "exec": {"command": ["true"]},
}


class _Schemas:
    """The API's own description of its types, and samples of them."""

    def __init__(self, local: Local) -> None:
        document = local.request("GET", "/openapi/v3/api/v1").json
        self._schemas: dict[str, Any] = document["components"]["schemas"]

    def sample(self, schema: dict[str, Any]) -> Any:
        """Return the smallest value that a type allows."""
        schema = (schema.get("allOf") or [schema])[0]
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        if schema.get("type") == "array":
            return [self.sample(schema["items"])]
        if "properties" not in schema:
            return _SAMPLES.get(schema.get("type", ""), 1)
        fields = schema["properties"]
        return {name: self.sample(fields[name]) for name in schema.get("required", ())}

    def kinds(self, model: str) -> dict[str, Any]:
        """Return a sample of each object that is a field of a model."""
        fields = self._schemas[f"io.k8s.api.core.v1.{model}"]["properties"]
        samples = {name: self.sample(schema) for name, schema in fields.items()}
        found = {name: one for name, one in samples.items() if isinstance(one, dict)}
        return {name: {**one, **_EXTRA.get(name, {})} for name, one in found.items()}


def _everything(schemas: _Schemas) -> dict[str, Any]:
    """Return a pod with a volume of each type and with each probe and hook; it never runs."""
    volumes = schemas.kinds("Volume")
    handlers = schemas.kinds("Probe")
    hooks = schemas.kinds("LifecycleHandler")
    container = {"image": "python", "command": ["true"]}
    containers = [
        {
            **container,
            "name": kind.lower(),
            "livenessProbe": {kind: handler},
            "readinessProbe": {kind: handler},
            "startupProbe": {kind: handler},
        }
        for kind, handler in handlers.items()
    ] + [
        {
            **container,
            "name": f"hook-{kind.lower()}",
            "lifecycle": {"postStart": {kind: handler}, "preStop": {kind: handler}},
        }
        for kind, handler in hooks.items()
    ]
    env = [
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "k"}}},
        {"name": "D", "valueFrom": {"secretKeyRef": {"name": "x", "key": "k"}}},
    ]
    containers[0]["env"] = env
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "all"},
        "spec": {
            "nodeSelector": {"no": "node"},
            "containers": containers,
            "volumes": [{"name": kind.lower(), kind: value} for kind, value in volumes.items()],
        },
    }


_DEFAULTS = {
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared"},
    "configMap": {"defaultMode": 420},
    "downwardAPI": {"defaultMode": 420},
    "hostPath": {"type": ""},
    "image": {"pullPolicy": "Always"},
    "iscsi": {"iscsiInterface": "default"},
    "projected": {"defaultMode": 420},
    "rbd": {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"},
    "scaleIO": {"fsType": "xfs", "storageMode": "ThinProvisioned"},
    "secret": {"defaultMode": 420},
}


def test_every_volume_probe_and_hook_gets_its_defaults_and_is_described(
    local: Local, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    made = _everything(_Schemas(local))
    assert len(made["spec"]["volumes"]) > 25
    kubectl("create", "-f", "-", stdin=json.dumps(made))
    described = kubectl("describe", "pod", "all").stdout
    for part in (*made["spec"]["containers"], *made["spec"]["volumes"]):
        assert f"  {part['name']}:" in described
    spec = yaml.safe_load(kubectl("get", "pod", "all", "-o", "yaml").stdout)["spec"]
    volumes = {kind: value for one in spec["volumes"] for kind, value in one.items()}
    for kind, wanted in _DEFAULTS.items():
        assert wanted.items() <= volumes[kind].items(), kind
    token = next(s for s in volumes["projected"]["sources"] if "serviceAccountToken" in s)
    assert token["serviceAccountToken"]["expirationSeconds"] == 3600
    claim = volumes["ephemeral"]["volumeClaimTemplate"]
    assert claim["spec"]["volumeMode"] == "Filesystem"
    probes = {c["name"]: c.get("livenessProbe") for c in spec["containers"]}
    assert probes["grpc"]["grpc"] == {"port": 1, "service": ""}
    assert probes["httpget"]["httpGet"] == {"path": "/", "port": 1, "scheme": "HTTP"}
    assert probes["exec"]["timeoutSeconds"] == probes["exec"]["successThreshold"] == 1


_CONTAINER = {"name": "c", "image": "python", "resources": {"limits": {"cpu": "1"}}}
_TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [_CONTAINER]}}
_JOB = {"template": {"spec": {"restartPolicy": "Never", "containers": [_CONTAINER]}}}
_SELECTOR = {"matchLabels": {"a": "b"}}


@pytest.mark.parametrize(
    ("path", "spec", "defaults"),
    [
        (
            "apis/apps/v1/{}/statefulsets",
            {
                "selector": _SELECTOR,
                "template": _TEMPLATE,
                "volumeClaimTemplates": [{"metadata": {"name": "v"}}],
            },
            {
                "podManagementPolicy": "OrderedReady",
                "updateStrategy.rollingUpdate.partition": 0,
                "persistentVolumeClaimRetentionPolicy.whenScaled": "Retain",
                "volumeClaimTemplates.0.spec.volumeMode": "Filesystem",
            },
        ),
        (
            "apis/apps/v1/{}/daemonsets",
            {
                "selector": _SELECTOR,
                "template": _TEMPLATE,
                "updateStrategy": {"rollingUpdate": {"maxUnavailable": 3}},
            },
            {
                "updateStrategy.type": "RollingUpdate",
                "updateStrategy.rollingUpdate.maxSurge": 0,
                "updateStrategy.rollingUpdate.maxUnavailable": 3,
            },
        ),
        (
            "apis/batch/v1/{}/cronjobs",
            {"schedule": "@daily", "jobTemplate": {"spec": _JOB}},
            {
                "concurrencyPolicy": "Allow",
                "jobTemplate.metadata": {},
                "jobTemplate.spec.completions": None,
                "jobTemplate.spec.template.spec.terminationGracePeriodSeconds": 30,
            },
        ),
        (
            "apis/batch/v1/{}/cronjobs",
            {
                "schedule": "@daily",
                "jobTemplate": {
                    "spec": {
                        **_JOB,
                        "podFailurePolicy": {
                            "rules": [
                                {
                                    "action": "Ignore",
                                    "onPodConditions": [{"type": "DisruptionTarget"}],
                                }
                            ]
                        },
                    }
                },
            },
            {
                "jobTemplate.spec.podFailurePolicy.rules.0.onPodConditions.0.status": "True",
                "jobTemplate.spec.backoffLimit": None,
            },
        ),
        (
            "api/v1/persistentvolumes",
            {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": "/x"},
            },
            {
                "persistentVolumeReclaimPolicy": "Retain",
                "volumeMode": "Filesystem",
                "hostPath.type": "",
            },
        ),
        (
            "api/v1/{}/limitranges",
            {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]},
            {
                "limits.0.default.cpu": "2",
                "limits.0.defaultRequest.cpu": "2",
                "limits.0.defaultRequest.memory": "1Mi",
            },
        ),
        (
            "api/v1/{}/services",
            {"type": "ExternalName", "externalName": "example.com"},
            {"internalTrafficPolicy": None, "sessionAffinity": "None"},
        ),
        (
            "api/v1/{}/services",
            {"ports": [{"port": 1}], "sessionAffinity": "ClientIP"},
            {"sessionAffinityConfig.clientIP.timeoutSeconds": 10800},
        ),
        (
            "api/v1/{}/pods",
            {"containers": [{**_CONTAINER, "ports": [{"containerPort": 7}]}], "hostNetwork": True},
            {
                "containers.0.resources.requests.cpu": "1",
                "containers.0.ports.0.hostPort": 7,
                "preemptionPolicy": "PreemptLowerPriority",
                "tolerations.0.tolerationSeconds": 300,
            },
        ),
        (
            "apis/apps/v1/{}/deployments",
            {"selector": _SELECTOR, "template": _TEMPLATE},
            {
                "template.metadata": {"labels": {"a": "b"}},
                "template.spec.containers.0.resources.requests": None,
            },
        ),
    ],
)
def test_each_kind_gets_its_defaults(
    local: Local, ns: str, path: str, spec: dict[str, Any], defaults: dict[str, Any]
) -> None:
    made = {"metadata": {"name": f"defaults-{ns}"}, "spec": spec}
    reply = local.request(
        "POST", f"/{path.format(f'namespaces/{ns}')}", made, dryRun="All", fieldManager="test"
    )
    assert reply.code == 201, reply.body
    for field, value in defaults.items():
        found: Any = reply.json["spec"]
        for part in field.split("."):
            found = found[int(part)] if isinstance(found, list) else (found or {}).get(part)
        assert found == value, field


def test_a_pod_counts_the_changes_of_its_spec(local: Local, ns: str) -> None:
    created = local.core.create_namespaced_pod(
        ns, pod("g", "sleep", "60", nodeSelector={"no": "x"})
    )
    assert created.metadata.generation == 1
    for patch, generation in (
        ({"metadata": {"labels": {"x": "y"}}}, 1),
        ({"spec": {"activeDeadlineSeconds": 100}}, 2),
    ):
        changed = local.core.patch_namespaced_pod("g", ns, patch)
        assert changed.metadata.generation == generation


def test_a_pod_gets_the_priority_of_its_class_or_of_the_default_one(local: Local, ns: str) -> None:
    path = "/apis/scheduling.k8s.io/v1/priorityclasses"
    for name, value, default in (("high", 7, False), ("usual", 3, True)):
        made = {"metadata": {"name": f"{name}-{ns}"}, "value": value, "globalDefault": default}
        reply = local.request("POST", path, {**made, "preemptionPolicy": "Never"})
        assert reply.code == 201, reply.body
    try:
        for spec, priority in (({"priorityClassName": f"high-{ns}"}, 7), ({}, 3)):
            reply = local.request(
                "POST", f"/api/v1/namespaces/{ns}/pods", pod("p", "true", **spec), dryRun="All"
            )
            assert reply.json["spec"]["priority"] == priority
            assert reply.json["spec"]["preemptionPolicy"] == "Never"
    finally:
        for name in ("high", "usual"):
            local.request("DELETE", f"{path}/{name}-{ns}")


@pytest.mark.parametrize(
    ("tolerations", "count"),
    [
        ([], 2),
        ([{"operator": "Exists"}], 1),
        ([{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}], 2),
        ([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}], 3),
    ],
)
def test_a_pod_tolerates_a_lost_node_for_a_while(
    local: Local, ns: str, tolerations: list[dict[str, Any]], count: int
) -> None:
    made = pod("p", "true", tolerations=tolerations)
    reply = local.request("POST", f"/api/v1/namespaces/{ns}/pods", made, dryRun="All")
    assert len(reply.json["spec"]["tolerations"]) == count


def test_a_required_field_with_a_default_may_be_left_out(local: Local, ns: str) -> None:
    # For the schema it is an empty text, which must not keep its default away.
    ignored = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    made = job("j", "true", podFailurePolicy={"rules": [ignored]})
    reply = local.request("POST", f"/apis/batch/v1/namespaces/{ns}/jobs", made, dryRun="All")
    assert reply.code == 201, reply.body
    [rule] = reply.json["spec"]["podFailurePolicy"]["rules"]
    assert rule["onPodConditions"][0]["status"] == "True"
    binding = {"metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"}}
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings"
    reply = local.request("POST", path, binding, dryRun="All")
    assert reply.json["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io", reply.body
