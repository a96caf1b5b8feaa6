"""The offline kit: what it fetches, and that a course unpacked from it needs no network."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KIT = ROOT / "build" / "wqlib-course-offline.tar.gz"
# As root, as a user in a namespace of his own, and where CI may become root.
CUTS = (("unshare", "-n"), ("unshare", "-rn"), ("sudo", "-n", "-E", "unshare", "-n"))

specification = importlib.util.spec_from_file_location("kit", ROOT / ".ci" / "offline_kit.py")
assert specification
assert specification.loader
kit = importlib.util.module_from_spec(specification)
specification.loader.exec_module(kit)

# Wait for JupyterLab, tell which layouts it has, end it.
ASK_LAB = """\
import time, urllib.request
def ask(path, method="GET"):
    headers = {"Authorization": "token secret"}
    request = urllib.request.Request("http://127.0.0.1:8899" + path, None, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # none to this machine
    return opener.open(request, timeout=10).read().decode()
for _ in range(300):
    try:
        print(ask("/lab/api/workspaces"))
        break
    except OSError:
        time.sleep(0.5)
ask("/api/shutdown", "POST")
"""
LOCK = """\
apple==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via fruit
banana==2.0 ; sys_platform == 'darwin' \\
    --hash=sha256:cc
cherry==3.0 ; python_full_version < '3.11.3' \\
    --hash=sha256:dd
cherry==4.0 ; python_full_version >= '3.11.3' \\
    --hash=sha256:ee
"""


class TestWhatIsFetched:
    def names(self, target: str, python: str) -> list[list[str]]:
        found = [kit.wanted(LOCK, where) for where in kit.environments(target, python)]
        return [[block.split()[0] for block in blocks] for blocks in found]

    def test_markers_are_read_for_the_platform_that_is_asked_for(self) -> None:
        late, _ = self.names("macos-arm64", "3.12")
        assert late == ["apple==1.0", "banana==2.0", "cherry==4.0"]

    def test_a_late_and_an_early_patch_release_both_find_what_they_need(self) -> None:
        assert self.names("linux-x86_64", "3.11") == [
            ["apple==1.0", "cherry==4.0"],
            ["apple==1.0", "cherry==3.0"],
        ]

    def test_every_hash_is_kept_and_nothing_else(self) -> None:
        first = kit.wanted(LOCK, kit.environments("linux-x86_64", "3.12")[0])[0]
        assert first == "apple==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb"

    @pytest.mark.parametrize("target", kit.TAGS)
    def test_each_platform_gets_one_redis_server_and_all_that_the_course_names(
        self, target: str
    ) -> None:
        for python in ("3.11", "3.14"):
            for where in kit.environments(target, python):
                servers = kit.wanted((ROOT / "redis-server.lock").read_text(), where)
                assert len(servers) == 1
                course = kit.wanted((ROOT / "requirements.lock").read_text(), where)
                names = [block.split("==")[0] for block in course]
                assert {"jupyterlab", "kubernetes", "redis", "numpy"} <= set(names)
                assert len(names) == len(set(names))


@functools.cache
def without_network() -> tuple[str, ...]:
    """The command that runs another one with no network, for this machine."""
    for cut in CUTS:
        test = [*cut, "sh", "-c", "ip link set lo up"]
        if shutil.which(cut[0]) and not subprocess.run(test, capture_output=True).returncode:
            return cut
    pytest.skip("the network cannot be cut off here: that needs Linux, unshare and ip")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked kit."""
    folder = tmp_path_factory.mktemp("room")
    with tarfile.open(KIT) as archive:
        archive.extractall(folder, filter="data")
    return folder / "wqlib-course"


@pytest.mark.offline
@pytest.mark.timeout(900)
class TestTheUnpackedKit:
    def run(self, course: Path, command: str) -> str:
        """Run a command in the kit: no network, an empty home, nothing of this environment."""
        home = course.parent / "home"
        home.mkdir(exist_ok=True)
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PIP_CONFIG_FILE": os.devnull,
            "WQLIB_HOME": str(home / "wqlib"),
            "LOCALCLUSTER_LINGER_SECONDS": "1",
        }
        script = f"ip link set lo up && {command}"
        settings = [f"{name}={value}" for name, value in variables.items()]
        done = subprocess.run(
            [*without_network(), "env", "-i", *settings, "sh", "-c", script],
            cwd=course,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def test_the_sums_are_those_of_the_files(self, course: Path) -> None:
        lines = (course / "SHA256SUMS").read_text().splitlines()
        named = {line.split("  ", 1)[1] for line in lines}
        there = {str(p.relative_to(course)) for p in course.rglob("*") if p.is_file()}
        links = {str(p.relative_to(course)) for p in course.rglob("*") if p.is_symlink()}
        assert {name for name in there if name.startswith("wheels/")} <= named
        assert there - named <= links | {"SHA256SUMS"}
        for line in lines:
            digest, name = line.split("  ", 1)
            assert hashlib.sha256((course / name).read_bytes()).hexdigest() == digest, name

    def test_there_is_no_network(self, course: Path) -> None:
        probe = 'import socket; socket.create_connection(("192.0.2.1", 80), 3)'
        self.run(course, f"! python3 -c '{probe}' 2>/dev/null")

    def test_the_demo_runs(self, course: Path) -> None:
        told = self.run(course, "make --silent demo ARGS=--json")
        result = json.loads(told.splitlines()[-1])
        assert (result["done"], result["lost"], result["kills"]) == (60, 0, 1)

    def test_a_notebook_runs_against_its_outputs(self, course: Path) -> None:
        assert " passed" in self.run(course, "make --silent notebooks ARGS='-k 02_fill'")

    def test_jupyterlab_opens_the_course(self, course: Path) -> None:
        (course.parent / "ask.py").write_text(ASK_LAB)
        options = "--no-browser --ServerApp.port=8899 --IdentityProvider.token=secret"
        lab = f"make --silent lab ARGS='{options}' >/dev/null 2>&1"
        told = self.run(course, f"{{ {lab} & }}; python3 ../ask.py; wait")
        assert "notebook:my-course/00_before_you_begin.ipynb" in told
