"""Who goes with whom: owners and their dependents, and the end of a namespace."""

from __future__ import annotations

import time
from typing import Any

import pytest
from kubernetes.client import ApiException

from .conftest import Local, pod, wait_until

Obj = dict[str, Any]


def _make(local: Local, ns: str, name: str, *owners: str, block: bool = False, **more: Any) -> None:
    """Create a ConfigMap that belongs to others."""
    references = []
    for owner in owners:
        uid = local.core.read_namespaced_config_map(owner, ns).metadata.uid
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid}
        references.append({**reference, "blockOwnerDeletion": block})
    body = {"metadata": {"name": name, "ownerReferences": references, **more}}
    local.core.create_namespaced_config_map(ns, body)


def _left(local: Local, ns: str) -> dict[str, list[str]]:
    """Return the ConfigMaps that are there, each with its owners."""
    return {
        found.metadata.name: [owner.name for owner in found.metadata.owner_references or []]
        for found in local.core.list_namespaced_config_map(ns).items
        if found.metadata.name != "kube-root-ca.crt"
    }


def _delete(local: Local, ns: str, name: str, policy: str) -> None:
    local.core.delete_namespaced_config_map(name, ns, propagation_policy=policy)


def test_in_the_background_a_chain_of_dependents_goes(local: Local, ns: str) -> None:
    _make(local, ns, "one")
    _make(local, ns, "two", "one")
    _make(local, ns, "three", "two")
    _delete(local, ns, "one", "Background")
    wait_until(lambda: _left(local, ns) == {})


def test_orphans_stay_with_what_is_theirs(local: Local, ns: str) -> None:
    _make(local, ns, "one")
    _make(local, ns, "two", "one")
    _make(local, ns, "three", "two")
    _delete(local, ns, "one", "Orphan")
    wait_until(lambda: _left(local, ns) == {"two": [], "three": ["two"]})


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_a_dependent_of_two_owners_outlives_one(local: Local, ns: str, policy: str) -> None:
    _make(local, ns, "one")
    _make(local, ns, "two")
    _make(local, ns, "child", "one", "two", block=True)
    _delete(local, ns, "one", policy)
    wait_until(lambda: _left(local, ns) == {"two": [], "child": ["two"]})
    _delete(local, ns, "two", policy)
    wait_until(lambda: _left(local, ns) == {})


@pytest.mark.parametrize("block", [True, False])
def test_in_the_foreground_the_owner_waits_for_whom_it_must(
    local: Local, ns: str, block: bool
) -> None:
    _make(local, ns, "one")
    _make(local, ns, "child", "one", block=block, finalizers=["example.org/wait"])
    _delete(local, ns, "one", "Foreground")

    def ending() -> bool:
        found = local.core.read_namespaced_config_map("child", ns).metadata
        return found.deletion_timestamp is not None

    wait_until(ending)
    if block:
        owner = local.core.read_namespaced_config_map("one", ns).metadata
        assert owner.finalizers == ["foregroundDeletion"]
        assert owner.deletion_grace_period_seconds == 0
    else:
        wait_until(lambda: set(_left(local, ns)) == {"child"})
    local.core.patch_namespaced_config_map("child", ns, {"metadata": {"finalizers": None}})
    wait_until(lambda: _left(local, ns) == {})


@pytest.mark.parametrize(("kind", "stays"), [("ConfigMap", False), ("Frob", True)])
def test_who_never_had_an_owner_goes_unless_nobody_can_tell(
    local: Local, ns: str, kind: str, stays: bool
) -> None:
    reference = {"apiVersion": "v1", "kind": kind, "name": "nobody", "uid": "1-2-3"}
    body = {"metadata": {"name": "lost", "ownerReferences": [reference]}}
    local.core.create_namespaced_config_map(ns, body)
    if stays:
        time.sleep(0.3)
        assert set(_left(local, ns)) == {"lost"}
    else:
        wait_until(lambda: _left(local, ns) == {})


def test_only_one_owner_can_be_the_controller(local: Local, ns: str) -> None:
    common = {"apiVersion": "v1", "kind": "ConfigMap", "controller": True}
    references = [{**common, "name": name, "uid": name} for name in ("one", "two")]
    body = {"metadata": {"name": "child", "ownerReferences": references}}
    with pytest.raises(ApiException) as refused:
        local.core.create_namespaced_config_map(ns, body)
    assert refused.value.status == 422
    assert "in references for ConfigMap/one and ConfigMap/two" in str(refused.value.body)


def test_a_namespace_says_what_it_still_waits_for(local: Local) -> None:
    local.core.create_namespace({"metadata": {"name": "ending"}})
    script = "trap 'sleep 1; exit 0' TERM; while :; do sleep 0.05; done"
    body = pod("slow", "sh", "-c", script, terminationGracePeriodSeconds=30)
    local.core.create_namespaced_pod("ending", body)
    wait_until(lambda: local.core.read_namespaced_pod("slow", "ending").status.phase == "Running")
    local.core.delete_namespace("ending")

    def conditions() -> dict[str, Any]:
        found = local.core.read_namespace("ending").status
        return {c.type: c for c in found.conditions or []} if found.phase == "Terminating" else {}

    said = wait_until(conditions)
    assert said["NamespaceContentRemaining"].status == "True"
    assert said["NamespaceContentRemaining"].message == (
        "Some resources are remaining: pods. has 1 resource instances"
    )
    assert said["NamespaceDeletionContentFailure"].status == "False"
    names = lambda: {n.metadata.name for n in local.core.list_namespace().items}  # noqa: E731
    wait_until(lambda: "ending" not in names())
