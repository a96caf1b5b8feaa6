"""What errors say: what was really used, and nothing that is a secret."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import yaml

from wqlib import worker
from wqlib.cluster import connect, manifests
from wqlib.commands import metrics, watch
from wqlib.commands import queue as queuecli
from wqlib.errors import ClusterError, QueueError, RedisRefused
from wqlib.queue import WorkQueue
from wqlib.redisserver import RedisServer, find
from wqlib.rediswq import RedisWQ

MARK = "hunter2"


@pytest.fixture(autouse=True)
def no_redis_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WQLIB_REDIS_URL", "REDIS_PASSWORD", "REDIS_USERNAME", "REDIS_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


def all_of(error: BaseException) -> str:
    """All that a traceback shows of an error."""
    return "".join(traceback.format_exception(error))


def by_command_line(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "wqlib.commands.cli",
            "queue",
            "stats",
            "q",
            *(["--redis", url] if url else []),
        ],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


# -- logins


def test_a_url_of_the_environment_or_the_command_line_gets_the_password_of_the_environment(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"redis://127.0.0.1:{redis_server.port}"
    password = {"REDIS_PASSWORD": redis_server.password}
    assert by_command_line("", WQLIB_REDIS_URL=url, **password).returncode == 0
    assert by_command_line(url, WQLIB_REDIS_URL="redis://127.0.0.1:1", **password).returncode == 0
    monkeypatch.setenv("REDIS_PASSWORD", redis_server.password)
    monkeypatch.setenv("WQLIB_REDIS_URL", url)
    assert WorkQueue("q").drained()
    assert RedisWQ("q").empty()


@pytest.mark.parametrize(
    ("environment", "arguments", "told"),
    [
        ({}, {}, "none was given. Set it in REDIS_PASSWORD."),
        ({"WQLIB_REDIS_URL": "redis://HOST"}, {}, "none was given. Set it in REDIS_PASSWORD."),
        (
            {"REDIS_PASSWORD": MARK},
            {"url": "redis://HOST"},
            "Set it in the URL, as in redis://:pa",
        ),
        ({}, {"url": f"redis://{MARK}@HOST"}, "Set it in the URL, as in redis://:pa"),
        ({"REDIS_PASSWORD": MARK}, {}, "came from REDIS_PASSWORD: put"),
        (
            {"REDIS_PASSWORD": MARK, "WQLIB_REDIS_URL": "redis://me@HOST"},
            {},
            "came from REDIS_PASSWORD: put",
        ),
        (
            {"REDIS_PASSWORD": "x", "WQLIB_REDIS_URL": f"redis://:{MARK}@HOST"},
            {},
            "came from WQLIB_REDIS_URL: put",
        ),
        ({"REDIS_PASSWORD": "x"}, {"url": f"redis://:{MARK}@HOST"}, "came from the URL: put"),
        ({"REDIS_PASSWORD": "x"}, {"password": MARK}, r"came from password=\.\.\.: put"),
    ],
)
def test_a_refused_login_says_where_its_password_came_from(
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    arguments: dict[str, str],
    told: str,
) -> None:
    here = f"127.0.0.1:{redis_server.port}"
    monkeypatch.setenv("REDIS_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("REDIS_SERVICE_PORT", str(redis_server.port))
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("HOST", here))
    given = {name: value.replace("HOST", here) for name, value in arguments.items()}
    with WorkQueue("q", **given) as queue, pytest.raises(RedisRefused, match=told) as caught:
        queue.stats()
    assert here in str(caught.value)
    assert MARK not in all_of(caught.value)


def test_a_password_for_a_redis_that_has_none_is_said_so() -> None:
    told = "has no password, but one was given, by password="
    with RedisServer() as server, redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "")
        queue = WorkQueue("q", port=server.port, password=MARK)
        with queue, pytest.raises(RedisRefused, match=told) as caught:
            queue.stats()
    assert MARK not in all_of(caught.value)


def test_a_redis_that_repeats_the_login_is_not_quoted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [find(), "--port", str(port), "--save", "", "--rename-command", "AUTH", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            with (
                WorkQueue("q", host="127.0.0.1", port=port, password=MARK) as queue,
                pytest.raises(QueueError, match="unknown command") as caught,
            ):
                queue.stats()
        finally:
            server.kill()
    assert MARK not in all_of(caught.value)


# -- what is not repeated

REDIS_URLS = [
    *(f"redis://:a{sign}{MARK}@127.0.0.1:1/0" for sign in "#/?[]\u2100"),
    *(f"redis://:{MARK}{sign}b@127.0.0.1:1/0" for sign in "#/?[]\u2100"),
    *(f"redis://:1{sign}{MARK}@127.0.0.1:1/0" for sign in "#/?"),
    f"redis://{MARK}@127.0.0.1:1",
    f"redis://{MARK}:x@127.0.0.1:1",
    f"redis://me:{MARK}@127.0.0.1:1",
    f"redis://:{MARK}@127.0.0.1:port",
    f"redis://:{MARK}@127.0.0.1:99999",
    f"redis://:x@127.0.0.1:{MARK}",
    f"redis://:x@127.0.0.1:1/{MARK}",
    f"redis://:x@127.0.0.1:1/0?password={MARK}",
    f"redis://{MARK}/x@127.0.0.1:1/0",
    f"redis://:{MARK}@{'a' * 70}:1",
    f"redis://127.0.0.1:1?password={MARK}",
    f"redis://127.0.0.1:1?db={MARK}",
    f"rediss://:x@127.0.0.1:1?ssl_password={MARK}&ssl_keyfile=/no/such",
    f"unix://:{MARK}@/no/such",
    f"unix://:a/{MARK}@/no/such",
    f"redis+sentinel://:{MARK}@s1,s2",
    f"redis+sentinel://:a/{MARK}@s1,s2/m",
    f"http://:{MARK}@127.0.0.1:1",
    f":{MARK}@127.0.0.1:1",
]


@pytest.mark.parametrize("url", REDIS_URLS)
def test_no_error_repeats_a_secret_of_a_redis_url(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], url: str
) -> None:
    with pytest.raises((ValueError, QueueError)) as caught:
        WorkQueue("q", url=url, patience_seconds=0.01).stats()
    assert MARK not in all_of(caught.value)
    monkeypatch.setenv("WQLIB_PATIENCE_SECONDS", "0.01")
    assert worker.main(["--redis", url]) in (1, 2)
    monkeypatch.setitem(WorkQueue.__init__.__kwdefaults__, "patience_seconds", 0.01)
    with contextlib.suppress(QueueError):
        queuecli.main(["stats", "q", "--redis", url])
    monkeypatch.setenv("WQLIB_REDIS", url)
    with pytest.raises(SystemExit):
        worker.main(["--help"])
    told = capfd.readouterr()
    assert MARK not in told.out + told.err


@pytest.mark.parametrize("main", [worker.main, queuecli.main, metrics.main, watch.main])
def test_a_mistyped_command_line_repeats_no_login(
    capfd: pytest.CaptureFixture[str], main: Callable[[list[str]], int]
) -> None:
    words = ["stats"] * (main is queuecli.main) + ["q"] * (main is not worker.main)
    with pytest.raises(SystemExit):
        main([*words, "--redus", f"redis://me:{MARK}/{MARK}@127.0.0.1:1?password={MARK}&db=1"])
    told = capfd.readouterr()
    assert "unrecognized arguments: --redus redis://...@127.0.0.1:1?password=...&db=1" in told.err
    assert MARK not in told.out + told.err


def test_a_variable_that_is_no_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SERVICE_PORT", f"tcp://{MARK}:6379")
    with pytest.raises(ValueError, match="REDIS_SERVICE_PORT") as caught:
        WorkQueue("q")
    assert MARK not in all_of(caught.value)


GOOD = {
    "contexts": [{"name": "there", "context": {"cluster": "there", "user": "me"}}],
    "clusters": [{"name": "there", "cluster": {"server": "https://127.0.0.1:1"}}],
    "users": [{"name": "me", "user": {"token": MARK}}],
}


@pytest.mark.parametrize(
    "text",
    [
        "- 1\n",
        "only text\n",
        "contexts: 7\n",
        "contexts: [7]\n",
        "contexts: {there: {}}\n",
        f"contexts: [{{name: there, context: {MARK}}}]\n",
        *(yaml.safe_dump({**GOOD, part: value}) for part in GOOD for value in (7, [7], {"a": 7})),
        *(yaml.safe_dump({**GOOD, "users": [{"name": "me", "user": x}]}) for x in (MARK, [MARK])),
        *(
            yaml.safe_dump({**GOOD, "users": [{"name": "me", "user": {key: value}}]})
            for key in ("client-key-data", "client-certificate-data", "exec", "auth-provider")
            for value in (MARK, [MARK], {MARK: MARK}, 7)
        ),
        *(
            f"{yaml.safe_dump(GOOD)}token: {sign}{MARK}\n"
            for sign in ("*", "!", "@", "%", "&a &", "'")
        ),
        f'{yaml.safe_dump(GOOD)}token: "\\x{MARK}"\n',
        f"{yaml.safe_dump(GOOD)}token: a: {MARK}\n",
        f"{yaml.safe_dump(GOOD)}token: [{MARK}\n",
        f"{yaml.safe_dump(GOOD)}token: {MARK}\0\n",
        f"{yaml.safe_dump(GOOD)}\ttoken: {MARK}\n",
    ],
)
def test_a_broken_kubeconfig_is_said_so_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(ClusterError) as caught:
        connect("there")
    told = capfd.readouterr()
    assert MARK not in all_of(caught.value) + told.out + told.err


@pytest.mark.parametrize(
    "make", [lambda path: None, Path.mkdir, lambda path: path.write_bytes(b"\xff")]
)
def test_a_kubeconfig_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    make(tmp_path / "config")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(ClusterError, match=f"{tmp_path}/config.*KUBECONFIG"):
        connect("there")


@pytest.mark.parametrize("program", ["no-such-auth-plugin", "./bin/no-such", "/no/such"])
def test_a_login_program_that_is_missing_is_named(tmp_path: Path, program: str) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": program,
        "args": [MARK],
        "installHint": "See https://plugin.example",
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump({**GOOD, "users": [{"name": "me", "user": {"exec": plugin}}]}))
    with pytest.raises(ClusterError, match=f"program '{program}'.*plugin.example") as caught:
        connect("there", kubeconfig=path)
    assert MARK not in all_of(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"kind: Secret\nstringData: {{password: *{MARK}}}\n", "line 2, column 24"),
        (f"kind: Secret\nstringData: {{password: a: {MARK}\n", "line 2"),
        (f"kind: Secret\nstringData: {{password: {MARK}}}\n", "lacks apiVersion and metadata.name"),
        (f"- [{MARK}]\n- {MARK}\n", "a list"),
        (f"---\n{MARK} and more\n", "a single value"),
    ],
)
def test_a_broken_manifest_is_said_so_and_not_quoted(text: str, told: str) -> None:
    with pytest.raises(ClusterError, match=told) as caught:
        [manifests.prepare(manifest, "wq-x") for manifest in manifests.read(text)]
    assert MARK not in all_of(caught.value)
