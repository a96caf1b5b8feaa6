"""ReplicaSets and Deployments: rollouts, their history, scaling, adoption, and their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client import ApiException

from localcluster.controllers import deploymentrules as rules

from .conftest import Local, wait_until

Obj = dict[str, Any]


def _manifest(name: str = "web", replicas: int = 3, kind: str = "Deployment", **spec: Any) -> Obj:
    container = {"name": "main", "image": "python:3.11", "command": ["sleep", "1000"]}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
            **spec,
        },
    }


@pytest.fixture(scope="module")
def apps(local: Local) -> Any:
    return client.AppsV1Api(config.new_client_from_config(str(local.kubeconfig)))


def _deployment(apps: Any, ns: str) -> Any:
    return apps.read_namespaced_deployment("web", ns)


def _rolled_out(apps: Any, ns: str) -> Any:
    """Wait as `kubectl rollout status` does, and return the Deployment."""

    def settled() -> Any:
        found = _deployment(apps, ns)
        status, wanted = found.status, found.spec.replicas
        numbers = (status.updated_replicas, status.replicas, status.available_replicas)
        seen = status.observed_generation == found.metadata.generation
        reasons = [c.reason for c in status.conditions or []]
        done = "NewReplicaSetAvailable" in reasons and numbers == (wanted,) * 3
        return found if seen and done else None

    return wait_until(settled, what="the rollout is complete")


def _sets(apps: Any, ns: str) -> list[Any]:
    listed = apps.list_namespaced_replica_set(ns).items
    return sorted(listed, key=lambda one: int(one.metadata.annotations[rules.REVISION]))


def _change(apps: Any, ns: str, value: str, **spec: Any) -> None:
    annotations = {"metadata": {"annotations": {"version": value}}}
    apps.patch_namespaced_deployment("web", ns, {"spec": {"template": annotations, **spec}})


def _events(local: Local, ns: str, name: str) -> list[tuple[str, str]]:
    listed = local.core.list_namespaced_event(ns, field_selector=f"involvedObject.name={name}")
    return [(event.reason, event.message) for event in listed.items]


def _rolling(surge: Any, missing: Any, replicas: int) -> Obj:
    rolling = {"maxSurge": surge, "maxUnavailable": missing}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    return {"spec": {"replicas": replicas, "strategy": strategy}}


@pytest.mark.parametrize(
    ("surge", "missing", "replicas", "posts"),
    [
        ("25%", "25%", 3, (1, 0)),
        ("25%", "25%", 10, (3, 2)),
        (0, 0, 3, (0, 1)),
        (2, 5, 3, (2, 3)),
        ("100%", 0, 4, (4, 0)),
    ],
)
def test_how_far_a_rollout_may_go(
    surge: Any, missing: Any, replicas: int, posts: tuple[int, int]
) -> None:
    assert rules.fence_posts(_rolling(surge, missing, replicas)) == posts


def test_scaling_amid_a_rollout_keeps_the_proportions() -> None:
    def one(name: str, size: int) -> Obj:
        annotations = {rules.DESIRED: "10", rules.MAX_REPLICAS: "13"}
        created = {"creationTimestamp": "2026-01-01T00:00:00Z"}
        return {
            "metadata": {"name": name, "annotations": annotations, **created},
            "spec": {"replicas": size},
        }

    sizes = rules.proportions(_rolling(3, 2, 15), [one("old", 8), one("new", 5)])
    assert {s["metadata"]["name"]: size for s, size in sizes} == {"old": 11, "new": 7}


def test_a_deployment_runs_its_pods_through_a_replica_set(local: Local, ns: str, apps: Any) -> None:
    created = apps.create_namespaced_deployment(ns, _manifest())
    assert created.metadata.generation == 1
    assert created.spec.strategy.rolling_update.max_surge == "25%"
    assert (created.spec.revision_history_limit, created.spec.progress_deadline_seconds) == (
        10,
        600,
    )
    found = _rolled_out(apps, ns)
    assert found.metadata.annotations[rules.REVISION] == "1"
    assert found.status.ready_replicas == 3
    assert {c.type: (c.status, c.reason) for c in found.status.conditions} == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    (only,) = _sets(apps, ns)
    mark = only.metadata.labels[rules.HASH]
    assert only.metadata.name == f"web-{mark}"
    assert only.spec.selector.match_labels == {"app": "web", rules.HASH: mark}
    assert only.status.fully_labeled_replicas == only.status.available_replicas == 3
    for pod in local.core.list_namespaced_pod(ns).items:
        assert pod.metadata.name.startswith(f"web-{mark}-")
        assert pod.metadata.labels == {"app": "web", rules.HASH: mark}
        (owner,) = pod.metadata.owner_references
        assert (owner.kind, owner.name, owner.controller) == ("ReplicaSet", f"web-{mark}", True)
    wait_until(lambda: len(_events(local, ns, f"web-{mark}")) == 3)
    text = f"Scaled up replica set web-{mark} from 0 to 3"
    assert _events(local, ns, "web") == [("ScalingReplicaSet", text)]


def test_a_new_template_replaces_the_pods_step_by_step(local: Local, ns: str, apps: Any) -> None:
    apps.create_namespaced_deployment(ns, _manifest())
    _rolled_out(apps, ns)
    _change(apps, ns, "2")
    lowest = 3

    def done() -> bool:
        nonlocal lowest
        found = _deployment(apps, ns)
        lowest = min(lowest, found.status.available_replicas or 0)
        assert (found.status.replicas or 0) <= 4
        return found.status.updated_replicas == 3 and found.status.replicas == 3

    wait_until(done)
    assert lowest == 3
    found = _rolled_out(apps, ns)
    assert found.metadata.generation == 2
    assert found.metadata.annotations[rules.REVISION] == "2"
    old, new = _sets(apps, ns)
    assert (old.spec.replicas, new.spec.replicas) == (0, 3)
    assert new.spec.template.metadata.annotations == {"version": "2"}


def test_recreate_ends_all_old_pods_first(local: Local, ns: str, apps: Any) -> None:
    apps.create_namespaced_deployment(ns, _manifest(replicas=2, strategy={"type": "Recreate"}))
    _rolled_out(apps, ns)
    before = {pod.metadata.name for pod in local.core.list_namespaced_pod(ns).items}
    _change(apps, ns, "2")

    def names() -> set[str]:
        return {pod.metadata.name for pod in local.core.list_namespaced_pod(ns).items}

    def turned() -> bool:
        found = names()
        assert not (found & before and found - before)
        return bool(found) and not found & before

    wait_until(turned)
    _rolled_out(apps, ns)


def test_a_paused_deployment_waits_with_its_rollout(local: Local, ns: str, apps: Any) -> None:
    apps.create_namespaced_deployment(ns, _manifest(replicas=1))
    _rolled_out(apps, ns)
    _change(apps, ns, "2", paused=True)

    def paused() -> bool:
        found = _deployment(apps, ns)
        reasons = {c.type: c.reason for c in found.status.conditions}
        return reasons["Progressing"] == "DeploymentPaused"

    wait_until(paused)
    apps.patch_namespaced_deployment_scale("web", ns, {"spec": {"replicas": 2}})
    wait_until(lambda: _deployment(apps, ns).status.available_replicas == 2)
    assert len(_sets(apps, ns)) == 1
    apps.patch_namespaced_deployment("web", ns, {"spec": {"paused": False}})
    wait_until(lambda: len(_sets(apps, ns)) == 2)
    _rolled_out(apps, ns)


def test_a_rollout_that_stands_still_is_said_to_have_failed(
    local: Local, ns: str, apps: Any
) -> None:
    body = _manifest(replicas=1, progressDeadlineSeconds=1)
    body["spec"]["template"]["spec"]["nodeSelector"] = {"no": "where"}
    apps.create_namespaced_deployment(ns, body)

    def timed_out() -> Any:
        conditions = _deployment(apps, ns).status.conditions or []
        return next((c for c in conditions if c.reason == "ProgressDeadlineExceeded"), None)

    condition = wait_until(timed_out)
    (only,) = _sets(apps, ns)
    assert condition.status == "False"
    assert condition.message == f'ReplicaSet "{only.metadata.name}" has timed out progressing.'


def test_the_history_keeps_as_many_revisions_as_it_may(local: Local, ns: str, apps: Any) -> None:
    apps.create_namespaced_deployment(ns, _manifest(replicas=1, revisionHistoryLimit=1))
    for version in ("2", "3"):
        _rolled_out(apps, ns)
        _change(apps, ns, version)
    _rolled_out(apps, ns)
    wait_until(lambda: [rules.REVISION for _ in _sets(apps, ns)] == [rules.REVISION] * 2)
    assert [s.metadata.annotations[rules.REVISION] for s in _sets(apps, ns)] == ["2", "3"]


def test_kubectl_rolls_out_back_and_anew(
    local: Local, ns: str, apps: Any, kubectl: Callable[..., Any]
) -> None:
    apps.create_namespaced_deployment(ns, _manifest())
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web").stdout
    kubectl("set", "env", "deployment/web", "COLOUR=blue")
    kubectl("rollout", "status", "deployment/web")
    history = kubectl("rollout", "history", "deployment/web").stdout
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    kubectl("rollout", "undo", "deployment/web")
    kubectl("rollout", "status", "deployment/web")
    assert _deployment(apps, ns).spec.template.spec.containers[0].env is None
    history = kubectl("rollout", "history", "deployment/web").stdout
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["2", "3"]
    kubectl("rollout", "restart", "deployment/web")
    kubectl("rollout", "status", "deployment/web")
    kubectl("scale", "deployment/web", "--replicas=1", "--current-replicas=3")
    _rolled_out(apps, ns)
    head, row = kubectl("get", "deploy", "-o", "wide").stdout.splitlines()
    assert head.split() == [
        *("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR")
    ]
    assert row.split()[:4] == ["web", "1/1", "1", "1"]
    head, *rows = kubectl("get", "rs").stdout.splitlines()
    assert head.split() == ["NAME", "DESIRED", "CURRENT", "READY", "AGE"]
    assert sorted(row.split()[1] for row in rows) == ["0", "0", "1"]


def test_the_scale_of_a_replica_set(local: Local, ns: str, apps: Any) -> None:
    apps.create_namespaced_replica_set(ns, _manifest(kind="ReplicaSet", replicas=1))
    # Nobody but us writes to it from then on.
    wait_until(lambda: apps.read_namespaced_replica_set("web", ns).status.available_replicas == 1)
    scale = apps.read_namespaced_replica_set_scale("web", ns)
    assert (scale.api_version, scale.kind, scale.spec.replicas) == ("autoscaling/v1", "Scale", 1)
    assert scale.status.selector == "app=web"
    scale.spec.replicas = 2
    assert apps.replace_namespaced_replica_set_scale("web", ns, scale).spec.replicas == 2
    with pytest.raises(ApiException) as stale:
        apps.replace_namespaced_replica_set_scale("web", ns, scale)
    assert stale.value.status == 409
    with pytest.raises(ApiException) as refused:
        apps.patch_namespaced_replica_set_scale("web", ns, {"spec": {"replicas": -1}})
    assert refused.value.status == 422
    wait_until(lambda: apps.read_namespaced_replica_set("web", ns).status.ready_replicas == 2)


def test_a_replica_set_adopts_and_lets_go_by_labels(local: Local, ns: str, apps: Any) -> None:
    apps.create_namespaced_replica_set(ns, _manifest(kind="ReplicaSet", replicas=2))
    wait_until(lambda: apps.read_namespaced_replica_set("web", ns).status.ready_replicas == 2)
    name = local.core.list_namespaced_pod(ns).items[0].metadata.name

    def label(value: str) -> None:
        local.core.patch_namespaced_pod(name, ns, {"metadata": {"labels": {"app": value}}})

    label("free")
    wait_until(lambda: not local.core.read_namespaced_pod(name, ns).metadata.owner_references)
    wait_until(lambda: len(local.core.list_namespaced_pod(ns).items) == 3)
    label("web")
    wait_until(lambda: local.core.read_namespaced_pod(name, ns).metadata.owner_references)
    # The newest of the three has to go.
    wait_until(lambda: len(local.core.list_namespaced_pod(ns).items) == 2)
    assert name in {pod.metadata.name for pod in local.core.list_namespaced_pod(ns).items}


def test_a_deleted_pod_of_a_deployment_comes_back(local: Local, ns: str, apps: Any) -> None:
    apps.create_namespaced_deployment(ns, _manifest(replicas=1))
    _rolled_out(apps, ns)
    (first,) = local.core.list_namespaced_pod(ns).items
    local.core.delete_namespaced_pod(first.metadata.name, ns, grace_period_seconds=0)
    wait_until(lambda: _events(local, ns, _sets(apps, ns)[0].metadata.name)[1:])
    _rolled_out(apps, ns)
    assert first.metadata.name not in {
        p.metadata.name for p in local.core.list_namespaced_pod(ns).items
    }


def test_pods_that_still_end_are_counted(local: Local, ns: str, apps: Any) -> None:
    body = _manifest(replicas=2)
    script = "trap 'sleep 1; exit' TERM; while :; do sleep 0.05; done"
    body["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh", "-c", script]
    body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 30
    apps.create_namespaced_deployment(ns, body)
    _rolled_out(apps, ns)
    apps.patch_namespaced_deployment("web", ns, {"spec": {"replicas": 1}})
    path = f"/apis/apps/v1/namespaces/{ns}"

    def counted(number: int) -> bool:
        deployment = local.request("GET", f"{path}/deployments/web").json
        [replica_set] = local.request("GET", f"{path}/replicasets").json["items"]
        found = [one["status"]["terminatingReplicas"] for one in (deployment, replica_set)]
        return found == [number, number] and deployment["status"]["replicas"] == 1

    wait_until(lambda: counted(1))
    wait_until(lambda: counted(0))


@pytest.mark.parametrize("policy", ["Foreground", "Background"])
def test_deleting_a_deployment_takes_everything_along(
    local: Local, ns: str, apps: Any, policy: str
) -> None:
    apps.create_namespaced_deployment(ns, _manifest(replicas=2))
    _rolled_out(apps, ns)
    apps.delete_namespaced_deployment("web", ns, propagation_policy=policy)
    wait_until(lambda: not apps.list_namespaced_deployment(ns).items)
    if policy == "Foreground":
        assert not local.core.list_namespaced_pod(ns).items
    wait_until(lambda: not local.core.list_namespaced_pod(ns).items)
    assert not apps.list_namespaced_replica_set(ns).items


def test_orphans_stay_and_are_adopted_again(local: Local, ns: str, apps: Any) -> None:
    apps.create_namespaced_deployment(ns, _manifest(replicas=1))
    _rolled_out(apps, ns)
    pods = {pod.metadata.uid for pod in local.core.list_namespaced_pod(ns).items}
    apps.delete_namespaced_deployment("web", ns, propagation_policy="Orphan")
    wait_until(lambda: not apps.list_namespaced_deployment(ns).items)
    (left,) = _sets(apps, ns)
    assert not left.metadata.owner_references
    apps.create_namespaced_deployment(ns, _manifest(replicas=1))
    wait_until(lambda: _sets(apps, ns)[0].metadata.owner_references)
    _rolled_out(apps, ns)
    assert {pod.metadata.uid for pod in local.core.list_namespaced_pod(ns).items} == pods


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"selector": None}, "spec.selector: Required value"),
        ({"selector": {}}, "empty selector is invalid for deployment"),
        ({"selector": {"matchLabels": {"a": "b"}}}, "`selector` does not match template `labels`"),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
         "may not be specified when strategy `type` is 'Recreate'"),
        ({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
         "may not be 0 when `maxSurge` is 0"),
        ({"progressDeadlineSeconds": 5, "minReadySeconds": 5}, "greater than minReadySeconds"),
    ],
)  # fmt: skip
def test_what_a_deployment_may_not_say(local: Local, ns: str, change: Obj, message: str) -> None:
    body = _manifest(**change)
    reply = local.request("POST", f"/apis/apps/v1/namespaces/{ns}/deployments", body)
    assert reply.code == 422
    assert message in reply.json["message"]


def test_the_selector_never_changes(local: Local, ns: str, apps: Any) -> None:
    apps.create_namespaced_deployment(ns, _manifest(replicas=0))
    labels = {
        "selector": {"matchLabels": {"x": "y"}},
        "template": {"metadata": {"labels": {"x": "y"}}},
    }
    with pytest.raises(ApiException) as refused:
        apps.patch_namespaced_deployment("web", ns, {"spec": labels})
    assert "field is immutable" in str(refused.value.body)
