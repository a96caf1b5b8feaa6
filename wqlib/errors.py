"""What can go wrong, in words that a learner can act on, and the exit codes for it.

Every error of the library is a `WqlibError`. Its message says what happened, why, and
what to do next, in one or two sentences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# The exit codes of all commands; one ended by signal n exits with EXIT_SIGNAL + n.
EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_SIGNAL = 0, 1, 2, 128


class WqlibError(Exception):
    """The base of every error that wqlib raises on purpose."""


class QueueError(WqlibError):
    """The base of the errors of the queue.

    Attributes:
        answers: What Redis answered to the calls that went out before the one that failed.
    """

    answers: Sequence[Any] = ()


class RedisUnreachable(QueueError):
    """No answer from Redis within the time that the caller allowed."""


class RedisRefused(QueueError):
    """Redis answered, but refused: a wrong password, no permission, or out of memory."""


class NotReplicated(RedisRefused):
    """Redis did what was asked, but too few replicas had it in time."""


class WrongKeyType(QueueError):
    """A key with the queue's name exists, but it is not a list."""


class WrongVersion(QueueError):
    """The queue was made by another version of the library."""


class LeaseLost(QueueError):
    """The lease is no longer ours: its deadline passed, or it was ended before.

    Attributes:
        lost: The leases that were lost.
    """

    lost: Sequence[Any] = ()


class ItemTooLarge(QueueError):
    """An item or a result is larger than the queue accepts."""


class RedisServerMissing(WqlibError):
    """No redis-server binary was found on this machine."""


class ClusterError(WqlibError):
    """The base of the errors of the cluster."""


class ClusterUnreachable(ClusterError):
    """The API server of the cluster does not answer."""


class NotFound(ClusterError):
    """The cluster has no such object."""


class WaitTimeout(ClusterError):
    """What was waited for did not happen in time."""


class ImageError(ClusterError):
    """An image could not be built; the message names the file and the line."""


class ClassError(ClusterError):
    """A class cannot be created, inspected or deleted; nothing was changed."""
