"""What can be changed through `pods/ephemeralcontainers` and `pods/resize`, and what cannot."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from kubernetes import client as official
from kubernetes.client.exceptions import ApiException

from .conftest import Local, job, pod, wait_until

SMALL = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m"}}
DEBUGGER = {"name": "debugger", "image": "python", "targetContainerName": "main"}
KINDS = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


@pytest.fixture
def name(local: Local, ns: str) -> str:
    manifest = pod("p", "sleep", "60", container={"name": "main", "resources": SMALL})
    second = {"name": "second", "image": "python", "command": ["sleep", "60"]}
    manifest["spec"]["containers"].append(second)
    manifest["spec"]["initContainers"] = [{"name": "init", "image": "python", "command": ["true"]}]
    manifest["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    local.core.create_namespaced_pod(ns, manifest)
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Running")
    return "p"


def _send(
    local: Local, ns: str, subresource: str, method: str, body: Any = None, kind: str = ""
) -> Any:
    path = f"/api/v1/namespaces/{ns}/pods/p/{subresource}"
    reply = local.request(method, path, body, KINDS.get(kind, "application/json"))
    assert reply.code == 200, reply.json["message"]
    return reply.json


def _refused(local: Local, ns: str, subresource: str, patch: Any, kind: str = "strategic") -> str:
    before = _send(local, ns, subresource, "GET")["spec"]
    path = f"/api/v1/namespaces/{ns}/pods/p/{subresource}"
    reply = local.request("PATCH", path, patch, KINDS[kind])
    assert reply.code == 422
    assert _send(local, ns, subresource, "GET")["spec"] == before
    message: str = reply.json["message"]
    return message.removeprefix('Pod "p" is invalid: ')


def test_an_ephemeral_container_is_added_by_each_kind_of_change(
    local: Local, ns: str, name: str
) -> None:
    def debugger(number: int) -> dict[str, Any]:
        return {**DEBUGGER, "name": f"d{number}"}

    send = [local, ns, "ephemeralcontainers"]
    _send(*send, "PATCH", {"spec": {"ephemeralContainers": [debugger(1)]}}, "strategic")
    _send(*send, "PATCH", [{"op": "add", "path": "/spec/ephemeralContainers/-",
                            "value": debugger(2)}], "json")  # fmt: skip
    found = _send(*send, "GET")
    del found["metadata"]["resourceVersion"]  # The kubelet changes the status meanwhile.
    found["spec"]["ephemeralContainers"].append(debugger(3))
    found["spec"]["containers"][0]["image"] = "other"
    found["metadata"]["labels"] = {"a": "b"}
    _send(*send, "PUT", found)
    everything = _send(*send, "GET")["spec"]["ephemeralContainers"] + [debugger(4)]
    _send(*send, "PATCH", {"spec": {"ephemeralContainers": everything}}, "merge")
    after = local.core.read_namespaced_pod_ephemeralcontainers(name, ns)
    containers = after.spec.ephemeral_containers
    assert [c.name for c in containers] == ["d1", "d2", "d3", "d4"]
    assert {c.termination_message_policy for c in containers} == {"File"}
    assert {c.image_pull_policy for c in containers} == {"Always"}
    assert (after.spec.containers[0].image, after.metadata.labels) == ("python:3.11", {"app": "p"})


def test_an_ephemeral_container_stays_as_it_was_added(local: Local, ns: str, name: str) -> None:
    send = (local, ns, "ephemeralcontainers")
    _send(*send, "PATCH", {"spec": {"ephemeralContainers": [DEBUGGER]}}, "strategic")
    changed = {"spec": {"ephemeralContainers": [{**DEBUGGER, "image": "redis"}]}}
    start = 'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debugger" may not'
    assert _refused(*send, changed).startswith(f"{start} be changed\n")
    gone = {"spec": {"ephemeralContainers": None}}
    assert _refused(*send, gone, "merge") == f"{start} be removed\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "main"}, 'name: Duplicate value: "main"'),
        ({"name": "init"}, 'name: Duplicate value: "init"'),
        ({"name": ""}, "name: Required value"),
        ({"image": None}, "image: Required value"),
        ({"targetContainerName": "no"}, 'targetContainerName: Not found: "no"'),
        ({"ports": [{"containerPort": 80}]}, "ports: Forbidden: "),
        ({"resources": {"limits": {"cpu": "1"}}}, "resources: Forbidden: "),
        ({"livenessProbe": {"exec": {"command": ["true"]}}}, "livenessProbe: Forbidden: "),
        ({"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}, "lifecycle: Forbidden: "),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "x"}]},
            "volumeMounts[0].subPath: Forbidden: ",
        ),
    ],
)
def test_what_an_ephemeral_container_cannot_be(
    local: Local, ns: str, name: str, change: dict[str, Any], message: str
) -> None:
    patch = {"spec": {"ephemeralContainers": [{**DEBUGGER, **change}]}}
    message += "cannot be set for an Ephemeral Container" * message.endswith("Forbidden: ")
    found = _refused(local, ns, "ephemeralcontainers", patch, "merge")
    assert f"spec.ephemeralContainers[0].{message}" in found


def test_ephemeral_containers_come_only_by_their_subresource(
    local: Local, ns: str, name: str
) -> None:
    with pytest.raises(ApiException, match="pod updates may not change fields other than"):
        local.core.patch_namespaced_pod(name, ns, {"spec": {"ephemeralContainers": [DEBUGGER]}})
    manifest = pod("q", "true", ephemeralContainers=[DEBUGGER])
    with pytest.raises(ApiException, match="ephemeralContainers: Forbidden: cannot be set on cre"):
        local.core.create_namespaced_pod(ns, manifest)
    template = job("j", "true")
    template["spec"]["template"]["spec"]["ephemeralContainers"] = [DEBUGGER]
    with pytest.raises(ApiException, match="ephemeral containers not allowed in pod template"):
        local.batch.create_namespaced_job(ns, template)
    for method in ("POST", "DELETE"):
        path = f"/api/v1/namespaces/{ns}/pods/p/ephemeralcontainers"
        assert local.request(method, path, {}).code == 405


def _resources(**resources: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", "resources": resources}]}}


@pytest.mark.parametrize("kind", ["strategic", "json", "put"])
def test_a_resize_changes_cpu_and_memory(local: Local, ns: str, name: str, kind: str) -> None:
    wanted = {
        "requests": {"cpu": "150m", "memory": "32Mi"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }
    send = (local, ns, "resize")
    if kind == "put":
        found = _send(*send, "GET")
        del found["metadata"]["resourceVersion"]  # The kubelet changes the status meanwhile.
        found["spec"]["containers"][0] |= {"resources": wanted, "image": "other"}
        found["metadata"]["labels"] = {"a": "b"}
        _send(*send, "PUT", found)
    elif kind == "json":
        at = "/spec/containers/0/resources"
        _send(*send, "PATCH", [{"op": "replace", "path": at, "value": wanted}], kind)
    else:
        _send(*send, "PATCH", _resources(**wanted), kind)
    after = local.core.read_namespaced_pod_resize(name, ns)
    main = after.spec.containers[0]
    assert (main.resources.requests, main.resources.limits) == (
        wanted["requests"],
        wanted["limits"],
    )
    assert (main.image, after.metadata.labels) == ("python:3.11", {"app": "p"})


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (_resources(requests={"memory": None}), "requests: Forbidden: resource requests cannot"),
        (_resources(limits=None), "limits: Forbidden: resource limits cannot be removed"),
        (
            _resources(requests={"cpu": "300m"}),
            'requests: Invalid value: "300m": must be less than or equal to cpu limit of 200m',
        ),
        (
            _resources(requests={"ephemeral-storage": "1Gi"}),
            "spec: Forbidden: only cpu and memory resources are mutable",
        ),
        (
            {"spec": {"containers": [{"name": "main", "resizePolicy": [
                {"resourceName": "cpu", "restartPolicy": "NotRequired"}]}]}},
            "spec: Forbidden: only cpu and memory resources are mutable",
        ),
        (
            {"spec": {"containers": [{"name": "new", "image": "python"}]}},
            "spec.containers: Forbidden: containers may not be added or removed on resize",
        ),
        (
            {"spec": {"$setElementOrder/containers": [{"name": "second"}, {"name": "main"}],
                      "containers": [{"name": "second"}, {"name": "main"}]}},
            "spec.containers[1].name: Forbidden: containers may not be renamed or reordered on",
        ),
    ],
)  # fmt: skip
def test_what_a_resize_may_not_change(
    local: Local, ns: str, name: str, patch: Any, message: str
) -> None:
    assert message in _refused(local, ns, "resize", patch)


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ({}, {"requests": {"cpu": "1"}}, "BestEffort"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, {"limits": {"cpu": "2"}}, "Guaranteed"),
        (
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
            {"requests": {"cpu": "1000m"}},
            "Burstable",
        ),
    ],
)
def test_a_resize_keeps_the_class_of_the_pod(
    local: Local, ns: str, before: Any, after: Any, shown: str
) -> None:
    local.core.create_namespaced_pod(ns, pod("p", "sleep", "9", container={"resources": before}))
    main = local.core.read_namespaced_pod("p", ns).spec.containers[0].name
    patch = {"spec": {"containers": [{"name": main, "resources": after}]}}
    why = "Pod QOS Class may not change as a result of resizing"
    assert f'spec: Invalid value: "{shown}": {why}' in _refused(local, ns, "resize", patch)


def test_an_ordinary_update_resizes_nothing(local: Local, ns: str, name: str) -> None:
    with pytest.raises(ApiException, match="pod updates may not change fields other than"):
        local.core.patch_namespaced_pod(name, ns, _resources(requests={"cpu": "150m"}))


def test_kubectl_debugs_and_resizes(local: Local, ns: str, name: str) -> None:
    def kubectl(*words: str) -> str:
        base = ["kubectl", "--kubeconfig", str(local.kubeconfig), "-n", ns]
        done = subprocess.run([*base, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    kubectl(
        "debug", name, "--image=python", "--target=main", "--container=look", "--", "sleep", "1"
    )
    found: official.V1Pod = local.core.read_namespaced_pod(name, ns)
    [look] = found.spec.ephemeral_containers
    assert (look.name, look.target_container_name, look.command) == ("look", "main", ["sleep", "1"])
    patch = json.dumps(_resources(requests={"cpu": "120m"}))
    assert "patched" in kubectl("patch", "pod", name, "--subresource=resize", f"--patch={patch}")
    show = "-o=jsonpath={.spec.containers[0].resources.requests.cpu}"
    assert kubectl("get", "pod", name, "--subresource=resize", show) == "120m"
