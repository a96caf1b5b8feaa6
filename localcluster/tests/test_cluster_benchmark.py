"""The benchmark of the local cluster measures what it says, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import clusterreport as report  # noqa: E402

# Small Jobs: whether the figures are there is seen here, and what they are elsewhere.
COMMAND = [sys.executable, str(ROOT / "benchmarks" / "localcluster.py"), "--quick", "--pods", "20"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With a temporary folder of its own, to see what is left in it."""
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp")}


def test_a_spread_is_by_nearest_rank() -> None:
    found = report.spread([float(n) for n in range(1, 21)])
    assert (found["median"], found["p95"], found["min"], found["max"]) == (10.5, 19, 1, 20)
    assert report.spread([7.0]) == {"median": 7, "p95": 7, "min": 7, "max": 7, "samples": 1}


@pytest.mark.timeout(240)
def test_the_command_prints_one_json_object_with_every_figure(
    environment: dict[str, str], tmp_path: Path
) -> None:
    run = subprocess.run(
        [*COMMAND, "--json"], capture_output=True, text=True, env=environment, timeout=200
    )
    assert run.returncode == 0, run.stderr[-2000:]
    result = json.loads(run.stdout)
    assert result["job_seconds"]["samples"] == 3
    assert result["job_seconds"]["min"] > result["popen_job_seconds"]["min"]
    assert result["boot_ms"]["median"] >= result["boot_kubeconfig_ms"]["median"]
    assert result["ratio_to_popen"]["pod_start"] > 1
    assert result["fanout_latency_ms"]["samples"] == 20 * 20
    assert result["memory_mb"]["after_three_jobs"] > result["memory_mb"]["at_start"] > 10
    for rates in result["requests_per_second"].values():
        assert set(rates) == {"1", "4"}
        assert all(spread["median"] > 0 for spread in rates.values())
    assert len(result["bars"]) == len(report.BARS)
    for bar in result["bars"]:
        assert bar["verdict"] == ("met" if bar["value"] < bar["bar"] else "short")
    for line in ("boot until", "Job of 20 pods", "requests per second", "Bars"):
        assert line in report.text(result)
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_runs_on_when_it_is_ended(
    environment: dict[str, str], tmp_path: Path, number: int
) -> None:
    def of_ours() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = " ".join(process.info["cmdline"] or [])
            if str(tmp_path) in words and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    with subprocess.Popen(COMMAND, stderr=subprocess.DEVNULL, env=environment) as process:
        while not (daemons := [p for p in of_ours() if "serve" in p.cmdline()]):
            assert process.poll() is None
        process.send_signal(number)
        process.wait(60)
    _, alive = psutil.wait_procs(daemons, timeout=40)
    assert alive == []
    assert of_ours() == []
