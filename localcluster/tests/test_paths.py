"""The state folder may lie anywhere: its path is never read as a piece of a pod's script."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import localcluster
from localcluster import paths
from localcluster.errors import ClusterError

from .conftest import Local, pod, wait_until

FOLDERS = ["ho me", "o'clock", 'a "b" c', "$HOME", "wörk", "new\nline", "a;b&c(x)*[y]\\z"]
# Every way in which a path of the pod's comes into a script or a program.
SCRIPT = """set -e
test -z "$(ls /work)"; echo x > /work/f; cat /work/f; cp /work/f "$HOME"/g; cp $HOME/g $TMPDIR/h
cat /config/key; echo; cat /part; echo; cat $FILE /app/file; cat file
cd /work; cat $(pwd)/f; ls
python -c "import pathlib, sys; print(*(pathlib.Path(p).read_text() for p in sys.argv[1:]))" /work/f
until [ -e /hook/f ]; do sleep 0.1; done; cat /hook/f; pwd > /dev/termination-log; echo > /work/done
until [ -e /work/stop ]; do sleep 0.1; done
"""


@pytest.fixture
def tmpdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture(params=FOLDERS)
def cluster(
    tmp_path: Path, tmpdir: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Local]:
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "10")
    home = tmp_path / request.param / "home"
    monkeypatch.setenv("LOCALCLUSTER_HOME", str(home))
    yield Local(home, localcluster.ensure(home))
    localcluster.stop(home)
    assert not list(tmpdir.glob("localcluster-*"))


def _names(folder: Path) -> list[str]:
    """What is in a folder and in the folders there."""
    return sorted(str(path) for pattern in ("*", "*/*") for path in folder.glob(pattern))


def _image(cluster: Local) -> str:
    context = cluster.home.parent / "context"
    context.mkdir()
    (context / "file").write_text("y\n")
    (context / "Dockerfile").write_text(
        "FROM python\nENV FILE=/app/file\nWORKDIR /app\nCOPY file .\n"
    )
    return localcluster.build_image("odd:1", context, home=cluster.home).name


def test_a_script_reads_and_writes_only_what_it_names(
    cluster: Local, tmp_path: Path, tmpdir: Path
) -> None:
    core, image = cluster.core, _image(cluster)
    before = _names(tmp_path)
    body = {"metadata": {"name": "c"}, "data": {"key": "value"}}
    core.create_namespaced_config_map("default", body)
    volumes = [{"name": name, "emptyDir": {}} for name in ("w", "h")]
    volumes.append({"name": "c", "configMap": {"name": "c"}})
    container = {
        "volumeMounts": [
            {"name": "w", "mountPath": "/work", "subPath": "sub"},
            {"name": "h", "mountPath": "/hook"},
            {"name": "c", "mountPath": "/config"},
            {"name": "c", "mountPath": "/part", "subPath": "key"},
        ],
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "echo hook > /hook/f"]}}},
        "readinessProbe": {
            "exec": {"command": ["sh", "-c", "test x = $(cat /work/f) && test -e /work/done"]},
            "periodSeconds": 1,
        },
    }
    manifest = pod("p", "sh", "-c", SCRIPT, image=image, container=container, volumes=volumes)
    core.create_namespaced_pod("default", manifest)

    def status() -> Any:
        found = core.read_namespaced_pod("p", "default").status
        log = core.read_namespaced_pod_log("p", "default") if found.phase == "Failed" else ""
        assert found.phase != "Failed", log
        return found.container_statuses[0] if found.container_statuses else None

    wait_until(lambda: (found := status()) and found.ready)
    lines = core.read_namespaced_pod_log("p", "default").splitlines()
    assert lines == ["x", "value", "value", "y", "y", "y", "x", "f", "x", "", "hook"]
    if shutil.which("kubectl"):
        copied = tmpdir / "copied"
        kubectl = f"kubectl --kubeconfig {shlex.quote(str(cluster.kubeconfig))}"
        command = f"{kubectl} cp p:/work/f {copied} && {kubectl} exec p -- ls /work"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        assert (copied.read_text(), done.stdout) == ("x\n", "done\nf\n")
        copied.unlink()
    assert _names(tmp_path) == before
    place = next(cluster.home.glob("cluster/pods/*/volumes/w/sub"))
    (place / "stop").touch()
    ended = wait_until(lambda: (found := status()) and found.state.terminated)
    assert paths.PLAIN.fullmatch(ended.message.strip())


def test_the_link_goes_with_a_daemon_that_is_killed(
    tmp_path: Path, tmpdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "10")
    home = tmp_path / "ho me"
    localcluster.ensure(home)
    assert list(tmpdir.glob("localcluster-*"))
    found = localcluster.status(home)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    localcluster.stop(home)
    assert not list(tmpdir.glob("localcluster-*"))


def test_the_start_refuses_a_path_that_it_cannot_make_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert paths.plain_link(tmp_path) is None
    with pytest.raises(ClusterError, match="Set LOCALCLUSTER_HOME to a folder without blanks"):
        paths.plain_link(tmp_path / "ho me")
    with pytest.raises(ClusterError, match="Set LOCALCLUSTER_HOME to a folder without one"):
        localcluster.ensure(tmp_path / "a:b")
