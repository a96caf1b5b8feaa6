"""The rooms that people have: homes, disks, locales, users, addresses, and sleep.

What needs root (a mount, another user, a network of its own) is skipped without it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import localcluster
from localcluster import lifecycle
from wqlib.cluster import local
from wqlib.errors import ClusterError

ROOT = Path(__file__).parents[2]
PACKAGE = Path(localcluster.__file__).parent
ENSURE = "from wqlib.cluster import local; local.start('wq-course'); "
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "1")
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    local.stop()


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts an empty disk with these options."""
    place = tmp_path / "disk"

    def mount(options: str) -> Path:
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True).returncode:
            place.rmdir()
            pytest.skip("nothing can be mounted here")
        return place

    yield mount
    if place.exists():
        subprocess.run(["umount", "-l", str(place)], check=True)


def python(
    code: str, environment: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program in another Python, with the package of this test."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        env=env,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        **options,
    )


def make_folder(folder: Path) -> Path:
    """The folder of an image whose files are not in ASCII."""
    folder.mkdir()
    text = "FROM python:3.11-slim\n# für später\nCOPY words.txt /app/\nENV WORD=grüße\n"
    (folder / "Dockerfile").write_text(text, "utf-8")
    (folder / "words.txt").write_text("grüße", "utf-8")
    return folder


# -- disks


@needs_root
def test_a_disk_that_fills_up_is_told_and_disturbs_nothing_that_runs(
    mounted: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = mounted("size=4m")
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "1")
    monkeypatch.setenv("WQLIB_HOME", str(disk))
    folder = make_folder(tmp_path / "image")
    local.start("wq-course")
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while True:  # the cluster writes too, so what is free now says nothing
            filler.write(bytes(512))
    with pytest.raises(ClusterError, match=r"No space left on device\. .* WQLIB_HOME"):
        local.FolderBuilder().build("mine:1", folder)
    local.start("wq-course")
    assert local.status() is not None
    local.stop()
    with pytest.raises(ClusterError, match=r"No space left on device\. .* WQLIB_HOME"):
        local.start("wq-course")


def test_a_disk_that_is_too_slow_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_START_SECONDS", 0.01)
    with pytest.raises(ClusterError, match=r"not ready after .* slow\. .* WQLIB_HOME"):
        local.start("wq-course")
    assert local.status() is None


