"""Judges a chaos run by what the queue wrote and what its users saw. Shares no code with wqlib.

Three witnesses are held against each other: the event stream (what Redis did, in its own order
and by its own clock), the diaries of the workers and the filler (what each asked and was told,
by the machine's true clock) and the raw keys that are left at the end.
"""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from .records import COUNTERS, Call, History, calls_of, puts_of, runs_of

# What can be wrong. The first three are the promises that everybody asks about.
KINDS = {
    "lost": "an item that was put is neither completed, nor dead, nor still there",
    "recorded_twice": "an item was recorded completed or dead more than once",
    "drained_early": "somebody was told that the queue had drained, and it had not",
    "held_by_two": "an item was lent while another lease on it was in force",
    "expired_early": "a lease was taken away before its deadline",
    "stale_accepted": "a lease that was over could still complete, renew, fail or be released",
    "ended_wrongly": "a lease that was not in force expired",
    "wrong_deadline": "a deadline is not one lease from now by the server's clock",
    "wrong_attempt": "the attempts of an item do not grow by one",
    "wrong_bytes": "the item of a lease is not what was put",
    "wrong_result": "the result that was kept is not that of the lease that completed",
    "wrong_pending": "the number of items that wait is not what the events add up to",
    "unrecorded": "a worker was told that its call was accepted, but no event says so",
    "told_wrongly": "a worker was told that its lease is lost, but its call was recorded",
    "stranded": "a worker's call took an item that the worker was never given",
    "dead_wrongly": "an item is dead without having failed often enough",
    "undead": "an item failed often enough, and is not dead",
    "stale_written": "a primary that had been replaced was written to",
    "forgotten": "an item was done, and its worker went on without ever asking to record it",
    "made_up": "a completion was recorded for work that had not ended, or not on that item",
    "ended_twice": "a worker asked to end a lease that it had itself ended before",
    "overdue_accepted": "an attempt whose time was up long before was recorded completed",
    "wrong_times": "an event tells that work began before its lease, or ended in the future",
    "left_over": "something is left in the queue's keys at the end",
    "kept_forever": "a record of a client's last call stays for ever",
    "events_missing": "the event stream has a gap, so the run cannot be judged",
    "errors": "a call raised an error that is not documented",
    "unfinished": "the queue had not drained long after the chaos was over",
}

# A script asks the clock at its start, and its event is stamped near its end.
SLOW_SCRIPT_MS = 1000
# The stream cuts its times to whole milliseconds.
ROUNDING_MS = 2
# After the end of an item, so many calls may go out that do not record it: the thread that worked
# on it may have been stopped before it said so.
LATE_CALLS = 4
OVERDUE = 3  # times the time limit
_ENDS = ("complete", "release", "fail")


@dataclass
class Verdict:
    """What the checker found.

    Attributes:
        violations: For each kind the cases, in words; empty when all is well.
        numbers: What was counted on the way: items, done, dead, leases, lost_told ...
    """

    violations: dict[str, list[str]]
    numbers: dict[str, int]

    def count(self, kind: str) -> int:
        """How many cases of a kind there are."""
        return len(self.violations.get(kind, ()))


@dataclass
class _Item:
    attempt: int = 0
    lease: str = ""  # the one in force
    lent_at: int = 0
    deadline: int = 0
    failures: int = 0
    preview: bytes = b""
    ended: list[str] = field(default_factory=list)  # the leases that completed or killed it


def judge(history: History) -> Verdict:
    """Find all violations in the history of a run."""
    return _Judge(history).verdict()


