"""What a learner gets on paper, and the teacher's list. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from .names import Learner

HANDOUT = """\
You are learner {learner.name} of the class {learner.group}.

Put the file {learner.kubeconfig}, which came with this note, into the folder of the course.
It is your key to the cluster: keep it to yourself. Then type, in a terminal:

    cd FOLDER-OF-THE-COURSE
    KUBECONFIG=$PWD/{learner.kubeconfig} WQLIB_CONTEXT={namespace} make lab

It opens your own copy of the notebooks, the folder my-course. A plain kubectl in JupyterLab's
terminal works in your namespace.

Your pods run in the namespace {namespace}, up to {pods} at once, on a cluster that you share
with the class. The worker's image is on it already: where a notebook builds one, nothing is
built here. Your teacher sees which exercises you have done.
{end}"""
ENDS = "Your key works until {ends}; after that, ask your teacher for a new one.\n"


def handout(learner: Learner, pods: int, ends_at: float) -> str:
    """Return the note for one learner, with the two commands to type.

    Args:
        learner: For whom.
        pods: How many pods the learner may run at once.
        ends_at: When the kubeconfig stops working, in seconds since the epoch.
    """
    end = ENDS.format(ends=when(ends_at)) if ends_at < math.inf else ""
    return HANDOUT.format(learner=learner, namespace=learner.namespace, pods=pods, end=end)


def list_for_teacher(ends_at: Mapping[Learner, float]) -> str:
    """Return the class as CSV.

    Args:
        ends_at: Everybody, and when the kubeconfig stops working, in seconds since the epoch.
    """
    rows = ["learner,namespace,kubeconfig,works_until"]  # nothing in them needs quotes
    rows += [f"{x.name},{x.namespace},{x.kubeconfig},{when(at)}" for x, at in ends_at.items()]
    return "\n".join([*rows, ""])


def when(at: float) -> str:
    """Return a time as a teacher reads it."""
    if at == math.inf:
        return "never"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
