"""A small `redis-cli`, for the image `redis` where the machine's Redis came without one.

A wheel may hold only the server. This answers as the real one does, as far as the course goes: it
runs one command, the lines of its standard input, or what is typed at its prompt.
https://redis.io/docs/latest/develop/tools/cli/
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any, cast

import hiredis
import redis
from redis.connection import Connection

from wqlib.queue.wire import Refusal, Wire  # absolute, for a pod runs this file by its path

ENDLESS = ("subscribe", "psubscribe", "monitor")
STATUS = (b"OK", b"PONG", b"QUEUED")  # words without quotes
ESCAPED = {ord(c): repr(c)[1:-1] for c in "\n\r\t\\"} | {7: r"\a", 8: r"\b", 34: r"\""}


def raw(reply: Any) -> str:
    """Return a reply as a program reads it."""
    if isinstance(reply, list):
        return "\n".join(map(raw, reply))
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "surrogateescape")
    return "" if reply is None else str(reply)


def typed(reply: Any, indent: str = "") -> str:
    """Return a reply as a person reads it, with its type."""
    if isinstance(reply, list):
        width = len(str(len(reply)))
        inner = indent + " " * (width + 2)
        lines = [f"{n:>{width}}) {typed(one, inner)}" for n, one in enumerate(reply, 1)]
        return f"\n{indent}".join(lines) or "(empty array)"
    if isinstance(reply, bytes) and reply not in STATUS:
        quoted = (
            ESCAPED.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}")
            for byte in reply
        )
        return f'"{"".join(quoted)}"'
    if isinstance(reply, int):
        return f"(integer) {reply}"
    if isinstance(reply, Refusal):
        return f"(error) {reply}"
    return "(nil)" if reply is None else raw(reply)


class Client:
    """A connection, made when it is first needed, and how to show what comes back."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.shown = typed if options.no_raw or (sys.stdout.isatty() and not options.raw) else raw
        self._wire: Wire | None = None

    def run(self, words: Sequence[str | bytes]) -> int:
        """Send a command and print what comes back; return the exit code."""
        try:
            if self._wire is None:
                self._wire = self._open()
            self._wire.send(hiredis.pack_command(cast("Any", tuple(words))))
            print(self.shown(self._wire.read()), flush=True)
            while str(words[0]).lower() in ENDLESS:
                print(self.shown(self._wire.read()), flush=True)
        except (redis.RedisError, OSError, Refusal) as error:
            self._wire = None
            where = f"{self.options.host}:{self.options.port}"
            print(f"Could not connect to Redis at {where}: {error}", file=sys.stderr)
            return 1
        return 0

    def _open(self) -> Wire:
        given = self.options
        password = given.password or os.environ.get("REDISCLI_AUTH")
        login = {"username": given.user, "password": password}
        return Wire(Connection(host=given.host, port=given.port, db=given.db, protocol=2, **login))

    def lines(self) -> int:
        """Run what is typed at a prompt, or comes in by standard input."""
        prompt = f"{self.options.host}:{self.options.port}> " if sys.stdin.isatty() else ""
        code = 0
        while True:
            try:
                words = shlex.split(input(prompt))
            except EOFError:
                return code
            except ValueError:
                print("Invalid argument(s)")
                continue
            if words and words[0].lower() in ("exit", "quit"):
                return code
            if words:
                code = self.run(words)


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="redis-cli",
        add_help=False,
        allow_abbrev=False,
        epilog="This is a small stand-in: install Redis for one with all options.",
    )
    parser.add_argument("-h", dest="host", default="127.0.0.1", help="host (127.0.0.1)")
    parser.add_argument("-p", dest="port", type=int, default=6379, help="port (6379)")
    parser.add_argument("-a", "--pass", dest="password", help="password; better REDISCLI_AUTH")
    parser.add_argument("--user", help="user of the ACL")
    parser.add_argument("-n", dest="db", type=int, default=0, help="number of the database")
    parser.add_argument("-r", dest="repeat", type=int, default=1, help="how many times to run it")
    parser.add_argument("-i", dest="pause", type=float, default=0.0, help="seconds between runs")
    parser.add_argument("-x", action="store_true", help="the last argument is standard input")
    parser.add_argument("--raw", action="store_true", help="as for a program")
    parser.add_argument("--no-raw", action="store_true", help="as for a person")
    parser.add_argument("--no-auth-warning", action="store_true", help="(there is none)")
    parser.add_argument("--help", action="help", help="this text")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    client = Client(options)
    if not options.command:
        return client.lines()
    words = [*options.command, *([sys.stdin.buffer.read()] if options.x else [])]
    code = 0
    for run in range(options.repeat):
        time.sleep(options.pause if run else 0)
        code = client.run(words)
    return code


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
