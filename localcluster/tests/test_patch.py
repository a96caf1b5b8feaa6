"""The ways to change a part of an object."""

from __future__ import annotations

from typing import Any

import pytest

from localcluster.api.patch import strategicpatch
from localcluster.api.patch.jsonpatch import json_patch
from localcluster.api.patch.strategicpatch import merge_patch
from localcluster.api.schema import schema
from localcluster.apimachinery.apierrors import ApiError

POD = {
    "spec": {
        "containers": [
            {"name": "a", "image": "one", "env": [{"name": "X", "value": "1"}]},
            {"name": "b", "image": "two"},
        ],
        "tolerations": [{"key": "k"}],
    },
    "metadata": {"finalizers": ["f1"], "labels": {"x": "1"}},
}


def strategic_merge_patch(target: Any, change: Any, kind: str = "Pod") -> Any:
    return strategicpatch.strategic_merge_patch(target, change, schema.of_kind("v1", kind))


def test_a_merge_patch_replaces_lists_and_null_removes() -> None:
    patched = merge_patch(POD, {"spec": {"containers": []}, "metadata": {"labels": {"x": None}}})
    assert patched["spec"]["containers"] == []
    assert patched["metadata"] == {"finalizers": ["f1"], "labels": {}}
    assert POD["metadata"]["labels"] == {"x": "1"}


def test_a_strategic_patch_merges_containers_and_env_by_name() -> None:
    change = {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}, {"name": "c"}]}
    patched = strategic_merge_patch(POD, {"spec": change})["spec"]
    # The real server puts the patch's own elements together, too.
    assert [c["name"] for c in patched["containers"]] == ["a", "c", "b"]
    assert patched["containers"][0]["image"] == "one"
    assert [e["name"] for e in patched["containers"][0]["env"]] == ["Y", "X"]


def test_a_strategic_patch_replaces_lists_without_a_merge_key() -> None:
    patched = strategic_merge_patch(POD, {"spec": {"tolerations": [{"key": "z"}]}})
    assert patched["spec"]["tolerations"] == [{"key": "z"}]


def test_strategic_directives_delete_replace_and_order() -> None:
    gone = {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}
    assert [c["name"] for c in strategic_merge_patch(POD, gone)["spec"]["containers"]] == ["b"]
    only = {"spec": {"containers": [{"name": "z"}, {"$patch": "replace"}]}}
    assert strategic_merge_patch(POD, only)["spec"]["containers"] == [{"name": "z"}]
    order = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    assert [c["name"] for c in strategic_merge_patch(POD, order)["spec"]["containers"]] == [
        "b",
        "a",
    ]


def test_finalizers_are_united_and_taken_out_one_by_one() -> None:
    more = strategic_merge_patch(POD, {"metadata": {"finalizers": ["f2"]}})
    assert more["metadata"]["finalizers"] == ["f1", "f2"]
    less = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["f1"]}}
    assert strategic_merge_patch(more, less)["metadata"]["finalizers"] == ["f2"]


def test_an_element_without_its_merge_key_is_refused() -> None:
    change = {"spec": {"containers": [{"image": "three"}]}}
    with pytest.raises(ApiError, match="does not contain declared merge key: name") as raised:
        strategic_merge_patch(POD, change)
    assert raised.value.code == 500
    assert strategic_merge_patch({}, change) == change


def test_ports_of_an_endpoint_slice_are_replaced_and_those_of_a_service_merged() -> None:
    first, second = {"name": "a", "port": 80}, {"name": "b", "port": 81}
    slices = schema.of_kind("discovery.k8s.io/v1", "EndpointSlice")
    patched = strategicpatch.strategic_merge_patch({"ports": [first]}, {"ports": [second]}, slices)
    assert patched == {"ports": [second]}
    service = {"spec": {"ports": [first]}}
    patched = strategic_merge_patch(service, {"spec": {"ports": [second]}}, "Service")
    assert patched == {"spec": {"ports": [second, first]}}


def test_json_patch_operations() -> None:
    patched = json_patch(
        POD,
        [
            {"op": "test", "path": "/spec/containers/0/image", "value": "one"},
            {"op": "replace", "path": "/spec/containers/0/image", "value": "three"},
            {"op": "add", "path": "/metadata/labels/a~1b", "value": "2"},
            {"op": "add", "path": "/spec/containers/-", "value": {"name": "c"}},
            {"op": "remove", "path": "/spec/containers/1"},
            {"op": "copy", "from": "/metadata/labels/x", "path": "/metadata/labels/y"},
            {"op": "move", "from": "/metadata/labels/y", "path": "/metadata/labels/z"},
        ],
    )
    assert [c["name"] for c in patched["spec"]["containers"]] == ["a", "c"]
    assert patched["spec"]["containers"][0]["image"] == "three"
    assert patched["metadata"]["labels"] == {"x": "1", "a/b": "2", "z": "1"}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/nowhere"},
        {"op": "replace", "path": "/spec/containers/7/image", "value": "x"},
        {"op": "test", "path": "/metadata/labels/x", "value": "other"},
        {"op": "add"},
        {"op": "copy", "path": "/metadata/labels/y"},
        {"op": "remove", "path": "metadata"},
    ],
)
def test_a_json_patch_that_does_not_apply_is_invalid(operation: dict[str, object]) -> None:
    with pytest.raises(ApiError) as raised:
        json_patch(POD, [operation])
    assert raised.value.code == 422


@pytest.mark.parametrize(
    ("operations", "why"),
    [
        ({}, "object into Go value of type []handlers.jsonPatchOp"),
        (["x"], "string into Go value of type handlers.jsonPatchOp"),
        ([{"op": 5}], "number into Go struct field jsonPatchOp.op of type string"),
        ([{"op": "add", "path": []}], "array into Go struct field jsonPatchOp.path of type string"),
    ],
)
def test_what_is_no_json_patch_is_a_bad_request(operations: object, why: str) -> None:
    with pytest.raises(ApiError) as raised:
        json_patch(POD, operations)
    assert raised.value.code == 400
    assert raised.value.args[0] == f"error decoding patch: json: cannot unmarshal {why}"
