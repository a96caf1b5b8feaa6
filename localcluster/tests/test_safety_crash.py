"""Whatever ends the daemon, nothing of it stays; and what keeps it from starting is told.

`LOCALCLUSTER_KILLS=20 LOCALCLUSTER_SEED=...` kills it at more and other moments than `make test`
does.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client.exceptions import ApiException

import localcluster
from localcluster.errors import ClusterError

from .conftest import Local, job, pod, wait_until
from .test_lifecycle import _processes
from .test_pods import alive

NS = "default"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "10")
    yield tmp_path / "home"
    localcluster.stop(tmp_path / "home")


def start(home: Path) -> tuple[Local, int]:
    """Start a cluster; returns it with the daemon's pid."""
    cluster = Local(home, localcluster.ensure(home))
    found = localcluster.status(home)
    assert found is not None
    return cluster, found.pid


def running(marker: str) -> list[str]:
    """Return the processes whose command line ends with the marker."""
    listed = subprocess.run(["ps", "-axwwo", "stat=,args="], capture_output=True, text=True)
    lines = [line for line in listed.stdout.splitlines() if line.endswith(marker)]
    return [line for line in lines if not line.startswith("Z")]


# -- nothing survives


def test_pods_in_every_state_die_with_the_daemon(home: Path) -> None:
    cluster, pid = start(home)
    marker = f"sleep 60{os.getpid()}"
    stubborn = f"trap '' TERM HUP; (trap '' TERM HUP; {marker}) & {marker} & wait; {marker}"
    preparing = {"name": "first", "image": "python:3.11", "command": ["sh", "-c", stubborn]}
    probed = {"livenessProbe": {"exec": {"command": ["sh", "-c", stubborn]}, "timeoutSeconds": 60}}
    for manifest in (
        pod("runs", "sh", "-c", stubborn),
        pod("ends", "sh", "-c", stubborn, terminationGracePeriodSeconds=60),
        pod("prepares", "true", initContainers=[preparing]),
        pod("probed", "sleep", "60", container=probed),
        pod("restarts", "sh", "-c", f"{marker} & exit 1", restartPolicy="Always"),
    ):
        cluster.core.create_namespaced_pod(NS, manifest)
    wait_until(lambda: len(running(marker)) >= 8, what="all of them run")
    cluster.core.delete_namespaced_pod("ends", NS)
    wait_until(lambda: cluster.core.read_namespaced_pod("ends", NS).metadata.deletion_timestamp)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not running(marker))
    wait_until(lambda: _processes(home) == [])


def test_what_left_its_group_and_hides_its_mark_dies_with_the_daemon(home: Path) -> None:
    cluster, pid = start(home)
    marker = f"sleep 63{os.getpid()}"
    hidden = f"setsid env -i PATH=$PATH sh -c '(setsid {marker} &); {marker}' & {marker}"
    cluster.core.create_namespaced_pod(NS, pod("p", "sh", "-c", hidden))
    wait_until(lambda: len(running(marker)) >= 3)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not running(marker))
    wait_until(lambda: _processes(home) == [])


def _keep_busy(cluster: Local, marker: str, done: threading.Event) -> None:
    """Create and delete Jobs and pods until the daemon is gone."""
    number = 0
    with contextlib.suppress(ApiException, OSError, Exception):
        while not done.is_set():
            number += 1
            work = job(f"j{number}", "sh", "-c", f"{marker} & {marker}", parallelism=4)
            cluster.batch.create_namespaced_job(NS, work)
            cluster.core.create_namespaced_pod(NS, pod(f"p{number}", *marker.split()))
            if number > 2:
                cluster.core.delete_namespaced_pod(f"p{number - 2}", NS)
                cluster.batch.delete_namespaced_job(
                    f"j{number - 2}", NS, propagation_policy="Background"
                )


def test_killed_at_any_moment_it_starts_anew(home: Path) -> None:
    dice = random.Random(os.environ.get("LOCALCLUSTER_SEED", "moments"))
    marker = f"sleep 61{os.getpid()}"
    for _ in range(int(os.environ.get("LOCALCLUSTER_KILLS", "4"))):
        cluster, pid = start(home)
        assert cluster.core.list_pod_for_all_namespaces().items == []
        assert list((home / "cluster" / "pods").iterdir()) == []
        done = threading.Event()
        busy = threading.Thread(target=_keep_busy, args=(cluster, marker, done))
        busy.start()
        time.sleep(dice.uniform(0, 0.6))
        os.kill(pid, signal.SIGKILL)
        done.set()
        busy.join(30)
        wait_until(lambda pid=pid: not alive(pid))
        wait_until(lambda: not running(marker), what="no process of a pod is left")
    cluster, _ = start(home)
    cluster.core.create_namespaced_pod(NS, pod("p", "true"))
    wait_until(lambda: cluster.core.read_namespaced_pod("p", NS).status.phase == "Succeeded")


def test_stop_in_the_middle_of_a_start(home: Path) -> None:
    dice = random.Random("starts")
    code = "import sys; from pathlib import Path; import localcluster as l\n"
    code += "l.ensure(Path(sys.argv[1]))"
    for _ in range(3):
        starter = subprocess.Popen(
            [sys.executable, "-c", code, str(home)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        wait_until(lambda: (home / "cluster").is_dir())
        time.sleep(dice.uniform(0, 0.5))
        localcluster.stop(home)
        _, complaint = starter.communicate(timeout=60)
        # Either it was stopped before it was ready, and that is told; or it came up first.
        assert starter.returncode == 0 or "did not start" in complaint, complaint
        localcluster.stop(home)
        assert localcluster.status(home) is None
        # Who makes the certificates of a new cluster finishes that first.
        wait_until(lambda: _processes(home) == [])
    start(home)


# -- its folder


def test_a_cluster_whose_folder_was_removed_ends(home: Path) -> None:
    cluster, pid = start(home)
    marker = f"sleep 62{os.getpid()}"
    cluster.core.create_namespaced_pod(NS, pod("p", *marker.split()))
    wait_until(lambda: running(marker))
    shutil.rmtree(home)
    wait_until(lambda: not alive(pid), what="the daemon ends")
    wait_until(lambda: not running(marker))
    _, second = start(home)
    assert second != pid


def test_a_new_cluster_beside_one_whose_folder_was_removed(home: Path) -> None:
    _, pid = start(home)
    shutil.rmtree(home)
    cluster, second = start(home)
    assert second != pid
    wait_until(lambda: not alive(pid))
    assert cluster.request("GET", "/readyz").body == b"ok"
    assert (home / "cluster" / "kubeconfig").exists()
    assert localcluster.status(home) is not None


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClusterError) as raised:
        localcluster.ensure(tmp_path / "file" / "home")
    assert "cannot keep its state in" in str(raised.value)
    assert "Not a directory" in str(raised.value)
    assert "LOCALCLUSTER_HOME" in str(raised.value)


@pytest.mark.parametrize("size", [0, 100_000])
def test_a_disk_without_room_is_told(home: Path, size: int) -> None:
    """Files may grow to `size` bytes only, as on a disk that is full."""
    code = "import sys; from pathlib import Path; import localcluster as l\n"
    code += "l.ensure(Path(sys.argv[1]))"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(home)],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "localcluster.errors.ClusterError: The local cluster cannot keep its state in"
    )
    assert "File too large" in last
    assert _processes(home) == []
