"""The environment of a container."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from localcluster.apimachinery.apierrors import ApiError
from localcluster.apimachinery.quantities import quantity
from localcluster.kubelet.podenv import ConfigError, Resolver, expand, service_environment

POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "x"}},
    "spec": {"nodeName": "here"},
}


async def _fetch(plural: str, namespace: str, name: str) -> dict[str, Any]:
    if name != "there":
        raise ApiError(404, "NotFound", "no")
    secret = {"password": base64.b64encode(b"s3").decode()}
    return {"data": secret if plural == "secrets" else {"color": "red"}}


def _resolve(container: dict[str, Any], **base: str) -> dict[str, str]:
    return asyncio.run(Resolver(POD, "127.9.0.1", "127.0.0.1", _fetch).resolve(container, base))


def test_references_are_expanded_and_unknown_ones_stay() -> None:
    env = {"A": "1", "B": "2"}
    assert expand("$(A)-$(B)-$(C)-$$(A)-$A", env) == "1-2-$(C)-$(A)-$A"


def test_variables_see_the_ones_before_them_and_those_of_services() -> None:
    listed = [
        {"name": "X", "value": "$(REDIS_SERVICE_HOST):1"},
        {"name": "Y", "value": "$(X)$(Z)"},
        {"name": "Z", "value": "late"},
    ]
    env = _resolve({"env": listed}, REDIS_SERVICE_HOST="h")
    assert (env["X"], env["Y"]) == ("h:1", "h:1$(Z)")


def test_values_come_from_secrets_configmaps_and_the_pod_itself() -> None:
    env = _resolve(
        {
            "envFrom": [{"configMapRef": {"name": "there"}, "prefix": "C_"}],
            "env": [
                {"name": "P", "valueFrom": {"secretKeyRef": {"name": "there", "key": "password"}}},
                {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "I", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "R", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
                {
                    "name": "O",
                    "valueFrom": {"secretKeyRef": {"name": "no", "key": "x", "optional": True}},
                },
            ],
            "resources": {"limits": {"memory": "1Mi"}},
        }
    )
    assert env == {
        "C_color": "red", "P": "s3", "N": "p", "L": "x", "I": "127.9.0.1", "R": "1048576",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
        ({"secretKeyRef": {"name": "there", "key": "k"}}, "couldn't find key k in Secret n/there"),
        ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
        ({"fieldRef": {"fieldPath": "spec.color"}}, "unsupported fieldPath: spec.color"),
    ],
)
def test_what_is_missing_is_named(source: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        _resolve({"env": [{"name": "X", "valueFrom": source}]})


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", None, "1"),
        ("limits.cpu", "1m", "300"),
        ("limits.cpu", "100m", "3"),
        ("requests.cpu", "1m", "0"),
        ("limits.memory", "1Mi", "96"),
        ("limits.ephemeral-storage", "1Gi", "7"),
        ("limits.memory", "0", "100000000"),
    ],
)
def test_resources_are_rounded_up_and_the_node_is_the_limit_of_the_unlimited(
    resource: str, divisor: str | None, value: str
) -> None:
    reference = {"resource": resource, **({"divisor": divisor} if divisor else {})}
    container = {"resources": {"limits": {"cpu": "300m", "memory": "100M"}}}
    capacity = {"ephemeral-storage": "6500Mi"}
    resolver = Resolver(POD, "127.9.0.1", "127.0.0.1", _fetch, capacity)
    assert resolver.resource(reference, container) == value


def test_any_key_of_a_config_map_becomes_a_variable() -> None:
    async def fetch(plural: str, namespace: str, name: str) -> dict[str, Any]:
        return {"data": {"1bad": "x", "good": "y"}}

    source = {"envFrom": [{"configMapRef": {"name": "there"}}]}
    resolver = Resolver(POD, "127.9.0.1", "127.0.0.1", fetch)
    assert asyncio.run(resolver.resolve(source, {})) == {"1bad": "x", "good": "y"}


def test_services_become_variables_of_both_kinds() -> None:
    service = {
        "metadata": {"name": "my-redis"},
        "spec": {"clusterIP": "127.9.128.1", "ports": [{"port": 6379, "name": "db"}]},
    }
    env = service_environment([service], lambda obj: {})
    assert env["MY_REDIS_SERVICE_HOST"] == "127.9.128.1"
    assert env["MY_REDIS_SERVICE_PORT"] == env["MY_REDIS_SERVICE_PORT_DB"] == "6379"
    assert env["MY_REDIS_PORT"] == "tcp://127.9.128.1:6379"
    assert env["MY_REDIS_PORT_6379_TCP_ADDR"] == "127.9.128.1"
    moved = service_environment([service], lambda obj: {"6379": 40123})
    assert moved["MY_REDIS_SERVICE_PORT"] == "40123"


def test_headless_services_have_no_variables() -> None:
    service = {"metadata": {"name": "x"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}
    assert service_environment([service], lambda obj: {}) == {}


def test_quantities() -> None:
    assert [quantity(q) for q in ("50m", "2", "128Mi", "1k")] == [0.05, 2.0, 2.0**27, 1000.0]
