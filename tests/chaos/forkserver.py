"""The fork server: a new worker or filler is there within milliseconds.

The conductor writes one JSON object a line to the standard input: `{"spawn": name, ...}`, or
`{"signal": number, "to": name}`. The fork server answers with `{"born": name}` and
`{"gone": name, "status": wait status}`. When its input ends, whoever wrote it is done or dead:
the fork server kills all its children and removes the folder of the run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import select
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from wqlib.queue import WorkQueue

from . import planted
from .diary import Diary
from .faults import install_sudden_death, skew_clocks
from .filler import Filler
from .noted import ROLES, NotedQueue, Tasks, work
from .plan import Plan
from .worker import Worker

_TIMEOUT_SECONDS = 1.0  # for one reply; the queue's patience is longer than Redis is ever away
_PATIENCE_SECONDS = 60.0
_FLUSHES = 40  # times as deadly as other calls, as they are few


class ForkServer:
    """Forks processes on demand, passes signals on to them and tells when they are gone."""

    def __init__(self, plan: Plan, folder: Path, urls: list[str]) -> None:
        self.plan, self.folder, self.urls = plan, folder, urls
        self._children: dict[int, str] = {}

    def run(self) -> None:
        """Serve until the input ends."""
        rest = b""
        while True:
            readable, _, _ = select.select([0], [], [], 0.01)
            self._reap()
            if readable:
                data = os.read(0, 65536)
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))

    def kill_all(self) -> None:
        """End every child, also one that is stopped."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)

    def _obey(self, order: dict[str, Any]) -> None:
        if "spawn" in order:
            self._fork(order)
            return
        for pid, name in self._children.items():  # not yet reaped, so the pid is still theirs
            if name == order["to"]:
                os.kill(pid, order["signal"])

    def _fork(self, order: dict[str, Any]) -> None:
        pid = os.fork()
        if pid:
            self._children[pid] = order["spawn"]
            _say(born=order["spawn"])
            return
        status = 1
        try:
            devnull = os.open(os.devnull, os.O_RDWR)
            os.dup2(devnull, 0)
            os.dup2(devnull, 1)
            self._live(order)
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _live(self, order: dict[str, Any]) -> None:
        """The life of a child."""
        name, plan = order["spawn"], self.plan
        rng = random.Random(f"{plan.seed}/{name}")
        diary = Diary(self.folder, name)
        logging.disable()
        planted.plant(plan.planted, order["skew_seconds"])
        skew_clocks(order["skew_seconds"])
        maybe_die = install_sudden_death(
            rng,
            lambda: order["chance"] * (_FLUSHES if diary.doing == "flush" else 1),
            lambda point: diary.write(dies=point, during=diary.doing),
            (self.folder / "calm").exists,
        )
        role, kind = order["role"], NotedQueue if order["role"] in ROLES else WorkQueue
        queue = kind(
            plan.queue,
            url=rng.choice(self.urls),
            worker=name,
            lease_seconds=plan.lease_seconds,
            max_attempts=plan.max_attempts,
            patience_seconds=_PATIENCE_SECONDS,
            replicas=plan.replicas,
        ).copy(timeout_seconds=_TIMEOUT_SECONDS)
        if isinstance(queue, NotedQueue):
            queue.diary = diary
            calm, may_hang = self.folder / "calm", role != "auto"
            tasks = Tasks(diary, plan, rng, maybe_die, calm, may_hang=may_hang)
            work(queue, tasks, role, plan, self.folder)
        elif role == "filler":
            Filler(queue, diary, plan, rng, self.folder).run()
        else:
            Worker(queue, diary, plan, rng, role, self.folder).run()

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (gone := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                _say(gone=self._children.pop(gone[0]), status=gone[1])


def _say(**words: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(words).encode() + b"\n")


def main() -> None:
    """Read what the run is like from the environment, and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the conductor
    told = json.loads(os.environ.pop("WQLIB_CHAOS"))
    folder = Path(told["folder"])
    server = ForkServer(Plan.from_json(told["plan"]), folder, told["urls"])
    try:
        server.run()
    finally:
        server.kill_all()
        if told["is_tidy"]:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
