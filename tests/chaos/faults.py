"""Faults that a process builds into itself: sudden death inside the library, and wrong clocks."""

from __future__ import annotations

import datetime
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


def install_sudden_death(
    rng: random.Random,
    chance: Callable[[], float],
    say: Callable[[str], None],
    is_calm: Callable[[], bool],
) -> Callable[[str], None]:
    """Let this process die now and then while it talks to Redis.

    It strikes wherever the library reads or writes a socket, in whatever thread, so it needs to
    know nothing of how the library is made: `before` a request is sent, when `half` of it is sent,
    after it is `sent` and before the reply is read, and after the `reply` came.

    Args:
        rng: Decides when.
        chance: Asked each time how likely each of the four is.
        say: Called with the name of the point right before death.
        is_calm: Asked before death: is the chaos over?

    Returns:
        What to call, with its name, at any other point where the process may die.
    """
    send, receive, receive_into = socket.socket.sendall, socket.socket.recv, socket.socket.recv_into

    def maybe_die(point: str) -> None:
        if rng.random() < chance() and not is_calm():
            say(point)
            os.kill(os.getpid(), signal.SIGKILL)

    def sendall(self: socket.socket, data: bytes, *flags: int) -> None:
        if self.family is socket.AF_INET:
            maybe_die("before")
            if rng.random() < chance() and not is_calm():
                send(self, data[: len(data) // 2])
                say("half")
                os.kill(os.getpid(), signal.SIGKILL)
        send(self, data, *flags)
        if self.family is socket.AF_INET:
            maybe_die("sent")

    def recv(self: socket.socket, *arguments: Any) -> bytes:
        data = receive(self, *arguments)
        if self.family is socket.AF_INET:
            maybe_die("reply")
        return data

    def recv_into(self: socket.socket, *arguments: Any) -> int:
        count = receive_into(self, *arguments)
        if self.family is socket.AF_INET:
            maybe_die("reply")
        return count

    socket.socket.sendall = sendall  # type: ignore[method-assign, assignment]
    socket.socket.recv = recv  # type: ignore[method-assign, assignment]
    socket.socket.recv_into = recv_into  # type: ignore[method-assign, assignment]
    return maybe_die


def skew_clocks(seconds: float) -> None:
    """Let every clock of the calendar that this process reads be wrong by `seconds`."""
    true_time, true_time_ns, true_datetime = time.time, time.time_ns, datetime.datetime

    def wrong_time() -> float:
        return true_time() + seconds

    def wrong_time_ns() -> int:
        return true_time_ns() + int(seconds * 1e9)

    class WrongDatetime(true_datetime):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return true_datetime.now(tz) + datetime.timedelta(seconds=seconds)

    wrong = {
        id(true_time): wrong_time,
        id(true_time_ns): wrong_time_ns,
        id(true_datetime): WrongDatetime,
    }
    time.time, time.time_ns = wrong_time, wrong_time_ns
    datetime.datetime = WrongDatetime  # type: ignore[misc]
    replace_everywhere(wrong)


def replace_everywhere(new: Mapping[int, Any]) -> None:
    """Put other things in the place of those with these ids, wherever a module of wqlib has them.

    (A module may have imported a function or a class itself.)
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "wqlib":
            for key, value in list(vars(module).items()):
                if id(value) in new:
                    setattr(module, key, new[id(value)])
