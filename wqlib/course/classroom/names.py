"""What a class and its learners are called. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...cluster.namespaces import PREFIX
from ...errors import ClassError

CLASS_LABEL, LEARNER_LABEL = "wqlib/class", "wqlib/learner"
MOST_LEARNERS, LONGEST_NAME = 200, 40
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True, order=True)
class Learner:
    """One place in a class.

    Attributes:
        group: Name of the class.
        number: From 1 on.
    """

    group: str
    number: int

    @property
    def name(self) -> str:
        """ "01"."""
        return f"{self.number:02d}"

    @property
    def namespace(self) -> str:
        """The learner's namespace, "wq-NAME-01"; the context has the same name."""
        return f"{PREFIX}{self.group}-{self.name}"

    @property
    def kubeconfig(self) -> str:
        """Name of the file with the learner's key."""
        return f"{self.namespace}.kubeconfig"

    @property
    def note(self) -> str:
        """Name of the file with the learner's hand-out."""
        return f"{self.namespace}.txt"

    @property
    def labels(self) -> dict[str, str]:
        """The labels of everything that is made for this learner."""
        return {CLASS_LABEL: self.group, LEARNER_LABEL: self.name}


def list_name(group: str) -> str:
    """Return the name of the file with the teacher's list of a class."""
    return f"wq-{group}-learners.csv"


def learner_of(group: str, namespace: str) -> Learner | None:
    """Return the learner of a class whose namespace this is by its name, or None."""
    number = namespace.removeprefix(f"{PREFIX}{group}-")
    if number == namespace or not re.fullmatch(r"[0-9]{2,3}", number):
        return None
    learner = Learner(group, int(number))
    return learner if learner.namespace == namespace and learner.number else None


def checked(group: str) -> str:
    """Return the name of a class, if it can be one.

    Raises:
        ClassError: It cannot; with what it may look like.
    """
    if len(group) > LONGEST_NAME or not _NAME.fullmatch(group):
        raise ClassError(
            f"A class cannot be called {group!r}: namespaces are named after it. Use small "
            f"letters, digits and hyphens between them, at most {LONGEST_NAME}, as in monday-1."
        )
    return group


def checked_number(learners: int) -> int:
    """Return the number of learners, if a class can have that many.

    Raises:
        ClassError: It cannot.
    """
    if not 1 <= learners <= MOST_LEARNERS:
        raise ClassError(
            f"A class has 1 to {MOST_LEARNERS} learners, not {learners}. "
            "For more, make two classes."
        )
    return learners
