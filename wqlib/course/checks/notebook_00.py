"""The checks of notebook 00, Before you begin."""

from __future__ import annotations

import random

from ..doctor import NAMES, Check
from .answers import Answers, Wrong
from .exercise import exercise


@exercise("00-1", "Who failed?")
def who_failed(answers: Answers) -> str:
    """Try `failing` with lists of checks of which none, all, and some failed."""
    longest = "".join(random.sample([*"+++---", *random.choices("+-", k=3)], 9))
    for pattern in ("++", "+-+-", "---", "", longest):
        checks = [
            Check(name, sign == "+", "made up for the exercise")
            for name, sign in zip(random.sample(NAMES, len(pattern)), pattern, strict=True)
        ]
        wanted = [check.name for check in checks if not check.ok]
        found = answers.call("failing", list(checks))
        if found is None:
            raise Wrong(
                "`failing` returned nothing (`None`). A function has to `return` its answer; "
                "to print it is not enough."
            )
        if type(found) is not list or any(type(name) is not str for name in found):
            raise Wrong(
                "`failing` did not return a list of texts. Collect the names, `check.name`, "
                "in a list."
            )
        if found != wanted:
            raise Wrong(
                f"Of {len(checks)} checks these failed: {wanted or 'none'}. `failing` said "
                f"{found}. Take each check whose `ok` is not true, in the order of the list."
            )
    return "`failing` finds those that failed, whatever list it gets."


@exercise("00-2", "A pod of your own")
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
            "The pod `mine` has failed. Take it away with "
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
