"""What `kubectl get` prints: the rows and columns that the API makes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Local, pod

Run = Callable[..., subprocess.CompletedProcess[str]]
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


def _waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def _ended(code: int, reason: str = "") -> dict[str, Any]:
    reason = reason or ("Error" if code else "Completed")
    return {"terminated": {"exitCode": code, "reason": reason}}


def _statuses(name: str, states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"name": f"{name}{n}", "state": state, "ready": "running" in state, "image": "i",
         "imageID": "", "restartCount": 0, "started": "running" in state}
        for n, state in enumerate(states)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("init", "main", "status", "ready", "word"),
    [
        ([], [RUNNING], {"phase": "Running"}, "1/1", "Running"),
        ([], [_ended(0), _ended(0)], {"phase": "Succeeded"}, "0/2", "Completed"),
        # The first one to speak has completed, and another has failed.
        ([], [_ended(0), _ended(1)], {"phase": "Failed"}, "0/2", "Error"),
        ([], [_ended(0), _ended(137, "OOMKilled")], {"phase": "Failed"}, "0/2", "OOMKilled"),
        ([], [_ended(2), _ended(0)], {"phase": "Failed"}, "0/2", "Error"),
        ([], [_ended(0), RUNNING], {"phase": "Running", "Ready": "False"}, "1/2", "NotReady"),
        ([], [_ended(0), RUNNING], {"phase": "Running", "Ready": "True"}, "1/2", "Running"),
        ([], [_waiting("CrashLoopBackOff"), _ended(0)], {}, "0/2", "CrashLoopBackOff"),
        ([], [_waiting("ImagePullBackOff")], {}, "0/1", "ImagePullBackOff"),
        ([RUNNING], [_waiting("PodInitializing")], {}, "0/1", "Init:0/1"),
        ([_ended(0), RUNNING], [_waiting("PodInitializing")], {}, "0/1", "Init:1/2"),
        ([_ended(1)], [_waiting("PodInitializing")], {}, "0/1", "Init:Error"),
        ([_waiting("CrashLoopBackOff")], [], {}, "0/1", "Init:CrashLoopBackOff"),
        ([], [], {"phase": "Failed", "reason": "Evicted"}, "0/1", "Evicted"),
        # Sidecars count among the containers, and their end is none of the pod's.
        (["sidecar", RUNNING], [RUNNING], {"phase": "Running"}, "2/2", "Running"),
        (["sidecar", _ended(137)], [_ended(0)], {"Initialized": "True"}, "0/2", "Completed"),
        (["sidecar", RUNNING], [_waiting("PodInitializing")], {}, "1/2", "PodInitializing"),
    ],
)
def test_the_status_of_a_pod(
    local: Local, ns: str, init: list[Any], main: list[Any], status: Any, ready: str, word: str
) -> None:
    sidecar = {"restartPolicy": "Always"} if "sidecar" in init else {}
    states = [state for state in init if state != "sidecar"]
    made = pod("p", "true", nodeSelector={"no": "such"})
    container = made["spec"]["containers"][0]
    made["spec"]["containers"] = [{**container, "name": f"m{n}"} for n in range(len(main) or 1)]
    made["spec"]["initContainers"] = [
        {**container, **sidecar, "name": f"i{n}"} for n in range(len(states))
    ]
    path = f"/api/v1/namespaces/{ns}/pods"
    assert local.request("POST", path, made).code == 201
    kept = {key: status[key] for key in ("phase", "reason") if key in status}
    made["status"] = {
        "phase": "Pending",
        **kept,
        "conditions": [
            {"type": key, "status": status[key]}
            for key in ("Initialized", "Ready")
            if key in status
        ],
        "initContainerStatuses": _statuses("i", states),
        "containerStatuses": _statuses("m", main),
    }
    assert local.request("PUT", f"{path}/p/status", made).code == 200
    row = local.request("GET", f"{path}/p", headers=TABLE).json["rows"][0]["cells"]
    assert row[1:4] == [ready, word, "0"]


@pytest.mark.parametrize(
    ("obj", "head", "line"),
    [
        (
            {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
             "spec": {"minAvailable": "50%", "selector": {}}},
            "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE",
            "x 50% N/A 0",
        ),
        (
            {"apiVersion": "batch/v1", "kind": "CronJob",
             "spec": {"schedule": "0 0 * * *", "timeZone": "Etc/UTC", "jobTemplate": {"spec": {
                 "template": {"spec": pod("x", "true")["spec"]}}}}},
            "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE CONTAINERS IMAGES SELECTOR",
            "x 0 0 * * * Etc/UTC False 0 <none>",
        ),
        (
            {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
             "spec": {"cidrs": ["10.1.0.0/16", "fd00::/112"]}},
            "NAME CIDRS AGE",
            "x 10.1.0.0/16,fd00::/112",
        ),
        (
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
             "ports": [{"port": 80}, {"name": "b"}],
             "endpoints": [{"addresses": [f"10.0.0.{n}"]} for n in range(1, 6)]},
            "NAME ADDRESSTYPE PORTS ENDPOINTS AGE",
            "x IPv4 80,b 10.0.0.1,10.0.0.2,10.0.0.3 + 2 more...",
        ),
        (
            {"apiVersion": "v1", "kind": "ServiceAccount"},
            "NAME AGE",
            "x",
        ),
        (
            {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {
                "pods": "3", "limits.cpu": "2"}}},
            "NAME REQUEST LIMIT AGE",
            "x pods: 0/3 limits.cpu: 0/2",
        ),
        (
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
            "NAME STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE"
            " VOLUMEMODE",
            "x Pending",
        ),
    ],
)  # fmt: skip
def test_the_columns_of_a_kind(
    ns: str, kubectl: Run, obj: dict[str, Any], head: str, line: str
) -> None:
    cluster_wide = obj["kind"] == "ServiceCIDR"
    kubectl("apply", "-f", "-", stdin=json.dumps({**obj, "metadata": {"name": "x"}}))
    try:
        printed = kubectl("get", f"{obj['kind']}/x", "-o", "wide").stdout.splitlines()
    finally:
        if cluster_wide:
            kubectl("delete", f"{obj['kind']}/x")
    assert " ".join(printed[0].split()) == head
    assert " ".join(printed[1].split()).startswith(line)


def test_an_address_says_whose_it_is(local: Local) -> None:
    parent = {"resource": "services", "namespace": "default", "name": "kubernetes"}
    path = "/apis/networking.k8s.io/v1/ipaddresses"
    body = {"metadata": {"name": "192.0.2.7"}, "spec": {"parentRef": parent}}
    assert local.request("POST", path, body).code == 201
    table = local.request("GET", f"{path}/192.0.2.7", headers=TABLE).json
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "ParentRef"]
    assert table["rows"][0]["cells"] == ["192.0.2.7", "services/default/kubernetes"]
    local.request("DELETE", f"{path}/192.0.2.7")


@pytest.mark.parametrize("plural", ["daemonsets", "statefulsets", "cronjobs", "ingresses"])
def test_what_is_only_stored_can_be_listed_as_a_table(local: Local, ns: str, plural: str) -> None:
    """Also what says next to nothing, if the API takes it."""
    group = {"cronjobs": "batch", "ingresses": "networking.k8s.io"}.get(plural, "apps")
    path = f"/apis/{group}/v1/namespaces/{ns}/{plural}"
    local.request("POST", path, {"metadata": {"name": "x"}})
    assert local.request("GET", path, headers=TABLE).code == 200
