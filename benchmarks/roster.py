"""Who takes part, with what settings, and how many items each gets."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from . import install
from .lab import ROOT

PROGRAMS = ROOT / "benchmarks" / "contenders"
PYTHON_PEERS = ("redis-work-queue", "taskiq", "arq", "saq", "rq")
NODE_PEERS = ("bullmq",)
PEERS = (*PYTHON_PEERS, *NODE_PEERS, "chasquimq")
_CHASQUIMQ_NEEDS = (8, 6)
WAITING_AT_ONCE, WAITING_MS, _WAITING_ITEMS = 50, 20, 10_000


@dataclass(frozen=True)
class Contender:
    """One line of the table.

    Attributes:
        name: Its key in the JSON.
        title: What people read.
        family: The peer of `PEERS` that it belongs to; "" for our own.
        program: File in contenders/; its docstring says what settings it uses and why.
        setting: The third argument of that program.
        items: How many items a run has, for about a second.
        least: Items that a run has at least, also in a quick one.
        kind: `floor`, `page`, `wqlib`, `python` (a peer) or `other` (a peer in another language).
        waiting: Its items wait, many at a time; the others do nothing.
        piecewise: It can be asked for items piece by piece.
        survives: It acknowledges, so that a killed worker's item comes back.
        command: What its command line begins with.
        skipped: Why it does not take part, or "".
    """

    name: str
    title: str
    family: str
    program: str
    setting: str
    items: int
    kind: str
    waiting: bool = False
    piecewise: bool = False
    survives: bool = True
    command: tuple[str, ...] = (sys.executable,)
    arguments: tuple[str, ...] = ()
    skipped: str = ""
    least: int = 100

    def command_line(self, url: str, items: int) -> list[str]:
        """How to start it with a queue of that many items."""
        path = str(PROGRAMS / self.program)
        return [*self.command, path, url, str(items), self.setting, *self.arguments]


def _own() -> list[Contender]:
    def wqlib(name: str, title: str, setting: str, items: int) -> Contender:
        piecewise = setting != "worker"
        return Contender(
            name, title, "", "run_wqlib.py", setting, items, "wqlib", piecewise=piecewise
        )

    def plain(name: str, title: str, setting: str, items: int, kind: str) -> Contender:
        return Contender(
            name, title, "", "run_plain.py", setting, items, kind, piecewise=True, survives=False
        )

    return [
        plain("floor_redis_py", "floor: redis-py EVALSHA", "redis-py", 20_000, "floor"),
        wqlib("wqlib", "wqlib, one at a time", "single", 20_000),
        plain("floor_socket", "floor: socket + hiredis", "socket", 30_000, "floor"),
        wqlib("wqlib_batch16", "wqlib, batch of 16", "exchange 16", 100_000),
        wqlib("wqlib_worker", "wqlib Worker", "worker", 100_000),
        plain("page", "the Kubernetes page's client", "page", 5_000, "page"),
    ]


def _peers() -> list[Contender]:
    def python(family: str, title: str, setting: str, items: int) -> Contender:
        name = family.replace("-", "_")
        return Contender(name, title, family, f"run_{name}.py", setting, items, "python")

    return [
        replace(python("redis-work-queue", "redis-work-queue", "", 5_000), piecewise=True),
        python("taskiq", "taskiq, stream broker", "100", 4_000),
        replace(python("arq", "arq, concurrency 100", "100", 3_000), least=1_000),
        python("saq", "saq, concurrency 10", "10", 2_000),
        python("rq", "rq, SimpleWorker", "", 600),
        Contender(
            "bullmq_c50",
            "BullMQ (Node), concurrency 50",
            "bullmq",
            "run_bullmq.mjs",
            "50",
            14_000,
            "other",
            least=5_000,
        ),
        Contender(
            "chasquimq_c100",
            "ChasquiMQ (Rust), concurrency 100",
            "chasquimq",
            "run_chasquimq.py",
            "100",
            15_000,
            "other",
        ),
    ]


def _waiting() -> list[Contender]:
    """Those whose items wait, all with the same concurrency."""
    numbers = f"{WAITING_AT_ONCE} {WAITING_MS}"

    def wqlib(kind: str, title: str) -> Contender:
        name, setting = f"wqlib_{kind}", f"{kind} {numbers}"
        return Contender(
            name, title, "", "run_wqlib.py", setting, _WAITING_ITEMS, "wqlib", waiting=True
        )

    def peer(name: str, title: str, program: str, kind: str = "python") -> Contender:
        return Contender(name, title, name, program, numbers, _WAITING_ITEMS, kind, waiting=True)

    return [
        wqlib("threads", "wqlib Worker, threads"),
        wqlib("async", "wqlib Worker, async def"),
        peer("taskiq", "taskiq, stream broker", "run_taskiq.py"),
        peer("saq", "saq", "run_saq.py"),
        peer("arq", "arq", "run_arq.py"),
        peer("bullmq", "BullMQ (Node)", "run_bullmq.mjs", "other"),
        peer("chasquimq", "ChasquiMQ (Rust)", "run_chasquimq.py", "other"),
    ]


def gather(
    wanted: Collection[str], redis_version: str, say: Callable[[str], None]
) -> list[Contender]:
    """All contenders; the peers are installed, or say why they do not take part.

    Args:
        wanted: Names of peers, of `PEERS`.
        redis_version: Of the server, e.g. "6.2.14".
        say: Told what is being installed.
    """
    everybody = (*_own(), *_peers(), *_waiting())
    return [_ready(contender, wanted, redis_version, say) for contender in everybody]


def _ready(
    peer: Contender, wanted: Collection[str], redis_version: str, say: Callable[[str], None]
) -> Contender:
    family = peer.family
    if not family:
        return peer
    if family not in wanted:
        return _with(peer, skipped="not asked for")
    numbers = tuple(int(part) for part in redis_version.split(".")[:2])
    if family == "chasquimq" and numbers < _CHASQUIMQ_NEEDS:
        return _with(peer, skipped=f"it needs Redis 8.6 or newer, and this is {redis_version}")
    try:
        if family in NODE_PEERS:
            folder = _installed(install.node_peers, say)
            node = shutil.which("node") or "node"
            return _with(peer, command=(node,), arguments=(str(folder),))
        maker = install.chasquimq if family == "chasquimq" else install.python_peers
        return _with(peer, command=(str(_installed(maker, say)),))
    except install.NotInstalled as why:
        return _with(peer, skipped=str(why))


_made: dict[Callable[[], Path], Path | install.NotInstalled] = {}


def _installed(make: Callable[[], Path], say: Callable[[str], None]) -> Path:
    if make not in _made:
        say(f"peers: {make.__name__} ...")
        try:
            _made[make] = make()
        except install.NotInstalled as why:
            _made[make] = why
    made = _made[make]
    if isinstance(made, Exception):
        raise made
    return made


def _with(peer: Contender, **changes: object) -> Contender:
    return replace(peer, **changes)  # type: ignore[arg-type]
