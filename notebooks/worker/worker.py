"""What each pod of the Job runs: lease an item, work on it, complete it, until none is left.

Redis is found by the variables that Kubernetes sets for the Service `redis`, the rest by
those in the Job's manifest. Put work of your own into `process`.
"""

import os
import sys
import time

from wqlib.worker import run

ITEM_SECONDS = float(os.environ.get("ITEM_SECONDS", "1"))


def process(item: bytes) -> str:
    """Work on one item; what it returns is kept as the item's result."""
    time.sleep(ITEM_SECONDS)  # the real work goes here
    return f"{len(item)} letters"


if __name__ == "__main__":
    sys.exit(run(process))
