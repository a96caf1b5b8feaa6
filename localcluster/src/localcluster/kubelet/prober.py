"""The course of one probe: when it is asked, and what its answers mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import NamedTuple

from ..apimachinery.jsontypes import Obj
from .probes import Target, Thresholds, run_probe

# A container that is not ready yet is asked more often than its manifest says, for life is faster
# here. What such a question finds wrong is not yet worth an event.
_EAGER_SECONDS = 0.1
_QUIET_SECONDS = 1.0


class Verdict(NamedTuple):
    """What follows from one answer.

    Attributes:
        well: What the thresholds make of it, or None when it is not enough for them.
        complaint: What is to be told of it, or empty.
    """

    well: bool | None
    complaint: str = ""


async def verdicts(
    kind: str, probe: Obj, target: Target, *, eager: bool
) -> AsyncGenerator[Verdict]:
    """Probe for ever, and yield what follows from each answer that counts.

    Args:
        kind: `startup`, `readiness` or `liveness`.
        eager: Probe more often until the first success.
    """
    loop = asyncio.get_running_loop()
    period = float(probe.get("periodSeconds", 10))
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    thresholds = Thresholds.of(probe)
    recorded = loop.time() + min(_QUIET_SECONDS, period) - period
    while True:
        result = await run_probe(probe, target)
        eager = eager and not result.success
        # Between two questions of its own period an eager one counts only when it succeeds.
        due = not eager or loop.time() - recorded >= period
        complaint = ""
        if due and not result.success:
            recorded = loop.time()
            failed = "failed" if result.known else "errored and resulted in unknown state"
            complaint = f"{kind.capitalize()} probe {failed}: {result.why}"
        counts = result.known and (due or result.success)
        yield Verdict(thresholds.record(result.success) if counts else None, complaint)
        await asyncio.sleep(min(period, _EAGER_SECONDS) if eager else period)