class _Judge:
    def __init__(self, history: History) -> None:
        self.history = history
        self.found: dict[str, list[str]] = defaultdict(list)
        self.numbers: Counter[str] = Counter()
        self.items: dict[int, _Item] = defaultdict(_Item)
        self.outstanding = 0
        self.in_force = 0
        self.empty: list[list[float]] = [[float("-inf"), float("inf")]]  # when nothing was due
        self.lent: dict[str, list[tuple[int, str]]] = defaultdict(list)  # worker -> at, lease
        self.deadlines: dict[str, list[int]] = defaultdict(list)
        self.ends: dict[str, list[tuple[str, int]]] = defaultdict(list)  # lease -> how, when
        self.calls = list(calls_of(history.diaries))
        self.runs = runs_of(history.diaries)
        self.seen = {
            lease for call in self.calls if call.told for lease, *_ in call.told.get("leases", ())
        }
        # A call that completes and then waits may be refused while it waits.
        self.unsure = {
            lease
            for call in self.calls
            if call.told and "refused" in call.told and call.ask.get("wants")
            for lease in call.ask["ends"]
        }
        self.put, self.perhaps_put = puts_of(self.calls)

    def blame(self, kind: str, words: str) -> None:
        self.found[kind].append(words)

    def verdict(self) -> Verdict:
        for stream_id, fields in self.history.entries:
            self._entry(stream_id, fields)
        for call in self.calls:
            self._call(call)
        self._work()
        self._balance()
        self._left_over()
        self._results()
        self._counters()
        for _ in range(self.history.gaps):
            self.blame("events_missing", "entries went before they could be read")
        for _ in range(self.history.stale_writes):
            self.blame("stale_written", "an entry came to its event stream")
        if not self.history.is_finished:
            self.blame("unfinished", f"{self.outstanding} items were neither completed nor dead")
        return Verdict(dict(self.found), dict(self.numbers))

    # -- the event stream

    def _entry(self, stream_id: str, fields: list[bytes]) -> None:
        at = int(stream_id.partition("-")[0])
        pairs = [(fields[i].decode(), fields[i + 1]) for i in range(0, len(fields) - 1, 2)]
        until = next((int(value) for name, value in pairs if name == "until"), 0)
        before = self.outstanding
        hurt: set[int] = set()
        for name, value in pairs:
            where = f"{name} {value[:80]!r} in {stream_id}"
            if name == "put":
                self.outstanding += int(value)
                self.numbers["put"] += int(value)
            elif name == "pending":
                waiting = self.outstanding - self.in_force
                if int(value) != waiting:
                    self.blame("wrong_pending", f"{where}: {waiting} items should wait")
            elif name == "drained":
                if self.outstanding:
                    self.blame("drained_early", f"{where}: {self.outstanding} items were due")
            elif name not in ("until", "begin"):
                self._step(name, value, at, until, where, hurt)
        for item_id in hurt:
            item = self.items[item_id]
            if item.failures >= self.history.max_attempts and not item.ended:
                self.blame("undead", f"item {item_id} after {item.failures} failures, {stream_id}")
        if before and not self.outstanding:
            self.empty.append([at, float("inf")])
        elif self.outstanding and not before:
            self.empty[-1][1] = at

    def _step(
        self, name: str, value: bytes, at: int, until: int, where: str, hurt: set[int]
    ) -> None:
        """One thing that happened to one lease."""
        head, _, rest = value.partition(b" ")
        lease = head.decode("utf-8", "replace")
        token, _, worker = lease.partition("@")
        number, _, attempt = token.partition("-")
        item_id = int(number)
        item = self.items[item_id]
        self.numbers[name] += 1
        if name == "lease":
            self._lease(item, lease, int(attempt), rest, where)
            self.lent[worker].append((at, lease))
            item.lent_at = at
            self._deadline(item, lease, at, until, where)
        elif name == "renew":
            self._must_be_in_force(item, lease, at, where)
            if item.lease == lease:
                self._deadline(item, lease, at, until, where)
        elif name == "expire":
            if item.lease != lease:
                self.blame("ended_wrongly", where)
            elif at < item.deadline:
                self.blame("expired_early", f"{where}: {item.deadline - at} ms before its deadline")
            self._over(item, lease)
            item.failures += 1
            hurt.add(item_id)
        elif name in _ENDS:
            self._must_be_in_force(item, lease, at, where)
            if name == "complete" and rest:
                self._times(item, at, rest, where)
            self._over(item, lease)
            self.ends[lease].append((name, at))
            if name == "fail":
                item.failures += 1
                hurt.add(item_id)
            if name == "complete":
                self._finish(item, lease, where)
        elif name == "dead":
            if item.failures != self.history.max_attempts:
                self.blame("dead_wrongly", f"{where}: it failed {item.failures} times")
            self._finish(item, f"dead {lease}", where)
        else:
            self.blame("errors", f"an event that nobody expects: {where}")

    def _lease(self, item: _Item, lease: str, attempt: int, preview: bytes, where: str) -> None:
        if item.lease:
            self.blame("held_by_two", f"{where}: {item.lease} was in force")
        else:
            self.in_force += 1
        if item.ended:
            self.blame("recorded_twice", f"{where}: leased again after {item.ended[0]}")
        if attempt != item.attempt + 1:
            self.blame("wrong_attempt", f"{where}: the last one was {item.attempt}")
        if item.attempt and preview != item.preview:
            self.blame("wrong_bytes", f"{where}: it was {item.preview!r}")
        item.lease, item.attempt, item.preview = lease, attempt, preview

    def _deadline(self, item: _Item, lease: str, at: int, until: int, where: str) -> None:
        ought = at + self.history.lease_ms
        if not ought - SLOW_SCRIPT_MS <= until <= ought + ROUNDING_MS:
            self.blame("wrong_deadline", f"{where}: {until - ought:+} ms")
        item.deadline = until
        self.deadlines[lease].append(until)

    def _must_be_in_force(self, item: _Item, lease: str, at: int, where: str) -> None:
        if item.lease != lease:
            self.blame("stale_accepted", f"{where}: in force is {item.lease or 'none'}")
        elif at > item.deadline + SLOW_SCRIPT_MS:
            self.blame("stale_accepted", f"{where}: {at - item.deadline} ms after its deadline")

    def _times(self, item: _Item, at: int, told: bytes, where: str) -> None:
        began_ms, ended_ms = map(int, told.split())
        if not 0 <= ended_ms <= began_ms or at - began_ms < item.lent_at - ROUNDING_MS:
            self.blame("wrong_times", f"{where}: lent {at - item.lent_at} ms before")

    def _over(self, item: _Item, lease: str) -> None:
        if item.lease == lease:
            item.lease = ""
            self.in_force -= 1

    def _finish(self, item: _Item, how: str, where: str) -> None:
        if item.ended:
            self.blame("recorded_twice", f"{where}: after {item.ended[0]}")
        else:
            self.outstanding -= 1
        item.ended.append(how)

    # -- the diaries

    def _call(self, call: Call) -> None:
        told = call.told
        if told is None or "gone" in told:
            return  # whoever asked is dead, or lost sight of Redis: it was promised nothing
        if "error" in told:
            self.blame("errors", f"{call.who} {call.what}: {told['error']}")
            return
        self.numbers["calls"] += 1
        if told.get("drained"):
            self._drained(call)
        if "refused" in told:
            self.numbers["refused"] += 1
        lost = set(told.get("lost", ()))
        self.numbers["fenced"] += len(lost)
        for lease in lost - self.unsure:
            for how, at in self.ends[lease]:
                self.blame("told_wrongly", f"{call.who} {call.what} {lease}: {how} at {at}")
        if call.what in _ENDS and "refused" not in told:
            for lease in call.ask["ends"]:
                if lease not in lost:
                    self._accepted(call, lease)
        for lease, item, until in told.get("leases", ()):
            self._seen(call, lease, item.encode("latin-1"), until)
        if "wants" in call.ask:
            self._took(call)

    def _drained(self, call: Call) -> None:
        self.numbers["drained_told"] += 1
        starts = [start for start, _ in self.empty]
        last = bisect.bisect_right(starts, call.told_ms + ROUNDING_MS) - 1
        if self.empty[last][1] + ROUNDING_MS < call.asked_ms:
            self.blame(
                "drained_early",
                f"{call.who} asked at {call.asked_ms:.1f} and was told at {call.told_ms:.1f}; "
                f"the last time that nothing was due ended at {self.empty[last][1]}",
            )

    def _accepted(self, call: Call, lease: str) -> None:
        times = [at for how, at in self.ends[lease] if how == call.what]
        if not any(call.asked_ms - ROUNDING_MS <= at <= call.told_ms + ROUNDING_MS for at in times):
            self.blame("unrecorded", f"{call.who} {call.what} {lease}, events at {times}")

    def _took(self, call: Call) -> None:
        """A call that leases takes no item that the worker does not get to see."""
        around = self.lent[call.who]
        first = bisect.bisect_left(around, (int(call.asked_ms), ""))
        for at, lease in around[first:]:
            if at >= int(call.told_ms):  # perhaps that of the next call, if that was its last
                break
            # What had run out again before the answer came is left out of it on purpose.
            if lease not in self.seen and self.deadlines[lease][0] > call.told_ms + ROUNDING_MS:
                self.blame("stranded", f"{call.who} {call.what}: {lease} was lent at {at}")

    def _seen(self, call: Call, lease: str, item: bytes, until: int) -> None:
        number = int(lease.partition("-")[0])
        if until not in self.deadlines[lease]:
            self.blame("unrecorded", f"{call.who} was lent {lease} until {until}, without an event")
        elif not item.startswith(self.items[number].preview):
            self.blame("wrong_bytes", f"{lease}: {item[:80]!r}, not {self.items[number].preview!r}")
        elif item not in self.perhaps_put:
            self.blame("wrong_bytes", f"{lease}: {item[:80]!r} was never put")

    def _work(self) -> None:
        """What was recorded is what was done, and what was done is recorded."""
        items: dict[str, str] = {}  # of the leases that somebody was given
        trades: dict[str, list[float]] = defaultdict(list)  # when each worker asked to record
        asked: set[str] = set()  # the runs that somebody asked to record
        ended: set[tuple[str, str]] = set()  # worker and lease, by that worker
        dropped: Counter[tuple[str, str]] = Counter()  # worker and item whose lease it gave up
        for call in self.calls:
            told = {"gone": ""} if call.told is None else call.told
            lost, given_up = set(told.get("lost", ())), set(call.ask.get("renews", ()))
            given_up -= {lease for lease, *_ in told.get("leases", ())}
            items |= {lease: item for lease, item, _ in told.get("leases", ())}
            is_answered = not told.keys() & {"gone", "refused", "error"}
            if call.what in ("lease", "complete"):
                trades[call.who].append(call.asked_ms)
            for lease, result in call.ask.get("ends", {}).items():
                if (call.who, lease) in ended:
                    self.blame("ended_twice", f"{call.who} {call.what} {lease}")
                if is_answered and lease not in lost:
                    ended.add((call.who, lease))
                if result in self.runs:
                    asked.add(result)
                    self._recorded(call, lease, result)
                elif call.what != "complete":
                    given_up.add(lease)
            dropped.update((call.who, items.get(lease, "")) for lease in given_up)
        for name, run in self.runs.items():
            is_over = run.ended_ms and run.ended_ms - run.began_ms < self.history.work_ms
            if name in asked or not is_over:
                continue
            known = (run.who, run.item.decode("latin-1"))
            dropped[known] -= 1
            later = len(trades[run.who]) - bisect.bisect(trades[run.who], run.ended_ms or 0)
            if dropped[known] < 0 and (run.who in self.history.exits or later > LATE_CALLS):
                self.blame("forgotten", f"{name}, which ended at {run.ended_ms:.1f}")

    def _recorded(self, call: Call, lease: str, name: str) -> None:
        run, item = self.runs[name], self.items[int(lease.partition("-")[0])]
        if run.ended_ms is None or run.ended_ms > call.asked_ms:
            self.blame("made_up", f"{call.who} {lease}: {name} had not ended")
            return
        if not run.item.startswith(item.preview):
            self.blame("made_up", f"{lease} is {item.preview!r}, {name} was on {run.item[:80]!r}")
        took = run.ended_ms - run.began_ms
        if took > OVERDUE * self.history.work_ms and lease in item.ended:
            self.blame("overdue_accepted", f"{lease}: {name} took {took:.0f} ms")

    # -- the end

    def _balance(self) -> None:
        """Each item that was put has come to one end."""
        self.numbers["items"] = sum(self.put.values())
        whole = {item[:64]: item for item in self.perhaps_put}
        ended = Counter(
            whole.get(item.preview, item.preview) for item in self.items.values() if item.ended
        )
        still_there = Counter(self.history.final.waiting) + Counter(
            self.history.final.leased.values()
        )
        for item, number in (self.put - ended - still_there).items():
            for _ in range(number):
                self.blame("lost", f"{item[:80]!r}")
        for item, number in (ended + still_there - self.perhaps_put).items():
            for _ in range(number):
                self.blame("recorded_twice", f"{item[:80]!r} ended more often than it was put")

    def _left_over(self) -> None:
        final = self.history.final
        dead = {n for n, item in self.items.items() if any("dead" in how for how in item.ended)}
        rest = {
            "items wait": len(final.waiting),
            "elements in leases": final.leases,
            "fields in leased": len(final.leased),
            "elements in requeued": final.requeued,
            "fields in tries of items that are not dead": len(final.tries - dead),
            "fields in dead that no event tells of": len(final.dead.keys() - dead),
            "dead items that are not in dead": len(dead - final.dead.keys()),
        }
        for what, number in rest.items():
            if number:
                self.blame("left_over", f"{number} {what}")
        for _ in range(final.kept_forever):
            self.blame("kept_forever", "the record of a client's last call never expires")

    def _results(self) -> None:
        """The result that is kept is that of the lease that completed the item."""
        given = {
            lease: result
            for call in self.calls
            if call.what == "complete"
            for lease, result in call.ask["ends"].items()
        }
        for number, item in self.items.items():
            if item.ended and "dead" not in item.ended[0]:
                ought = given.get(item.ended[0])
                kept = self.history.final.results.get(number)
                if kept != (ought.encode() if ought is not None else None):
                    self.blame("wrong_result", f"item {number}: {kept!r}, not {ought!r}")

    def _counters(self) -> None:
        """The queue's own counters say the same as its events: none was missed."""
        for counter, event in COUNTERS.items():
            counted, seen = self.history.final.counts.get(counter, 0), self.numbers[event]
            if counted != seen:
                self.blame("events_missing", f"{counter} is {counted}, but {seen} events were seen")


def summary(verdict: Verdict, kinds: Iterable[str] = KINDS) -> dict[str, int]:
    """How many cases of each kind there are; the first three always, others only if any."""
    always = list(KINDS)[:3]
    return {k: verdict.count(k) for k in kinds if k in always or verdict.count(k)}
