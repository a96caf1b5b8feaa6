"""The image `redis` runs whatever redis-server a machine has, however it was put there."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

import localcluster
from wqlib import connect, redisserver
from wqlib.course import doctor

SERVER = redisserver.find()
CLI = redisserver.find_cli(SERVER)
NAMES = ["redis-server"] if CLI.suffix == ".py" else ["redis-server", "redis-cli"]

# As a Redis module needs it: the first thing in a context is where it finds the API.
MODULE = """
typedef int (*get_t)(const char *, void *);
int RedisModule_OnLoad(void *ctx, void **argv, int argc) {
    void (*attribs)(void *, const char *, int, int);
    get_t get = (get_t)(((void **)ctx)[0]);
    if (get("RedisModule_SetModuleAttribs", &attribs)) return 1;
    attribs(ctx, "tiny", 1, 1);
    return 0;
}
"""


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def beside(folder: Path, server: str = "redis-server", cli: str = "redis-cli") -> Path:
    """Copies of both programs, under the names given."""
    folder.mkdir(parents=True)
    shutil.copy(SERVER.resolve(), folder / server)
    if "redis-cli" in NAMES:
        shutil.copy(CLI.resolve(), folder / cli)
    return folder


def debian(root: Path) -> Path:
    folder = beside(root / "usr" / "bin", "redis-check-rdb")
    (folder / "redis-server").symlink_to("redis-check-rdb")
    return folder


def multi_call(root: Path) -> Path:
    beside(root / "lib")
    words = f"case ${{0##*/}} in redis-server|redis-cli) exec '{root}/lib/'${{0##*/}} \"$@\";; esac"
    script(root / "bin" / "redis", f'{words}\necho "no such applet: $0"; exit 127')
    for name in NAMES:
        (root / "bin" / name).symlink_to("redis")
    return root / "bin"


def valkey(root: Path) -> Path:
    return beside(root / "bin", "valkey-server", "valkey-cli")


def valkey_with_the_names_of_redis(root: Path) -> Path:
    folder = valkey(root)
    for name in ("server", "cli"):
        (folder / f"redis-{name}").symlink_to(f"valkey-{name}")
    return folder


def redis_with_the_names_of_valkey(root: Path) -> Path:
    folder = beside(root / "bin")
    (root / "valkey").mkdir()
    for name in ("server", "cli"):
        (root / "valkey" / f"valkey-{name}").symlink_to(folder / f"redis-{name}")
    return root / "valkey"


def conda(root: Path) -> Path:
    return beside(root / "miniforge3" / "envs" / "wq" / "bin")


def brew(root: Path) -> Path:
    beside(root / "Cellar" / "redis" / "8.0.1" / "bin")
    (root / "bin").mkdir()
    for name in NAMES:
        (root / "bin" / name).symlink_to(f"../Cellar/redis/8.0.1/bin/{name}")
    return root / "bin"


def only_the_server_is_linked(root: Path) -> Path:
    (root / "bin").mkdir()
    (root / "bin" / "redis-server").symlink_to(beside(root / "opt" / "redis") / "redis-server")
    return root / "bin"


def wrapper_script(root: Path) -> Path:
    folder = beside(root / "lib")
    for name in NAMES:
        script(root / "bin" / name, f"exec '{folder}/{name}' \"$@\"")
    return root / "bin"


def with_a_module(root: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a module with")
    source, module = root / "tiny.c", root / "tiny.so"
    source.write_text(MODULE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", module, source], check=True)
    folder = beside(root / "lib")
    words = f"exec '{folder}/redis-server' \"$@\" --loadmodule '{module}'"
    script(root / "bin" / "redis-server", words)
    if "redis-cli" in NAMES:
        script(root / "bin" / "redis-cli", f"exec '{folder}/redis-cli' \"$@\"")
    return root / "bin"


def without_a_cli(root: Path) -> Path:
    folder = beside(root / "bin")
    (folder / "redis-cli").unlink(missing_ok=True)
    return folder


def blanks_and_quotes(root: Path) -> Path:
    return beside(root / 'it\'s a "$HOME" {for} rédis' / "bin")


LAYOUTS = [
    debian, multi_call, valkey, valkey_with_the_names_of_redis, redis_with_the_names_of_valkey,
    conda, brew, only_the_server_is_linked, wrapper_script, with_a_module, without_a_cli,
    blanks_and_quotes,
]  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of one cluster, which gets each server in turn while it runs."""
    folder = tmp_path_factory.mktemp("layouts")
    yield folder
    localcluster.stop(folder)


@pytest.fixture
def found(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Path:
    """The folder of a layout, and nothing else on PATH."""
    make: Callable[[Path], Path] = request.param
    folder = make(tmp_path)
    monkeypatch.setenv("WQLIB_HOME", str(home))
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "10")
    monkeypatch.delenv("WQLIB_CONTEXT", raising=False)
    monkeypatch.delenv("WQLIB_REDIS_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize("found", LAYOUTS, indirect=True, ids=lambda make: make.__name__)
def test_a_pod_runs_the_server_that_was_found(
    found: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # Like the machine of somebody who installs one Redis after the other: the last is gone then.
    request.addfinalizer(lambda: shutil.rmtree(tmp_path))
    assert redisserver.find().parent == found
    [check] = doctor.run(["redis"])
    assert check.ok, check.detail
    with connect(namespace="wq-layouts") as cluster:
        password = cluster.secret(doctor.REDIS)
        cluster.apply(doctor.REDIS_POD)
        try:
            cluster.wait(f"pod/{doctor.REDIS}", "ready", timeout_seconds=60)
            with cluster.port_forward(f"pod/{doctor.REDIS}", 6379) as forward:
                client = redis.Redis(forward.host, forward.port, password=password)
                assert client.ping()
                modules = [module[b"name"] for module in client.module_list()]
                client.close()
            assert (b"tiny" in modules) == (request.node.callspec.id == "with_a_module")
            ping = ["sh", "-c", 'REDISCLI_AUTH="$PASSWORD" redis-cli ping']
            assert cluster.exec(doctor.REDIS, ping).stdout == "PONG\n"
        finally:
            cluster.delete(f"pod/{doctor.REDIS}", grace_seconds=0)


def no_server_at_all(root: Path) -> Path:
    """As the shell of `redis-check-rdb` under a wrong name: it has a version, and no more."""
    case = f"case $1 in --version) exec '{SERVER}' --version;; esac"
    return script(
        root / "redis-server", f"{case}; echo 'Usage: redis-check-rdb FILE'; exit 1"
    ).parent


def works_only_in_a_shell_of_yours(root: Path) -> Path:
    """As the shims of version managers, which look for settings in the home folder."""
    case = f"case $HOME in '{Path.home()}') exec '{SERVER}' \"$@\";; esac"
    return script(
        root / "redis-server", f"{case}; echo 'Usage: no version is set'; exit 126"
    ).parent


@pytest.mark.parametrize(
    "found", [no_server_at_all, works_only_in_a_shell_of_yours], indirect=True,
    ids=lambda make: make.__name__,
)  # fmt: skip
def test_the_doctor_sees_what_a_pod_would_meet(found: Path) -> None:
    [check] = doctor.run(["redis"])
    assert not check.ok
    assert f"{found}/redis-server did not start" in check.detail
    assert "it printed: Usage: " in check.detail
