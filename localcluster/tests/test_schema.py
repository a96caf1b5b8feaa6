"""The schema is one data file, and everything that depends on types agrees with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import localcluster
from localcluster.api.patch import fieldsets
from localcluster.api.patch.strategicpatch import strategic_merge_patch
from localcluster.api.schema import descriptions, documents, schema
from localcluster.api.schema.schema import Type
from localcluster.api.validation import fieldvalidation
from localcluster.apimachinery import resources
from localcluster.apimachinery.apierrors import ApiError

from . import record_openapi
from .conftest import Local

KINDS = sorted({(r.group_version, r.kind) for r in resources.ALL})
# A value of each type, and what no field of that type takes.
VALUES: dict[str, Any] = {
    "string": "a",
    "bytes": "YQ==",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "int-or-string": 1,
    "quantity": "1",
    "time": "2026-01-01T00:00:00Z",
    "any": {},
}
WRONG: dict[str, Any] = {
    "string": 5,
    "bytes": "no base64!",
    "integer": "1",
    "number": "1",
    "boolean": "yes",
    "int-or-string": True,
    "quantity": "much",
    "time": "yesterday",
    "array": "a",
    "map": "a",
    "struct": "a",
}
SAID = {
    "string": "json: cannot unmarshal number into Go struct field ",
    "bytes": "illegal base64 data at input byte 2",
    "integer": "json: cannot unmarshal string into Go struct field ",
    "number": "json: cannot unmarshal string into Go struct field ",
    "boolean": "json: cannot unmarshal string into Go struct field ",
    "int-or-string": "json: cannot unmarshal bool into Go value of type int32",
    "quantity": "quantities must match the regular expression ",
    "time": 'parsing time "yesterday" as "2006-01-02T15:04:05',
    "array": "json: cannot unmarshal string into Go struct field ",
    "map": "json: cannot unmarshal string into Go struct field ",
    "struct": "json: cannot unmarshal string into Go struct field ",
}

CONTAINER = {"name": "a", "image": "python:3.11", "ports": [{"containerPort": 80}]}


def _fields(kind: Type, above: tuple[str, ...] = ()) -> Iterator[tuple[str, str, Type]]:
    """Yield each field below a type once: its struct, its name and its type."""
    for name, field in kind.fields.items():
        yield kind.name, name, field
        inner = field.innermost
        if inner.type == "struct" and inner.name not in above:
            yield from _fields(inner, (*above, inner.name))


def _all_fields() -> dict[tuple[str, str], Type]:
    return {
        (struct, name): field
        for kind in KINDS
        for struct, name, field in _fields(schema.of_kind(*kind))
    }


FIELDS = _all_fields()
LISTS = sorted(key for key, field in FIELDS.items() if field.type == "array")


def _value(kind: Type, text: str = "a") -> Any:
    """Return a value of a type; `text` tells it from others of that type."""
    if kind.type == "array" and kind.items:
        return [_value(kind.items, text)]
    if kind.type == "map" and kind.items:
        return {"k": _value(kind.items, text)}
    if kind.type == "struct":
        return {name: _value(kind.fields[name], text) for name in sorted(kind.required)}
    return text if kind.type == "string" else VALUES[kind.type]


def _element(kind: Type, number: int) -> Any:
    """Return one of several elements of a list, which no key confuses with the others."""
    assert kind.items is not None
    if kind.items.type != "struct":
        return f"e{number}" if kind.items.type == "string" else number
    keys = {*kind.keys, *filter(None, [kind.merge_key])}
    made = _value(kind.items)
    for key in keys:
        field = kind.items.fields[key]
        made[key] = number if field.type == "integer" else f"e{number}"
    return made


def test_every_kind_that_is_served_is_in_the_schema() -> None:
    assert [kind for kind in KINDS if not schema.of_kind(*kind).fields] == []


@pytest.mark.parametrize(("struct", "name"), LISTS)
def test_a_strategic_patch_and_an_apply_treat_a_list_as_the_schema_says(
    struct: str, name: str
) -> None:
    kind, owner = FIELDS[struct, name], schema.named(struct)
    said = schema.definitions()[struct]["properties"][name]
    first, second = _element(kind, 1), _element(kind, 2)
    live, change = {name: [first]}, {name: [second]}

    patched = strategic_merge_patch(live, change, owner)[name]
    strategies = said.get("x-kubernetes-patch-strategy", "").split(",")
    assert (len(patched) == 2) == ("merge" in strategies)
    assert second in patched
    assert (first in patched) == ("merge" in strategies) or first == second

    shared = said.get("x-kubernetes-list-type", "atomic") != "atomic"
    applied = fieldsets.merge(live, change, owner)[name]
    assert applied == ([first, second] if shared else [second])
    if key := said.get("x-kubernetes-patch-merge-key"):
        again = strategic_merge_patch(live, {name: [{key: first[key]}]}, owner)[name]
        assert again == [first]


def test_the_ports_of_an_endpoint_slice_are_one_value() -> None:
    slices = schema.of_kind("discovery.k8s.io/v1", "EndpointSlice")
    live, change = {"ports": [{"port": 80}]}, {"ports": [{"port": 81}]}
    assert strategic_merge_patch(live, change, slices) == change
    assert fieldsets.merge(live, change, slices) == change


@pytest.mark.parametrize(("version", "kind"), KINDS)
def test_each_field_of_a_kind_takes_its_type_and_no_other(version: str, kind: str) -> None:
    checked = 0
    for name, field in schema.of_kind(version, kind).fields.items():
        fields = field.fields.items() if field.type == "struct" else [("", field)]
        for inner, one in fields:
            if one.type == "any" or name in ("apiVersion", "kind"):
                continue
            right, wrong = _value(one), WRONG[one.type]
            if one.name.endswith("MicroTime"):
                right = "2026-01-01T00:00:00.000000Z"
            obj = {"apiVersion": version, "kind": kind}
            fieldvalidation.check({**obj, name: {inner: right} if inner else right})
            with pytest.raises(ApiError) as raised:
                fieldvalidation.check({**obj, name: {inner: wrong} if inner else wrong})
            short = version.rpartition("/")[2]
            head = f'{kind} in version "{short}" cannot be handled as a {kind}: {SAID[one.type]}'
            assert raised.value.code == 400
            assert raised.value.args[0].startswith(head), raised.value.args
            checked += 1
    assert checked


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"replicas": 2**31}, "number 2147483648 into Go struct field DeploymentSpec.spec.replicas"
         " of type int32"),
        ({"replicas": True}, "bool into Go struct field DeploymentSpec.spec.replicas of type"
         " int32"),
        ({"template": {"spec": {"terminationGracePeriodSeconds": 2**63}}},
         "number 9223372036854775808 into Go struct field"
         " PodSpec.spec.template.spec.terminationGracePeriodSeconds of type int64"),
        ({"template": {"spec": {"containers": {}}}}, "object into Go struct field"
         " PodSpec.spec.template.spec.containers of type []v1.Container"),
        ({"template": {"spec": {"containers": [{"resources": {"limits": []}}]}}},
         "array into Go struct field"
         " ResourceRequirements.spec.template.spec.containers.resources.limits of type"
         " v1.ResourceList"),
        ({"template": {"metadata": {"labels": {"a": 1}}}},
         "number into Go struct field ObjectMeta.spec.template.metadata.labels of type string"),
        ({"strategy": {"rollingUpdate": {"maxSurge": 1.5}}},
         "number 1.5 into Go value of type int32"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_as_the_real_reader_does(
    local: Local, ns: str, fields: dict[str, Any], why: str
) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    reply = local.request("POST", path, {"metadata": {"name": "d"}, "spec": fields})
    head = 'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal'
    assert (reply.code, reply.json["reason"]) == (400, "BadRequest")
    assert reply.json["message"] == f"{head} {why}"


@pytest.mark.parametrize(
    ("change", "shown", "why"),
    [
        ({"metadata": {"labels": []}}, "map[metadata:map[labels:[]]]", "cannot restore map from"),
        ({"metadata": []}, "map[metadata:[]]", "cannot restore struct from: slice"),
        ({"spec": {"replicas": 1.5}}, "map[spec:map[replicas:1.5]]",
         "cannot convert float64 to int32"),
        ({"metadata": {"labels": {"a": 5}}}, "map[metadata:map[labels:map[a:5]]]",
         "cannot convert int64 to string"),
        ({"spec": {"replicas": "a"}}, "map[spec:map[replicas:a]]", "unrecognized type: int32"),
        ({"metadata": {"creationTimestamp": "a"}}, "map[metadata:map[creationTimestamp:a]]",
         'parsing time "a" as "2006-01-02T15:04:05Z07:00": cannot parse "a" as "2006"'),
        ({"spec": {"strategy": {"rollingUpdate": {"maxSurge": True}}}},
         "map[spec:map[strategy:map[rollingUpdate:map[maxSurge:true]]]]",
         "json: cannot unmarshal bool into Go value of type int32"),
    ],
)  # fmt: skip
def test_a_patch_to_a_wrong_type_is_invalid(
    local: Local, ns: str, change: Any, shown: str, why: str
) -> None:
    path = f"/apis/apps/v1/namespaces/{ns}/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    local.request("POST", path, {"metadata": {"name": "d"}, "spec": spec})
    kind = "application/strategic-merge-patch+json"
    refused = local.request("PATCH", f"{path}/d", change, kind)
    assert (refused.code, refused.json["reason"]) == (422, "Invalid")
    told = f' "" is invalid: patch: Invalid value: "{shown}": {why}'
    assert refused.json["message"].startswith(told)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("2026-02-30T00:00:00Z", ": day out of range"),
        ("2026-01-01", 'cannot parse "" as "T"'),
        ("2026-01-01T00:00:00", 'cannot parse "" as "Z07:00"'),
        ("2026-01-01T00:00:00Zulu", 'extra text: "ulu"'),
    ],
)
def test_a_time_that_is_none_is_told_where_it_fails(value: str, why: str) -> None:
    obj = {"apiVersion": "v1", "kind": "Pod", "status": {"startTime": value}}
    with pytest.raises(ApiError, match=re.escape(f'parsing time "{value}"')) as raised:
        fieldvalidation.check(obj)
    assert raised.value.args[0].endswith(why)


def test_a_field_that_the_schema_knows_is_kept_and_another_is_told() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"hostUsers": False, "hostUser": False}}
    options = fieldvalidation.WriteOptions(field_validation="Warn")
    assert fieldvalidation.check(pod, options)["spec"] == {"hostUsers": False}
    assert options.warnings == ['unknown field "spec.hostUser"']


def test_defaults_of_the_schema_are_filled_in(local: Local, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}
    made = local.request("POST", path, {"metadata": {"name": "c"}, "spec": spec}).json
    assert made["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert made["status"] == {"phase": "Pending"}
    sets = f"/apis/apps/v1/namespaces/{ns}/statefulsets"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template, "serviceName": "s"}
    made = local.request("POST", sets, {"metadata": {"name": "s"}, "spec": spec}).json
    assert made["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 0}
    [container] = made["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert made["status"] == {"availableReplicas": 0, "replicas": 0}
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices"
    body = {"metadata": {"name": "s"}, "addressType": "IPv4"}
    assert local.request("POST", slices, body).code == 201
    event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": ns}}
    made = local.request("POST", f"/api/v1/namespaces/{ns}/events", event).json
    assert made["source"] == {}
    assert made["reportingComponent"] == ""


def test_walk_reaches_every_part_that_the_schema_knows() -> None:
    spec = {"containers": [{"name": "a", "env": [{"name": "A"}]}], "nodeSelector": {"d": "x"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
    found = {path: (value, kind.type) for path, value, kind in schema.walk(pod, schema.of(pod))}
    assert found["spec.containers[0].env[0].name"] == ("A", "string")
    assert found["spec.nodeSelector[d]"] == ("x", "string")
    assert found["spec.containers"][1] == "array"
    assert found[""] == (pod, "struct")


def test_what_is_served_can_be_recorded_again(local: Local) -> None:
    listed = local.request("GET", "/openapi/v3").json["paths"]
    assert listed.keys() <= set(record_openapi.GROUPS)
    documents = [local.request("GET", one["serverRelativeURL"]).json for one in listed.values()]
    served = record_openapi.gather(documents)
    assert served == {name: schema.definitions()[name] for name in served}
    assert {schema.name_of(*kind) for kind in KINDS} <= served.keys()
    text = record_openapi.text_of("v1.36.2", schema.definitions())
    assert text == Path(schema.__file__).with_name("openapi.json").read_text("ascii")


def test_only_the_descriptions_come_from_the_installed_client() -> None:
    root = Path(localcluster.__file__).parent / "api"
    readers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"find_spec|import kubernetes|from kubernetes|inspect", path.read_text())
    }
    assert readers == {"schema/descriptions.py"}


def test_without_the_client_nothing_is_missing_but_descriptions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_client = documents._v3_documents()["apis/batch/v1"]
    monkeypatch.setattr(descriptions, "_files", dict)
    without = documents._v3_documents()["apis/batch/v1"]
    assert len(without) < len(with_client)
    found = [json.loads(text) for text in (with_client, without)]
    assert record_openapi.gather(found[:1]) == record_openapi.gather(found[1:])
