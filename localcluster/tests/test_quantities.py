"""Quantities in the form in which the API gives them back."""

from __future__ import annotations

import pytest

from localcluster.apimachinery.quantities import canonical

from .conftest import Local, pod


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0.1", "100m"),
        (0.5, "500m"),
        (2, "2"),
        ("1000m", "1"),
        ("1500", "1500"),
        ("2000", "2k"),
        ("67108864", "67108864"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Ki", "512"),
        ("0.0001Ki", "102400u"),
        ("1e3", "1e3"),
        ("12e2", "1200"),
        ("100E", "100E"),
        ("0.1n", "1n"),
        ("-0.5", "-500m"),
        ("0", "0"),
        ("0m", "0"),
        ("+1.", "1"),
        ("1.2.3", "1.2.3"),
        ("much", "much"),
    ],
)
def test_quantities_have_one_form(written: object, shown: str) -> None:
    assert canonical(written) == shown


def test_the_api_gives_quantities_back_in_that_form(local: Local, ns: str) -> None:
    resources = {"requests": {"cpu": "0.1", "memory": "1024Mi"}, "limits": {"cpu": 1}}
    manifest = pod("p", "true", container={"resources": resources})
    made = local.request("POST", f"/api/v1/namespaces/{ns}/pods", manifest).json
    (container,) = made["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "1Gi"},
        "limits": {"cpu": "1"},
    }
