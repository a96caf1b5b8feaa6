"""From what was measured to figures, bars and tables. Pure: it measures nothing.

The result is one dict, as `--json` prints it: `one_core` and `two_cores` hold what depends on
where worker and server run, and `waiting` holds the items that wait, each with a line for each
contender; the rest stands beside them.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .roster import WAITING_AT_ONCE, WAITING_MS, Contender
from .rounds import Record, median_ratio

PLACEMENTS = {
    "one_core": "worker and server on one core",
    "two_cores": "worker on one core, server on another",
}
IDEAL = WAITING_AT_ONCE / WAITING_MS * 1000  # items a second

# figure, where ("" = once), "least" or "below" or "most", bar, what it is
BARS: tuple[tuple[str, str, str, float, str], ...] = (
    ("ratio_to_fastest_python_peer", "one_core", "least", 4, "one at a time, to that peer"),
    ("ratio_to_fastest_python_peer", "two_cores", "least", 2.5, "one at a time, to that peer"),
    ("ratio_worker", "one_core", "least", 15, "Worker with no options, to that peer"),
    ("ratio_worker", "two_cores", "least", 15, "Worker with no options, to that peer"),
    ("ratio_worker_to_bullmq_c50", "one_core", "least", 2, "the same, to BullMQ, concurrency 50"),
    ("ratio_worker_to_bullmq_c50", "two_cores", "least", 2, "the same, to BullMQ, concurrency 50"),
    ("ratio_batch16", "one_core", "least", 20, "batches of 16, to that peer"),
    ("ratio_batch16", "two_cores", "least", 20, "batches of 16, to that peer"),
    ("ratio_batch16_to_bullmq_c50", "one_core", "least", 4, "to BullMQ, concurrency 50"),
    ("ratio_batch16_to_bullmq_c50", "two_cores", "least", 4, "to BullMQ, concurrency 50"),
    ("ratio_batch16_to_chasquimq_c100", "one_core", "least", 4, "to ChasquiMQ, concurrency 100"),
    ("ratio_batch16_to_chasquimq_c100", "two_cores", "least", 4, "to ChasquiMQ, concurrency 100"),
    ("ratio_to_floor", "one_core", "least", 0.8, "one at a time, to redis-py's EVALSHA"),
    ("ratio_to_floor", "two_cores", "least", 0.8, "one at a time, to redis-py's EVALSHA"),
    ("round_trips_per_item", "one_core", "most", 1.01, "one at a time"),
    ("round_trips_per_item", "two_cores", "most", 1.01, "one at a time"),
    ("share_of_ideal_threads", "waiting", "least", 0.9, "20 ms of waiting, 50 at a time"),
    ("share_of_ideal_async", "waiting", "least", 0.9, "the same with async def"),
    ("fill_1e6_seconds", "", "below", 1.5, "an iterator of 1,000,000 items"),
    ("drain_1e6_two_workers_seconds", "", "below", 6, "two Workers with no options"),
    ("rate_1e6_pending_over_1e3", "", "least", 0.9, "1,000,000 items pending over 1,000"),
    ("rate_1e5_leases_over_10", "", "least", 0.85, "100,000 leases outstanding over 10"),
    ("pickup_ms_p50", "", "below", 1, "from RPUSH to the waiting worker's lease"),
    ("pickup_ms_p99", "", "below", 10, "from RPUSH to the waiting worker's lease"),
    ("recovery_after_kill_seconds", "", "below", 1, "the bar is the lease and a second"),
)
_SIGNS = {"least": ">=", "most": "<=", "below": "<"}


def placement_figures(
    contenders: Sequence[Contender], records: Mapping[str, Record], duels: Sequence[float]
) -> dict[str, Any]:
    """The figures of one placement.

    Args:
        contenders: All whose items do nothing, those that were skipped too.
        records: What was measured, by name.
        duels: Our rate over the floor's, by pair of slices.
    """
    ran = _ran(records)
    peers = [c.name for c in contenders if c.kind == "python" and c.survives and c.name in ran]
    fastest = max(peers, key=lambda name: ran[name].rate, default=None)

    def ratio(ours: str, other: str | None) -> float | None:
        if ours not in ran or other not in ran:
            return None
        value = median_ratio(ran[ours], ran[other])
        return None if value is None else round(value, 3)

    return {
        "fastest_python_peer": fastest,
        "ratio_to_fastest_python_peer": ratio("wqlib", fastest),
        "ratio_worker": ratio("wqlib_worker", fastest),
        "ratio_worker_to_bullmq_c50": ratio("wqlib_worker", "bullmq_c50"),
        "ratio_batch16": ratio("wqlib_batch16", fastest),
        "ratio_batch16_to_bullmq_c50": ratio("wqlib_batch16", "bullmq_c50"),
        "ratio_batch16_to_chasquimq_c100": ratio("wqlib_batch16", "chasquimq_c100"),
        "ratio_to_floor": round(statistics.median(duels), 3) if duels else None,
        "round_trips_per_item": _trips(ran.get("wqlib")),
        "contenders": {c.name: _line(c, records.get(c.name), ran) for c in contenders},
    }


def waiting_figures(
    contenders: Sequence[Contender], records: Mapping[str, Record]
) -> dict[str, Any]:
    """The figures of the items that wait; the share of the ideal is 1 at most.

    Args:
        contenders: All whose items wait, those that were skipped too.
        records: What was measured, by name.
    """
    ran = _ran(records)
    shares = {name: round(record.rate / IDEAL, 3) for name, record in ran.items()}
    lines = {c.name: _line(c, records.get(c.name), ran) for c in contenders}
    return {
        "at_once": WAITING_AT_ONCE,
        "wait_ms": WAITING_MS,
        "share_of_ideal_threads": shares.get("wqlib_threads"),
        "share_of_ideal_async": shares.get("wqlib_async"),
        "contenders": {
            name: line | ({"share_of_ideal": shares[name]} if name in shares else {})
            for name, line in lines.items()
        },
    }


def _ran(records: Mapping[str, Record]) -> dict[str, Record]:
    return {name: record for name, record in records.items() if record.rates and not record.failed}


def _trips(record: Record | None) -> float | None:
    return round(statistics.median(record.trips), 4) if record else None


def _line(contender: Contender, record: Record | None, ran: Mapping[str, Record]) -> dict[str, Any]:
    line: dict[str, Any] = {
        "title": contender.title,
        "survives_a_killed_worker": contender.survives,
    }
    if contender.kind == "floor":
        del line["survives_a_killed_worker"]
    if contender.skipped:
        return line | {"skipped": contender.skipped}
    if record is None or contender.name not in ran:
        return line | {"failed": record.failed if record else "it did not run"}
    if floor := ran.get("floor_redis_py"):
        to_floor = median_ratio(record, floor)
        line["ratio_to_floor"] = None if to_floor is None else round(to_floor, 3)
    return line | {
        "items_per_second": round(record.rate),
        "rates": [round(rate) for rate in record.rates.values()],
        "round_trips_per_item": _trips(record),
        "cpu_us_per_item": round(statistics.median(record.cpu_us), 2),
    }


def bars(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each bar with its figure and whether it is met, short or was not measured."""
    lines = []
    for figure, place, sense, level, about in BARS:
        bar = level
        if figure == "recovery_after_kill_seconds":
            bar += result.get("lease_seconds", 0)
        value = result.get(place, {}).get(figure) if place else result.get(figure)
        if value is None:
            verdict = "not measured"
        else:
            met = {"least": value >= bar, "most": value <= bar, "below": value < bar}[sense]
            verdict = "met" if met else "short"
        lines.append(
            {
                "figure": figure,
                "placement": place or "once",
                "bar": f"{_SIGNS[sense]} {bar:g}",
                "value": value,
                "verdict": verdict,
                "about": about,
            }
        )
    return lines


