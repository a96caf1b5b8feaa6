"""The live view of a real Job on a local cluster: each button, and what the picture shows."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import localcluster
from wqlib import course
from wqlib.cluster import Cluster, connect
from wqlib.commands import demo
from wqlib.dashboard import Dashboard
from wqlib.queue import WorkQueue

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("WQLIB_CONTEXT")), reason="starts a local cluster of its own"
)


def eventually(true: Callable[[], Any], seconds: float = 60.0) -> None:
    give_up_at = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up_at, "it never came true"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A local cluster of our own with Redis in it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("WQLIB_HOME", str(home))
        try:
            with connect(namespace="wq-test-view") as found:
                found.secret("redis")
                found.apply(course.folder() / "manifests" / "redis.yaml")
                found.wait("pod/redis", "ready")
                yield found
        finally:
            localcluster.stop(Path(home))


@pytest.fixture
def view(cluster: Cluster) -> Iterator[Dashboard]:
    """A live view of two pods at work on 60 items; afterwards no thread is left."""
    options = argparse.Namespace(pods=2, kills=5, lease_seconds=1.5, item_seconds=0.4)
    image = demo._build_image(cluster, course.folder() / "worker")
    with cluster.port_forward("service/redis", 6379) as forward:
        password = cluster.secret("redis")
        with WorkQueue("demo", host=forward.host, port=forward.port, password=password) as queue:
            queue.clear()
            queue.put([f"item {number}" for number in range(60)])
            cluster.apply(demo._job(image, options))
            dashboard = Dashboard(queue, cluster, demo.JOB, fps=10)
            try:
                dashboard.start()
                eventually(lambda: dashboard.history.counts.done > 2)
                eventually(lambda: len(dashboard._controls._pods.options) == 2)
                yield dashboard
            finally:
                dashboard.stop()
                cluster.delete(f"job/{demo.JOB}", grace_seconds=0)
    eventually(lambda: not [t for t in threading.enumerate() if t.name.startswith("wqlib-dash")])


def handed_over(dashboard: Dashboard, pod: str) -> bool:
    return any(
        lost.worker == pod and lost.outcome == "expire" and found.worker != pod
        for lost, found in list(dashboard.history.handovers)
    )


def test_a_killed_pod_loses_its_lease_and_another_lane_picks_the_item_up(view: Dashboard) -> None:
    controls = view._controls
    victim = controls._pods.value
    eventually(lambda: view.history.lanes[victim].held)
    controls._kill.click()
    eventually(lambda: f"Killed pod {victim}." in view._stage.note.value)
    eventually(lambda: not view.history.lanes[victim].alive)
    eventually(lambda: handed_over(view, victim))
    eventually(lambda: victim not in controls._pods.options)
    assert view.error is None


def test_a_frozen_pod_is_a_zombie_that_does_no_harm_when_it_thaws(view: Dashboard) -> None:
    controls, zombie = view._controls, view._controls._pods.value
    controls._freeze.click()
    eventually(lambda: f"Froze pod {zombie}" in view._stage.note.value)
    eventually(lambda: handed_over(view, zombie))
    assert view.history.lanes[zombie].alive  # Kubernetes sees nothing wrong with it
    done = view.history.lanes[zombie].done
    controls._pods.value = zombie
    controls._thaw.click()
    eventually(lambda: view.history.lanes[zombie].done > done)
    assert "the result is dropped" in view._cluster.logs(f"pod/{zombie}")


def test_the_job_is_scaled_and_items_are_added(view: Dashboard) -> None:
    controls = view._controls
    controls._number.value = 3
    controls._scale.click()
    eventually(lambda: sum(lane.alive for lane in list(view.history.lanes.values())) == 3)
    controls._items.value = "5"
    controls._add.click()
    eventually(lambda: view.history.counts.total == 65)
    controls._stop.click()
    eventually(lambda: "Stopped" in view._stage.header.value)
    assert "65 items done" in view._stage.header.value


def test_the_terminal_shows_the_same_pods_until_all_is_done(view: Dashboard) -> None:
    command = ["watch", "demo", "--namespace", "wq-test-view", "--job", demo.JOB]
    with view._queue.copy("held") as queue:
        queue.lease_seconds = 600
        queue.put(["one more"])
        held = queue.lease()  # so that there is something left to do when it knows the pods
        assert held
        process = subprocess.Popen(
            [sys.executable, "-m", "wqlib.commands.cli", *command, "--until-drained"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        while "pods running" not in process.stdout.readline():
            assert process.poll() is None
        queue.complete(held)
    out, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (0, "")
    assert "0 pods running. 61 of 61 items done" in out
    for pod in view.history.lanes.keys() - {"held"}:
        lane = view.history.lanes[pod]
        (line,) = [x for x in out.splitlines() if x.startswith(pod.rpartition("-")[2])]
        assert "[" in line
        assert line.split()[-1] == str(lane.done)
