"""cli and doctor: the commands in the terminal, their exit codes and their words."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import localcluster
import wqlib
from wqlib.cluster import local
from wqlib.commands import cli
from wqlib.course import doctor
from wqlib.events import Event, PodEvent
from wqlib.history import History
from wqlib.queue import WorkQueue

REAL = bool(os.environ.get("WQLIB_CONTEXT"))

pytestmark = pytest.mark.skipif(REAL, reason="the commands are tried on the local cluster")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of our own for the local cluster."""
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    localcluster.stop(tmp_path / "home")


def wqlib_command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wqlib.commands.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        **options,  # type: ignore[call-overload]
    )


# -- the command line


def test_it_tells_its_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"wqlib {wqlib.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["cluster"], ["cluster", "burn"]])
def test_a_wrong_command_line_ends_with_2_and_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "usage: wqlib" in capsys.readouterr().err


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    for command in ("doctor", "cluster", "demo", "worker", "replay", "bundle"):
        assert f"\n    {command} " in text


def test_an_error_is_one_message_without_a_traceback(tmp_path):
    run = wqlib_command("replay", str(tmp_path / "missing.jsonl"))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("wqlib: ")
    assert "Traceback" not in run.stderr


def test_a_missing_package_is_named_with_the_command_that_brings_it(monkeypatch, capsys):
    def missing(options: object) -> int:
        raise ModuleNotFoundError("No module named 'kubernetes'", name="kubernetes")

    monkeypatch.setattr(cli, "_doctor", missing)
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert "kubernetes" in said
    assert "pip install" in said


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m wqlib.commands.cli doctor python port disk packages | true"
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert run.stderr == ""


def test_the_worker_starts_without_the_kubernetes_client():
    program = (
        "import sys; from wqlib.commands import cli\n"
        "try: cli.main(['worker', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'kubernetes' not in sys.modules"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "usage: wqlib.worker" in run.stdout


def test_the_worker_works(redis_server):
    with WorkQueue("cli", url=redis_server.url) as queue:
        queue.put(["1-10", "11-20"])
        run = wqlib_command(
            "worker", "--queue", "cli", "--task", "primes", "--redis", redis_server.url
        )
        assert run.returncode == 0, run.stderr
        assert sorted(queue.results().values()) == [b"4", b"4"]
        queue.clear()


# -- cluster


def test_cluster_start_status_and_stop(home):
    assert wqlib_command("cluster", "status").stdout == "The local cluster is not running.\n"
    started = wqlib_command("cluster", "start")
    assert started.returncode == 0, started.stderr
    assert started.stdout.startswith("The local cluster is running, until `wqlib cluster stop`")
    assert f"export KUBECONFIG={home}" in started.stdout
    assert "was already running" in wqlib_command("cluster", "start").stdout
    assert (
        "The local cluster is running at https://127.0.0.1:"
        in wqlib_command("cluster", "status").stdout
    )
    assert wqlib_command("cluster", "stop").stdout == "The local cluster has stopped.\n"
    assert wqlib_command("cluster", "stop").stdout == "The local cluster was not running.\n"


# -- doctor


def test_doctor_tries_everything_and_leaves_nothing_behind(home):
    run = wqlib_command("doctor")
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in doctor.NAMES]
    assert run.stderr == ""
    assert local.status() is None  # it did not run before
    with wqlib.connect(namespace="wq-test-doctor") as cluster:
        names = [one.metadata.name for one in cluster.core.list_namespace().items]
        cluster.clean_up()
    assert not any(name.startswith(doctor.NAMESPACE) for name in names)


def test_doctor_does_not_end_a_local_cluster_that_ran_before(home):
    local.start("wq-course")
    assert wqlib_command("doctor", "cluster").returncode == 0
    assert local.status() is not None


def test_doctor_gives_its_checks_to_a_notebook():
    checks = doctor.run(["python", "redis"])
    assert [(check.name, check.ok) for check in checks] == [("python", True), ("redis", True)]
    assert str(checks[0]).startswith("ok    python        Python 3.")


def test_doctor_says_what_to_do_when_redis_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("WQLIB_REDIS_SERVER", str(tmp_path / "nothing"))
    [check] = doctor.run(["redis"])
    assert not check.ok
    assert "Correct the variable" in check.detail


def test_doctor_says_what_to_do_when_the_cluster_does_not_answer(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    checks = {check.name: check for check in doctor.run(["pod"], context="nowhere")}
    assert "There is no context 'nowhere'" in checks["cluster"].detail
    assert checks["pod"].detail == "not tried, because 'cluster' failed"


def test_doctor_command_fails_when_a_check_fails(tmp_path):
    environment = {**os.environ, "WQLIB_REDIS_SERVER": str(tmp_path / "nothing")}
    run = wqlib_command("doctor", "redis", env=environment)
    assert run.returncode == 1
    assert run.stdout.startswith("FAIL  redis")
    assert "1 of 1 checks failed" in run.stdout


def test_doctor_refuses_a_check_that_does_not_exist(capsys):
    assert cli.main(["doctor", "liver"]) == 1
    assert "There is no check 'liver'. Use one of these: python" in capsys.readouterr().err


def test_doctor_redis_needs_no_kubernetes_client():
    program = (
        "import sys; from wqlib.commands import cli; cli.main(['doctor', 'redis'])\n"
        "assert 'kubernetes' not in sys.modules"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("version", "good"),
    [("6.4.0", True), ("6.3.9", False), ("9.0", False), ("9.0rc1", False), ("8.99.1", True)],
)
def test_doctor_knows_the_bounds_of_versions(monkeypatch, version, good):
    lines = ["redis<9,>=6.4", "pytest>=99; extra == 'test'", "pyyaml; extra == 'course'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    [check] = doctor.run(["packages"])
    assert check.ok is good
    said = (
        "all 2 packages are there"
        if good
        else f"redis is {version}, but <9,>=6.4 is needed. Install"
    )
    assert check.detail.startswith(said)


def test_doctor_says_what_to_do_without_packaging_itself(monkeypatch):
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    [check] = doctor.run(["packages"])
    assert not check.ok
    assert check.detail.startswith("packaging is not installed. Install what the course needs: ")


# -- replay and bundle


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    history = History()
    lease = {"lease_id": "1-1@pod-a", "item_id": 1, "attempt": 1, "worker": "pod-a"}
    history.add(
        [
            PodEvent("running", 99.5, "pod-a", "job-wq-2"),
            Event("put", 100.0, count=1, pending=1),
            Event("lease", 100.5, item="apple", deadline=110.0, **lease),  # type: ignore[arg-type]
            Event("complete", 101.5, **lease),  # type: ignore[arg-type]
            Event("drained", 101.5),
        ]
    )
    history.save(tmp_path / "run.jsonl")
    return tmp_path / "run.jsonl"


def test_replay_tells_a_run_and_how_it_ended(recording, capsys):
    assert cli.main(["replay", str(recording)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "   0.000 s  pod       pod-a is running",
        "   0.500 s  put       1 items",
        "   1.000 s  lease     1-1@pod-a apple",
        "   2.000 s  complete  1-1@pod-a",
        "   2.000 s  drained",
    ]
    assert "1 of 1 item" in lines[5]
    assert lines[6].startswith("  pod-a: ")


def test_bundle_puts_the_library_beside_the_dockerfile(tmp_path, capsys):
    assert cli.main(["bundle", str(tmp_path)]) == 0
    assert (tmp_path / "wqlib" / "worker" / "loop.py").is_file()
    assert cli.main(["bundle", str(tmp_path / "missing")]) == 1
    assert "There is no folder" in capsys.readouterr().err