def failures(result: Mapping[str, Any]) -> list[str]:
    """What broke down, or did not do its work."""
    found = [
        f"{place}: {line['title']}: {line['failed']}"
        for place in (*PLACEMENTS, "waiting")
        for line in result.get(place, {}).get("contenders", {}).values()
        if "failed" in line
    ]
    return found + [f"{name}: {why}" for name, why in result.get("failed", {}).items()]


def text(result: Mapping[str, Any]) -> str:
    """All of it, as tables for a terminal."""
    return "\n".join(_text(result))


def _text(result: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Items a second that one worker drains; medians of {result['repeats']}; "
        f"{result['server']}, Python {result['python']}, redis-py {result['redis_py']}"
    )
    yield (
        f"{result['machine']}; load before {result['load_before']:.2f}, after "
        f"{result['load_after']:.2f} (the benchmark's own is some 1 to 2)"
    )
    for place, about in PLACEMENTS.items():
        if place in result:
            yield from _table(about, result[place], "ratio_to_floor", "to floor")
    if "waiting" in result:
        about = f"items that wait for {WAITING_MS} ms, {WAITING_AT_ONCE} at a time"
        yield from _table(about, result["waiting"], "share_of_ideal", "of ideal")
    yield from _once(result)
    yield ""
    yield f"{'What the queue shall do':36}{'where':11}{'bar':>8}{'figure':>10}"
    for line in result["bars"]:
        value = "-" if line["value"] is None else f"{line['value']:.3g}"
        about = line["about"]
        over_floor = result.get("drain_1e6_rate_over_floor")
        if line["figure"] == "drain_1e6_two_workers_seconds" and over_floor:
            about += f"; {over_floor:.2f} times one worker's EVALSHA"
        yield (
            f"{line['figure']:36}{line['placement']:11}{line['bar']:>8}{value:>10}"
            f"  {line['verdict']:13}{about}"
        )
    for failure in failures(result):
        yield f"FAILED: {failure}"


