"""A small adversary for a queue of your own: it kills workers between any two commands.

    adversary = Adversary(**login)
    adversary.kill(take, finish)

A worker is `take(redis, now)`, some work, `finish(redis, taken)`. The adversary runs yours on the
real Redis, again and again: killed after its first command, after its second, and so on. After each
death the others go on much later, and the adversary looks for what nobody got. It works in a
database of its own, which it empties, and sets the time itself: `now`, in seconds, is what it says.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.retry import Retry

DATABASE = 9
LATER = 1000  # seconds: any lease has ended by then
FRUITS = ("apple", "banana")
LIST, LEASES = "job3", "job3:leases"
MOST_COMMANDS = 60
_READ = {"list": "LRANGE", "zset": "ZRANGE"}
_WHOLE = {"hash": "HGETALL", "set": "SMEMBERS", "string": "GET"}


class Killed(BaseException):
    """The worker is dead. Not an Exception, so that no `except Exception` survives it."""


class Strange(Exception):
    """The functions do not work even when nobody is killed. The message says what is odd."""


class Client(redis.Redis):
    """A real client that calls `before` with the name of each command before it is sent."""

    def __init__(self, pool: redis.ConnectionPool, before: Callable[[str], None]) -> None:
        super().__init__(connection_pool=pool)
        self._before = before

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self._before(str(args[0]))
        return super().execute_command(*args, **options)

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Pipeline:
        made = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        made.owner = self
        return made


class _Pipeline(Pipeline):
    """MULTI … EXEC is one step; without a transaction each command is one."""

    owner: Client

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        if self.transaction or self.explicit_transaction:
            self.owner._before("EXEC")
            return super().execute(raise_on_error)
        commands, self.command_stack = self.command_stack, []
        return [self.owner.execute_command(*args, **options) for args, options in commands]

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        self.owner._before(str(args[0]))
        return super().immediate_execute_command(*args, **options)


@dataclass
class _Life:
    """One worker: what it has sent, where it is, and after how many commands it is killed."""

    allowed: float = math.inf
    sent: list[str] = field(default_factory=list)
    place: str = ""

    def live(self) -> None:
        if len(self.sent) >= self.allowed:
            raise Killed

    def before(self, command: str) -> None:
        self.live()
        if len(self.sent) >= MOST_COMMANDS:
            raise Strange(f"`{self.place}` sent more than {MOST_COMMANDS} commands.")
        self.sent.append(command)


@dataclass(frozen=True)
class Death:
    """What one death did.

    Attributes:
        where: In which function, and after which command.
        lost: Items that are nowhere.
        stuck: Items that lie where nobody takes them from, and the key where they lie.
        twice: Items that were done twice.
    """

    where: str
    lost: tuple[str, ...]
    stuck: tuple[tuple[str, str], ...]
    twice: tuple[str, ...]

    def __str__(self) -> str:
        harm = [f"{item!r} is nowhere" for item in self.lost]
        harm += [f"{item!r} lies in {key}, and nobody takes it from there" for item, key in self.stuck]
        harm = harm or ["nothing lost"]
        harm += [f"{item!r} was done twice" for item in self.twice]
        return f"killed {self.where}: {', '.join(harm)}"


class Adversary:
    """Plays against `take(redis, now)`, `finish(redis, taken)` and their kind.

    Args:
        login: `host`, `port` and `password` of the Redis.
    """

    def __init__(self, **login: Any) -> None:
        once = Retry(NoBackoff(), 0)  # a command is sent once
        options = {"db": DATABASE, "decode_responses": True, "retry": once, "socket_timeout": 10}
        self._pool = redis.ConnectionPool(**options, **login)
        self.redis = redis.Redis(connection_pool=self._pool)

    # -- what the notebook calls

    def kill(self, take: Any, finish: Any, give_back_expired: Any = None) -> None:
        """Kill a worker after each of its commands, and print what each death did."""
        try:
            deaths = self.deaths(take, finish, give_back_expired)
        except Strange as odd:
            print(odd)
            return
        print(*deaths, sep="\n")
        lost, stuck = sum(bool(one.lost) for one in deaths), sum(bool(one.stuck) for one in deaths)
        harm = f"{lost} lost an item" if lost else "nothing lost"
        print(f"{len(deaths)} deaths: {harm}{f', {stuck} left one stuck' if stuck else ''}")

    def late(self, take: Any, finish: Any, give_back_expired: Any = None) -> None:
        """Let a worker finish after its lease has ended, and print what comes of it."""
        try:
            print(*self.lateness(take, finish, give_back_expired)[1], sep="\n")
        except Strange as odd:
            print(odd)

    def ask(self, drained: Any) -> None:
        """Ask `drained(redis)` at bad moments, and print what it says."""
        for moment, said, right in self.moments(drained):
            print(f"{'right' if bool(said) == right else 'WRONG'}: {said}, {moment}")

    # -- the same, to be judged

    def deaths(self, take: Any, finish: Any, give_back: Any = None) -> list[Death]:
        """Kill a worker after each of its commands.

        Raises:
            Strange: Without any death, not every item is taken once, and then None.
        """
        self._rehearse(take, finish, give_back)
        found = []
        for orphan in (False, True) if give_back else (False,):
            for allowed in itertools.count(1):
                self.fill(*FRUITS)
                if orphan:  # a lease that has ended, for `give_back` to find
                    take(self.client(), 0)
                life = _Life(allowed)
                try:
                    self._work(life, LATER if orphan else 0, take, finish, give_back)
                except Killed:
                    if (life.place == "give_back_expired") == orphan:
                        found.append(self._audit(life, take, finish, give_back))
                else:
                    break
        return found

    def lateness(self, take: Any, finish: Any, give_back: Any = None) -> tuple[bool, list[str]]:
        """Let A finish 'apple' when B has it.

        Returns:
            Whether all was well: A was refused, and B's lease stayed; and the story.

        Raises:
            Strange: B did not get it.
        """
        self.fill("apple")
        a, b = self.client(), self.client()
        first = take(a, 0)
        if give_back:
            give_back(b, 11)
        second = take(b, 11)
        if item_of(first) != "apple" or item_of(second) != "apple":
            raise Strange(f"A took {first!r}, and 11 s later B took {second!r}: not the apple.")
        answer = finish(a, first)
        refused = answer is not None and not answer
        got = self._heirs(take, finish, give_back)
        story = [
            f"A takes {first!r} at 0 s, for 10 s, and is slow",
            f"B takes {second!r} at 11 s",
            f"A finishes {first!r} at 12 s: {'refused' if refused else 'accepted'}",
            f"B is killed; later C finds {got[0] if got else 'nothing'!r}"
            + ("" if got else ": 'apple' is nowhere"),
        ]
        return refused and got == ["apple"], story

    def moments(self, drained: Any) -> Iterator[tuple[str, Any, bool]]:
        """Ask `drained` at bad moments: between any two of its commands an item moves.

        Yields:
            The moment, what it said, and whether True was right.
        """
        for waits, lent, moment in ((0, 0, "all is done"), (1, 0, "an item waits"), (0, 1, "one is lent")):
            self._arrange(waits, lent)
            yield moment, drained(self.client()), not waits + lent
        for waits, moment in ((1, "the last item is lent"), (0, "the last lease ends")):
            for at in itertools.count(1):
                life = _Life()

                def before(command: str, life: _Life = life, at: int = at, waits: int = waits) -> None:
                    if len(life.sent) == at:  # between this command and the one before it
                        self._arrange(1 - waits, waits)
                    life.before(command)

                self._arrange(waits, 1 - waits)
                said = drained(Client(self._pool, before))
                if len(life.sent) <= at:
                    break
                yield f"{moment} between {life.sent[at - 1]} and {life.sent[at]}", said, False

    def fill(self, *items: str) -> None:
        """Empty the database, and push items."""
        self.redis.flushdb()
        self.redis.rpush(LIST, *items)

    def client(self) -> Client:
        """Return a client of a worker that nobody kills."""
        return Client(self._pool, _Life().before)

    # -- helpers

    def _work(self, life: _Life, now: int, take: Any, finish: Any, give_back: Any) -> Any:
        client = Client(self._pool, life.before)
        if give_back:
            life.place = "give_back_expired"
            give_back(client, now)
        life.place = "take"
        taken = take(client, now)
        life.place = "at work"
        life.live()
        if taken is not None:
            life.place = "finish"
            finish(client, taken)
        return taken

    def _heirs(self, take: Any, finish: Any, give_back: Any) -> list[str]:
        """Let others do, much later, all that they get; return it."""
        got: list[str] = []
        while len(got) < 9:
            taken = self._work(_Life(), LATER * (2 + len(got)), take, finish, give_back)
            if taken is None:
                return got
            got.append(item_of(taken))
        raise Strange(f"The queue never ends: it lent {', '.join(map(repr, got))}, and so on.")

    def _rehearse(self, take: Any, finish: Any, give_back: Any) -> None:
        self.fill(*FRUITS)
        life = _Life()
        self._work(life, 0, take, finish, give_back)
        if not life.sent:
            raise Strange("Nothing was sent to Redis. Is a function still blank, or is its `redis` not used?")
        self.fill(*FRUITS)
        got = self._heirs(take, finish, give_back)
        if sorted(got) != sorted(FRUITS):
            raise Strange(f"With {FRUITS} in {LIST}, and nobody killed, `take` returned {got}, then None.")
        for item in FRUITS:
            if where := self._where(item):
                raise Strange(f"All is finished, nobody was killed, and {item!r} still lies in {where}.")

    def _audit(self, life: _Life, take: Any, finish: Any, give_back: Any) -> Death:
        got = self._heirs(take, finish, give_back)
        if life.place == "finish":
            got.append("apple")  # its work was done
        homes = {item: self._where(item) for item in FRUITS}
        where = life.place if life.place == "at work" else f"in {life.place}"
        return Death(
            where=f"{where}, after {life.sent[-1]}",
            lost=tuple(one for one, home in homes.items() if one not in got and not home),
            stuck=tuple((one, home) for one, home in homes.items() if home),
            twice=tuple(one for one in FRUITS if got.count(one) > 1),
        )

    def _where(self, item: str) -> str:
        """The key that holds an item, or ""."""
        for key in sorted(self.redis.scan_iter()):
            kind = self.redis.type(key)
            if kind in _READ:
                found = self.redis.execute_command(_READ[kind], key, 0, -1)
            else:
                found = self.redis.execute_command(_WHOLE[kind], key)
            if item in str(found):
                return str(key)
        return ""

    def _arrange(self, waits: int, lent: int) -> None:
        with self.redis.pipeline() as both:
            both.flushdb()
            if waits:
                both.rpush(LIST, "apple")
            if lent:
                both.zadd(LEASES, {"1 apple": LATER})
            both.execute()


def item_of(taken: Any) -> str:
    """The fruit that `take` returned, whatever is around it; as it is, if there is none."""
    return next((one for one in FRUITS if one in str(taken)), str(taken))
