"""rediscli: it answers as the real redis-cli does."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys

import pytest

from wqlib.redisserver import RedisServer, find, find_cli

OURS = [sys.executable, "-m", "wqlib.redisserver.rediscli"]
REAL = find_cli(find())
CALLS = [
    ["ping"],
    ["rpush", "list", "apple", "it's", "a  b"],
    ["lrange", "list", "0", "-1"],
    ["lrange", "none", "0", "-1"],
    ["get", "none"],
    ["set", "word", "x"],
    ["lpush", "word", "x"],
    ["no-such-command"],
    ["-r", "2", "llen", "list"],
    ["-n", "3", "llen", "list"],
    ["-x", "set", "given"],
    ["get", "given"],
    ["--no-raw", "llen", "list"],
    ["--no-raw", "lrange", "list", "0", "-1"],
    ["--no-raw", "get", "none"],
    ["--no-raw", "lpush", "word", "x"],
    ["--no-raw", "eval", "return {1, {'a', {2}}, {}}", "0"],
    ["--no-raw", "echo", 'q"\\ \x07 é'],
    ["--raw", "echo", "é"],
    ["-p", "1", "ping"],
]


def run(program: list[str], server: RedisServer, words: list[str], text: str = "é\n") -> tuple:
    place = [] if "-p" in words else ["-p", str(server.port)]
    done = subprocess.run(
        [*program, *place, *words],
        input=text,
        env={**os.environ, "REDISCLI_AUTH": server.password},
        capture_output=True,
        text=True,
    )
    said = re.sub(r"(Could not connect to Redis at \S+:) .*", r"\1", done.stderr)
    return done.stdout.rstrip("\n"), said, done.returncode


@pytest.mark.skipif(REAL.suffix == ".py", reason="no real redis-cli is here")
def test_it_says_what_the_real_one_says() -> None:
    with RedisServer() as one, RedisServer() as other:
        for words in CALLS:
            assert run(OURS, one, words) == run([str(REAL)], other, words), words
        lines = "rpush 'a b' 1 2\n\nllen \"a b\"\nbad 'quote\nexit\nping\n"
        assert run(OURS, one, [], lines) == run([str(REAL)], other, [], lines)


def test_at_a_terminal_it_has_a_prompt() -> None:
    with RedisServer() as server:
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            [*OURS, "-p", str(server.port), "-a", server.password],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        os.write(ours, b"rpush job2 apple\nlrange job2 0 -1\nquit\n")
        said = b""
        with contextlib.suppress(OSError):  # the terminal ends with the program
            while part := os.read(ours, 1000):
                said += part
        os.close(ours)
        child.wait()
    assert f"127.0.0.1:{server.port}> ".encode() in said
    assert b"(integer) 1" in said
    assert b'1) "apple"' in said
