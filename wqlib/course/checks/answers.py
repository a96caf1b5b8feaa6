"""What a check may look at: the learner's names, and queue and cluster over its own connections.

A learner's objects may be anything: of a type that calls itself equal to all, or a stand-in for
the queue. So values are turned into plain built-in ones first (`plain.py`), and the state of queue
and cluster is read without the learner's objects. A check is no exam, though: it runs in the
learner's own Python, which may change whatever it likes.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, EllipsisType, FrameType, FunctionType
from typing import Any, Never

import redis
from kubernetes.client.exceptions import ApiException

from ...cluster import Cluster, connect, manifests
from ...cluster.kube import refusal
from ...errors import ClusterError, WaitTimeout
from ...queue import WorkQueue
from ..adversary import Killed
from ..verbs import reach_redis
from .plain import NotPlain, StillBlank, a, as_one_of, plain, shown, shown_call, type_name

_DOES_NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE", "COPY_FREE_VARS"}


class Wrong(Exception):
    """An answer is not right yet. The message says what is seen, and what to try next."""


class Blank(Wrong):
    """Nothing was tried yet. The message says where to begin; this is not counted as a try."""


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
            types: The built-in types that it may be. What means the same is turned into the first
                that fits: numpy numbers, a defaultdict, a tuple where a list is wanted, an int
                where a float is; but a bool is no int. None: as it is, unchecked.

        Raises:
            Blank: It is missing or still blank.
            Wrong: It is of another type, or holds objects that are not plain.
        """
        found = self._names.get(name, ...)
        if isinstance(found, EllipsisType):
            _nothing_yet(f"`{name}` is")
        return _taken(found, f"`{name}`", types) if types else found

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function of the learner's.

        Raises:
            Blank: It is missing or still blank.
            Wrong: It cannot be called.
        """
        found = self.value(name)
        if not callable(found):
            raise Wrong(
                f"`{name}` should be a function, and is {shown(found)}. "
                f"Write `def {name}(…):` in the cell above."
            )
        if _is_empty(found):
            _nothing_yet(f"`{name}` is")
        return found  # type: ignore[no-any-return]

    def call(
        self, name: str, *args: Any, seconds: float = 5.0, returns: tuple[type, ...] = ()
    ) -> Any:
        """Call a function of the learner's.

        Args:
            name: Its name.
            args: What it gets.
            seconds: How long it may take.
            returns: The built-in types that it may return, as in `value`; none: any.

        Returns:
            What it returned, of a plain built-in type, or made of such.

        Raises:
            Blank: The function is missing or still blank.
            Wrong: It raised something, took too long, or returned something else.
        """
        function, call = self.function(name), f"`{shown_call(name, *args)}`"
        try:
            with time_limit(seconds):
                found = function(*args)
        except TimeUp:
            raise Wrong(
                f"{call} did not end within {seconds:g} seconds. Does its loop ever stop?"
            ) from None
        except (KeyboardInterrupt, Killed):
            raise
        except BaseException as error:  # a learner's SystemExit must not end the notebook
            raise Wrong(f"{call} raised {_said(error)}. Try that call in a cell.") from None
        if found is ...:
            _nothing_yet(f"`{name}` is")
        if found is None and returns and type(None) not in returns:
            raise Wrong(
                f"{call} returned nothing (`None`), and should return {_any_of(returns)}. A "
                "function has to `return` its answer on every way through; to print it is not "
                "enough."
            )
        return _taken(found, f"what {call} returned", returns)

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

    def dry_run(self, manifest: dict[str, Any]) -> None:
        """Ask the cluster whether it would take a manifest, and create nothing.

        Raises:
            Wrong: It would not. The message says why, in words.
        """
        try:
            kind, _, wanted = manifests.prepare(dict(manifest), self.cluster.namespace)
            create = kind.method(self.cluster.api, "create")
            create(self.cluster.namespace, wanted, dry_run="All", **manifests.STRICT)
        except (ClusterError, ValueError, TypeError, ApiException) as error:
            if getattr(error, "status", None) != 409:  # one of that name is there: it is valid
                raise Wrong(refusal(error)) from None

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


def _nothing_yet(what: str) -> Never:
    raise Blank(
        f"nothing here yet: {what} still blank. Write your answer in the cell above, run it, and "
        "run this cell again."
    )


def _is_empty(function: Any) -> bool:
    """Say whether a function is `...` or `pass`, with a docstring or without."""
    if type(function) is not FunctionType or type(function.__code__) is not CodeType:
        return False
    steps = list(dis.get_instructions(function.__code__))
    does = {step.opname for step in steps}
    constants = {
        repr(step.argval) for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")
    }
    return does <= _DOES_NOTHING and constants <= {"None", "Ellipsis"}


def _taken(found: Any, what: str, types: tuple[type, ...]) -> Any:
    """Return a value in plain built-in types, as one of some types if there are any."""
    try:
        value = plain(found)
    except StillBlank:
        _nothing_yet(f"{what} has a `...`, which is")
    except NotPlain as problem:
        wanted = f"{_any_of(types)}, in " if types else "of "
        raise Wrong(
            f"{what} {problem} It should be {wanted}plain numbers, texts, lists and dicts."
        ) from None
    if not types:
        return value
    fits, value = as_one_of(value, types)
    if not fits:
        raise Wrong(
            f"{what} is {shown(found)}, {a(type(found).__name__)}, and should be {_any_of(types)}."
        )
    return value


def _any_of(types: tuple[type, ...]) -> str:
    return " or ".join(dict.fromkeys(map(type_name, types)))


def _said(error: BaseException) -> str:
    try:
        text = str(error)[:200]
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
