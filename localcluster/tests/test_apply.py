"""Who owns which field: server-side apply, and what the other writers leave behind."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from localcluster.api.patch import fieldsets, managedfields
from localcluster.api.schema import schema
from localcluster.apimachinery.apierrors import ApiError

from .conftest import Local

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]

CONFIG = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":%s}'
ARGUMENTS = ("apply", "--server-side", "-f", "-")


def _config(**data: str) -> str:
    return CONFIG % json.dumps(data)


def _owned(kubectl: Kubectl, name: str = "cm/c") -> dict[tuple[str, str], Any]:
    obj = json.loads(kubectl("get", name, "-o", "json", "--show-managed-fields").stdout)
    entries = obj["metadata"].get("managedFields", [])
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in entries}


def _data(kubectl: Kubectl) -> dict[str, str]:
    found: dict[str, str] = json.loads(kubectl("get", "cm/c", "-o", "json").stdout).get("data", {})
    return found


def test_what_the_applier_leaves_out_goes_unless_others_own_it(kubectl: Kubectl) -> None:
    done = kubectl(*ARGUMENTS, stdin=_config(a="1", b="2", c="3"))
    assert done.stdout == "configmap/c serverside-applied\n"
    kubectl(*ARGUMENTS, "--field-manager=other", stdin=_config(b="2"))
    kubectl(*ARGUMENTS, stdin=_config(a="1"))
    assert _data(kubectl) == {"a": "1", "b": "2"}
    assert _owned(kubectl) == {
        ("kubectl", "Apply"): {"f:data": {"f:a": {}}},
        ("other", "Apply"): {"f:data": {"f:b": {}}},
    }


def test_a_conflict_names_managers_and_fields(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "c", "--from-literal=a=9", "--from-literal=b=3")
    many = kubectl(*ARGUMENTS, stdin=_config(a="1", b="2"), check=False)
    assert many.returncode == 1
    assert many.stderr.startswith(
        'error: Apply failed with 2 conflicts: conflicts with "kubectl-create" using v1:\n'
        "- .data.a\n- .data.b\nPlease review the fields above"
    )
    kubectl("patch", "configmap", "c", "-p", '{"data":{"b":"7"}}')
    one = kubectl(*ARGUMENTS, stdin=_config(a="9", b="2"), check=False)
    text = 'conflict with "kubectl-patch" using v1: .data.b\n'
    assert one.stderr.startswith(f"error: Apply failed with 1 conflict: {text}")
    kubectl(*ARGUMENTS, "--force-conflicts", stdin=_config(a="1", b="2"))
    assert _data(kubectl) == {"a": "1", "b": "2"}
    assert _owned(kubectl) == {
        ("kubectl", "Apply"): {"f:data": {"f:a": {}, "f:b": {}}},
        ("kubectl-create", "Update"): {"f:data": {}},
    }


def test_the_same_value_is_owned_together(kubectl: Kubectl) -> None:
    kubectl(*ARGUMENTS, stdin=_config(a="1"))
    kubectl(*ARGUMENTS, "--field-manager=other", stdin=_config(a="1"))
    assert _owned(kubectl).keys() == {("kubectl", "Apply"), ("other", "Apply")}
    kubectl(*ARGUMENTS, stdin=_config())
    assert _data(kubectl) == {"a": "1"}


def test_from_client_side_to_server_side_and_back(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=_config(a="1", b="2"))
    assert ("kubectl-client-side-apply", "Update") in _owned(kubectl)
    kubectl(*ARGUMENTS, stdin=_config(a="1"))
    assert _data(kubectl) == {"a": "1"}
    assert _owned(kubectl)["kubectl", "Apply"] == {"f:data": {"f:a": {}}}
    kubectl("apply", "-f", "-", stdin=_config(b="3"))
    assert _data(kubectl) == {"b": "3"}


def test_a_dry_run_and_a_diff_change_nothing(kubectl: Kubectl) -> None:
    kubectl(*ARGUMENTS, stdin=_config(a="1"))
    dry = kubectl(*ARGUMENTS, "--dry-run=server", stdin=_config(a="2"))
    assert dry.stdout == "configmap/c serverside-applied (server dry run)\n"
    for how in ((), ("--server-side",)):
        shown = kubectl("diff", *how, "-f", "-", stdin=_config(a="2"), check=False)
        assert shown.returncode == 1
        assert '-  a: "1"\n+  a: "2"\n' in shown.stdout
    assert kubectl("diff", "-f", "-", stdin=_config(a="1"), check=False).returncode == 0
    assert _data(kubectl) == {"a": "1"}


def test_prune_removes_what_is_not_applied_any_more(kubectl: Kubectl) -> None:
    labelled = _config(a="1").replace('"name":"c"', '"name":"%s","labels":{"set":"x"}')
    kubectl("apply", "-f", "-", stdin=labelled % "first")
    pruned = kubectl("apply", "--prune", "-l", "set=x", "-f", "-", stdin=labelled % "second")
    assert "configmap/first pruned" in pruned.stdout


def test_a_pod_of_many_lists(kubectl: Kubectl) -> None:
    kubectl("run", "p", "--image=python:3.11", "--env=A=b", "--port=80", "--", "sleep", "30")
    spec = _owned(kubectl, "pod/p")["kubectl-run", "Update"]["f:spec"]
    main = spec["f:containers"]['k:{"name":"p"}']
    assert "." not in spec["f:containers"]
    assert main["f:env"] == {
        ".": {},
        'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
    }
    assert 'k:{"containerPort":80,"protocol":"TCP"}' in main["f:ports"]
    assert "f:tolerations" not in spec
    kubectl("delete", "pod", "p", "--now")


def test_the_status_is_owned_apart(local: Local, ns: str) -> None:
    local.request("POST", f"/api/v1/namespaces/{ns}/services", _service())
    path = f"/api/v1/namespaces/{ns}/services/s"
    change = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}, "spec": {"type": "X"}}
    kind = "application/merge-patch+json"
    changed = local.request("PATCH", f"{path}/status", change, kind, fieldManager="balancer").json
    assert changed["spec"]["type"] == "ClusterIP"
    [entry] = changed["metadata"]["managedFields"]
    assert (entry["manager"], entry["subresource"]) == ("balancer", "status")
    assert entry["fieldsV1"] == {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}


def _service() -> dict[str, Any]:
    return {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}


@pytest.mark.parametrize(
    ("params", "body", "code", "message"),
    [
        ({}, {}, 422, "fieldManager: Required value: is required for apply patch"),
        ({"fieldManager": "x"}, {"metadata": {"managedFields": []}}, 400, "must be nil"),
        ({"fieldManager": "x"}, {"dat": {}}, 500, ".dat: field not declared in schema"),
        ({"fieldManager": "x"}, {"metadata": {"name": "y"}}, 400, "does not match the name"),
        ({"fieldManager": "x"}, {"kind": "Secret"}, 400, "cannot be handled as a ConfigMap"),
    ],
)
def test_an_apply_that_cannot_be(
    local: Local, ns: str, params: dict[str, str], body: Any, code: int, message: str
) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps/c"
    refused = local.request("PATCH", path, body, "application/apply-patch+yaml", **params)
    assert refused.code == code
    assert message in refused.json["message"]


def test_two_elements_with_one_key_are_refused(local: Local, ns: str) -> None:
    twice = [{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]
    body = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": twice}}
    path = f"/api/v1/namespaces/{ns}/pods/p"
    refused = local.request("PATCH", path, body, "application/apply-patch+yaml", fieldManager="x")
    assert refused.code == 500
    assert refused.json["message"] == (
        f"failed to create typed patch object ({ns}/p; /v1, Kind=Pod): .spec.containers:"
        ' duplicate entries for key [name="a"]'
    )


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"a": "b"}, "finalizers": ["x/y"], "uid": "1"},
    "spec": {
        "containers": [{"name": "main", "image": "i", "ports": [{"containerPort": 80}]}],
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "k"}],
    },
}


def test_fields_and_their_two_forms() -> None:
    applied = fieldsets.fields_of(POD, applied=True)
    tree = fieldsets.to_fields_v1(applied)
    assert tree == {
        "f:metadata": {"f:finalizers": {'v:"x/y"': {}}, "f:labels": {"f:a": {}}},
        "f:spec": {
            "f:containers": {
                'k:{"name":"main"}': {
                    ".": {},
                    "f:image": {},
                    "f:name": {},
                    "f:ports": {
                        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
                    },
                }
            },
            "f:nodeSelector": {},
            "f:tolerations": {},
        },
    }
    assert fieldsets.from_fields_v1(tree) == set(applied)


def test_a_field_is_shown_as_messages_write_it() -> None:
    path = ("f:spec", "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}', "f:name")
    assert fieldsets.path_text(path) == '.spec.ports[containerPort=80,protocol="TCP"].name'


def test_elements_of_others_stay_in_place() -> None:
    live = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    change = {"env": [{"name": "C"}, {"name": "A", "value": "9"}]}
    merged = fieldsets.merge(live, change, schema.named("io.k8s.api.core.v1.Container"))
    assert [one["name"] for one in merged["env"]] == ["A", "B", "C"]
    assert merged["env"][0] == {"name": "A", "value": "9"}
    assert live["env"][0]["value"] == "1"


def test_objects_that_nobody_owns_are_taken_with_force_only() -> None:
    live = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
    config = {**live, "data": {"a": "2"}}
    with pytest.raises(ApiError, match=r'with "before-first-apply" using v1: \.data\.a'):
        managedfields.apply(live, config, "me")
    merged, owners = managedfields.apply(live, config, "me", force=True)
    assert merged["data"] == {"a": "2"}
    assert owners[0]["manager"] == "me"
    assert owners[1]["fieldsV1"] == {"f:data": {}}
