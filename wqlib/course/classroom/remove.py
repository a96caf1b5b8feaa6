"""Delete a class: its namespaces with everything in them, and the files that were written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from kubernetes.client.exceptions import ApiException

from ...cluster.kube import get
from ...errors import WaitTimeout
from . import create
from .names import Learner, learner_of, list_name
from .objects import Object
from .teacher import Teacher

SECONDS = 300  # a namespace takes some seconds; thirty full ones take longer


def files(group: str, folder: Path) -> list[Path]:
    """Return the files that `wqlib class create` wrote for a class into a folder."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        name = path.name
        if name.startswith(".") and name.endswith(".new"):  # of a run that was interrupted
            name = name[1:].removesuffix(".new")
        stem, _, kind = name.rpartition(".")
        of_a_learner = kind in ("kubeconfig", "txt") and learner_of(group, stem)
        if of_a_learner or name == list_name(group):
            found.append(path)
    return found


def delete(
    teacher: Teacher,
    group: str,
    learners: Mapping[Learner, Object],
    say: Callable[[int], None],
) -> None:
    """Delete the namespaces of these learners, and wait until they are gone.

    Args:
        teacher: The connection to the cluster.
        group: Name of the class.
        learners: Whose, with the namespaces as `Teacher.namespaces` found them.
        say: Called with the number of those that are left, each time that it changes.

    Raises:
        WaitTimeout: Some are left after `SECONDS`.
    """
    for learner, found in learners.items():
        same = {"preconditions": {"uid": found["metadata"]["uid"]}}
        try:
            get(teacher.core.delete_namespace, learner.namespace, body=same)
        except ApiException as error:
            if error.status not in (404, 409):  # it is gone, or on its way
                raise
    deadline, before = time.monotonic() + SECONDS, -1
    while left := teacher.namespaces(group):
        if len(left) != before:
            say(before := len(left))
        if time.monotonic() > deadline:
            names = [learner.namespace for learner in left]
            raise WaitTimeout(
                f"Still being deleted after {SECONDS} s: {', '.join(names)}. Run the "
                f"same command again, or see what holds them: kubectl describe namespace {names[0]}"
            )
        time.sleep(0.5)


def delete_files(group: str, folder: Path) -> list[Path]:
    """Delete the files of a class, and the folder if it is empty then.

    Returns:
        The files that were deleted.
    """
    gone = files(group, folder)
    for path in gone:
        path.unlink(missing_ok=True)
    ignore = folder / create.IGNORE
    with suppress(OSError):
        alone = gone and list(folder.iterdir()) == [ignore]
        if alone and ignore.read_text("utf-8") == create.IGNORE_ALL:
            ignore.unlink()
        folder.rmdir()  # refused if anything is in it
    return gone
