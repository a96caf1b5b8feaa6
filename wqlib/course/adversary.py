"""An adversary for a queue of your own: it kills workers between any two commands.

    adversary = Adversary(**login)
    adversary.kill(take, finish)

A worker is `take(redis, now)`, some work, `finish(redis, taken)`. The adversary runs yours on the
real Redis, killed after its first command, then in a new run after its second, and so on. After
each death others take all that they can get, much later, and what nobody got is lost. It works in
a database of its own, which it empties, and sets the clock: `now`, in seconds, is what it says.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis
from redis.client import Pipeline

DATABASE = 9
LIST, LEASES = "job3", "job3:leases"
FRUITS = ("apple", "banana")
LATER = 1000  # seconds; by then every lease has ended
MOST_COMMANDS = 60
READ = {
    "list": ("LRANGE", 0, -1),
    "zset": ("ZRANGE", 0, -1),
    "hash": ("HGETALL",),
    "set": ("SMEMBERS",),
    "string": ("GET",),
}


class Killed(BaseException):
    """The worker is dead. Not an Exception, so that no `except Exception` survives it."""


class Strange(Exception):
    """The functions do not work even when nobody is killed. The message says what is odd."""


class Client(redis.Redis):
    """A real client that calls `before` with the name of each command before it is sent."""

    def __init__(self, pool: redis.ConnectionPool, before: Callable[[str], None]) -> None:
        super().__init__(connection_pool=pool)
        self.before = before

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self.before(str(args[0]))
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Pipeline:
        made = _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        made.of = self
        return made


class _Pipeline(Pipeline):
    """MULTI … EXEC is one step; without a transaction each command is one."""

    of: Client

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        if self.transaction or self.explicit_transaction:  # type: ignore[truthy-function]
            self.of.before("EXEC")
            return super().execute(raise_on_error)
        commands, self.command_stack = self.command_stack, []
        return [self.of.execute_command(*args, **options) for args, options in commands]

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        self.of.before(str(args[0]))
        return super().immediate_execute_command(*args, **options)  # type: ignore[no-untyped-call]


@dataclass
class _Life:
    """A worker: after how many commands it is killed, which it sent, where it is, what it holds.

    `begun` is how many it had sent before it came to where it is.
    """

    allowed: float = math.inf
    sent: list[str] = field(default_factory=list)
    place: str = ""
    begun: int = 0
    holds: str = ""

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
        stuck: Items that nobody takes from where they are, each with the key that holds it.
        twice: Items that were done twice.
    """

    where: str
    lost: list[str]
    stuck: dict[str, str]
    twice: list[str]

    def __str__(self) -> str:
        harm = [f"{item!r} is nowhere" for item in self.lost]
        harm += [f"{item!r} is stuck in {key}" for item, key in self.stuck.items()]
        harm = harm or ["nothing lost"]
        harm += [f"{item!r} done twice" for item in self.twice]
        return f"killed {self.where}: {', '.join(harm)}"


