"""One learner of a class, in a process of its own: `python class_learner.py NEIGHBOUR`.

It runs cells as a notebook would: Redis, a queue, a Job to its end, an exercise and its check.
Then it tries what it must not do. It says what came of it as one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time

from IPython.core.interactiveshell import InteractiveShell
from kubernetes.client.exceptions import ApiException
from selftest import samples

SAMPLE = next(one for one in samples(["02-1"]) if one.kind == "right")
CELLS = (
    """
import wqlib
from wqlib import WorkQueue
from wqlib.course import build_worker, job_manifest, start_redis
cluster = wqlib.connect()
cluster.clean_up()
login = start_redis(cluster)
queue = WorkQueue("job2", **login)
image = build_worker(cluster)
queue.put([f"item {n}" for n in range(20)])
cluster.apply(job_manifest(parallelism=2, ITEM_SECONDS="0.1"))
cluster.wait("job/job-wq-2", "complete", timeout_seconds=300)
stats = queue.stats()
queue.clear()
""",
    f"""
import redis
client = redis.Redis(**login)
{SAMPLE.given}
{SAMPLE.code}
wqlib.check("{SAMPLE.exercise}")
""",
)


def main(neighbour: str) -> None:
    shell = InteractiveShell.instance()
    began = time.monotonic()
    for cell in CELLS:
        shell.run_cell(cell).raise_error()
    seconds = time.monotonic() - began
    names = shell.user_ns
    cluster, stats = names["cluster"], names["stats"]
    core, rbac_body = cluster.core, {"metadata": {"name": "wq-of-my-own"}}
    own = cluster.namespace
    refused = {
        "list pods of a neighbour": lambda: core.list_namespaced_pod(neighbour),
        "read a neighbour's secrets": lambda: core.list_namespaced_secret(neighbour),
        "make a pod at a neighbour's": lambda: core.create_namespaced_pod(neighbour, pod(0)),
        "read all secrets": lambda: core.list_secret_for_all_namespaces(),
        "list namespaces": lambda: core.list_namespace(),
        "make a namespace": lambda: core.create_namespace(rbac_body),
        "delete the own namespace": lambda: core.delete_namespace(own),
        "lift the own quota": lambda: core.delete_namespaced_resource_quota("class", own),
        "make a token": lambda: core.create_namespaced_service_account_token(
            "learner", own, {"spec": {}}
        ),
        "exceed the quota": lambda: [core.create_namespaced_pod(own, pod(n)) for n in range(30)],
        "a pod larger than allowed": lambda: core.create_namespaced_pod(own, pod(99, "2Gi")),
        "a door to the outside": lambda: core.create_namespaced_service(own, NODE_PORT),
    }
    answers = {what: status_of(call) for what, call in refused.items()}
    ended = ("Succeeded", "Failed")  # these do not count
    pods = core.list_namespaced_pod(own).items
    in_quota = sum(pod.status.phase not in ended for pod in pods)
    reset = cluster.clean_up()
    print(
        json.dumps(
            {
                "namespace": own,
                "done": stats.done,
                "lost": 20 - stats.done,
                "seconds": round(seconds, 1),
                "answers": answers,
                "pods_at_most": in_quota,
                "reset": reset,
            }
        )
    )


NODE_PORT = {
    "metadata": {"name": "door", "labels": {"app.kubernetes.io/managed-by": "wqlib"}},
    "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "redis"}},
}


def pod(number: int, memory: str = "16Mi") -> dict:
    """A pod that no node takes, so it only counts."""
    return {
        "metadata": {"name": f"p{number}", "labels": {"app.kubernetes.io/managed-by": "wqlib"}},
        "spec": {
            "nodeSelector": {"no-such-node": "here"},
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "c",
                    "image": "redis:7",
                    "resources": {"requests": {"cpu": "10m"}, "limits": {"memory": memory}},
                }
            ],
        },
    }


def status_of(call) -> int:
    try:
        call()
    except ApiException as error:
        return error.status
    return 0


if __name__ == "__main__":
    main(sys.argv[1])