@pytest.mark.parametrize("kind", ["missing", "read-only"])
def test_make_goes_on_without_a_home_to_write_to(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "read-only" and os.geteuid():
        pytest.skip("needs root")
    place = tmp_path / "none"
    if kind == "read-only":
        place = request.getfixturevalue("mounted")("ro")
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = subprocess.run(
        ["make", "-s", "-f", "-", "shown"],
        input="include Makefile\nshown:\n\t@echo $$HOME\n",
        env={"PATH": os.environ["PATH"], "HOME": str(place)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path / "build" / "own-home")
    assert f"{place} cannot be written to" in done.stderr


# -- who may read, and in which letters


@pytest.mark.parametrize("mask", [0o077, 0o000])
def test_nobody_else_reads_the_state_whatever_the_umask_is(
    mask: int, home: Path, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "image")
    build = ENSURE + f"local.FolderBuilder().build('mine:1', {str(folder)!r})"
    done = python(build, preexec_fn=lambda: os.umask(mask))
    assert done.returncode == 0, done.stderr
    for path in [home, *home.rglob("*")]:
        assert path.is_symlink() or not stat.S_IMODE(path.lstat().st_mode) & 0o077, path


def test_a_terminal_that_knows_ascii_only_is_enough(home: Path, tmp_path: Path) -> None:
    container = {"name": "main", "image": "mine:1", "command": ["cat", "/app/words.txt"]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    (tmp_path / "pod.yaml").write_text(json.dumps(pod, ensure_ascii=False), "utf-8")
    make_folder(tmp_path / "image")
    done = python(
        "import wqlib\nfrom wqlib.commands import cli\n"
        "cluster = wqlib.connect()\n"
        "cluster.build_image('mine:1', 'image')\n"
        "cluster.apply('pod.yaml')\n"
        "cluster.wait('pod/p', 'succeeded')\n"
        "assert cli.main(['check', '01']) == 0\n"
        "print(cluster.logs('pod/p'))\n"
        "cluster.clean_up()\n",
        ASCII,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "\\xb7 01-1" in done.stdout
    assert "gr\\xfc\\xdfe" in done.stdout


@needs_root
def test_a_user_who_is_not_root(tmp_path: Path) -> None:
    nobody = 65534
    base = Path("/tmp") / f"wqlib-nobody-{os.getpid()}"
    base.mkdir()
    os.chown(base, nobody, nobody)
    options = {"user": nobody, "group": nobody, "extra_groups": [], "cwd": "/"}
    try:
        try:
            python("import kubernetes", **options).check_returncode()
        except (PermissionError, subprocess.CalledProcessError):
            pytest.skip("other users cannot read this Python")
        variables = {"HOME": str(base), "WQLIB_HOME": "", "TMPDIR": str(base)}
        code = "import sys; from wqlib.commands import cli; sys.exit(cli.main(['doctor']))"
        done = python(code, variables, **options)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        shutil.rmtree(base)


# -- addresses


@needs_root
def test_the_doctor_is_content_without_ipv6_and_beside_another_redis(home: Path) -> None:
    if not shutil.which("ip") or subprocess.run(["unshare", "-n", "true"]).returncode:
        pytest.skip("no network of its own can be had here")
    script = 'ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; exec "$@"'
    code = (
        "import socket, sys; from wqlib.commands import cli\n"
        "taken = socket.create_server(('0.0.0.0', 6379))\n"
        "sys.exit(cli.main(['doctor', 'queue']))"
    )
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script, "sh", sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# -- a state folder of an older version, or of another copy


def spoil(home: Path, what: str) -> None:
    """Leave in a state folder what an older version, a crash or a full disk might."""
    cluster = home / "cluster"
    built = cluster / "images" / "built"
    if what == "locks":
        for name in ("daemon.lock", "start.lock", "reaper.lock"):
            (cluster / name).write_bytes(b"\xff old")
    elif what == "certificates":
        (cluster / "server.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n")
    elif what == "authority":
        (cluster / "ca.pem").write_bytes(b"\xff\xfe")
    elif what == "expiry":
        (cluster / "certificates-until").write_text("2099-01-01T00:00:00 127.0.0.1")
    elif what == "daemon.json":
        (cluster / "daemon.json").write_text('["another", "shape"]')
        (cluster / "kubeconfig").write_text("{")
    elif what == "images":
        built.mkdir()
        (built / "cut.json").write_text("")
        (built / "old.json").write_text('{"name": "old:1", "files": "somewhere"}')
    elif what == "home":
        cluster.chmod(0o755)


@pytest.mark.parametrize(
    "what", ["locks", "certificates", "authority", "expiry", "daemon.json", "images", "home"]
)
def test_what_an_older_version_left_does_no_harm(what: str, home: Path) -> None:
    local.start("wq-course")
    local.stop()
    spoil(home, what)
    for path in (home / "cluster").glob("*.pem"):
        path.chmod(0o600)
    local.start("wq-course")
    assert local.status() is not None
    assert not [name for name in localcluster.list_images(local.home()) if "old" in name]
    assert stat.S_IMODE((home / "cluster").stat().st_mode) == 0o700


@pytest.mark.parametrize("about", ["another copy", "another version", "a word"])
def test_a_cluster_of_another_copy_is_replaced_unless_it_is_in_use(
    about: str, home: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGE, copy / "localcluster", ignore=shutil.ignore_patterns("__pycache__"))
    owner = subprocess.Popen(
        [sys.executable, "-c", ENSURE + "print(flush=True); input()"],
        env={**os.environ, "PYTHONPATH": str(copy), "LOCALCLUSTER_LINGER_SECONDS": "60"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=copy,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline()
    first = local.status()
    assert first is not None
    info = home / "cluster" / "daemon.json"
    words = [str(copy / "localcluster"), "WQLIB_HOME", "wqlib cluster stop"]
    if about != "another copy":
        words[0] = "another version"
        info.write_text(json.dumps({**json.loads(info.read_text()), "copy": None}))
    if about == "a word":
        info.write_text('"running"')
    with pytest.raises(ClusterError) as refused:
        local.start("wq-course")
    assert all(word in str(refused.value) for word in words), refused.value
    owner.communicate(b"\n")
    local.start("wq-course")
    second = local.status()
    assert second is not None
    assert second.pid != first.pid


# -- sleep


def family(home: Path, client: int) -> list[int]:
    """A program and what runs of the cluster in `home`."""
    found = [client]
    for process in psutil.process_iter():
        try:
            words = " ".join([*process.cmdline(), *process.environ().values()])
        except psutil.Error:
            continue
        if str(home) in words and process.pid != os.getpid():
            found.append(process.pid)
    return found


def test_a_machine_that_slept_in_the_middle_of_a_job_loses_nothing(home: Path) -> None:
    command = [sys.executable, "-m", "wqlib.commands.demo", "--items", "30", "--lease-seconds", "1"]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    for line in client.stdout:
        if " done, " in line and int(line.split()[2]) >= 6:
            break
    stopped = family(home, client.pid)
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(3)  # all leases have run out meanwhile
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    said, _ = client.communicate(timeout=100)
    assert client.returncode == 0, said
    assert "done=30 lost=0" in said
