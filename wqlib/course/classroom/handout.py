"""What a learner gets on paper, and the teacher's list. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from .names import Learner

HANDOUT = """\
You are learner {name} of the class {group}.

Put the file {file}, which came with this note, into the folder of the course.
It is your key to the cluster: keep it to yourself. Then type, in a terminal:

    cd FOLDER-OF-THE-COURSE
    KUBECONFIG=$PWD/{file} WQLIB_CONTEXT={namespace} make lab

Your pods run in the namespace {namespace}, up to {pods} at once, on a cluster that you share
with the class. The worker's image is on it already: where a notebook builds one, nothing is
built here. Your teacher sees which exercises you have done.
{end}"""
ENDS = "Your key works until {ends}; after that, ask your teacher for a new one.\n"


def handout(learner: Learner, file: str, pods: int, ends: str | None) -> str:
    """The note for one learner, with the two commands to type.

    Args:
        learner: For whom.
        file: Name of the kubeconfig.
        pods: How many pods the learner may run at once.
        ends: Until when the kubeconfig works; None: without end.
    """
    return HANDOUT.format(
        name=learner.name,
        group=learner.group,
        file=file,
        namespace=learner.namespace,
        pods=pods,
        end=ENDS.format(ends=ends) if ends else "",
    )


def list_for_teacher(rows: Sequence[tuple[Learner, str, str]]) -> str:
    """The class as CSV.

    Args:
        rows: Learner, name of the kubeconfig, and until when it works.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["learner", "namespace", "kubeconfig", "works_until"])
    for learner, file, ends in rows:
        table.writerow([learner.name, learner.namespace, file, ends])
    return text.getvalue()
