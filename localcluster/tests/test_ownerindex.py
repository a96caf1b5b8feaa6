"""The cache that finds objects by their owners."""

from __future__ import annotations

from typing import Any

from localcluster.controllers.ownerindex import OwnerIndex


def _pod(name: str, *owners: str, controller: str = "") -> dict[str, Any]:
    references = [{"uid": uid, "controller": uid == controller} for uid in owners]
    return {"metadata": {"namespace": "ns", "name": name, "ownerReferences": references}}


def _names(found: Any) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in found)


def test_objects_are_found_by_each_of_their_owners() -> None:
    owned = OwnerIndex()
    owned["ns", "a"] = _pod("a", "1", controller="1")
    owned["ns", "b"] = _pod("b", "1", "2", controller="2")
    assert _names(owned.of("1")) == ["a", "b"]
    assert _names(owned.controlled_by({"metadata": {"uid": "1"}})) == ["a"]
    assert owned.of("3") == []


def test_the_index_follows_changes_and_deletions() -> None:
    owned = OwnerIndex()
    owned["ns", "a"] = _pod("a", "1", controller="1")
    owned["ns", "a"] = _pod("a", "2", controller="2")
    assert owned.of("1") == []
    assert _names(owned.of("2")) == ["a"]
    del owned["ns", "a"]
    assert owned.of("2") == []
    owned["ns", "b"] = _pod("b", "1", controller="1")
    assert owned.pop(("ns", "b"))["metadata"]["name"] == "b"
    assert owned.pop(("ns", "b"), None) is None
    assert owned.of("1") == []


def test_what_nobody_controls_is_found_by_namespace() -> None:
    owned = OwnerIndex()
    owned["ns", "free"] = _pod("free")
    owned["ns", "owned"] = _pod("owned", "1", controller="1")
    owned["ns", "loose"] = _pod("loose", "1")
    owned["other", "far"] = _pod("far")
    assert _names(owned.uncontrolled("ns")) == ["free", "loose"]
