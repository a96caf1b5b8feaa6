"""redisserver: the right binary is found, and a private server comes and goes cleanly."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from wqlib import redisserver
from wqlib.errors import RedisServerMissing
from wqlib.redisserver import RedisServer, find, find_cli


@pytest.fixture(scope="module")
def binary() -> Path:
    return find()


def fake_binary(folder: Path, text: str, name: str = "redis-server") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{text}'\n")
    path.chmod(0o755)
    return path


def alive(pid: int) -> bool:
    """True while the process runs (a zombie that nobody reaps counts as ended)."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_the_variable_comes_first(tmp_path, monkeypatch, binary):
    link = tmp_path / "my-redis"
    link.symlink_to(binary)
    monkeypatch.setenv("WQLIB_REDIS_SERVER", str(link))
    assert find() == link


def test_a_wrong_variable_is_an_error_and_not_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("WQLIB_REDIS_SERVER", str(tmp_path / "nothing"))
    with pytest.raises(RedisServerMissing, match="WQLIB_REDIS_SERVER names"):
        find()


@pytest.mark.parametrize("variable", ["WQLIB_REDIS_SERVER", "PATH"])
def test_a_relative_name_is_found_from_everywhere(tmp_path, monkeypatch, binary, variable):
    (tmp_path / "redis-server").symlink_to(binary.resolve())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WQLIB_REDIS_SERVER", raising=False)
    monkeypatch.setenv(variable, "redis-server" if variable != "PATH" else ".")
    assert find() == tmp_path / "redis-server"


def test_path_comes_before_the_wheels(tmp_path, monkeypatch):
    monkeypatch.delenv("WQLIB_REDIS_SERVER", raising=False)
    path = fake_binary(tmp_path, "Valkey server v=8.0.1 sha=0", "valkey-server")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if not shutil.which("redis-server"):
        assert find() == path
    assert redisserver.version(path) == "8.0.1"


def test_a_server_that_is_too_old_is_passed_over(tmp_path, monkeypatch, binary):
    monkeypatch.delenv("WQLIB_REDIS_SERVER", raising=False)
    old = fake_binary(tmp_path, "Redis server v=5.0.7 sha=0")
    monkeypatch.setattr(redisserver, "_candidates", lambda: iter([old, binary]))
    assert find() == binary


def test_the_error_names_what_was_tried_and_one_command(tmp_path, monkeypatch):
    monkeypatch.delenv("WQLIB_REDIS_SERVER", raising=False)
    broken = fake_binary(tmp_path, "cannot execute")
    monkeypatch.setattr(redisserver, "_candidates", lambda: iter([broken]))
    with pytest.raises(RedisServerMissing) as error:
        find()
    assert str(broken) in str(error.value)
    assert "install" in str(error.value)


def test_a_binary_without_its_mode_is_repaired(tmp_path, monkeypatch, binary):
    copy = tmp_path / "valkey-server"
    shutil.copyfile(binary, copy)
    copy.chmod(0o644)
    monkeypatch.setenv("WQLIB_REDIS_SERVER", str(copy))
    assert find() == copy
    assert os.access(copy, os.X_OK)


def test_the_client_beside_the_server_is_found(tmp_path):
    fake_binary(tmp_path, "cli", "valkey-cli")
    assert find_cli(tmp_path / "valkey-server") == tmp_path / "valkey-cli"


def test_it_answers_only_those_who_know_the_password(binary):
    with RedisServer() as server:
        assert redis.Redis.from_url(server.url).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(server.host, server.port).ping()


def test_the_password_is_in_no_process_list():
    with RedisServer() as server:
        listed = subprocess.run(["ps", "axww"], capture_output=True, text=True).stdout
        assert server.password not in listed


def test_nothing_is_left_after_the_block():
    with RedisServer() as server:
        pid, folder = server.pid, server._folder
        assert alive(pid)
    assert not alive(pid)
    assert not folder.exists()
    server.close()  # a second time does no harm
    assert repr(server) == "RedisServer(stopped)"


@pytest.mark.parametrize("crash", [False, True])
def test_restart_keeps_port_and_data_with_the_append_only_file(crash):
    with RedisServer(appendonly=True) as server:
        client = redis.Redis.from_url(server.url)
        client.rpush("job2", "apple")
        client.config_set("appendfsync", "always")
        client.rpush("job2", "banana")
        port, pid = server.port, server.pid
        server.restart(crash=crash)
        assert (server.port, server.pid != pid) == (port, True)
        assert client.lrange("job2", 0, -1) == [b"apple", b"banana"]


def test_without_the_append_only_file_a_restart_is_empty():
    with RedisServer() as server:
        client = redis.Redis.from_url(server.url)
        client.set("a", 1)
        server.restart()
        assert client.get("a") is None


def test_stop_and_start_make_it_go_away_for_a_while():
    with RedisServer() as server:
        client = redis.Redis.from_url(server.url, retry_on_timeout=False)
        server.stop()
        assert server.pid == 0
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.ping()


def test_many_at_once_get_ports_of_their_own():
    servers = [RedisServer() for _ in range(4)]
    try:
        assert len({server.port for server in servers}) == 4
        assert len({server.password for server in servers}) == 4
    finally:
        for server in servers:
            server.close()


PROGRAM = """
import sys, time
from wqlib.redisserver import RedisServer
server = RedisServer()
print(server.pid, server._folder, flush=True)
sys.stdin.readline()
{then}
"""


@pytest.mark.parametrize(
    ("then", "send"),
    [
        ("time.sleep(60)", signal.SIGKILL),
        ("time.sleep(60)", signal.SIGINT),
        ("raise SystemExit(3)", None),
        ("import os; os._exit(1)", None),
    ],
    ids=["killed", "interrupted", "ended", "ended without clean-up"],
)
def test_it_ends_with_the_program(then, send):
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(then=then)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert program.stdout is not None
    pid, folder = program.stdout.readline().split()
    assert Path(folder).is_dir()
    if send:
        program.send_signal(send)
    program.communicate("\n", timeout=30)
    assert wait_until_gone(int(pid))
    end = time.monotonic() + 10
    while Path(folder).exists():
        assert time.monotonic() < end, "the folder stayed"
        time.sleep(0.05)


def test_it_survives_the_end_of_the_thread_that_started_it():
    import threading

    made: list[RedisServer] = []
    thread = threading.Thread(target=lambda: made.append(RedisServer()))
    thread.start()
    thread.join()
    with made[0] as server:
        assert redis.Redis.from_url(server.url).ping()
