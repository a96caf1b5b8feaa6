"""The set-up verbs: what every notebook of the course needs, in a line each.

The first notebooks do all of this in the open; the later ones start with these verbs::

    cluster = wqlib.connect()
    login = start_redis(cluster)
    queue = WorkQueue("job2", **login)
    image = build_worker(cluster)
    cluster.apply(job_manifest(parallelism=2, ITEM_SECONDS="0.5"))
    cluster.wait("job/job-wq-2", "complete")
    reset(cluster, queue)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..errors import WqlibError
from .bundle import bundle

if TYPE_CHECKING:
    from ..cluster import Cluster
    from ..queue import WorkQueue

IMAGE = "job-wq-2:1"


def folder() -> Path:
    """Return the folder with the course's manifests and worker.

    It is the current folder if that has them, or else that of this copy of the course.

    Raises:
        WqlibError: There is none.
    """
    for place in (Path("."), Path("notebooks"), Path(__file__).parents[2] / "notebooks"):
        if (place / "manifests" / "job.yaml").is_file() and (place / "worker").is_dir():
            return place.resolve()
    raise WqlibError(
        "The manifests and the worker of the course are needed, and there are none here. "
        "Go to the course's folder first, the one with the README."
    )


def start_redis(cluster: Cluster) -> dict[str, Any]:
    """Start an empty Redis, and make it reachable from here.

    Args:
        cluster: Where; a Redis from an earlier run is replaced.

    Returns:
        `host`, `port` and `password`, as `WorkQueue` and `redis.Redis` take them. The port is
        forwarded until the cluster is closed.
    """
    cluster.secret("redis")
    cluster.delete("pod/redis", grace_seconds=0)
    cluster.apply(folder() / "manifests" / "redis.yaml")
    cluster.wait("pod/redis", "ready")
    return reach_redis(cluster)


def reach_redis(cluster: Cluster) -> dict[str, Any]:
    """Forward a port to the cluster's Redis, and return what `start_redis` does."""
    forward = cluster.port_forward("service/redis", 6379)
    return {"host": forward.host, "port": forward.port, "password": cluster.secret("redis")}


def build_worker(cluster: Cluster) -> str:
    """Build the image of the course's worker, and return its tag."""
    worker = folder() / "worker"
    bundle(worker)
    return cluster.build_image(IMAGE, worker)


def job_manifest(*, parallelism: int = 2, **environment: str) -> dict[str, Any]:
    """Return the Job of `manifests/job.yaml` with some changes, for `cluster.apply`.

    Args:
        parallelism: How many pods work at a time.
        environment: Variables of the worker, e.g. `ITEM_SECONDS="0.5"`.
    """
    job: dict[str, Any] = yaml.safe_load((folder() / "manifests" / "job.yaml").read_text("utf-8"))
    job["spec"]["parallelism"] = parallelism
    container = job["spec"]["template"]["spec"]["containers"][0]
    others = [one for one in container["env"] if one["name"] not in environment]
    container["env"] = others + [{"name": n, "value": str(v)} for n, v in environment.items()]
    return job


def reset(cluster: Cluster, *queues: WorkQueue) -> None:
    """Delete what a notebook made, print what that was, and disconnect from the cluster.

    Args:
        cluster: The cluster; it is closed.
        queues: The queues to clear and close first.
    """
    for queue in queues:
        queue.clear()
        queue.close()
    gone = [name for name in cluster.clean_up() if not name.startswith("pod/job")]
    print(*sorted(gone), sep="\n")
    cluster.close()
