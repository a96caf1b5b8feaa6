"""The checks of notebook 00, Before you begin."""

from __future__ import annotations

import contextlib

from .answers import Answers, Blank, Wrong
from .exercise import exercise


@exercise("00-1", "A pod of your own")
def own_pod(answers: Answers) -> str:
    """Check that the pod `mine` has succeeded, and that `said` is what its log says."""
    pod = answers.find("pod/mine")
    if pod is None:
        raise Wrong(
            "There is no pod `mine` in your namespace yet. "
            'Ask for one: cluster.apply(talking_pod("mine", "…")).'
        )
    phase = pod["status"].get("phase")
    if phase == "Failed":
        raise Wrong(
            "The pod `mine` has failed. Delete it with "
            'cluster.delete("pod/mine"), and use talking_pod to write its description.'
        )
    if phase != "Succeeded":
        raise Wrong(
            f"The pod `mine` has not ended yet: it is {phase}. Wait for it with "
            'cluster.wait("pod/mine", "succeeded"), then read its log.'
        )
    said, log = answers.value("said", str), answers.cluster.logs("pod/mine")
    if not log.strip():
        raise Wrong(
            'The pod `mine` printed nothing. Delete it with cluster.delete("pod/mine"), '
            "and give the next one a text."
        )
    if said.strip() != log.strip():
        raise Wrong(
            f"The pod printed {log.strip()!r}, but `said` holds {said.strip()!r}. After the "
            'pod has succeeded, read its log: said = cluster.logs("pod/mine").'
        )
    return f"your pod ran, and said {log.strip()!r}."


@exercise("00-2", "Tidy up")
def tidy_up(answers: Answers) -> str:
    """Check that the pod `hello` is gone, and that no other was taken with it."""
    if answers.find("pod/hello") is not None:
        raise Wrong(
            'The pod `hello` is still there. Delete it: cluster.delete("pod/hello"), or '
            "kubectl delete pod hello."
        )
    with contextlib.suppress(Blank):  # whoever has not done 00-1 has only one pod
        answers.value("said")
        if answers.find("pod/mine") is None:
            raise Wrong(
                "The pod `hello` is gone, and so is `mine`. Run the cell of exercise 00-1 again, "
                "and check again."
            )
    return "`hello` is gone, and nothing else."
