"""Every state that a small queue can get into: every interleaving of calls, every crash point.

    make explore ARGS="--items a,b --doubts 2 --seconds 600"

Breadth first over the real Redis: a state is all that lies in Redis, with what each worker
holds in its hands. From each state every step is tried: each call of each worker, answered or
with its reply lost, its repetition, a late copy of it, the death of a worker, time going by, half a
lease at a time, and a failover to a replica that has not got the last calls, which nobody was
told of. Redis and the model must agree on each step, and each state must keep the promises
(`_broken_promise`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from queue_model import Disagreement
from queue_states import PREFIX, State, Step, canonical, pairs
from queue_world import LEASE_MS, NAME, Call, Hand, World, lent, told_by
from scripts import VIRTUAL_TIME, changed

from wqlib.events import decode
from wqlib.redisserver import RedisServer

# Returns the DUMPs of all keys, and the values of those that matter; then goes back to the
# state whose DUMPs are given. The events of the past are not kept, so those that are there are
# those of the last step.
_SAVE_AND_GO_BACK = """
local dump, values = {}, {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'stream' then
    dump[#dump + 1], dump[#dump + 2] = key, redis.call('DUMP', key)
  end
  if kind ~= 'string' then
    values[#values + 1] = key
    values[#values + 1] = kind == 'list' and redis.call('LRANGE', key, 0, -1)
      or kind == 'hash' and redis.call('HGETALL', key)
      or kind == 'zset' and redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
      or kind == 'stream' and redis.call('XRANGE', key, '-', '+')
  end
end
redis.call('FLUSHDB')
for i = 1, #ARGV, 2 do redis.call('RESTORE', ARGV[i], 0, ARGV[i + 1]) end
return { dump, values }
"""


class Violation(AssertionError):
    """A promise is broken; the message holds the shortest way to it."""


@dataclass
class Report:
    """What an exploration found.

    Attributes:
        states: How many different states were reached.
        transitions: How many steps were tried.
        unexplored: How many states were left when it ended.
    """

    states: int = 0
    transitions: int = 0
    unexplored: int = 0
    _ways_back: dict[int, list[int]] = field(default_factory=dict, repr=False)
    _ends: list[int] = field(default_factory=list, repr=False)

    def __str__(self) -> str:
        rest = f"unexplored={self.unexplored}" if self.unexplored else f"stuck={self.stuck()}"
        return f"states={self.states} transitions={self.transitions} violations=0 {rest}"

    def stuck(self) -> int:
        """How many states no steps lead out of, to a queue that has drained."""
        reached, todo = set(self._ends), list(self._ends)
        while todo:
            for number in self._ways_back.get(todo.pop(), ()):
                if number not in reached:
                    reached.add(number)
                    todo.append(number)
        return self.states - len(reached)


class Explorer:
    """Explores the states of a queue that starts with `items`.

    Args:
        url: A Redis that is ours alone.
        items: The items, each in the form `<name>`.
        workers: Names of the workers, one letter each.
        most_held: How many leases a worker holds at most.
        most_doubts: How many workers at most miss a reply at the same time.
    """

    def __init__(
        self,
        url: str,
        items: Sequence[bytes],
        *,
        workers: str = "AB",
        most_held: int = 1,
        most_doubts: int = 1,
        max_attempts: int = 2,
    ) -> None:
        self.items, self.most_held, self.most_doubts = items, most_held, most_doubts
        self.world = World(url, workers, max_attempts=max_attempts)
        self._save_and_go_back = self.world.client.register_script(_SAVE_AND_GO_BACK)

    def explore(self, seconds: float = float("inf"), states: float = float("inf")) -> Report:
        """Go everywhere, or until the time is up or that many states are found.

        Raises:
            Violation: A promise is broken.
        """
        report, known, give_up_at = Report(), {}, time.monotonic() + seconds
        self.world.push(tuple(self.items))
        self.world.model.told = []
        todo = deque([self._arrive(None, None)])
        known[canonical(todo[0])] = 0
        report.states = 1
        while todo and report.states < states and time.monotonic() < give_up_at:
            state = todo.popleft()
            self._go_to(state)
            self._look(state)
            for step in self._steps(state):
                report.transitions += 1
                reached = self._try(state, step)
                key = canonical(reached)
                if key not in known:
                    known[key] = report.states
                    report.states += 1
                    todo.append(replace(reached, number=known[key]))
                    if reached.model.drained:
                        report._ends.append(known[key])
                report._ways_back.setdefault(known[key], []).append(state.number)
        report.unexplored = len(todo)
        return report

    def _steps(self, state: State) -> Iterator[Step]:
        doubts = sum(1 for hand in state.hands.values() if hand.doubt)
        for worker, hand in state.hands.items():
            if hand.doubt:
                yield Step("repeat", worker)
                yield Step("crash", worker)
                continue
            for call in self._calls(hand):
                yield Step("call", worker, call)
                if doubts < self.most_doubts:
                    yield Step("call", worker, call, reply_lost=True)
            if hand.past:
                yield Step("late copy", worker)
            if hand.held:
                yield Step("crash", worker)
        if state.model.dead:
            worker = next(iter(state.hands))
            if not state.hands[worker].doubt:
                yield Step("call", worker, Call("requeue_dead", item_ids=tuple(state.model.dead)))
        if any(held.deadline > state.model.now for held in state.model.leases.values()):
            yield Step("tick", ms=LEASE_MS // 2)
        undone = 0
        while (step := _ancestor(state, undone).step) and step.reply_lost:
            undone += 1
            yield Step("failover", undone=undone)

    def _calls(self, hand: Hand) -> Iterator[Call]:
        room = self.most_held - len(hand.held)
        if room:
            yield Call("exchange", count=1)
        if room > 1:
            yield Call("exchange", count=room, begins=1)  # a batch: one begins, the others wait
        for lease in hand.held:
            one = (lease,)
            # The result tells who did what: `_broken_promise` reads it again.
            result = (lease.item + b" " + lease.id.encode(),)
            yield Call("exchange", one, result, times=(2.0, 1.0))  # a flush, others are held on
            yield Call("exchange", one, result, count=1)
            yield Call("renew", one, progress="half")
            yield Call("release", one)
            yield Call("fail", one)
        if len(hand.held) > 1:
            done = tuple(lease.item + b" " + lease.id.encode() for lease in hand.held)
            yield Call("exchange", hand.held, done, count=2)
            yield Call("release", hand.held)

    def _try(self, state: State, step: Step) -> State:
        """Take a step, look where it leads, and go back."""
        world = self.world
        try:
            if step.what == "tick":
                world.tick(step.ms)
            elif step.what == "crash":
                world.crash(step.worker)
            elif step.what == "repeat":
                world.repeat(step.worker)
            elif step.what == "late copy":
                world.late_copy(step.worker)
            elif step.what == "failover":
                self._fail_over(state, step.undone)
            elif step.call:
                world.call(step.worker, step.call, reply_lost=step.reply_lost)
            reached = self._arrive(state, step)
            _compare(reached)
        except Disagreement as error:
            raise Violation(_story([*state.path(), str(step)], str(error))) from None
        if broken := self._broken_promise(reached):
            raise Violation(_story(reached.path(), broken))
        return reached

    def _fail_over(self, state: State, undone: int) -> None:
        replica, hands = _ancestor(state, undone), dict(state.hands)
        for back in range(undone):
            step = _ancestor(state, back).step
            assert step
            doubt = hands[step.worker].doubt
            assert doubt
            hands[step.worker] = replace(hands[step.worker], doubt=doubt._replace(answer=None))
        self._go_to(replica)
        self.world.hands = hands
        self.world.model.told = []

    def _look(self, state: State) -> None:
        """Do all methods that only look agree with the model?"""
        try:
            self.world.check()
        except Disagreement as error:
            raise Violation(_story(state.path(), str(error))) from None

    def _arrive(self, before: State | None, step: Step | None) -> State:
        """Where we are now; Redis and the model go back to `before`."""
        model, hands = self.world.model, self.world.hands
        dump, flat = self._go_to(before)
        values = dict(zip(flat[::2], flat[1::2], strict=True))
        return State(tuple(dump), values, model, hands, 0, before, step)

    def _go_to(self, state: State | None) -> Any:
        """Let all be as it was. Returns what was in Redis until now: DUMPs and values."""
        was = self._save_and_go_back(args=state.dump if state else ())
        if state:
            self.world.model, self.world.hands = state.model.copy(), dict(state.hands)
            self.world.clock.now = state.model.now
        return was

    def _broken_promise(self, state: State) -> str:
        """What is wrong with what lies in Redis, read without the model's help."""
        pending = state.values.get(NAME.encode(), [])
        leased = pairs(state.values.get(PREFIX + b"leased", []))
        leases = pairs(state.values.get(PREFIX + b"leases", []))
        dead = pairs(state.values.get(PREFIX + b"dead", []))
        results = pairs(state.values.get(PREFIX + b"results", []))
        done = [result.partition(b" ")[0] for result in results.values()]
        everywhere = Counter([*pending, *leased.values(), *dead.values(), *done])
        if everywhere != Counter(self.items):
            return f"of {list(self.items)} there are {dict(everywhere)}"
        if leased.keys() != leases.keys():
            return f"leases {list(leases)} on items {list(leased)}"
        is_over = not pending and not leases
        if is_over and not state.values.get(PREFIX + b"drained"):
            return "the queue has drained, but whoever waits is not told"
        if is_over != state.model.drained:
            return f"drained: {is_over}"
        return ""


def _ancestor(state: State, back: int) -> State:
    for _ in range(back):
        assert state.before
        state = state.before
    return state


def _compare(state: State) -> None:
    """Does what lies in Redis agree with the model? (The quick check, made on each step.)"""
    model, values = state.model, state.values
    kept = pairs(values.get(PREFIX + b"counts", []))
    items, again, *ended = (
        int(kept.get(name, 0)) for name in (b"items", b"again", b"expire", b"release", b"fail")
    )
    events = [e for entry in values.get(PREFIX + b"events", []) for e in decode("0-0", entry[1])]
    told = list(map(told_by, events))
    views = (
        (values.get(NAME.encode(), []), model.pending),
        (values.get(PREFIX + b"leases", []), lent(model)),
        (
            pairs(values.get(PREFIX + b"leased", [])),
            {lease_id.encode(): held.item for lease_id, held in model.leases.items()},
        ),
        (
            pairs(values.get(PREFIX + b"dead", [])),
            {b"%d" % item_id: item for item_id, (item, _) in model.dead.items()},
        ),
        (
            pairs(values.get(PREFIX + b"results", [])),
            {b"%d" % item_id: result for item_id, result in model.results.items()},
        ),
        (ended, [model.counts[name] for name in ("expired", "released", "failed")]),
        (items + again, model.counts["leases"]),
        (Counter(told), Counter(model.told)),
    )
    for seen, known in views:
        if seen != known:
            raise Disagreement(f"Redis has {seen!r}; the model has {known!r}")


def _story(path: Sequence[str], what: str) -> str:
    steps = "\n".join(f"  {number}. {step}" for number, step in enumerate(path, 1))
    return f"{what}\nThe shortest way to it, steps: {len(path)}\n{steps}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Explore every state of a small queue.")
    parser.add_argument("--items", default="a,b,c")
    parser.add_argument("--workers", default="AB")
    parser.add_argument("--held", type=int, default=1, help="leases a worker holds at most")
    parser.add_argument("--doubts", type=int, default=0, help="replies missing at a time")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    items = [b"<%b>" % item for item in options.items.encode().split(b",")]
    with RedisServer() as server, changed(VIRTUAL_TIME):
        explorer = Explorer(
            server.url,
            items,
            workers=options.workers,
            most_held=options.held,
            most_doubts=options.doubts,
        )
        try:
            report = explorer.explore(options.seconds)
        except Violation as error:
            print(error)
            return 1
    print(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
