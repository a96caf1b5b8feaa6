"""Label and field selectors."""

from __future__ import annotations

import pytest

from localcluster.apimachinery.apierrors import ApiError
from localcluster.apimachinery.selectors import field_selector, label_selector

LABELS = {"app": "redis", "tier": "back", "size": "10"}
OBJ = {
    "metadata": {"name": "a", "namespace": "n", "labels": LABELS},
    "status": {"phase": "Running"},
    "spec": {"nodeName": "here"},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=redis", True),
        ("app==redis,tier=front", False),
        ("app!=redis", False),
        ("other!=x", True),
        ("app in (redis, web),tier", True),
        ("app notin (redis)", False),
        ("!other", True),
        ("!app", False),
        ("size>9", True),
        ("size>10", False),
        ("size<11,app", True),
        ("app>1", False),
        ("other<1", False),
    ],
)
def test_label_selectors(text: str, matches: bool) -> None:
    assert label_selector(text)(OBJ) is matches


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("metadata.name=a", True),
        ("status.phase!=Running", False),
        ("status.phase=Running,spec.nodeName=there", False),
    ],
)
def test_field_selectors(text: str, matches: bool) -> None:
    assert field_selector(text, "pods")(OBJ) is matches


def test_what_cannot_be_selected_is_a_bad_request() -> None:
    with pytest.raises(ApiError, match=r"field label not supported: spec\.color"):
        field_selector("spec.color=red", "pods")
    with pytest.raises(ApiError, match="found '=', expected"):
        label_selector("a=b=c")
    with pytest.raises(ApiError, match="found '=', expected: !, identifier, or 'end of string'"):
        label_selector("=b")
    with pytest.raises(ApiError, match="'Lt' operators, the value must be an integer"):
        label_selector("a>b")
    with pytest.raises(ApiError, match=r'field label "a.b" not supported for Job'):
        field_selector("a.b=1", "jobs")
