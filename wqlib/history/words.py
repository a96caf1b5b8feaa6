"""A run in words: the header of the live view, and the words of its table.

What a sighted reader takes from the picture, a screen reader must find here.
"""

from __future__ import annotations

from collections import Counter

from .spans import WAITS, Counts, Lane, PodRow, PodState, Span, pod_states

Estimate = tuple[float, float] | None  # seconds left and their uncertainty


def summary(
    counts: Counts, lanes: list[Lane], waiting_after_expiry: int, left: Estimate, job: str
) -> str:
    """Say where a run stands, in a few sentences; see `History.summary`."""
    total = counts.total
    said = [_workers(lanes, job)]
    # What waits in a worker is leased, too.
    working = sum(lane.working for lane in lanes)
    worked_on = f" ({working:,} worked on)" if any(lane.waiting for lane in lanes) else ""
    if total:
        said.append(
            f"{counts.done:,} of {total:,} {_noun(total, 'item')} done, {counts.leased:,} leased"
            f"{worked_on}, {counts.pending:,} waiting, {counts.dead:,} dead."
        )
    else:
        said.append("No items yet.")
    said += _troubles(counts, waiting_after_expiry)
    if total and not counts.pending and not counts.leased:
        said.append("The queue is drained.")
    elif left is not None:
        said.append(_time_left(*left))
    return " ".join(said)


