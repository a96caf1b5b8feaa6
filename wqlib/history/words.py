"""A run in words: the header of the live view, and the words of its table.

What a sighted reader takes from the picture, a screen reader must find here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .spans import Lane, PodRow, Span

if TYPE_CHECKING:
    from .fold import History


def summary(history: History, now: float, job: str = "") -> str:
    """Where a run stands, in a few sentences; see `History.summary`."""
    counts = history.counts
    said = [_who(history, job)]
    total = counts.total
    if not total:
        said.append("No items yet.")
    else:
        said.append(
            f"{counts.done:,} of {total:,} {_items(total)} done, {counts.leased:,} leased, "
            f"{counts.pending:,} waiting, {counts.dead:,} dead."
        )
    said += _troubles(history)
    if total and not counts.pending and not counts.leased:
        said.append("The queue is drained.")
    elif (left := history.eta(now)) is not None:
        said.append(_left(*left))
    return " ".join(said)


def table(history: History, now: float) -> list[PodRow]:
    """A row for each lane; see `History.table`."""
    drained = history.drained_at is not None
    return [_row(lane, now, drained) for lane in list(history.lanes.values())]


def _row(lane: Lane, now: float, drained: bool) -> PodRow:
    over = not lane.held and not lane.alive
    end = lane.last_at if over else max(now, lane.last_at)
    life = end - lane.first_at
    times = sorted(lane.item_seconds)
    return PodRow(
        pod=lane.worker,
        job=lane.job,
        state=state(lane, drained),
        done=lane.done,
        lost=lane.lost,
        working_on=working_on(list(lane.held.values())),
        mean_seconds=lane.seconds_sum / lane.items_timed if lane.items_timed else None,
        p95_seconds=times[-(-95 * len(times) // 100) - 1] if times else None,
        busy=min(1.0, lane.busy_until(end) / life) if life > 0 else 0.0,
    )


def _who(history: History, job: str) -> str:
    lanes = [lane for lane in list(history.lanes.values()) if not job or lane.job in (job, "")]
    jobs = {lane.job for lane in lanes if lane.job} or ({job} if job else set())
    name = f"Job {jobs.pop()}: " if len(jobs) == 1 else ""
    if any(lane.state for lane in lanes):
        running = sum(lane.state == "running" for lane in lanes)
        words = f"{_many(running, 'pod')} running"
        waiting = sum(lane.state == "pending" for lane in lanes)
        leaving = sum(lane.state == "terminating" for lane in lanes)
        if waiting:
            words += f", {waiting} starting"
        if leaving:
            words += f", {leaving} ending"
        return f"{name}{words}."
    if not lanes:
        return f"{name}no pod yet." if name else "No worker yet."
    working = sum(bool(lane.held) for lane in lanes)
    return f"{name}{working} of {_many(len(lanes), 'worker')} working."


def _troubles(history: History) -> list[str]:
    counts = history.counts
    said = []
    if counts.expired:
        one = counts.expired == 1
        words = f"{_many(counts.expired, 'lease')} expired"
        waiting = _not_lent_again(history)
        if waiting is None:
            words += "."
        elif waiting == 0:
            words += f" and {'was' if one else 'were'} lent again."
        elif waiting >= counts.expired:
            words += f"; {'its item waits' if one else 'their items wait'} to be lent again."
        else:
            words += f"; {waiting} of the items {'waits' if waiting == 1 else 'wait'} again."
        said.append(words)
    if counts.failed:
        said.append(f"{_many(counts.failed, 'attempt')} failed.")
    if counts.released:
        said.append(
            f"{_many(counts.released, 'item')} {'was' if counts.released == 1 else 'were'} "
            "released."
        )
    return said


def _not_lent_again(history: History) -> int | None:
    """How many expired items still wait; None if some died, so that no short word is true."""
    return None if history.counts.dead else history.waiting_after_expiry


def _left(seconds: float, uncertainty: float) -> str:
    if seconds < 1:
        return "Less than a second left."
    give_or_take = uncertainty / seconds > 0.25 and uncertainty >= 2
    about = f"About {duration(seconds)}"
    return (
        f"{about} left, give or take {duration(uncertainty)}."
        if give_or_take
        else (f"{about} left.")
    )


def time_left(history: History, now: float) -> list[str]:
    """The estimate of the time left in two short lines, or none: "12 s left", "± 3 s"."""
    left = history.eta(now)
    if left is None or left == (0.0, 0.0):
        return []
    return [f"{duration(left[0])} left", f"± {duration(left[1])}"]


def duration(seconds: float) -> str:
    """Seconds as people say them, two digits or so: "8 s", "2 min 10 s", "3 h 5 min"."""
    if seconds < 10 and seconds % 1 >= 0.05 and seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        whole = whole if whole < 600 else round(whole, -1)
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def item_seconds(seconds: float | None) -> str:
    """The time of an item with three digits: "0.12 s", "2.31 s", "34 ms"."""
    if seconds is None:
        return "–"
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def state(lane: Lane, drained: bool) -> str:
    """What a pod or worker does, in a word."""
    if lane.state == "running":
        return "working" if lane.held else "running"
    if lane.state == "pending":
        return "starting"
    if lane.state == "terminating":
        return "ending"
    if lane.state == "succeeded":
        return "finished"
    if lane.state == "failed":
        return "failed"
    if lane.state == "deleted":
        exits = [mark.kind for mark in lane.marks]
        return "finished" if "succeeded" in exits else "gone"
    if lane.held:
        return "working"
    return "finished" if drained else "waiting"


def working_on(spans: list[Span]) -> str:
    """The items of some leases: "apple", "apple (attempt 2)", "apple and 3 more"."""
    if not spans:
        return ""
    first = spans[0]
    words = label(first)
    if first.attempt > 1:
        words += f" (attempt {first.attempt})"
    return words if len(spans) == 1 else f"{words} and {len(spans) - 1} more"


def label(span: Span) -> str:
    """A short name of a span's item, free of what would break a line."""
    if not span.item:
        return f"item {span.item_id}" if span.item_id else ""
    text = " ".join("".join(c if c.isprintable() else " " for c in span.item).split())
    return text if len(text) <= 24 else text[:23] + "…"


def short_names(workers: list[str], job: str) -> list[str]:
    """Names without the Job's, which stands above them: "job-wq-2-x7k2p" is "x7k2p"."""
    return [
        worker[len(job) + 1 :] if job and worker.startswith(f"{job}-") else worker
        for worker in workers
    ]


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _items(number: int) -> str:
    return "item" if number == 1 else "items"


def count(number: int) -> str:
    """A number of items, short enough to stand beside a picture: "41", "950,000", "1.25 M"."""
    return f"{number:,}" if number < 1_000_000 else f"{number / 1e6:,.2f} M"
