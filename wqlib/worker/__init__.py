"""The loop that a pod runs: lease an item, process it, complete it, until the queue drains.

    python -m wqlib.worker --queue job2 --task fruit

A program with a task of its own calls `run(process)`; `progress`, called in the task, tells those
who watch how far an item is.

What Kubernetes makes of the exit code: 0 says that the queue has drained, and a work-queue Job
then starts no new pods. So a worker that is stopped before the end must not exit 0: it finishes
or releases its items and exits 143 (128 + SIGTERM), and the Job puts another pod in its place.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/job/#parallel-jobs
"""

from .loop import Worker
from .program import main, run
from .telling import progress

__all__ = ["Worker", "main", "progress", "run"]
