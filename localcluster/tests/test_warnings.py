"""The API's warnings: of what is deprecated or doubtful, and of what is ignored."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import localcluster
from localcluster.api.validation import warnings

from .conftest import Local, job, pod

_SOURCE = Path(localcluster.__file__).parent
_MANIFESTS = Path(__file__).parents[2] / "notebooks" / "manifests"


def _warnings(local: Local, path: str, obj: dict[str, Any]) -> str:
    reply = local.request("POST", path, obj, dryRun="All")
    assert reply.code == 201, reply.body
    return reply.headers.get("warning", "").replace('\\"', '"')


_ENV = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
_PORT = {"containerPort": 80}
_TERM = {"topologyKey": "kubernetes.io/hostname"}


@pytest.mark.parametrize(
    ("spec", "container", "warning"),
    [
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            {},
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use"
            ' "kubernetes.io/os" instead',
        ),
        (
            {},
            {"env": _ENV},
            'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped'
            " when using apply",
        ),
        (
            {},
            {"ports": [_PORT, {**_PORT, "name": "x"}]},
            "spec.containers[0].ports[1]: duplicate port definition with"
            " spec.containers[0].ports[0]",
        ),
        (
            {},
            {"resources": {"limits": {"memory": "500m"}}},
            'spec.containers[0].resources.limits[memory]: fractional byte value "500m" is invalid,'
            " must be an integer",
        ),
        (
            {"volumes": [{"name": "v", "gitRepo": {"repository": "x"}}]},
            {},
            "spec.volumes[0].gitRepo: deprecated in v1.11",
        ),
        (
            {"imagePullSecrets": [{"name": "s"}, {"name": "s"}]},
            {},
            'spec.imagePullSecrets[1].name: duplicate name "s"',
        ),
        (
            {"terminationGracePeriodSeconds": -1},
            {},
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will"
            " be treated as 1",
        ),
        (
            {
                "affinity": {
                    "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_TERM]}
                }
            },
            {},
            "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"
            ".labelSelector: a null labelSelector results in matching no pod",
        ),
    ],
)
def test_what_is_doubtful_in_a_pod(
    local: Local, ns: str, spec: dict[str, Any], container: dict[str, Any], warning: str
) -> None:
    made = pod("p", "true", container=container, **spec)
    assert warning in _warnings(local, f"/api/v1/namespaces/{ns}/pods", made)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": made["spec"]}
    wrapped = {"metadata": {"name": "x"}, "spec": {"suspend": True, "template": template}}
    found = _warnings(local, f"/apis/batch/v1/namespaces/{ns}/jobs", wrapped)
    assert re.sub(r"\bspec\.", "spec.template.spec.", warning) in found


def test_a_name_that_is_no_label(local: Local, ns: str) -> None:
    found = _warnings(local, f"/apis/batch/v1/namespaces/{ns}/jobs", job("a.b", "true"))
    assert found.startswith(
        '299 - "metadata.name: this is used in Pod names and hostnames, which can result in'
        ' surprising behavior; a DNS label is recommended: [must not contain dots]"'
    )


def test_every_request_for_endpoints_is_warned_of(
    local: Local, ns: str, kubectl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    why = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    for method, path in (("GET", ""), ("GET", "/none"), ("DELETE", "/none")):
        reply = local.request(method, f"/api/v1/namespaces/{ns}/endpoints{path}")
        assert reply.headers["warning"] == f'299 - "{why}"'
    assert f"Warning: {why}\n" in kubectl("get", "endpoints").stderr


def _put(path: str, value: Any) -> Any:
    """Return nested objects with a value at a dotted path."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


_VALUES: dict[str, Any] = {
    "hostUsers": False,
    "hostAliases": [{"ip": "1.2.3.4"}],
    "dnsConfig": {"nameservers": ["1.2.3.4"]},
    "dnsPolicy": "None",
    "overhead": {"cpu": "1"},
    "os": {"name": "windows"},
    "priorityClassName": "system-node-critical",
    "resourceClaims": [{"name": "x", "resourceClaimName": "x"}],
    "resources.limits": {"cpu": "1"},
    "schedulingGroup": {"podGroupName": "x"},
    "securityContext.supplementalGroups": [1],
    "securityContext.sysctls": [{"name": "a", "value": "b"}],
    "securityContext.seLinuxOptions": {"level": "s0"},
    "securityContext.windowsOptions": {"runAsUserName": "x"},
    "securityContext.capabilities.add": ["SYS_TIME"],
    "securityContext.procMount": "Unmasked",
    "ports.hostPort": 80,
    "resources.claims": [{"name": "x"}],
    "restartPolicyRules": [{"action": "Restart"}],
    "lifecycle.stopSignal": "SIGHUP",
    "volumeMounts.mountPropagation": "HostToContainer",
    "volumeMounts.recursiveReadOnly": "Enabled",
    "volumes.emptyDir.medium": "Memory",
    "volumes.emptyDir.sizeLimit": "1Mi",
    **{f"{kind}Probe.grpc": {"port": 1} for kind in ("liveness", "readiness", "startup")},
}
_TEXTS = {"runtimeClassName", "subdomain", "hostnameOverride"}
_FIELDS = [(path, False) for path, _, _ in warnings._POD_FIELDS] + [
    (path, True) for path, _, _ in warnings._CONTAINER_FIELDS
]


