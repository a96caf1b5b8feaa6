"""Whether what a fault set up is still as it was: then nothing was tried, and no cause is told."""

from __future__ import annotations

from typing import Any

from ...cluster import Cluster, manifests
from .answers import Answers, Blank

_made: dict[str, dict[str, Any]] = {}


def note(cluster: Cluster, exercise_id: str, target: str) -> None:
    """Remember an object that a fault has just made, e.g. "job/harvest"."""
    kind, name = manifests.parse_target(target)
    live = manifests.find(cluster.api, cluster.namespace, kind, name)
    _made[exercise_id] = _wanted(live) if live else {}


def changed(answers: Answers, exercise_id: str, target: str) -> dict[str, Any]:
    """Return the object that the learner has changed, or made in place of the fault's.

    Raises:
        Blank: It is still that of the fault, or there is none.
    """
    found = answers.find(target)
    if found is None:
        raise Blank(
            f"there is no {target} in the cluster. Apply yours, or begin again: run the cell with "
            f'`broken("{exercise_id}", cluster)`.'
        )
    if _wanted(found) == _made.get(exercise_id):
        raise Blank(
            f"{target} is still as it was. Find the cause in its events and its logs, fix it, and "
            "run this cell again."
        )
    return found


def _wanted(live: dict[str, Any]) -> dict[str, Any]:
    """Return which object it is and what was asked for, without the node that a pod was given."""
    return {**live["spec"], "uid": live["metadata"]["uid"], "nodeName": None}
