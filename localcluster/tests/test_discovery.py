"""Discovery: what the API says it has, in which order, and that it is there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

from .conftest import Local, pod

Run = Callable[..., subprocess.CompletedProcess[str]]
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def _listed(local: Local) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Return the path of each group version, and its resources."""
    groups = local.request("GET", "/apis").json["groups"]
    versions = [one["groupVersion"] for group in groups for one in group["versions"]]
    for path in ("/api/v1", *(f"/apis/{version}" for version in versions)):
        yield path, local.request("GET", path).json["resources"]


def test_resources_are_in_the_order_of_their_names(local: Local) -> None:
    for path, resources in _listed(local):
        names = [one["name"] for one in resources]
        assert names == sorted(names), path


def test_what_is_announced_is_there(local: Local, ns: str) -> None:
    for path, resources in _listed(local):
        for one in resources:
            plural, _, subresource = one["name"].partition("/")
            place = f"{path}/namespaces/{ns}/{plural}" if one["namespaced"] else f"{path}/{plural}"
            if "list" in one["verbs"]:
                assert local.request("GET", place).json["kind"] == f"{one['kind']}List"
            if subresource and "get" in one["verbs"]:
                reply = local.request("GET", f"{place}/no-such/{subresource}")
                assert "not found" in reply.json["message"], one["name"]


def test_what_is_not_announced_is_refused(local: Local, ns: str) -> None:
    for path, resources in _listed(local):
        for one in resources:
            if "/" in one["name"]:
                continue
            spaced = f"namespaces/{ns}/{one['name']}" if one["namespaced"] else one["name"]
            for verb, method in (("list", "GET"), ("deletecollection", "DELETE")):
                if verb not in one["verbs"]:
                    reply = local.request(method, f"{path}/{spaced}")
                    assert reply.code == 405, (verb, one["name"])


def test_the_aggregated_form_says_the_same(local: Local) -> None:
    said = {}
    for path in ("/api", "/apis"):
        items = local.request("GET", path, headers={"Accept": AGGREGATED}).json["items"]
        for group in items:
            for version in group["versions"]:
                prefix = f"{group['metadata'].get('name', '')}/{version['version']}".strip("/")
                said[prefix] = [
                    name
                    for one in version["resources"]
                    for name in (
                        one["resource"],
                        *(
                            f"{one['resource']}/{s['subresource']}"
                            for s in one.get("subresources", [])
                        ),
                    )
                ]
    for path, resources in _listed(local):
        assert said[path.split("/", 2)[2]] == [one["name"] for one in resources]


def test_a_stored_set_can_be_scaled(local: Local, ns: str, kubectl: Run) -> None:
    labels, spec = {"app": "s"}, pod("s", "true")["spec"]
    template = {"metadata": {"labels": labels}, "spec": {**spec, "restartPolicy": "Always"}}
    made = {"selector": {"matchLabels": labels}, "serviceName": "s", "template": template}
    path = f"/apis/apps/v1/namespaces/{ns}/statefulsets"
    assert local.request("POST", path, {"metadata": {"name": "s"}, "spec": made}).code == 201
    kubectl("scale", "statefulset", "s", "--replicas=3")
    assert local.request("GET", f"{path}/s").json["spec"]["replicas"] == 3


def test_the_status_of_a_range_of_addresses_is_written_by_itself(local: Local, ns: str) -> None:
    path = "/apis/networking.k8s.io/v1/servicecidrs"
    cidr: dict[str, Any] = {"metadata": {"name": ns}, "spec": {"cidrs": ["10.1.0.0/24"]}}
    assert local.request("POST", path, cidr).code == 201
    ready = {"type": "Ready", "status": "True", "reason": "", "message": ""}
    cidr["status"] = {"conditions": [{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    assert local.request("PUT", f"{path}/{ns}/status", cidr).code == 200
    assert local.request("GET", f"{path}/{ns}").json["status"]["conditions"][0]["type"] == "Ready"
    local.request("DELETE", f"{path}/{ns}")