class Adversary:
    """Plays against `take(redis, now)`, `finish(redis, taken)` and their kind.

    `kill`, `late` and `ask` print what they find, for a notebook; `deaths`, `lateness` and
    `moments` return it, to be judged, and raise Strange.

    Args:
        login: `host`, `port` and `password` of the Redis.
    """

    def __init__(self, **login: Any) -> None:
        self._pool = redis.ConnectionPool(
            **login, db=DATABASE, decode_responses=True, socket_timeout=10
        )
        self._redis = redis.Redis(connection_pool=self._pool)

    def kill(self, take: Any, finish: Any, give_back_expired: Any = None) -> None:
        """Kill a worker after each of its commands."""

        def play() -> Iterator[str]:
            deaths = self.deaths(take, finish, give_back_expired)
            yield from map(str, deaths)
            lost, stuck = (
                sum(len(one.lost) for one in deaths),
                sum(len(one.stuck) for one in deaths),
            )
            yield f"deaths: {len(deaths)}, lost: {lost}, stuck: {stuck}"

        _print(play())

    def late(self, take: Any, finish: Any, give_back_expired: Any = None) -> None:
        """Let a worker finish an item when another has it."""

        def play() -> Iterator[str]:
            refused, got = self.lateness(take, finish, give_back_expired)
            yield "A takes the apple at 0 s, for 10 s, and stalls. B takes it at 11 s."
            yield f"A finishes at 12 s: {'refused' if refused else 'accepted'}."
            yield "B is killed. Later C takes " + (
                "the apple: nothing lost." if got else "nothing: the apple is nowhere."
            )

        _print(play())

    def ask(self, drained: Any) -> None:
        """Ask whether the queue is drained, at bad moments."""
        _print(
            f"{'right' if bool(said) == right else 'WRONG'}: {said} when {moment}"
            for moment, said, right in self.moments(drained)
        )

    def deaths(self, take: Any, finish: Any, give_back: Any = None) -> list[Death]:
        """Return what each death of a worker does: after its first command, its second, …"""
        self._rehearse(take, finish, give_back)
        found = []
        for expired in (False, True) if give_back else (False,):  # True: there is one to give back
            for allowed in itertools.count(1):
                self.fill(*FRUITS)
                if expired:
                    take(self.client(), 0)
                life = _Life(allowed)
                try:
                    self._work(life, LATER if expired else 0, take, finish, give_back)
                except Killed:
                    in_give_back = life.place == "in give_back_expired"
                    if expired == in_give_back and len(life.sent) > life.begun:
                        found.append(self._audit(life, take, finish, give_back))
                else:
                    break
        return found

    def lateness(self, take: Any, finish: Any, give_back: Any = None) -> tuple[bool, list[str]]:
        """Let A finish late, when B has the item, and kill B.

        Returns:
            Whether A was refused, by False; and what the others got then.
        """
        self.fill("apple")
        first = take(self.client(), 0)
        if give_back:
            give_back(self.client(), 11)
        second = take(self.client(), 11)
        if [item_of(first), item_of(second)] != ["apple", "apple"]:
            raise Strange(f"A took {first!r}, and 11 s later B took {second!r}, not the apple.")
        answer = finish(self.client(), first)
        return answer is not None and not answer, self.heirs(take, finish, give_back)

    def moments(self, drained: Any) -> Iterator[tuple[str, Any, bool]]:
        """Ask `drained` when nothing moves, and while an item moves between two of its commands.

        Yields:
            The moment, what it said, and what is right.
        """
        for waits, lent, moment in (
            (0, 0, "all is done"),
            (1, 0, "an item waits"),
            (0, 1, "none waits and one is lent"),
        ):
            self._arrange(waits, lent)
            yield moment, drained(self.client()), not waits + lent
        for waits, moment in ((1, "the last item is lent"), (0, "the last lease ends")):
            for at in itertools.count(1):
                self._arrange(waits, 1 - waits)
                life, said = self._meanwhile(drained, at, lambda w=waits: self._arrange(1 - w, w))
                if len(life.sent) <= at:
                    break
                yield f"{moment} between {life.sent[at - 1]} and {life.sent[at]}", said, False

    def heirs(self, take: Any, finish: Any, give_back: Any = None) -> list[str]:
        """Let others do all that they get, much later; return the items."""
        got: list[str] = []
        while len(got) < 9:
            life = _Life()
            if self._work(life, LATER * (2 + len(got)), take, finish, give_back) is None:
                return got
            got.append(life.holds)
        raise Strange(f"The queue never ends: it lent {', '.join(got)}, and so on.")

    def fill(self, *items: str) -> None:
        """Empty the database, and push items."""
        self._redis.flushdb()
        self._redis.rpush(LIST, *items)

    def client(self) -> Client:
        """Return the client of a worker that nobody kills."""
        return Client(self._pool, _Life().before)

    def _work(self, life: _Life, now: int, take: Any, finish: Any, give_back: Any) -> Any:
        client = Client(self._pool, life.before)
        if give_back:
            life.place = "in give_back_expired"
            give_back(client, now)
        life.place, life.begun = "in take", len(life.sent)
        taken = take(client, now)
        life.place, life.holds = "at work", item_of(taken)
        life.live()
        if taken is not None:
            life.place = "in finish"
            finish(client, taken)
        return taken

    def _meanwhile(self, function: Any, at: int, others: Any) -> tuple[_Life, Any]:
        """Call a function, and let others act when it has sent so many commands."""
        life = _Life()

        def before(command: str) -> None:
            if len(life.sent) == at:
                others()
            life.before(command)

        return life, function(Client(self._pool, before))

    def _rehearse(self, take: Any, finish: Any, give_back: Any) -> None:
        self.fill(*FRUITS)
        life = _Life()
        self._work(life, 0, take, finish, give_back)
        if not life.sent:
            raise Strange("No command reached Redis. Use the client that `take` is given: `redis`.")
        self.fill(*FRUITS)
        got = self.heirs(take, finish, give_back)
        if sorted(got) != sorted(FRUITS):
            raise Strange(f"{LIST} held {FRUITS}, nobody was killed, and `take` returned {got}.")
        for item, key in self._homes().items():
            raise Strange(f"Nobody was killed, and after `finish` {item!r} is still in {key}.")
        for at in itertools.count():
            self.fill(*FRUITS)
            rival: list[str] = []
            life, taken = self._meanwhile(
                lambda client: take(client, 0),
                at,
                lambda mine=rival: mine.append(item_of(take(self.client(), 0))),
            )
            if item_of(taken) in rival:
                raise Strange(f"Two workers asked at the same time, and both got {rival[0]!r}.")
            if len(life.sent) <= at + 1:
                return

    def _audit(self, life: _Life, take: Any, finish: Any, give_back: Any) -> Death:
        got = self.heirs(take, finish, give_back)
        if life.place == "in finish":
            got.append(life.holds)  # its work was done
        homes = self._homes()
        return Death(
            where=f"{life.place}, after {life.sent[-1]}",
            lost=[item for item in FRUITS if item not in got and item not in homes],
            stuck=homes,
            twice=[item for item in FRUITS if got.count(item) > 1],
        )

    def _homes(self) -> dict[str, str]:
        """The items that are in Redis, each with a key that holds it."""
        homes: dict[str, str] = {}
        for key in sorted(map(str, self._redis.scan_iter())):
            command, *rest = READ[str(self._redis.type(key))]
            held = str(self._redis.execute_command(command, key, *rest))
            homes |= {item: key for item in FRUITS if item in held}
        return homes

    def _arrange(self, waits: int, lent: int) -> None:
        with self._redis.pipeline() as step:
            step.flushdb()
            if waits:
                step.rpush(LIST, "apple")
            if lent:
                step.zadd(LEASES, {"1 apple": LATER})
            step.execute()


def item_of(taken: Any) -> str:
    """The fruit in what `take` returned, whatever is around it; all of it, if there is none."""
    return next((item for item in FRUITS if item in str(taken)), str(taken))


def _print(lines: Iterator[str]) -> None:
    """Print lines; what is odd, or wrong in a function of the learner's, in a line as well."""
    try:
        print(*lines, sep="\n")
    except Strange as odd:
        print(odd)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
