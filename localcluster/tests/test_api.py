"""The API server: who may ask, what the verbs do, and how it says no."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from kubernetes import watch

from .conftest import Local, job, pod, wait_until


def _configmaps(ns: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{ns}/configmaps" + (f"/{name}" if name else "")


def _configmap(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


@pytest.mark.parametrize("token", [None, "", "Bearer ", "Bearer wrong", "Basic x"])
@pytest.mark.parametrize(
    "path",
    ["/api/v1/pods", "/healthz", "/version", "/openapi/v3", "/nowhere",
     "/api/v1/namespaces/default/pods/x/log", "/api/v1/namespaces/default/pods/x/exec"],
)  # fmt: skip
def test_nobody_gets_anything_without_the_token(local: Local, path: str, token: str | None) -> None:
    headers = {"Authorization": token or ""}
    reply = local.request("GET", path, headers=headers)
    assert reply.code == 401
    assert reply.json["reason"] == "Unauthorized"


def test_the_certificate_is_for_this_cluster_only(local: Local) -> None:
    url = urlsplit(local.server)
    with (
        socket.create_connection((str(url.hostname), int(url.port or 0))) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")


def test_it_listens_on_loopback_only(local: Local) -> None:
    assert urlsplit(local.server).hostname == "127.0.0.1"


def test_random_bytes_and_half_open_connections_do_not_stop_the_others(local: Local) -> None:
    url = urlsplit(local.server)
    address = (str(url.hostname), int(url.port or 0))
    hanging = [socket.create_connection(address) for _ in range(60)]
    for i, connection in enumerate(hanging):
        if i % 2:
            connection.sendall(bytes(range(256)))
    assert local.request("GET", "/version").code == 200
    for connection in hanging:
        connection.close()


def test_version_says_what_it_is(local: Local) -> None:
    version = local.request("GET", "/version").json
    assert (version["major"], version["minor"]) == ("1", "36")
    assert version["gitVersion"].endswith("+localcluster")


def test_discovery_lists_groups_and_resources(local: Local) -> None:
    assert local.request("GET", "/api").json["versions"] == ["v1"]
    groups = local.request("GET", "/apis").json["groups"]
    assert "batch" in [group["name"] for group in groups]
    listed = local.request("GET", "/apis/batch/v1").json["resources"]
    assert {"cronjobs", "cronjobs/status", "jobs", "jobs/status"} == {
        resource["name"] for resource in listed
    }
    core = {r["name"]: r for r in local.request("GET", "/api/v1").json["resources"]}
    assert core["pods"]["shortNames"] == ["po"]
    assert {"pods/log", "pods/exec", "pods/portforward"} <= set(core)


@pytest.mark.parametrize(
    "path", ["/apis/nosuch/v1", "/api/v1/nosuch", "/api/v1/namespaces/x/nodes", "/x/../y", "/%2e"]
)
def test_unknown_paths_are_not_found(local: Local, path: str) -> None:
    assert local.request("GET", path).code == 404


def test_a_new_object_gets_uid_version_and_time(local: Local, ns: str) -> None:
    reply = local.request("POST", _configmaps(ns), _configmap("a", x="1"))
    assert reply.code == 201
    metadata = reply.json["metadata"]
    assert metadata["namespace"] == ns
    assert metadata["uid"]
    assert metadata["resourceVersion"]
    assert metadata["creationTimestamp"].endswith("Z")
    assert local.request("GET", _configmaps(ns, "a")).json["data"] == {"x": "1"}


def test_generate_name(local: Local, ns: str) -> None:
    body = {"metadata": {"generateName": "run-"}}
    names = {
        local.request("POST", _configmaps(ns), body).json["metadata"]["name"] for _ in range(5)
    }
    assert len(names) == 5
    assert all(name.startswith("run-") and len(name) == 9 for name in names)


def test_the_same_name_again_is_409_already_exists(local: Local, ns: str) -> None:
    local.request("POST", _configmaps(ns), _configmap("a"))
    reply = local.request("POST", _configmaps(ns), _configmap("a"))
    assert (reply.code, reply.json["reason"]) == (409, "AlreadyExists")
    assert reply.json["message"] == 'configmaps "a" already exists'


def test_what_is_not_there_is_404_with_its_name(local: Local, ns: str) -> None:
    reply = local.request("GET", f"/apis/batch/v1/namespaces/{ns}/jobs/nosuch")
    assert (reply.code, reply.json["reason"]) == (404, "NotFound")
    assert reply.json["message"] == 'jobs.batch "nosuch" not found'
    assert reply.json["details"] == {"name": "nosuch", "group": "batch", "kind": "jobs"}


def test_nothing_can_be_made_in_a_namespace_that_is_not_there(local: Local) -> None:
    reply = local.request("POST", _configmaps("nosuch"), _configmap("a"))
    assert (reply.code, reply.json["message"]) == (404, 'namespaces "nosuch" not found')


def test_a_stale_update_is_409_conflict(local: Local, ns: str) -> None:
    first = local.request("POST", _configmaps(ns), _configmap("a", x="1")).json
    second = {**first, "data": {"x": "2"}}
    assert local.request("PUT", _configmaps(ns, "a"), second).code == 200
    reply = local.request("PUT", _configmaps(ns, "a"), {**first, "data": {"x": "3"}})
    assert (reply.code, reply.json["reason"]) == (409, "Conflict")
    assert "the object has been modified" in reply.json["message"]
    assert local.request("GET", _configmaps(ns, "a")).json["data"] == {"x": "2"}


def test_an_update_that_changes_nothing_keeps_the_version(local: Local, ns: str) -> None:
    first = local.request("POST", _configmaps(ns), _configmap("a", x="1")).json
    second = local.request("PUT", _configmaps(ns, "a"), first).json
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("application/merge-patch+json", {"data": {"x": None, "y": "2"}}),
        ("application/strategic-merge-patch+json", {"data": {"x": None, "y": "2"}}),
        (
            "application/json-patch+json",
            [{"op": "remove", "path": "/data/x"}, {"op": "add", "path": "/data/y", "value": "2"}],
        ),
    ],
)
def test_patches(local: Local, ns: str, kind: str, change: Any) -> None:
    local.request("POST", _configmaps(ns), _configmap("a", x="1"))
    reply = local.request("PATCH", _configmaps(ns, "a"), change, kind)
    assert (reply.code, reply.json["data"]) == (200, {"y": "2"})


def test_apply_creates_then_merges_and_drops_what_it_no_longer_says(local: Local, ns: str) -> None:
    def apply(**data: str) -> Any:
        body = {"apiVersion": "v1", "kind": "ConfigMap", **_configmap("a", **data)}
        return local.request(
            "PATCH",
            _configmaps(ns, "a"),
            yaml.safe_dump(body).encode(),
            "application/apply-patch+yaml",
            fieldManager="me",
        )

    assert apply(x="1", y="1").code == 201
    local.core.patch_namespaced_config_map("a", ns, {"data": {"z": "other"}})
    again = apply(x="2")
    assert (again.code, again.json["data"]) == (200, {"x": "2", "z": "other"})


def test_a_patch_of_an_unknown_kind_is_415(local: Local, ns: str) -> None:
    local.request("POST", _configmaps(ns), _configmap("a"))
    assert local.request("PATCH", _configmaps(ns, "a"), {}, "application/x").code == 415
    reply = local.request("POST", _configmaps(ns), b"k8s\0", "application/vnd.kubernetes.protobuf")
    assert (reply.code, reply.json["reason"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize("body", [b"{", b"[1]", b"7", b"\xff\xfe", b'{"metadata": 3}', b"[" * 5000])
def test_what_is_no_object_is_a_bad_request(local: Local, ns: str, body: bytes) -> None:
    assert local.request("POST", _configmaps(ns), body).code == 400


def test_a_body_that_is_too_large_is_refused(local: Local, ns: str) -> None:
    body = json.dumps(_configmap("big", x="y" * 4_000_000)).encode()
    # That the server hangs up is an answer too.
    with contextlib.suppress(OSError):
        assert local.request("POST", _configmaps(ns), body).code in (400, 413)
    assert local.request("GET", _configmaps(ns, "big")).code == 404


def test_a_dry_run_changes_nothing(local: Local, ns: str) -> None:
    reply = local.request("POST", _configmaps(ns), _configmap("a"), dryRun="All")
    assert reply.code == 201
    assert local.request("GET", _configmaps(ns, "a")).code == 404


def test_lists_select_by_label_and_field_and_come_in_pages(local: Local, ns: str) -> None:
    for i in range(5):
        body = _configmap(f"c{i}")
        body["metadata"]["labels"] = {"parity": "even" if i % 2 == 0 else "odd"}
        local.request("POST", _configmaps(ns), body)

    def names(**params: str) -> list[str]:
        listed = local.request("GET", _configmaps(ns), **params).json
        return [item["metadata"]["name"] for item in listed["items"]]

    assert names(labelSelector="parity=even") == ["c0", "c2", "c4"]
    assert names(fieldSelector="metadata.name=c3") == ["c3"]
    _wait_for_roots(local, ns)
    page = local.request("GET", _configmaps(ns), limit="2").json
    assert len(page["items"]) == 2
    assert page["metadata"]["remainingItemCount"] == 4
    # What happens between two pages is not seen in the second.
    local.request("DELETE", _configmaps(ns, "c3"))
    local.request("POST", _configmaps(ns), _configmap("c22"))
    more = {"continue": page["metadata"]["continue"]}
    rest = local.request("GET", _configmaps(ns), **more).json
    names_left = [item["metadata"]["name"] for item in rest["items"]]
    assert names_left == ["c2", "c3", "c4", "kube-root-ca.crt"]
    assert rest["metadata"] == {"resourceVersion": page["metadata"]["resourceVersion"]}


def _wait_for_roots(local: Local, ns: str) -> None:
    """Wait for the ConfigMap that every namespace gets."""
    wait_until(lambda: local.request("GET", _configmaps(ns, "kube-root-ca.crt")).code == 200)


def test_a_watch_sees_each_change_in_order(local: Local, ns: str) -> None:
    _wait_for_roots(local, ns)
    start = local.core.list_namespaced_config_map(ns).metadata.resource_version
    seen: list[tuple[str, str]] = []

    def follow() -> None:
        stream = watch.Watch().stream(
            local.core.list_namespaced_config_map, ns, resource_version=start, timeout_seconds=20
        )
        for event in stream:
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return

    reader = threading.Thread(target=follow)
    reader.start()
    local.request("POST", _configmaps(ns), _configmap("a"))
    local.core.patch_namespaced_config_map("a", ns, {"data": {"x": "1"}})
    local.core.delete_namespaced_config_map("a", ns)
    reader.join(20)
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_a_watch_with_a_selector_sees_objects_come_into_view_and_leave(
    local: Local, ns: str
) -> None:
    version = local.request("GET", _configmaps(ns)).json["metadata"]["resourceVersion"]
    local.request("POST", _configmaps(ns), _configmap("a"))
    for labels in ({"on": "1"}, {"on": None}):
        local.core.patch_namespaced_config_map("a", ns, {"metadata": {"labels": labels}})
    reply = local.request(
        "GET", _configmaps(ns), watch="true", resourceVersion=version, labelSelector="on",
        timeoutSeconds="1",
    )  # fmt: skip
    seen = [json.loads(line) for line in reply.body.splitlines()]
    assert [event["type"] for event in seen] == ["ADDED", "DELETED"]
    came, left = (event["object"]["metadata"] for event in seen)
    # Who leaves is shown as it was while it was in view, with the version that made it leave.
    assert left["labels"] == {"on": "1"}
    assert int(left["resourceVersion"]) > int(came["resourceVersion"])


def test_watches_that_ask_for_initial_events_get_a_bookmark_after_them(
    local: Local, ns: str
) -> None:
    local.request("POST", _configmaps(ns), _configmap("a"))
    reply = local.request(
        "GET", _configmaps(ns), watch="true", sendInitialEvents="true",
        fieldSelector="metadata.name=a",
        allowWatchBookmarks="true", resourceVersionMatch="NotOlderThan", timeoutSeconds="1",
    )  # fmt: skip
    events = [json.loads(line) for line in reply.body.splitlines()]
    assert [event["type"] for event in events][:2] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_finalizers_hold_a_deletion_until_they_are_gone(local: Local, ns: str) -> None:
    body = _configmap("a")
    body["metadata"]["finalizers"] = ["example.com/wait"]
    local.request("POST", _configmaps(ns), body)
    held = local.request("DELETE", _configmaps(ns, "a")).json
    assert held["metadata"]["deletionTimestamp"]
    assert local.request("GET", _configmaps(ns, "a")).code == 200
    local.core.patch_namespaced_config_map("a", ns, {"metadata": {"finalizers": None}})
    assert local.request("GET", _configmaps(ns, "a")).code == 404


def test_a_delete_with_a_wrong_uid_is_refused(local: Local, ns: str) -> None:
    local.request("POST", _configmaps(ns), _configmap("a"))
    options = {"preconditions": {"uid": "other"}}
    reply = local.request("DELETE", _configmaps(ns, "a"), options)
    assert (reply.code, reply.json["reason"]) == (409, "Conflict")


def test_a_collection_is_deleted_by_selector(local: Local, ns: str) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {})):
        body = _configmap(name)
        body["metadata"]["labels"] = labels
        local.request("POST", _configmaps(ns), body)
    local.core.delete_collection_namespaced_config_map(ns, label_selector="x=1")
    assert local.request("GET", _configmaps(ns, "a")).code == 404
    assert local.request("GET", _configmaps(ns, "b")).code == 200


def test_string_data_of_a_secret_becomes_data(local: Local, ns: str) -> None:
    body = {"metadata": {"name": "s"}, "stringData": {"password": "x"}}
    made = local.request("POST", f"/api/v1/namespaces/{ns}/secrets", body).json
    assert (made["data"], made["type"]) == ({"password": "eA=="}, "Opaque")
    assert "stringData" not in made


def test_the_status_is_a_resource_of_its_own(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", suspend=True))
    path = f"/apis/batch/v1/namespaces/{ns}/jobs/j"
    wait_until(lambda: local.request("GET", path).json["status"].get("conditions"))
    local.request("PATCH", path, {"status": {"succeeded": 7}}, "application/merge-patch+json")
    assert "succeeded" not in local.request("GET", path).json["status"]
    change = {"status": {"ready": 3}, "spec": {"parallelism": 9}}
    local.request("PATCH", path + "/status", change, "application/merge-patch+json")
    assert local.request("GET", path).json["spec"]["parallelism"] == 1


def test_an_unknown_field_is_refused_dropped_or_warned_about(local: Local, ns: str) -> None:
    body = job("j", "true", paralelism=2, suspend=True)
    path = f"/apis/batch/v1/namespaces/{ns}/jobs"
    strict = local.request("POST", path, body, fieldValidation="Strict")
    assert strict.code == 400
    assert 'strict decoding error: unknown field "spec.paralelism"' in strict.json["message"]
    warned = local.request("POST", path, body, fieldValidation="Warn")
    assert warned.code == 201
    assert warned.headers["warning"] == '299 - "unknown field \\"spec.paralelism\\""'
    assert "paralelism" not in warned.json["spec"]


def test_a_field_that_is_there_twice_is_refused_or_warned_about(local: Local, ns: str) -> None:
    body = b"""{"metadata": {"name": "p"}, "spec": {"restartPolicy": "Never", "containers": [
        {"name": "a", "image": "python:3.10", "image": "python:3.11"}]}}"""
    path = f"/api/v1/namespaces/{ns}/pods"
    strict = local.request("POST", path, body, fieldValidation="Strict")
    told = 'duplicate field "spec.containers[0].image"'
    assert strict.code == 400
    assert strict.json["message"].endswith(f"strict decoding error: {told}")
    warned = local.request("POST", path, body, fieldValidation="Warn")
    assert warned.headers["warning"] == f"299 - {json.dumps(told)}"
    assert warned.json["spec"]["containers"][0]["image"] == "python:3.11"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parallelism": "two"}, "cannot unmarshal string into Go struct field JobSpec.spec.paral"),
        (
            {"parallelism": 1.5},
            "cannot unmarshal number 1.5 into Go struct field JobSpec.spec.para",
        ),
        ({"suspend": "yes"}, "cannot unmarshal string into Go struct field JobSpec.spec.suspend"),
        ({"template": []}, "cannot unmarshal array into Go struct field"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_bad_request(
    local: Local, ns: str, change: dict[str, Any], message: str
) -> None:
    body = job("j", "true")
    body["spec"].update(change)
    reply = local.request("POST", f"/apis/batch/v1/namespaces/{ns}/jobs", body)
    assert (reply.code, reply.json["reason"]) == (400, "BadRequest")
    assert message in reply.json["message"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parallelism": -1}, "spec.parallelism: Invalid value: -1: must be greater than or"),
        (
            {"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}},
            'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
        ),
        (
            {"template": {"spec": {"restartPolicy": "Never", "containers": []}}},
            "spec.template.spec.containers: Required value",
        ),
        (
            {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a"}]}}},
            "spec.template.spec.containers[0].image: Required value",
        ),
    ],
)
def test_a_job_that_makes_no_sense_is_invalid(
    local: Local, ns: str, change: dict[str, Any], message: str
) -> None:
    body = job("j", "true")
    body["spec"].update(change)
    reply = local.request("POST", f"/apis/batch/v1/namespaces/{ns}/jobs", body)
    assert (reply.code, reply.json["reason"]) == (422, "Invalid")
    assert reply.json["message"].startswith('Job.batch "j" is invalid: ')
    assert message in reply.json["message"]


@pytest.mark.parametrize("name", ["../../x", "A", "a_b", "-a", "a" * 254, "a/b"])
def test_a_name_that_is_no_dns_name_is_invalid(local: Local, ns: str, name: str) -> None:
    reply = local.request("POST", _configmaps(ns), _configmap(name))
    assert reply.code == 422
    assert "metadata.name: Invalid value" in reply.json["message"]


def test_the_template_of_a_job_is_immutable(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", suspend=True))
    change = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 3}}}}
    path = f"/apis/batch/v1/namespaces/{ns}/jobs/j"
    reply = local.request("PATCH", path, change, "application/merge-patch+json")
    assert (reply.code, reply.json["reason"]) == (422, "Invalid")
    assert "field is immutable" in reply.json["message"]


def test_most_of_a_pod_is_immutable(local: Local, ns: str) -> None:
    local.core.create_namespaced_pod(ns, pod("p", "sleep", "60", nodeSelector={"no": "where"}))
    path = f"/api/v1/namespaces/{ns}/pods/p"
    change = {"spec": {"restartPolicy": "Always"}}
    reply = local.request("PATCH", path, change, "application/merge-patch+json")
    assert reply.code == 422
    assert "pod updates may not change fields other than" in reply.json["message"]


def test_tables_have_the_columns_that_kubectl_prints(local: Local, ns: str) -> None:
    local.batch.create_namespaced_job(ns, job("j", "true", suspend=True, parallelism=2))
    wait_until(lambda: local.batch.read_namespaced_job("j", ns).status.conditions)
    reply = local.request(
        "GET",
        f"/apis/batch/v1/namespaces/{ns}/jobs",
        headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"},
    ).json
    columns = [column["name"] for column in reply["columnDefinitions"] if not column["priority"]]
    assert columns == ["Name", "Status", "Completions", "Duration", "Age"]
    assert reply["rows"][0]["cells"][:3] == ["j", "Suspended", "0/1 of 2"]
    assert reply["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_deleting_a_namespace_deletes_what_is_in_it(local: Local) -> None:
    local.core.create_namespace({"metadata": {"name": "doomed"}})
    local.core.create_namespaced_pod("doomed", pod("p", "sleep", "60"))
    local.core.create_namespaced_config_map("doomed", _configmap("a"))
    wait_until(lambda: local.core.read_namespaced_pod("p", "doomed").status.phase == "Running")
    local.core.delete_namespace("doomed")
    refused = local.request("POST", _configmaps("doomed"), _configmap("b"))
    assert refused.code in (403, 404)
    wait_until(lambda: local.request("GET", "/api/v1/namespaces/doomed").code == 404)
    assert local.request("GET", _configmaps("doomed", "a")).code == 404


def test_the_node_says_that_it_is_a_stand_in(local: Local) -> None:
    (node,) = local.core.list_node().items
    assert node.metadata.labels["localcluster/stand-in"] == "true"
    assert node.status.node_info.container_runtime_version.startswith("process://")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles", {"rules": []}),
        (
            "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
            {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x"}},
        ),
        ("/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies", {"spec": {"podSelector": {}}}),
        ("/apis/policy/v1/namespaces/{}/poddisruptionbudgets", {"spec": {"minAvailable": 1}}),
    ],
)
def test_what_is_not_enforced_is_stored(
    local: Local, ns: str, path: str, kind: dict[str, Any]
) -> None:
    made = local.request("POST", path.format(ns), {"metadata": {"name": "x"}, **kind})
    assert made.code == 201
    assert local.request("GET", path.format(ns) + "/x").code == 200


def test_the_schema_says_that_the_server_checks_fields(local: Local) -> None:
    listed = local.request("GET", "/openapi/v3").json["paths"]
    path = listed["apis/batch/v1"]["serverRelativeURL"].partition("?")[0]
    document = local.request("GET", path).json
    single = document["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]
    parameters = [parameter["name"] for parameter in single["patch"]["parameters"]]
    assert "fieldValidation" in parameters
    schemas = document["components"]["schemas"]
    parallelism = schemas["io.k8s.api.batch.v1.JobSpec"]["properties"]["parallelism"]
    assert parallelism["description"].startswith("Specifies the maximum desired number of pods")
    assert parallelism.keys() == {"type", "format", "description"}
    assert parallelism["format"] == "int32"
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert "io.k8s.api.core.v1.Service" not in schemas


def test_the_older_schema_comes_as_json_and_as_protobuf(local: Local) -> None:
    plain = local.request("GET", "/openapi/v2").json
    assert plain["swagger"] == "2.0"
    assert "io.k8s.api.core.v1.Pod" in plain["definitions"]
    accept = {"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
    packed = local.request("GET", "/openapi/v2", headers=accept)
    assert packed.body.startswith(b"\x0a\x032.0\x12")
    assert b"#/definitions/io.k8s.api.batch.v1.JobSpec" in packed.body


def test_metadata_alone_can_be_asked_for(local: Local, ns: str) -> None:
    local.request("POST", _configmaps(ns), _configmap("a"))
    accept = {"Accept": "application/json;as=PartialObjectMetadata%s;g=meta.k8s.io;v=v1"}
    one = {"Accept": accept["Accept"] % ""}
    found = local.request("GET", _configmaps(ns, "a"), headers=one).json
    assert found.keys() == {"kind", "apiVersion", "metadata"}
    assert found["kind"] == "PartialObjectMetadata"
    many = {"Accept": accept["Accept"] % "List"}
    listed = local.request("GET", _configmaps(ns), headers=many).json
    assert listed["kind"] == "PartialObjectMetadataList"
    assert {item["kind"] for item in listed["items"]} == {"PartialObjectMetadata"}