def pod_row(lane: Lane, now: float, drained: bool) -> PodRow:
    """Return the line of a lane in the table of pods; see `History.table`."""
    over = not lane.held and not lane.alive
    end = lane.last_at if over else max(now, lane.last_at)
    life = end - lane.first_at
    times = sorted(lane.item_seconds)
    return PodRow(
        pod=lane.worker,
        job=lane.job,
        state=state_of(lane, drained),
        done=lane.done,
        lost=lane.lost,
        working_on=working_on(list(lane.held.values())),
        mean_seconds=lane.seconds_sum / lane.items_timed if lane.items_timed else None,
        p95_seconds=times[-(-95 * len(times) // 100) - 1] if times else None,
        busy=min(1.0, lane.busy_until(end) / life) if life > 0 else 0.0,
    )


_ON_THE_WAY = {"pending": "starting", "restarting": "restarting", "terminating": "ending"}
_UNTIMELY: dict[PodState, str] = {
    "killed": "killed",
    "failed": "ended early",
    "terminating": "asked to end",
    "evicted": "evicted",
}


def _workers(lanes: list[Lane], job: str) -> str:
    lanes = [lane for lane in lanes if not job or lane.job in (job, "")]
    jobs = {lane.job for lane in lanes if lane.job} or ({job} if job else set())
    name = f"Job {jobs.pop()}: " if len(jobs) == 1 else ""
    if any(lane.state for lane in lanes):
        states = [lane.state for lane in lanes]
        said = f"{_number(states.count('running'), 'pod')} running"
        for state, word in _ON_THE_WAY.items():
            if number := states.count(state):  # type: ignore[arg-type]
                said += f", {number} {word}"
        ends = Counter(kind for lane in lanes for kind, _ in pod_states(lane))
        if ended := [f"{ends[kind]} {word}" for kind, word in _UNTIMELY.items() if ends[kind]]:
            said += f"; so far {', '.join(ended)}"
        return f"{name}{said}."
    if not lanes:
        return f"{name}no pod yet." if name else "No worker yet."
    working = sum(bool(lane.held) for lane in lanes)
    return f"{name}{working} of {_number(len(lanes), 'worker')} working."


def _troubles(counts: Counts, waiting: int) -> list[str]:
    said = []
    if expired := counts.expired:
        said.append(f"{_number(expired, 'lease')} expired{_lent_again(counts, waiting)}")
    if counts.failed:
        said.append(f"{_number(counts.failed, 'attempt')} failed.")
    if released := counts.released:
        said.append(f"{_number(released, 'item')} {_were(released)} released.")
    return said


def _lent_again(counts: Counts, waiting: int) -> str:
    """Say what became of the items whose lease expired, if one short clause can be true."""
    one = counts.expired == 1
    if counts.dead:
        return "."
    if waiting == 0:
        return f" and {_were(counts.expired)} leased again."
    if waiting >= counts.expired:
        return f"; {'its item waits' if one else 'their items wait'} to be leased again."
    return f"; {waiting} of the items {'waits' if waiting == 1 else 'wait'} again."


def _time_left(seconds: float, uncertainty: float) -> str:
    if seconds < 1:
        return "Less than a second left."
    about = f"About {duration(seconds)} left"
    give_or_take = uncertainty / seconds > 0.25 and uncertainty >= 2
    return f"{about}, give or take {duration(uncertainty)}." if give_or_take else f"{about}."


def time_left(left: Estimate) -> list[str]:
    """Return the time left in two short lines, or none: "12 s left", "± 3 s"."""
    if left is None or left == (0.0, 0.0):
        return []
    return [f"{duration(left[0])} left", f"± {duration(left[1])}"]


def duration(seconds: float) -> str:
    """Return seconds as people say them, two digits or so: "8 s", "2 min 10 s", "3 h 5 min"."""
    if 0.05 <= seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole if whole < 600 else round(whole, -1), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def item_seconds(seconds: float | None) -> str:
    """Return the time of an item with three digits: "0.12 s", "2.31 s", "34 ms"."""
    if seconds is None:
        return "–"
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


_STATES = {
    "pending": "starting",
    "restarting": "restarting",
    "terminating": "ending",
    "succeeded": "finished",
}


def state_of(lane: Lane, drained: bool) -> str:
    """Return what a pod or worker does, in a word."""
    if lane.state in _STATES:
        return _STATES[lane.state]
    if lane.state == "failed":
        return pod_states(lane)[-1][0]
    if lane.state == "deleted":
        return "finished" if any(mark.kind == "succeeded" for mark in lane.marks) else "gone"
    if lane.held:
        return "working"
    if lane.state == "running":
        return "running"
    return "finished" if drained else "waiting"


def working_on(held: list[Span]) -> str:
    """Return the items that a worker with these leases works on, how far the first one is, and how
    many wait in the worker: "apple (attempt 2): page 3 of 9, and 3 more; 12 wait".
    """
    spans = [span for span in held if span.slot != WAITS]
    words = item_name(spans[0]) if spans else ""
    if spans and spans[0].attempt > 1:
        words += f" (attempt {spans[0].attempt})"
    if far := progress(spans[0]) if spans else "":
        words += f": {far}"
    if len(spans) > 1:
        words += f"{',' if far else ''} and {len(spans) - 1} more"
    if waiting := len(held) - len(spans):
        words += f"{'; ' if words else ''}{waiting} {'waits' if waiting == 1 else 'wait'}"
    return words


def item_name(span: Span) -> str:
    """Return a short name of a span's item, free of what would break a line."""
    if not span.item:
        return f"item {span.item_id}" if span.item_id else ""
    return _line(span.item, 24)


def progress(span: Span) -> str:
    """Return how far the work on a span's item is, in a short line, or ""."""
    return _line(span.progress, 40)


def _line(text: str, most: int) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def short_name(worker: str, job: str) -> str:
    """Return a name without the Job's, which stands above it: "job-wq-2-x7k2p" is "x7k2p"."""
    return worker.removeprefix(f"{job}-") if job else worker


def short_number(number: int) -> str:
    """Return a number short enough to stand beside a picture: "41", "950,000", "1.25 M"."""
    return f"{number:,}" if number < 1_000_000 else f"{number / 1e6:,.2f} M"


def _number(number: int, noun: str) -> str:
    return f"{number:,} {_noun(number, noun)}"


def _noun(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
