"""Pod Security admission: the labels of a namespace, and the pods that they refuse."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Local, job, pod

_PREFIX = "pod-security.kubernetes.io"
_SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def _label(local: Local, ns: str, **labels: str) -> Any:
    found = {f"{_PREFIX}/{name.replace('_', '-')}": value for name, value in labels.items()}
    kind = "application/merge-patch+json"
    return local.request("PATCH", f"/api/v1/namespaces/{ns}", {"metadata": {"labels": found}}, kind)


def _create(local: Local, ns: str, spec: dict[str, Any], container: dict[str, Any]) -> Any:
    made = pod("p", "true", container=container, nodeSelector={"no": "node"}, **spec)
    return local.request("POST", f"/api/v1/namespaces/{ns}/pods", made)


# Each: the pod's spec, its container's, and what is violated.
_BASELINE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {"hostNetwork": True, "hostPID": True},
        {},
        "host namespaces (hostNetwork=true, hostPID=true)",
    ),
    (
        {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]},
        {},
        'hostPath volumes (volume "v")',
    ),
    (
        {},
        {"ports": [{"containerPort": 1, "hostPort": 1}]},
        'hostPort (container "main" uses hostPort 1)',
    ),
    (
        {},
        {"readinessProbe": {"tcpSocket": {"host": "example.com", "port": 1}}},
        'probe or lifecycle host (container "main" uses probe or lifecycle host "example.com")',
    ),
    (
        {},
        {"securityContext": {"privileged": True}},
        'privileged (container "main" must not set securityContext.privileged=true)',
    ),
    (
        {},
        {"securityContext": {"capabilities": {"add": ["NET_RAW", "CHOWN", "BPF"]}}},
        'non-default capabilities (container "main" must not include "BPF", "NET_RAW" in'
        " securityContext.capabilities.add)",
    ),
    (
        {},
        {"securityContext": {"procMount": "Unmasked"}},
        'procMount (container "main" must not set securityContext.procMount to "Unmasked")',
    ),
    (
        {"securityContext": {"seLinuxOptions": {"user": "u", "type": "t"}}},
        {},
        'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "t"; user may not'
        " be set)",
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
        {},
        'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ),
    (
        {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
        {},
        "forbidden sysctls (kernel.msgmax)",
    ),
    (
        {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
        {},
        'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
    ),
    (
        {"securityContext": {"windowsOptions": {"hostProcess": True}}},
        {},
        "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
    ),
]
_RESTRICTED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {},
        {},
        'allowPrivilegeEscalation != false (container "main" must set'
        " securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container"
        ' "main" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or'
        ' container "main" must set securityContext.runAsNonRoot=true), seccompProfile (pod or'
        ' container "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or'
        ' "Localhost")',
    ),
    (
        {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]},
        {"securityContext": _SAFE},
        'restricted volume types (volume "v" uses restricted volume type "hostPath")',
    ),
    (
        {"securityContext": {"runAsUser": 0}},
        {"securityContext": _SAFE},
        "runAsUser=0 (pod must not set runAsUser=0)",
    ),
    (
        {"securityContext": {"runAsNonRoot": False}},
        {"securityContext": _SAFE},
        "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)",
    ),
    (
        {},
        {"securityContext": {**_SAFE, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}},
        'unrestricted capabilities (container "main" must not include "CHOWN" in'
        " securityContext.capabilities.add)",
    ),
]


@pytest.mark.parametrize(
    ("level", "spec", "container", "why"),
    [("baseline", *case) for case in _BASELINE] + [("restricted", *case) for case in _RESTRICTED],
)
def test_a_pod_that_violates_the_level_is_refused(
    local: Local, ns: str, level: str, spec: dict[str, Any], container: dict[str, Any], why: str
) -> None:
    assert _label(local, ns, enforce=level).code == 200
    reply = _create(local, ns, spec, container)
    assert reply.code == 403, reply.body
    assert reply.json["message"] == (
        f'pods "p" is forbidden: violates PodSecurity "{level}:latest": {why}'
    )


def test_a_pod_that_keeps_to_the_level_is_allowed(local: Local, ns: str) -> None:
    _label(local, ns, enforce="restricted")
    reply = _create(local, ns, {}, {"securityContext": _SAFE})
    assert reply.code == 201
    assert "warning" not in reply.headers


def test_an_older_version_of_the_standard_asks_for_less(local: Local, ns: str) -> None:
    _label(local, ns, enforce="restricted", enforce_version="v1.18")
    reply = _create(local, ns, {"securityContext": {"runAsNonRoot": True}}, {})
    assert reply.json["message"] == (
        'pods "p" is forbidden: violates PodSecurity "restricted:v1.18": allowPrivilegeEscalation'
        ' != false (container "main" must set securityContext.allowPrivilegeEscalation=false)'
    )


def test_a_template_and_a_pod_are_warned_of(
    local: Local, ns: str, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    _label(local, ns, warn="baseline", warn_version="v1.30")
    made = job("j", "true", suspend=True)
    made["spec"]["template"]["spec"]["hostIPC"] = True
    warned = kubectl("apply", "-f", "-", stdin=json.dumps(made)).stderr
    wanted = 'would violate PodSecurity "baseline:v1.30": host namespaces (hostIPC=true)'
    assert f"Warning: {wanted}\n" in warned
    assert "PodSecurity" in _create(local, ns, {"hostIPC": True}, {}).headers["warning"]


def test_enforcing_warns_of_the_pods_that_are_there_and_of_templates(
    local: Local, ns: str, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for name in ("a", "b"):
        made = pod(name, "true", nodeSelector={"no": "node"}, hostPID=True)
        kubectl("create", "-f", "-", stdin=json.dumps(made))
    label = f"{_PREFIX}/enforce=baseline"
    warned = kubectl("label", "namespace", ns, label).stderr.splitlines()
    assert warned == [
        f'Warning: existing pods in namespace "{ns}" violate the new PodSecurity enforce level'
        ' "baseline:latest"',
        "Warning: a (and 1 other pod): host namespaces",
    ]
    made = job("j", "true", suspend=True)
    made["spec"]["template"]["spec"]["hostPID"] = True
    assert "would violate PodSecurity" in kubectl("apply", "-f", "-", stdin=json.dumps(made)).stderr


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (
            {"enforce": "strict"},
            f'metadata.labels[{_PREFIX}/enforce]: Invalid value: "strict": must be one of'
            " privileged, baseline, restricted",
        ),
        (
            {"warn_version": "1.30"},
            f'metadata.labels[{_PREFIX}/warn-version]: Invalid value: "1.30": must be "latest" or'
            ' "v1.x"',
        ),
    ],
)
def test_a_label_that_means_nothing_is_refused(
    local: Local, ns: str, labels: dict[str, str], why: str
) -> None:
    reply = _label(local, ns, **labels)
    assert reply.code == 422
    assert why in reply.json["message"]
