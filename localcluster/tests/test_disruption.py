"""Budgets for disruptions, the evictions that they refuse, and pods that nobody else removes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from subprocess import CompletedProcess
from typing import Any

import pytest

from localcluster.apimachinery.client import Client
from localcluster.apimachinery.httptransport import HttpTransport
from localcluster.apimachinery.informer import Informer
from localcluster.controllers.podgc import PodGarbageCollector

from .conftest import Local, job, pod, wait_until

Kubectl = Callable[..., CompletedProcess[str]]
Collect = Callable[[Callable[[], Any]], None]
Obj = dict[str, Any]
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_MERGE = "application/merge-patch+json"
_NEVER_READY = {"exec": {"command": ["false"]}, "periodSeconds": 1}


def _deploy(kubectl: Kubectl, replicas: int, **container: Any) -> None:
    """Create a Deployment whose pods have the label `app=d`."""
    template = {
        "metadata": {"labels": {"app": "d"}},
        "spec": {**pod("x", "sleep", "60", container=container)["spec"], "restartPolicy": "Always"},
    }
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "d"}},
            "template": template,
        },
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(body))


def _budget(local: Local, ns: str, name: str = "b", **spec: Any) -> None:
    body = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": "d"}}, **spec},
    }
    reply = local.request("POST", f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets", body)
    assert (reply.code, reply.headers.get("warning")) == (201, None)


def _status(local: Local, ns: str, name: str = "b") -> Obj:
    path = f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets/{name}"
    found: Obj = local.request("GET", path).json["status"]
    return found


def _numbers(status: Obj) -> tuple[int, ...]:
    names = ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")
    return tuple(status[name] for name in names)


def _has(local: Local, ns: str, *numbers: int) -> Obj:
    def found() -> Obj | None:
        status = _status(local, ns)
        return status if "conditions" in status and _numbers(status) == numbers else None

    status: Obj = wait_until(found, what=f"the budget has {numbers}")
    return status


def _evict(local: Local, ns: str, name: str) -> tuple[int, Obj]:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    reply = local.request("POST", f"/api/v1/namespaces/{ns}/pods/{name}/eviction", body)
    return reply.code, reply.json


def _pods(local: Local, ns: str) -> list[str]:
    return [found.metadata.name for found in local.core.list_namespaced_pod(ns).items]


def _event(local: Local, ns: str, reason: str) -> str:
    def found() -> str | None:
        listed = local.core.list_namespaced_event(ns, field_selector=f"reason={reason}").items
        return listed[0].message if listed else None

    return str(wait_until(found, what=reason))


@pytest.mark.parametrize(
    ("spec", "numbers"),
    [
        ({"maxUnavailable": 1}, (3, 2, 3, 1)),
        ({"maxUnavailable": "34%"}, (3, 1, 3, 2)),
        ({"maxUnavailable": 5}, (3, 0, 3, 3)),
        ({"minAvailable": 1}, (3, 1, 3, 2)),
        ({"minAvailable": 4}, (3, 4, 3, 0)),
        ({"minAvailable": "50%"}, (3, 2, 3, 1)),
        ({"minAvailable": "100%"}, (3, 3, 3, 0)),
    ],
)
def test_how_many_pods_of_a_deployment_may_go(
    local: Local, ns: str, kubectl: Kubectl, spec: Obj, numbers: tuple[int, ...]
) -> None:
    _budget(local, ns, **spec)
    _deploy(kubectl, 3)
    status = _has(local, ns, *numbers)
    [condition] = status["conditions"]
    holds = ("True", "SufficientPods") if numbers[-1] else ("False", "InsufficientPods")
    assert condition["type"] == "DisruptionAllowed"
    assert (condition["status"], condition["reason"]) == holds
    assert status["observedGeneration"] == condition["observedGeneration"] == 1


def test_a_budget_without_pods_allows_nothing(local: Local, ns: str) -> None:
    _budget(local, ns, minAvailable=0)
    _has(local, ns, 0, 0, 0, 0)
    assert _event(local, ns, "NoPods") == "No matching pods found"


def test_pods_that_nobody_controls_count_only_for_a_number(local: Local, ns: str) -> None:
    local.core.create_namespaced_pod(ns, pod("d", "sleep", "60"))
    _budget(local, ns, minAvailable=1)
    _has(local, ns, 1, 1, 1, 0)
    path = f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets/b"
    change = {"spec": {"minAvailable": "50%"}}
    local.request("PATCH", path, change, _MERGE)
    assert _has(local, ns, 0, 0, 1, 0)["observedGeneration"] == 2
    assert _event(local, ns, "UnmanagedPods").startswith(
        "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:"
        "map[string]string{app: d,},MatchExpressions:[]LabelSelectorRequirement{},}) were found"
    )


def test_how_many_pods_a_job_wants_is_not_known(local: Local, ns: str) -> None:
    _budget(local, ns, maxUnavailable=1)
    _has(local, ns, 0, 0, 0, 0)
    body = job("j", "sleep", "60")
    body["spec"]["template"]["metadata"] = {"labels": {"app": "d"}}
    local.batch.create_namespaced_job(ns, body)
    why = "jobs.batch does not implement the scale subresource"

    def failed() -> bool:
        conditions = _status(local, ns).get("conditions") or [{}]
        return (conditions[0].get("reason"), conditions[0].get("message")) == ("SyncFailed", why)

    wait_until(failed)
    wait_until(lambda: local.batch.read_namespaced_job("j", ns).status.ready == 1)
    code, answer = _evict(local, ns, _pods(local, ns)[0])
    assert (code, answer["details"]["causes"][0]["message"]) == (
        429,
        f"The disruption budget b does not allow evicting pods currently because it failed sync:"
        f" {why}",
    )


def test_only_as_many_evictions_as_the_budget_allows(local: Local, ns: str) -> None:
    names = ["a", "b", "c"]
    for name in names:
        local.core.create_namespaced_pod(ns, pod(name, "sleep", "60", labels={"app": "d"}))
    _budget(local, ns, minAvailable=2)
    _has(local, ns, 3, 2, 3, 1)
    with ThreadPoolExecutor(3) as together:
        answers = list(together.map(lambda name: _evict(local, ns, name), names))
    assert sorted(code for code, _ in answers) == [201, 429, 429]
    refused = next(answer for code, answer in answers if code == 429)
    assert (refused["reason"], refused["message"]) == ("TooManyRequests", _REFUSED)
    [cause] = refused["details"]["causes"]
    assert cause["reason"] == "DisruptionBudget"
    # The controller may have counted again already.
    healthy = "The disruption budget b needs 2 healthy pods and has {} currently"
    assert cause["message"] in (healthy.format(2), healthy.format(3))
    assert "disruptedPods" not in _has(local, ns, 2, 2, 2, 0)
    assert _evict(local, ns, "nobody")[0] == 404


@pytest.mark.parametrize(("policy", "code"), [(None, 429), ("AlwaysAllow", 201)])
def test_a_pod_that_is_not_ready(
    local: Local, ns: str, kubectl: Kubectl, policy: str | None, code: int
) -> None:
    _deploy(kubectl, 1, readinessProbe=_NEVER_READY)
    wait_until(lambda: "Running" in kubectl("get", "pods").stdout)
    _budget(local, ns, minAvailable=1, unhealthyPodEvictionPolicy=policy)
    _has(local, ns, 1, 1, 0, 0)
    assert _evict(local, ns, _pods(local, ns)[0])[0] == code


def test_two_budgets_are_too_many(local: Local, ns: str) -> None:
    local.core.create_namespaced_pod(ns, pod("d", "sleep", "60"))
    wait_until(lambda: local.core.read_namespaced_pod("d", ns).status.phase == "Running")
    _budget(local, ns, minAvailable=0)
    _budget(local, ns, "other", minAvailable=0)
    code, answer = _evict(local, ns, "d")
    assert (code, answer["message"]) == (
        500,
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not"
        " support.",
    )


def test_a_drain_waits_until_the_budget_allows_it(local: Local, ns: str, kubectl: Kubectl) -> None:
    local.core.create_namespaced_pod(ns, pod("d", "sleep", "60"))
    _budget(local, ns, minAvailable=1)
    _has(local, ns, 1, 1, 1, 0)
    arguments = ("drain", "worker-1", "--pod-selector=app=d", "--force")
    try:
        tried = kubectl(*arguments, "--timeout=1s", check=False)
        assert tried.returncode == 1
        assert f"(will retry after 5s): {_REFUSED}" in tried.stderr
        path = f"/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets/b"
        change = {"spec": {"minAvailable": 0}}
        local.request("PATCH", path, change, _MERGE)
        _has(local, ns, 1, 0, 1, 1)
        assert "node/worker-1 drained" in kubectl(*arguments).stdout
    finally:
        kubectl("uncordon", "worker-1")
    assert _pods(local, ns) == []


@pytest.fixture
def collected(local: Local, ns: str) -> Collect:
    """Return a way to wait while a collector of lost pods works that has less patience."""

    async def work(until: Callable[[], Any]) -> None:
        transport = HttpTransport(local.server, local.token, local.context)
        client = Client(transport)
        pods = Informer(client, f"/api/v1/namespaces/{ns}/pods")
        nodes = Informer(client, "/api/v1/nodes")
        collector = PodGarbageCollector(client, pods, nodes, quarantine=0.1)
        pods.on_change, nodes.on_change = collector.pod_changed, collector.node_changed
        following = [asyncio.create_task(informer.run()) for informer in (nodes, pods)]
        await asyncio.to_thread(wait_until, until)
        collector.queue.close()
        for task in following:
            task.cancel()
        transport.close()

    return lambda until: asyncio.run(work(until))


def test_pods_of_a_node_that_is_gone_are_removed(local: Local, ns: str, collected: Collect) -> None:
    lost = pod("lost", "sleep", "60", nodeName="gone")
    lost["metadata"]["finalizers"] = ["example.com/wait"]
    local.core.create_namespaced_pod(ns, lost)
    local.core.create_namespaced_pod(ns, pod("kept", "sleep", "60"))
    path = f"/api/v1/namespaces/{ns}/pods/lost"
    collected(lambda: local.request("GET", path).json["metadata"].get("deletionTimestamp"))
    status = local.request("GET", path).json["status"]
    [condition] = [c for c in status["conditions"] if c["type"] == "DisruptionTarget"]
    assert (status["phase"], condition["status"]) == ("Failed", "True")
    assert condition["reason"] == "DeletionByPodGC"
    assert condition["message"] == "PodGC: node no longer exists"
    local.request("PATCH", path, {"metadata": {"finalizers": None}}, _MERGE)
    wait_until(lambda: _pods(local, ns) == ["kept"])


@pytest.mark.parametrize("action", ["Count", "Ignore"])
def test_a_job_counts_the_pods_of_a_node_that_is_gone(
    local: Local, ns: str, action: str, collected: Collect
) -> None:
    rule = {"action": action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    body = job("j", "true", backoffLimit=0, podFailurePolicy={"rules": [rule]})
    body["spec"]["template"]["spec"]["nodeName"] = "gone"
    local.batch.create_namespaced_job(ns, body)
    first = wait_until(lambda: _pods(local, ns))

    def conditions() -> list[str]:
        found = local.batch.read_namespaced_job("j", ns).status.conditions or []
        return [condition.reason for condition in found]

    if action == "Count":
        collected(lambda: conditions() == ["BackoffLimitExceeded"] * 2)
        return
    collected(lambda: _pods(local, ns) not in ([], first))
    assert conditions() == []
    assert not local.batch.read_namespaced_job("j", ns).status.failed


def test_a_deleted_pod_without_a_node_is_removed(local: Local, ns: str) -> None:
    body = job("j", "true", podReplacementPolicy="Failed", backoffLimit=0)
    body["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "none"}
    local.batch.create_namespaced_job(ns, body)
    [name] = wait_until(lambda: _pods(local, ns))
    local.core.delete_namespaced_pod(name, ns)
    wait_until(lambda: name not in _pods(local, ns))
    wait_until(lambda: local.batch.read_namespaced_job("j", ns).status.failed == 1)


def test_a_pod_that_ends_on_a_node_out_of_service_is_removed(local: Local, ns: str) -> None:
    taint = {"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}
    local.core.create_node({"metadata": {"name": "broken"}, "spec": {"taints": [taint]}})
    try:
        stays = [{"operator": "Exists"}]
        manifest = pod("p", "sleep", "60", nodeName="broken", tolerations=stays)
        local.core.create_namespaced_pod(ns, manifest)
        path = f"/api/v1/namespaces/{ns}/pods/p"
        status = {"status": {"phase": "Running"}}
        local.request("PATCH", f"{path}/status", status, _MERGE)
        local.core.delete_namespaced_pod("p", ns, grace_period_seconds=30)
        wait_until(lambda: local.request("GET", path).code == 404)
    finally:
        local.core.delete_node("broken")
