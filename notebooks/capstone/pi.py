"""Estimate π by throwing darts at a square, and say how far off the estimate may be."""

import math
import random

DARTS = 800_000  # an item: some tenths of a second


def items():
    """The pieces of work, as text: here the seeds of 24 independent series of darts."""
    return [str(seed) for seed in range(24)]


def process(item):
    """Work on one item, in a pod; the same item always gives the same result."""
    draw = random.Random(int(item)).random
    return str(sum(draw() ** 2 + draw() ** 2 < 1 for _ in range(DARTS)))


def combine(results):
    """Put the results together, in the order of the items."""
    shares = [4 * int(hits) / DARTS for hits in results]
    mean = sum(shares) / len(shares)
    variance = sum((share - mean) ** 2 for share in shares) / (len(shares) - 1)
    return f"π = {mean:.5f} ± {math.sqrt(variance / len(shares)):.5f} (one standard error)"