def _table(about: str, figures: Mapping[str, Any], ratio: str, heading: str) -> Iterator[str]:
    yield ""
    if "skipped" in figures:
        yield f"{about[0].upper()}{about[1:]}: skipped, {figures['skipped']}"
        return
    yield (
        f"{about[0].upper()}{about[1:]:36}{'items/s':>10}{heading:>10}{'trips/item':>12}"
        f"{'CPU us/item':>13}{'survives':>10}"
    )
    for line in figures["contenders"].values():
        title = f"  {line['title']:35}"
        if "skipped" in line or "failed" in line:
            why = f"skipped: {line['skipped']}" if "skipped" in line else "FAILED, see below"
            yield f"{title}{why:>10}"
            continue
        survives = {True: "yes", False: "no", None: "-"}[line.get("survives_a_killed_worker")]
        yield (
            f"{title}{line['items_per_second']:>10,}{line.get(ratio) or 0:>10.2f}"
            f"{line['round_trips_per_item']:>12.3f}{line['cpu_us_per_item']:>13.1f}{survives:>10}"
        )


def _once(result: Mapping[str, Any]) -> Iterator[str]:
    stall = result.get("expiry_calls")
    if stall:
        yield ""
        yield (
            f"While {result['expiring_leases']:,} leases of others expire at once, a worker's "
            f"calls take {stall['during_p50_ms']:.2f} ms (median), "
            f"{stall['during_p99_ms']:.2f} ms (p99), "
            f"{stall['during_largest_ms']:.2f} ms (largest); before that "
            f"{stall['before_p50_ms']:.2f}, {stall['before_p99_ms']:.2f} and "
            f"{stall['before_largest_ms']:.2f} ms. All are taken back after "
            f"{stall['seconds']:.1f} s."
        )
    if result.get("recovery_after_kill_seconds") is not None:
        yield (
            f"A killed worker's item is with a survivor "
            f"{result['recovery_after_kill_seconds']:.2f} s after the kill (the largest of "
            f"{result['kills']}; leases of {result['lease_seconds']:g} s), and the survivor ends "
            f"with exit code 0 {result['survivor_exit_seconds']:.2f} s later."
        )
