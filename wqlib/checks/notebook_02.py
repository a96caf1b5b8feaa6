"""The checks of notebook 02, Fill the queue."""

from __future__ import annotations

from .answers import Answers
from .exercise import Wrong, exercise


@exercise("02-1", "Equal items are different items")
def equal_items(answers: Answers) -> str:
    """Two figs were leased, and one of them completed."""
    stats = answers.queue().stats()
    if stats.leased != 1 or stats.done != 1:
        raise Wrong(
            f"{stats.leased} leased and {stats.done} done, and it should be one of each. Clear "
            "the queue, put two figs, lease both, and complete the first."
        )
    return "one fig is done, the other is still lent. Two equal items are two leases."
