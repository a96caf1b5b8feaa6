"""What a check may look at: the learner's names, and queue and cluster over its own connections.

A learner's objects may be anything: of a type that calls itself equal to all, or a stand-in for
the queue. So values are taken only if they are of a plain built-in type, and the state of queue
and cluster is read without the learner's objects. A check is no exam, though: it runs in the
learner's own Python, which may change whatever it likes.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import EllipsisType, FrameType
from typing import Any

import redis

from ...cluster import Cluster, connect, manifests
from ...errors import ClusterError, WaitTimeout
from ...queue import WorkQueue
from ..verbs import reach_redis

_PLAIN = (int, float, str, bytes, bool, type(None))
_MOST_VALUES, _DEEPEST = 200_000, 20


class Wrong(Exception):
    """An answer is not right yet. The message says what is seen, and what to try next."""


class TimeUp(BaseException):
    """Not an Exception, so that a learner's `except Exception` lets it through."""


class Answers(contextlib.ExitStack):
    """The learner's answers to one exercise; what a check opens is closed at the block's end.

    Args:
        names: The variables of the notebook.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__()
        self._names = names

    # -- names

    def value(self, name: str, *types: type) -> Any:
        """Return the value of a variable.

        Args:
            name: Its name.
            types: The built-in types that it may have, exactly: a bool is no int. None: any.

        Raises:
            Wrong: It is missing, still blank, of another type, or not plain.
        """
        found = self._names.get(name, ...)
        if isinstance(found, EllipsisType):
            raise Wrong(
                f"nothing here yet: `{name}` is still blank. Write your answer in the cell above, "
                "run it, and run this cell again."
            )
        if types and type(found) not in types:
            wanted = " or ".join(dict.fromkeys(_type_name(one) for one in types))
            raise Wrong(
                f"`{name}` is {_a(type(found).__name__)}, and should be {wanted}. "
                "Change it in the cell above, and run both cells again."
            )
        if types:
            _check_plain(found, f"`{name}`")
        return found

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function of the learner's.

        Raises:
            Wrong: It is missing, still blank, or cannot be called.
        """
        found = self.value(name)
        if not callable(found):
            raise Wrong(
                f"`{name}` should be a function, and is {_a(type(found).__name__)}. "
                f"Write `def {name}(…):` in the cell above."
            )
        return found  # type: ignore[no-any-return]

    def call(self, name: str, *args: Any, seconds: float = 5.0) -> Any:
        """Call a function of the learner's.

        Args:
            name: Its name.
            args: What it gets.
            seconds: How long it may take.

        Returns:
            What it returned: of a plain built-in type, or made of such.

        Raises:
            Wrong: It raised something, took too long, or returned something else.
        """
        function, call = self.function(name), f"`{name}({_shown(args)})`"
        try:
            with time_limit(seconds):
                found = function(*args)
        except TimeUp:
            raise Wrong(
                f"{call} did not end within {seconds:g} seconds. Does its loop ever stop?"
            ) from None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a learner's SystemExit must not end the notebook
            raise Wrong(f"{call} raised {_said(error)}. Try that call in a cell.") from None
        if found is ...:
            raise Wrong(f"nothing here yet: `{name}` is still blank. Write it in the cell above.")
        _check_plain(found, f"what {call} returned")
        return found

    # -- state

    @functools.cached_property
    def cluster(self) -> Cluster:
        """The cluster and namespace of the notebook, over a connection of our own."""
        theirs, where = self._names.get("cluster"), dict[str, Any]()
        if type(theirs) is Cluster:
            where = {"context": theirs.name, "namespace": theirs.namespace}
        return self.enter_context(connect(**where))

    @functools.cached_property
    def login(self) -> dict[str, Any]:
        """Host, port and password of the Redis in the cluster."""
        if self.find("pod/redis") is None:
            raise Wrong(
                "Redis does not run in the cluster. Run the set-up cell of this notebook "
                "again, then the cells after it."
            )
        return reach_redis(self.cluster)

    def queue(self, name: str = "job2") -> WorkQueue:
        """Return a queue in that Redis, as it really is."""
        queue = WorkQueue(name, worker="check", patience_seconds=5, **self.login)
        return self.enter_context(queue)

    def redis(self, on_send: Callable[[bytes], None] = lambda message: None) -> Any:
        """Return a client of that Redis; `on_send` gets each message to it before it is sent."""
        pool = redis.ConnectionPool(connection_class=_Watched, on_send=on_send, **self.login)
        return self.enter_context(redis.Redis.from_pool(pool))

    def find(self, target: str) -> dict[str, Any] | None:
        """Return an object of the cluster, such as "pod/redis", or None if there is none."""
        kind, name = manifests.parse_target(target)
        return manifests.find(self.cluster.api, self.cluster.namespace, kind, name)

    def wait(self, target: str, condition: str, seconds: float, late: str) -> str:
        """Wait for an object of the cluster, as `Cluster.wait` does.

        Returns:
            What is wrong: `late` if it takes longer, or why it cannot come true; "" if it has.
        """
        try:
            self.cluster.wait(target, condition, timeout_seconds=seconds)
        except WaitTimeout:
            return late
        except ClusterError as error:
            return str(error)
        return ""


class _Watched(redis.Connection):
    """A connection that shows each message before it sends it."""

    def __init__(self, on_send: Callable[[bytes], None], **settings: Any) -> None:
        super().__init__(**settings)  # type: ignore[no-untyped-call]
        self._on_send = on_send

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        parts = [command] if isinstance(command, str | bytes) else command
        message = b"".join(x.encode() if isinstance(x, str) else bytes(x) for x in parts)
        self._on_send(message)
        super().send_packed_command([message], check_health)  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeUp in the block after some time; off the main thread there is no limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_alarm(number: int, frame: FrameType | None) -> None:
        raise TimeUp

    began, before = time.monotonic(), signal.signal(signal.SIGALRM, on_alarm)
    outer, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:  # a limit around this one goes on
            left = max(outer - (time.monotonic() - began), 0.001)
            signal.setitimer(signal.ITIMER_REAL, left, interval)


def _check_plain(value: Any, what: str) -> None:
    """Refuse what is not built from built-in types alone: it could lie about itself."""
    todo, seen = [(value, 0)], 0
    while todo:
        one, depth = todo.pop()
        seen += 1
        if seen > _MOST_VALUES or depth > _DEEPEST:
            raise Wrong(f"{what} is far larger than it should be.")
        kind = type(one)
        if kind in (list, tuple, set, frozenset):
            todo += [(part, depth + 1) for part in one]
        elif kind is dict:
            todo += [(part, depth + 1) for pair in one.items() for part in pair]
        elif kind is EllipsisType:
            raise Wrong(f"nothing here yet: {what} still has a blank, `...`. Fill it in.")
        elif kind not in _PLAIN:
            raise Wrong(
                f"{what} is, or holds, {_a(kind.__name__)}. Use plain numbers, texts, lists "
                "and dicts."
            )


def _type_name(kind: type) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}
    return names.get(kind) or _a(kind.__name__)


def _a(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _shown(args: tuple[Any, ...]) -> str:
    text = ", ".join(map(repr, args))
    return text if len(text) <= 60 else text[:57] + "…"


def _said(error: BaseException) -> str:
    try:
        text = str(error)[:200]
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
