"""Objects in protobuf form, as `kubectl create` sends them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from localcluster.api.endpoints import protobuf
from localcluster.api.endpoints.protobuf import CONTENT_TYPE, decode
from localcluster.api.schema import schema
from localcluster.apimachinery import resources
from localcluster.apimachinery.apierrors import ApiError

from .conftest import Local

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]

# What each command makes must be what the same command prints without sending it.
COMMANDS = [
    "configmap c --from-literal=a=b --from-literal=n=1",
    "secret generic s --from-literal=password=hunter2 --type=example.com/x",
    "serviceaccount sa",
    "job j --image=python:3.11 -- python -c pass",
    "cronjob cj --image=python:3.11 --schedule=@hourly --restart=OnFailure -- true",
    "deployment d --image=redis:7 --replicas=0 --port=6379",
    "service clusterip svc --tcp=80:8080",
    "service externalname out --external-name=example.com",
    "role r --verb=get,list --resource=pods --resource-name=x",
    "rolebinding rb --role=r --serviceaccount=default:default --user=u",
    "quota q --hard=pods=3,requests.cpu=500m",
    "poddisruptionbudget pdb --selector=app=x --min-available=50%",
    "ingress web --rule=example.com/*=svc:80",
]
# Which the client prints though they say nothing, or the server sets.
_NOTHING: tuple[Any, ...] = (None, {}, [])


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _bare(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one not in _NOTHING}
    return [_bare(one) for one in value] if isinstance(value, list) else value


def _covers(found: Any, wanted: Any, path: str = "") -> None:
    """Everything that is wanted is found; the server may add its defaults."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            assert name in found, f"{path}.{name} is missing"
            _covers(found[name], value, f"{path}.{name}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), path
        for i, value in enumerate(wanted):
            _covers(found[i], value, f"{path}[{i}]")
    else:
        assert found == wanted, path


@pytest.mark.parametrize("command", COMMANDS)
def test_create_makes_what_its_dry_run_prints(kubectl: Kubectl, command: str) -> None:
    arguments = ["create", *command.split()]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    printed = [*arguments[:cut], "--dry-run=client", "-o", "json", *arguments[cut:]]
    wanted = _bare(json.loads(kubectl(*printed).stdout))
    wanted.pop("status", None)
    kubectl(*arguments)
    name = f"{wanted['kind']}/{wanted['metadata']['name']}"
    _covers(json.loads(kubectl("get", name, "-o", "json").stdout), wanted)


def test_a_job_from_a_cronjob(kubectl: Kubectl) -> None:
    kubectl("create", "cronjob", "cj", "--image=python:3.11", "--schedule=@hourly")
    kubectl("create", "job", "j", "--from=cronjob/cj")
    job = json.loads(kubectl("get", "job", "j", "-o", "json").stdout)
    assert job["metadata"]["annotations"] == {"cronjob.kubernetes.io/instantiate": "manual"}
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == "python:3.11"


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


def _envelope(kind: bytes, raw: bytes) -> bytes:
    about = _field(1, b"v1") + _field(2, kind)
    return b"k8s\x00" + _field(1, about) + _field(2, raw)


def test_zeros_that_are_meant_stay_and_others_go() -> None:
    # Suspended with parallelism 0 and a negative number; a tty that is false says nothing.
    container = _field(1, b"main") + b"\x90\x01\x00"
    spec = bytes([1 << 3, 0, 7 << 3]) + b"\xff" * 9 + b"\x01" + bytes([10 << 3, 1])
    spec += _field(6, _field(2, _field(2, container)))
    job = decode(_envelope(b"Job", _field(2, spec)))
    assert job["spec"] == {
        "parallelism": 0,
        "backoffLimit": -1,
        "suspend": True,
        "template": {"spec": {"containers": [{"name": "main"}]}},
    }


def _structs(kind: schema.Type, found: dict[str, schema.Type]) -> dict[str, schema.Type]:
    """Return all structs of which a type is made."""
    if kind.type == "struct" and kind.name not in found:
        found[kind.name] = kind
        for part in kind.fields.values():
            _structs(part.innermost, found)
    return found


@pytest.mark.parametrize("resource", resources.ALL, ids=lambda resource: resource.name)
def test_no_field_that_the_schema_has_is_lost(resource: resources.Resource) -> None:
    messages = protobuf._messages()
    for name, struct in _structs(schema.of_kind(resource.group_version, resource.kind), {}).items():
        read = {"apiVersion", "kind"}
        for field in messages[name.rpartition(".")[2]].values():
            inlined = messages[field.kind].values() if field.name in protobuf._INLINED else []
            read |= {field.name, *(inner.name for inner in inlined)}
        assert not struct.fields.keys() - read, name


def test_an_unknown_kind_is_an_unsupported_media_type(local: Local, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    refused = local.request("POST", path, _envelope(b"Gadget", b""), CONTENT_TYPE)
    assert refused.code == 415
    assert refused.json["message"].startswith("the local cluster does not read Gadget (v1)")


BROKEN = [
    b"",
    b"k8s",
    b"{}",
    b"k8s\x00\xff\xff",
    b"k8s\x00" + b"\xff" * 40,
    _envelope(b"Pod", b"\x12\x7f"),
]


@pytest.mark.parametrize("body", BROKEN)
def test_broken_protobuf_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        decode(body)
    assert raised.value.code in (400, 415)


def test_deletion_options_in_protobuf_are_read(local: Local, ns: str) -> None:
    path = f"/api/v1/namespaces/{ns}/configmaps"
    local.request("POST", path, {"metadata": {"name": "c"}})
    wrong = _envelope(b"DeleteOptions", _field(2, _field(1, b"another")))
    refused = local.request("DELETE", f"{path}/c", wrong, CONTENT_TYPE)
    assert refused.code == 409
    assert "the UID in the precondition (another) does not match" in refused.json["message"]
