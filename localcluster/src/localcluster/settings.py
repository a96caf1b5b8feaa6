"""Numbers of seconds that variables of the environment set."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .errors import ClusterError


def seconds(
    environment: Mapping[str, str], name: str, otherwise: float, least: float = 0.0
) -> float:
    """Return how many seconds a variable says.

    Args:
        otherwise: How many when it is unset or empty.
        least: The smallest number that makes sense.

    Raises:
        ClusterError: It is no such number.
    """
    text = environment.get(name) or str(otherwise)
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not least <= found < math.inf:
        raise ClusterError(
            f"{name}={text} is no number of seconds. Use {least:g} or more, such as"
            f" {otherwise:g}, or unset it."
        )
    return found
