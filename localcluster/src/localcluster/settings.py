"""Numbers of seconds that variables of the environment set."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .errors import ClusterError


def seconds(environment: Mapping[str, str], name: str, otherwise: float) -> float:
    """Return how many seconds a variable says.

    Args:
        otherwise: How many when it is unset or empty.

    Raises:
        ClusterError: It is no such number.
    """
    text = environment.get(name) or str(otherwise)
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < math.inf:
        raise ClusterError(
            f"{name}={text} is no number of seconds. Use one from 0 on, such as {otherwise:g}, or"
            " unset it."
        )
    return found
