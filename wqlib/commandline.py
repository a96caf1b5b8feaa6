"""What the command lines of the worker and of `wqlib` have in common: a queue and its Redis."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

HOW_REDIS_IS_FOUND = (
    "Redis is found by --redis, or as a worker finds it: WQLIB_REDIS_URL, or a Service named "
    "redis, or else 127.0.0.1:6379; if the URL has no password, that of REDIS_PASSWORD or of the "
    "file REDIS_PASSWORD_FILE is used. "
)


def foreign_words(name: str, number: int) -> str:
    """Say that the client of the Kubernetes page may hold items of the queue `name`."""
    items = "item is" if number == 1 else "items are"
    return (
        f"{number:,} {items} in {name}:processing. If the client of the Kubernetes page left them, "
        f"`wqlib queue adopt {name}` takes back those whose lease is gone."
    )


class Parser(argparse.ArgumentParser):
    """A parser whose errors repeat a wrong word, but no login of a URL in it."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"//\S*@", "//...@", message)
        super().error(re.sub(r"(password=)[^&\s]*", r"\1...", message))
