"""The example workloads of the course: what a worker does with one item.

A task is a function that takes the item's bytes and returns a small result, or None. It may
be run more than once for the same item (a lease can run out while the worker goes on), so it
must not matter how often it runs.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Awaitable, Callable

Task = Callable[[bytes], bytes | str | None]
AsyncTask = Callable[[bytes], Awaitable[bytes | str | None]]


def fruit(item: bytes) -> str:
    """Pretend to work on a fruit, as on the Kubernetes page.

    It takes `ITEM_SECONDS` (default 2), and an item `poison` always fails.

    Returns:
        How many letters the fruit has.
    """
    time.sleep(float(os.environ.get("ITEM_SECONDS") or 2))
    if item == b"poison":
        raise ValueError("this fruit is rotten")
    return f"{len(item.decode('utf-8', 'replace'))} letters"


def primes(item: bytes) -> str:
    """Count the primes in `low-high`, both included, by trial division (it shall take time)."""
    low, _, high = item.decode().partition("-")
    return str(sum(_is_prime(number) for number in range(int(low), int(high) + 1)))


def wait(item: bytes) -> str:
    """Wait as many seconds as the item says, as work does that waits for another machine."""
    time.sleep(float(item))
    return f"waited {item.decode()} s"


def factors(item: bytes) -> str:
    """Take a whole number apart into its prime factors, by trial division.

    How long that takes says the second largest factor, not the size of the number.

    Returns:
        The factors, the smallest first, as in "2 2 3" for 12.

    Raises:
        ValueError: The item is no whole number above 0.
    """
    number = int(item)
    if number < 1:
        raise ValueError(f"{number} has no prime factors; it must be 1 or more.")
    found, divisor = [], 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1 if divisor == 2 else 2
    if number > 1:
        found.append(number)
    return " ".join(map(str, found))


def mandelbrot(item: bytes) -> bytes:
    """Draw one tile of the Mandelbrot set.

    It takes at least `ITEM_SECONDS` (default 0), so that one can watch.

    Args:
        item: JSON with `left`, `top`, `step` (distance of two pixels), `width`, `height`
            (pixels) and `limit` (iterations, at most 255).

    Returns:
        height × width bytes, row by row: after how many iterations the point escaped.
    """
    enough_at = time.monotonic() + float(os.environ.get("ITEM_SECONDS") or 0)
    tile = json.loads(item)
    limit = min(int(tile["limit"]), 255)
    pixels = bytes(
        _escape(tile["left"] + x * tile["step"], tile["top"] - y * tile["step"], limit)
        for y in range(tile["height"])
        for x in range(tile["width"])
    )
    time.sleep(max(0.0, enough_at - time.monotonic()))
    return pixels


def named(item: bytes) -> bytes | str | None:
    """Do the task that the item names, as in "wait 0.2" or "primes 1-1000"."""
    name, _, rest = item.partition(b" ")
    return TASKS[name.decode()](rest)


TASKS: dict[str, Task] = {
    "fruit": fruit,
    "primes": primes,
    "wait": wait,
    "factors": factors,
    "mandelbrot": mandelbrot,
    "named": named,
}


def find(name: str) -> Task:
    """Find a task by name, or as `module:function`.

    Raises:
        ValueError: There is no such task.
    """
    if name in TASKS:
        return TASKS[name]
    module, colon, function = name.partition(":")
    try:
        task = getattr(importlib.import_module(module), function) if colon else None
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"The task {name!r} cannot be loaded: {error}.") from None
    if not callable(task):
        raise ValueError(
            f"There is no task {name!r}. Known are {', '.join(TASKS)}; "
            "a task of your own is named module:function."
        )
    return task  # type: ignore[no-any-return]


def _is_prime(number: int) -> bool:
    if number < 2:
        return False
    divisor = 2
    while divisor * divisor <= number:
        if number % divisor == 0:
            return False
        divisor += 1
    return True


def _escape(x: float, y: float, limit: int) -> int:
    real = imaginary = 0.0
    for iteration in range(limit):
        if real * real + imaginary * imaginary > 4.0:
            return iteration
        real, imaginary = real * real - imaginary * imaginary + x, 2.0 * real * imaginary + y
    return limit
