"""A pytest plugin: notebooks that are tested at the same time do not get into each other's way.

Each of pytest-xdist's workers gets a home of its own (and with it a local cluster), and on a
real cluster a namespace.
"""

from __future__ import annotations

import os
from pathlib import Path


def pytest_configure() -> None:
    """Before the first kernel of this process starts."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        os.environ["WQLIB_HOME"] = str(Path(os.environ["WQLIB_HOME"], worker))
        os.environ["WQLIB_NAMESPACE"] = f"wq-course-{worker}"