def _pod_with(path: str, of_container: bool) -> dict[str, Any]:
    value = _VALUES.get(path, "x" if path in _TEXTS else True)
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": "python"}]}
    mounts = [{"name": "v", "mountPath": "/v"}]
    if path.startswith("volumeMounts."):
        spec["volumes"] = [{"name": "v", "emptyDir": {}}]
        spec["containers"][0]["volumeMounts"] = [{**mounts[0], path.split(".")[1]: value}]
    elif path.startswith("volumes."):
        spec["volumes"] = [{"name": "v", **_put(path.removeprefix("volumes."), value)}]
    elif path.startswith("ports."):
        spec["containers"][0]["ports"] = [{"containerPort": 80, path.split(".")[1]: value}]
    else:
        (spec["containers"][0] if of_container else spec).update(_put(path, value))
    return {"metadata": {"name": "p"}, "spec": spec}


@pytest.mark.parametrize(("path", "of_container"), _FIELDS)
def test_what_is_ignored_is_said(local: Local, ns: str, path: str, of_container: bool) -> None:
    reply = local.request(
        "POST", f"/api/v1/namespaces/{ns}/pods", _pod_with(path, of_container), dryRun="All"
    )
    if f'unknown field "spec.{path.split(".")[0]}' in reply.headers.get("warning", ""):
        pytest.skip("the installed client does not know the field yet")
    assert reply.code == 201, reply.body
    last = path.rpartition(".")[2]
    found = reply.headers["warning"]
    how = "only used for scheduling" if last in ("hostPort", "priorityClassName") else "ignored"
    assert re.search(rf"{last}: {how} by the local cluster: ", found), found


@pytest.mark.parametrize(("path", "of_container"), _FIELDS)
def test_nothing_acts_on_what_is_said_to_be_ignored(path: str, of_container: bool) -> None:
    name = path.rpartition(".")[2]
    # These are names of other things, too, or are read for another end than the table says.
    elsewhere = ("grpc", "os", "limits", "add", "hostPort")
    if name in (*elsewhere, "recursiveReadOnly", "supplementalGroups"):
        pytest.skip("read for something else")
    read = re.compile(rf"""["'.]{name}["']""")
    acting = [
        str(file.relative_to(_SOURCE))
        for folder in ("controllers", "kubelet")
        for file in (_SOURCE / folder).rglob("*.py")
        if read.search(file.read_text())
    ]
    assert not acting, f"{path} is acted on in {acting}: take it out of the table"


def test_a_plain_pod_is_not_warned_of(local: Local, ns: str) -> None:
    context = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "capabilities": {"drop": ["ALL"]},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
    }
    made = pod(
        "p",
        "true",
        container={"securityContext": context, "resources": {"limits": {"cpu": "1"}}},
        automountServiceAccountToken=False,
        dnsPolicy="ClusterFirst",
        securityContext={"fsGroup": 1000},
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    assert not _warnings(local, f"/api/v1/namespaces/{ns}/pods", made)


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("services", {"ports": [{"port": 1, "protocol": "UDP"}]}, "spec.ports[0].protocol"),
        ("services", {"ports": [{"port": 1}], "externalIPs": ["1.2.3.4"]}, "spec.externalIPs"),
        ("services", {"ports": [{"port": 1}], "sessionAffinity": "ClientIP"}, "sessionAffinity"),
    ],
)
def test_what_is_ignored_of_a_service(
    local: Local, ns: str, kind: str, spec: dict[str, Any], field: str
) -> None:
    made = {"metadata": {"name": "s"}, "spec": spec}
    found = _warnings(local, f"/api/v1/namespaces/{ns}/{kind}", made)
    assert f"{field}: ignored by the local cluster: " in found


@pytest.mark.skipif(not _MANIFESTS.is_dir(), reason="the course is not here")
def test_the_manifests_of_the_course_are_not_warned_of(
    kubectl: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    for path in _MANIFESTS.glob("*.yaml"):
        text = path.read_text().replace("$NUMBER", "1")
        warned = kubectl("create", "--dry-run=server", "-f", "-", stdin=text).stderr
        assert not [one for one in warned.splitlines() if "the local cluster stores a" not in one]
