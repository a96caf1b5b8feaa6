"""How a cluster begins and ends, and that nothing of it stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import localcluster
from localcluster.locks import lock_file

from .conftest import Local, job, pod, wait_until
from .test_pods import alive

ENSURE = (
    "import sys; from pathlib import Path; import localcluster\n"
    "print(localcluster.ensure(Path(sys.argv[1])), flush=True)\n"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "10")
    yield tmp_path / "home"
    localcluster.stop(tmp_path / "home")


def _processes(home: Path) -> list[str]:
    """Return the command lines of processes that belong to a cluster."""
    listed = subprocess.run(["ps", "-axwwo", "pid=,stat=,args="], capture_output=True, text=True)
    lines = [line for line in listed.stdout.splitlines() if str(home) in line]
    return [line for line in lines if line.split()[1][0] != "Z"]


def _start_pods(cluster: Local, count: int = 3) -> list[int]:
    """Start pods with children that ignore every request to end, and some that leave their group.

    Returns:
        Their pids.
    """
    script = (
        "trap '' TERM HUP; echo $$$$; (trap '' TERM HUP; sleep 300) & echo $!;"
        " setsid sh -c 'echo $$$$; exec sleep 300' & wait"
    )
    names = [f"p{i}" for i in range(count)]
    for name in names:
        cluster.core.create_namespaced_pod("default", pod(name, "sh", "-c", script))

    def pids() -> list[int]:
        found = []
        for name in names:
            reply = cluster.request("GET", f"/api/v1/namespaces/default/pods/{name}/log")
            found += [int(word) for word in reply.body.split()] if reply.code == 200 else []
        return found if len(found) == 3 * count else []

    started: list[int] = wait_until(pids)
    assert all(alive(pid) for pid in started)
    return started


def test_ensure_starts_a_cluster_once_and_says_where_it_is(home: Path) -> None:
    assert localcluster.status(home) is None
    path = localcluster.ensure(home)
    first = localcluster.status(home)
    assert first is not None
    assert (first.kubeconfig, first.pods) == (path, 0)
    assert first.server.startswith("https://127.0.0.1:")
    assert localcluster.ensure(home) == path
    assert localcluster.status(home) == first


def test_the_kubeconfig_names_context_and_namespace(home: Path) -> None:
    loaded = json.loads(localcluster.ensure(home).read_text())
    assert loaded["current-context"] == "localcluster"
    assert loaded["contexts"][0]["context"]["namespace"] == "default"
    cluster = Local(home, home / "cluster" / "kubeconfig")
    assert cluster.core.read_namespace("default").status.phase == "Active"


def test_nobody_else_can_read_the_state(home: Path) -> None:
    path = localcluster.ensure(home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a draft has got its name meanwhile
            mode = file.lstat().st_mode
            assert stat.S_IMODE(mode) & 0o077 == 0 or stat.S_ISLNK(mode), file


def _trust(path: Path) -> tuple[str, str]:
    """Return the CA and the token of a kubeconfig."""
    loaded = json.loads(path.read_text())
    authority = loaded["clusters"][0]["cluster"]["certificate-authority-data"]
    return authority, loaded["users"][0]["user"]["token"]


def test_the_next_start_has_the_same_authority_and_another_token(home: Path) -> None:
    first = _trust(localcluster.ensure(home))
    localcluster.stop(home)
    second = _trust(localcluster.ensure(home))
    assert second[0] == first[0]
    assert second[1] != first[1]


@pytest.mark.parametrize("trouble", ["old", "for other names", "open to others", "half gone"])
def test_certificates_that_are_no_good_are_made_anew(home: Path, trouble: str) -> None:
    first = _trust(localcluster.ensure(home))
    localcluster.stop(home)
    folder = home / "cluster"
    if trouble == "old":
        kept = folder / "certificates-until"
        kept.write_text("2020" + kept.read_text()[4:])
    elif trouble == "for other names":
        kept = folder / "certificates-until"
        kept.write_text(kept.read_text().replace("localhost", "elsewhere"))
    elif trouble == "open to others":
        (folder / "server.pem").chmod(0o644)
    else:
        (folder / "server.pem").unlink()
    path = localcluster.ensure(home)
    assert _trust(path)[0] != first[0]
    assert Local(home, path).request("GET", "/version").code == 200
    assert stat.S_IMODE((folder / "server.pem").stat().st_mode) == 0o600


def test_stop_returns_when_all_processes_are_gone(home: Path) -> None:
    pids = _start_pods(Local(home, localcluster.ensure(home)))
    daemon = localcluster.status(home)
    assert daemon is not None
    assert localcluster.stop(home)
    assert not [pid for pid in [*pids, daemon.pid] if alive(pid)]
    assert _processes(home) == []
    assert localcluster.status(home) is None
    assert not localcluster.stop(home)


def test_a_killed_daemon_leaves_no_pod_behind(home: Path) -> None:
    pids = _start_pods(Local(home, localcluster.ensure(home)))
    daemon = localcluster.status(home)
    assert daemon is not None
    os.kill(daemon.pid, signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in pids), seconds=10)
    wait_until(lambda: _processes(home) == [], seconds=10)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("JOB_BACKOFF", text) for text in ("soon", "-1", "nan", "inf")),
        ("LINGER", "long"),
        ("NODE_GRACE", "some"),
        ("NODE_GRACE", "0"),
        ("NODE_EVICTION", "-5"),
    ],
)
def test_what_is_no_number_of_seconds_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(f"LOCALCLUSTER_{name}_SECONDS", text)
    with pytest.raises(localcluster.ClusterError, match=f"{name}_SECONDS={text} is no number of"):
        localcluster.ensure(home)


def test_a_daemon_killed_while_it_starts_pods_leaves_none_behind(home: Path) -> None:
    cluster = Local(home, localcluster.ensure(home))
    daemon = localcluster.status(home)
    assert daemon is not None
    marker = f"30{os.getpid()}"
    many = job("j", "sleep", marker, parallelism=30)
    cluster.batch.create_namespaced_job("default", many)

    def sleepers() -> list[str]:
        listed = subprocess.run(["ps", "-axwwo", "stat=,args="], capture_output=True, text=True)
        lines = [line for line in listed.stdout.splitlines() if line.endswith(f"sleep {marker}")]
        return [line for line in lines if not line.startswith("Z")]

    wait_until(sleepers)
    os.kill(daemon.pid, signal.SIGKILL)
    wait_until(lambda: localcluster.status(home) is None)
    localcluster.stop(home)
    assert sleepers() == []


def test_after_a_crash_the_next_start_cleans_up(home: Path) -> None:
    _start_pods(Local(home, localcluster.ensure(home)), 1)
    first = localcluster.status(home)
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: localcluster.status(home) is None)  # its threads end one by one
    cluster = Local(home, localcluster.ensure(home))
    second = localcluster.status(home)
    assert second is not None
    assert second.pid != first.pid
    assert cluster.core.list_pod_for_all_namespaces().items == []
    assert list((home / "cluster" / "pods").iterdir()) == []


def test_two_starts_at_once_make_one_cluster(home: Path) -> None:
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", ENSURE + "sys.stdin.read()", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        paths = {starter.stdout.readline() for starter in starters if starter.stdout}
        assert paths == {f"{home}/cluster/kubeconfig\n"}
        daemons = [line for line in _processes(home) if " serve " in line]
        assert len(daemons) == 1
    finally:
        for starter in starters:
            starter.communicate("")


def test_a_second_daemon_on_the_same_state_refuses(home: Path) -> None:
    localcluster.ensure(home)
    done = subprocess.run(
        [sys.executable, "-m", "localcluster", "serve", "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert "a local cluster already runs on" in done.stderr


def test_the_cluster_ends_when_its_last_owner_is_gone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "0.5")
    owner = subprocess.Popen(
        [sys.executable, "-c", ENSURE + "sys.stdin.read()", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline()
    pids = _start_pods(Local(home, home / "cluster" / "kubeconfig"), 1)
    time.sleep(1.5)
    assert localcluster.status(home) is not None
    owner.kill()
    owner.wait()
    wait_until(lambda: localcluster.status(home) is None, seconds=15)
    wait_until(lambda: not any(alive(pid) for pid in pids))
    wait_until(lambda: _processes(home) == [])


def test_a_new_owner_keeps_the_cluster_alive(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "2")
    command = [sys.executable, "-c", ENSURE, str(home)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    first = localcluster.status(home)
    assert first is not None
    localcluster.ensure(home)
    time.sleep(3.5)
    assert localcluster.status(home) == first


def test_ctrl_c_in_the_terminal_does_not_reach_the_daemon(home: Path) -> None:
    localcluster.ensure(home)
    found = localcluster.status(home)
    assert found is not None
    assert os.getsid(found.pid) != os.getsid(0)


def test_owners_that_died_are_forgotten(home: Path) -> None:
    localcluster.ensure(home)
    stale = home / "cluster" / "owners" / "12345-dead"
    stale.touch()
    wait_until(lambda: not stale.exists())
    (mine,) = (home / "cluster" / "owners").iterdir()
    assert lock_file(mine, wait=False) is None


def test_the_command_line(home: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "localcluster", *arguments, "--home", str(home)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert (run("status").returncode, run("status").stdout) == (1, "not running\n")
    server = subprocess.Popen(
        [sys.executable, "-m", "localcluster", "serve", "--home", str(home)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    assert "export KUBECONFIG=" in server.stdout.readline()
    wait_until(lambda: run("status").returncode == 0)
    assert f"pid {server.pid}" in run("status").stdout
    assert run("start").stderr == ""
    assert "was running already, with 1 live node(s)" in run("start", "--nodes", "3").stderr
    assert run("stop").stdout == "stopped\n"
    assert server.wait(10) == 0
    server.stdout.close()
    assert run("stop").stdout == "was not running\n"


def test_two_homes_are_two_clusters(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    try:
        clusters = [Local(h, localcluster.ensure(h)) for h in (home, other)]
        for cluster in clusters:
            cluster.core.create_namespaced_pod("default", pod("p", "sleep", "60"))

        def address(cluster: Local) -> str | None:
            found = cluster.core.read_namespaced_pod("p", "default").status.pod_ip
            return str(found) if found else None

        addresses = [wait_until(lambda c=c: address(c)) for c in clusters]
        if sys.platform == "linux":
            assert addresses[0] != addresses[1]
        reply = clusters[0].request(
            "GET", "/version", headers={"Authorization": f"Bearer {clusters[1].token}"}
        )
        assert reply.code == 401
    finally:
        localcluster.stop(other)
