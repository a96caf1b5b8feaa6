"""Estimate π by throwing darts at a square, and say how far off it may be."""

import math
import random

DARTS = 800_000  # in an item; they take some tenths of a second


def items():
    """List the pieces of work, as text: here the seeds of 24 independent series of darts."""
    return [str(seed) for seed in range(24)]


def process(item):
    """Count the darts of one series that hit the circle; the same seed gives the same count."""
    draw = random.Random(int(item)).random
    return str(sum(draw() ** 2 + draw() ** 2 < 1 for _ in range(DARTS)))


def combine(results):
    """Put the results together: the mean of all series, and its standard error."""
    shares = [4 * int(hits) / DARTS for hits in results]
    mean = sum(shares) / len(shares)
    variance = sum((share - mean) ** 2 for share in shares) / (len(shares) - 1)
    return f"π = {mean:.5f} ± {math.sqrt(variance / len(shares)):.5f} (one standard error)"
