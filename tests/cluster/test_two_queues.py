"""One Redis for many queues: two Jobs, each with a queue of its own, on one server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from clusters import local_only

from wqlib.cluster import Cluster
from wqlib.commands import cli
from wqlib.course import folder, job_manifest, start_redis
from wqlib.course.bundle import bundle
from wqlib.queue import WorkQueue

pytestmark = local_only

QUEUES = {"apples": 30, "pears": 20}  # how many items each gets


def test_two_jobs_on_one_redis_do_not_disturb_each_other(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder() / "worker", tmp_path / "worker")
    bundle(tmp_path / "worker")
    image = cluster.build_image("two-queues:1", tmp_path / "worker")
    login = start_redis(cluster)
    queues = [WorkQueue(name, **login) for name in QUEUES]
    for queue in queues:
        queue.put(f"{queue.name} {number}" for number in range(QUEUES[queue.name]))
        job = job_manifest(WQLIB_QUEUE=queue.name, ITEM_SECONDS="0.05")
        job["metadata"]["name"] = f"job-{queue.name}"
        job["spec"]["template"]["spec"]["containers"][0]["image"] = image
        cluster.apply(job)
    for queue in queues:
        cluster.wait(f"job/job-{queue.name}", "complete", timeout_seconds=90)

    url = f"redis://:{login['password']}@{login['host']}:{login['port']}"
    assert cli.main(["queue", "list", "--json", "--redis", url]) == 0
    listed = json.loads(capsys.readouterr().out)
    numbers = {row["queue"]: (row["done"], row["pending"], row["leased"]) for row in listed}
    assert numbers == {name: (number, 0, 0) for name, number in QUEUES.items()}

    for queue in queues:
        leased = [event for event in queue.events() if event.kind == "lease"]
        assert {event.item for event in leased} == {
            f"{queue.name} {number}" for number in range(QUEUES[queue.name])
        }
        assert all(event.worker.startswith(f"job-{queue.name}-") for event in leased)
    first, second = queues
    first.clear()  # takes nothing from its neighbour
    assert second.stats().done == QUEUES["pears"]
    for queue in queues:
        queue.close()
