"""A run as lines of text: what the live view draws, for a terminal. Pure.

    job-wq-2                                                        done  left
    4njnp  >[fig ][kiwi]///X/////////|//////////////////               3
    9bmzb  >[apple  ][date  ]*fig   ][grape---page 2 of 3.|         9   2 s

The work on each item begins with `[`, or with `*` if another pod had lost that item before. How
it ended is told by its letters, so that it can be read without colours, too. What is worked on
now is followed by how far it is, if that is known, and by the time that its lease has left, up to
its deadline.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..history import History, words
from ..history.spans import MAX_SLOTS, WAITS, Lane, Span, grouped, most_active, pod_states
from ..history.timeaxis import TimeAxis, clock, ticks, time_axis

NAME_COLUMNS = 14
NUMBER_COLUMNS = 13
WINDOW_SECONDS = 60.0  # how much of the past is shown while a run goes on
LEAST_COLUMNS, MOST_COLUMNS = 60, 240
_FILL = {
    "complete": "=", "running": "-", "expire": "/", "release": ":", "fail": "x", "dead": "#",
}  # fmt: skip
_MARKS = {
    "pending": "o", "running": ">", "terminating": "v", "evicted": "^", "succeeded": "+",
    "failed": "!", "killed": "X",
}  # fmt: skip
_COLOURS = {
    "complete": "32", "running": "36", "expire": "33", "release": "33", "fail": "35", "dead": "31",
    "mark": "1", "dim": "2",
}  # fmt: skip
LEGEND = {
    "complete": "[=== completed", "running": "[--- leased", "fuse": "... time left",
    "deadline": "| deadline", "expire": "/// expired", "release": "::: released",
    "fail": "xxx failed", "dead": "### dead", "o": "o created", ">": "> started",
    "v": "v asked to end", "^": "^ evicted", "+": "+ finished", "!": "! ended early",
    "X": "X killed", "*": "* leased again",
}  # fmt: skip
LEGEND_LINES = 2


@dataclass(slots=True)
class _Row:
    """A line of characters, each with a look."""

    letters: list[str]
    looks: list[str]

    @classmethod
    def of(cls, width: int) -> _Row:
        return cls([" "] * width, [""] * width)

    def put(self, at: int, text: str, look: str) -> None:
        for place, letter in enumerate(text, at):
            if 0 <= place < len(self.letters):
                self.letters[place], self.looks[place] = letter, look

    def text(self, colours: bool) -> str:
        if not colours:
            return "".join(self.letters)
        out, last = [], ""
        for letter, look in zip(self.letters, self.looks, strict=True):
            if look != last:
                out.append("\033[0m" + (f"\033[{_COLOURS[look]}m" if look else ""))
                last = look
            out.append(letter)
        return "".join(out) + ("\033[0m" if last else "")


def draw(
    history: History,
    now: float,
    *,
    columns: int = 100,
    lines: int = 24,
    job: str = "",
    colours: bool = False,
) -> list[str]:
    """Draw a run.

    Args:
        history: The run.
        now: The moment, in seconds since the epoch.
        columns: How wide the terminal is.
        lines: How many lines there may be.
        job: Name of the Job to speak of; "" for all.
        colours: May there be colours (ANSI escapes)?

    Returns:
        At most `lines` lines, none longer than `columns`: where the run stands in words, a
        line for each pod, the time, the levels of the queue, and what the letters in it mean.
    """
    columns = min(max(columns, LEAST_COLUMNS), MOST_COLUMNS)
    width = columns - NAME_COLUMNS - NUMBER_COLUMNS
    axis = time_axis(history, now, 0.0, float(width), window_seconds=WINDOW_SECONDS)
    summary = textwrap.wrap(
        history.summary(now, job), columns, break_long_words=False, break_on_hyphens=False
    )
    said = [_cut(line, columns) for line in summary[:3]]
    below = [_ruler(axis, width), _levels(history, columns, colours)]
    legend = LEGEND_LINES if lines >= 14 else 0
    room = max(1, lines - len(said) - len(below) - legend)
    seen: set[str] = set()
    drawn = list(_lanes(history, axis, width, room, colours, seen))
    return [*said, *drawn, *below, *_legend(seen, columns)[:legend]]


def _legend(seen: set[str], columns: int) -> list[str]:
    """Return what the letters mean that were drawn, in lines."""
    said = [f"{meaning} " for key, meaning in LEGEND.items() if key in seen]
    glued = " ".join(meaning.replace(" ", "\0") for meaning in said)
    return [line.replace("\0", " ").rstrip() for line in textwrap.wrap(glued, columns)]


def _lanes(
    history: History, axis: TimeAxis, width: int, room: int, colours: bool, seen: set[str]
) -> Iterator[str]:
    lanes = history.lanes.values()
    groups = grouped(lanes)
    room = max(1, room - len(groups))
    chosen = most_active(lanes, room if len(lanes) <= room else max(1, room - 1))
    every = sum(lane.slots for lane in lanes) <= room  # a line for each item worked on at once
    again = {found.lease_id for _, found in history.handovers}
    for title, members in groups.items():
        yield f"{_cut(title, NAME_COLUMNS + width):{NAME_COLUMNS + width}}  done  left"
        for lane in members:
            if lane.worker in chosen:
                rows = lane.slots if every else 1
                yield from _lane(lane, rows, axis, width, again, colours, seen)
    if hidden := len(lanes) - len(chosen):
        yield f"and {hidden:,} more pods"


def _lane(
    lane: Lane,
    lines: int,
    axis: TimeAxis,
    width: int,
    again: set[str],
    colours: bool,
    seen: set[str],
) -> Iterator[str]:
    rows = [_Row.of(width) for _ in range(lines)]
    life = axis.now if lane.ended_at is None else lane.ended_at - axis.zero_at
    start = _column(lane.first_at - axis.zero_at, axis)
    rows[0].put(start, "_" * max(0, _column(life, axis) - start), "dim")
    marks = _marks(lane, axis)
    seen |= {letter for column, letter in marks.items() if 0 <= column < width}
    for span in lane.spans:
        end = axis.now if span.end is None else span.end - axis.zero_at
        if end >= axis.start and span.slot != WAITS:
            line = min(span.slot, lines - 1)
            _bar(rows[line], span, end, axis, again, {} if line else marks, seen)
    working = [(min(s.slot, lines - 1), s) for s in lane.held.values() if s.slot != WAITS]
    alone = Counter(line for line, _ in working)
    for line, span in working if axis.live else []:
        if alone[line] == 1:
            _progress(rows[line], span, axis)
    for column, letter in marks.items():
        rows[0].put(column, letter, "mark")
    name = words.short_name(lane.worker, lane.job)
    left = ""
    seconds = lane.seconds_left(axis.zero_at + axis.now)
    if seconds is not None and axis.live:
        left = words.duration(round(seconds)) if seconds > 0 else "over"
    numbers = f"{lane.done:6,}{left:>7}"
    yield f"{_cut(name, NAME_COLUMNS - 1):{NAME_COLUMNS}}{rows[0].text(colours)}{numbers}"
    for number, row in enumerate(rows[1:], 2):
        more = lane.working - lines if number == MAX_SLOTS else 0
        name = f"  and {more:,} more" if more > 0 else ""
        yield f"{name:{NAME_COLUMNS}}{row.text(colours)}"


def _marks(lane: Lane, axis: TimeAxis) -> dict[int, str]:
    """Return the letters of what became of a pod, by column: each has one of its own."""
    marks: dict[int, str] = {}
    for kind, at in pod_states(lane):
        column = _column(at - axis.zero_at, axis)
        if _MARKS["pending"] == marks.get(column):
            marks[column] = _MARKS[kind]  # it started at once
        else:
            while marks and max(marks) > column + 1:
                marks.popitem()  # crash follows crash: there is no room for all of them
            marks[max([column, *(taken + 1 for taken in marks)])] = _MARKS[kind]
    return marks


def _bar(
    row: _Row,
    span: Span,
    end: float,
    axis: TimeAxis,
    again: set[str],
    marks: dict[int, str],
    seen: set[str],
) -> None:
    first = _column(max(span.start - axis.zero_at, axis.start), axis)
    length = max(1, _column(end, axis) - first)
    letters = _FILL[span.outcome] * length
    seen.add(span.outcome)
    if span.start - axis.zero_at >= axis.start:
        letters = ("*" if span.lease_id in again else "[") + letters[1:]
        seen |= {"*"} & set(letters[0])
    name = words.item_name(span)
    clear = marks.keys().isdisjoint(range(first, first + 1 + len(name)))
    if name and clear and len(name) <= length - 2:
        letters = letters[0] + name + letters[1 + len(name) :]
    row.put(first, letters, span.outcome)
    deadline = span.deadline - axis.zero_at
    if span.end is None and axis.live:
        overdue = _column(max(deadline, axis.start), axis)
        if overdue < first + length and span.deadline:  # it is over, though nobody noticed yet
            from_ = max(overdue, first + 1)
            row.put(from_, "/" * (first + length - from_), "expire")
            seen.add("expire")
        fuse = _column(min(deadline, axis.end), axis) - first - length
        row.put(first + length, "." * fuse, "dim")
        seen |= {"fuse"} if fuse > 0 else set()
    expires = span.outcome == "expire" or (span.end is None and axis.live)
    if expires and max(axis.start, span.start - axis.zero_at) < deadline <= axis.end:
        row.put(max(_column(deadline, axis), first + 1), "|", "mark")
        seen.add("deadline")


def _progress(row: _Row, span: Span, axis: TimeAxis) -> None:
    """Say beside a bar, or on its end if need be, how far the work is."""
    if not span.progress:
        return
    text, name = f" {words.progress(span)}", words.item_name(span)
    first = _column(max(span.start - axis.zero_at, axis.start), axis)
    end = max(first + 1, _column(axis.now, axis))
    named = first + 1 + len(name) if first + 2 + len(name) <= end else first + 1
    at = max(named, min(end, len(row.letters) - len(text)))
    row.put(at, _cut(text, len(row.letters) - at), "")


def _column(seconds: float, axis: TimeAxis) -> int:
    return int((seconds - axis.start) * axis.scale)


def _ruler(axis: TimeAxis, width: int) -> str:
    row = _Row.of(width + 6)
    for at, _ in ticks(axis, spacing=14.0):
        row.put(_column(at, axis), clock(at), "")
    return (" " * NAME_COLUMNS + row.text(False)).rstrip()


def _levels(history: History, columns: int, colours: bool) -> str:
    """Return the bar of the items: done, leased, pending and dead."""
    counts, width = history.counts, columns - NAME_COLUMNS - NUMBER_COLUMNS
    row = _Row.of(width)
    at = 0.0
    parts = (("complete", counts.done, "="), ("running", counts.leased, "-"),
             ("dim", counts.pending, "."), ("dead", counts.dead, "#"))  # fmt: skip
    for look, number, letter in parts:
        to = at + width * number / max(1, counts.total)
        row.put(round(at), letter * (round(to) - round(at)), look)
        at = to
    return f"{'items':{NAME_COLUMNS}}{row.text(colours)}{counts.done:6,} of {counts.total:,}"[
        : columns + (1000 if colours else 0)
    ]


def _cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else text[: columns - 2] + ".."
