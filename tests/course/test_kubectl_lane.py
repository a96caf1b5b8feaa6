"""The kubectl lane: what the notebooks tell the learner to type in a terminal beside them.

Each `$` line of a block "In a terminal" is typed where it stands in the notebook, after the cells
before it, on the local cluster. It has to succeed, and to print what the block shows of its output,
in that order; there "…" stands for anything. A block "(not on the local cluster)" is only read.
It runs the notebooks up to their last such block, which takes minutes: `make lanes`.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient
from reading import SOLUTIONS, SOURCES, cells

from wqlib.cluster import local

SECONDS = 60.0
_BLOCK = re.compile(r"^\*\*In a terminal\*\*([^\n]*)\n\n```console\n(.*?)^```$", re.M | re.S)
# What a terminal is told about colours, the cursor and the like.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()=>][0-9A-Za-z]?|\x07")
_CURSOR_WANTED = b"\x1b[6n"


class Step(NamedTuple):
    """A line that is typed, what is typed into the program that it starts, and what is shown."""

    line: str
    typed: list[str]
    shown: list[str]


def lane(text: str) -> list[Step]:
    """The steps of the terminal blocks in a text that can be done on the local cluster."""
    steps = []
    for about, block in _BLOCK.findall(text):
        if "(not on the local cluster)" not in about:
            for part in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.M)[1:]:
                line, *rest = part.splitlines()
                typed = [m[1] for one in rest if (m := re.match(r"(?:#|\S+>) (.+)", one))]
                shown = [one for one in rest if one.strip() and not re.match(r"(#|\S+>) ", one)]
                steps.append(Step(line, typed, shown))
    return steps


WITH_LANES = [path for path in SOURCES if any(lane(cell["source"]) for cell in cells(path))]


def test_the_lane_of_a_notebook_is_read() -> None:
    text = (
        "**In a terminal** you see:\n\n```console\n$ kubectl run -i --tty temp \\\n  --rm\n"
        '# redis-cli -h redis\nredis:6379> rpush job2 "a b"\n(integer) 1\n$ kubectl get pods\n```\n'
        "**In a terminal** (not on the local cluster)\n\n```console\n$ docker push x\n```\n"
    )
    assert lane(text) == [
        Step(
            "kubectl run -i --tty temp   --rm",
            ["redis-cli -h redis", 'rpush job2 "a b"'],
            ["(integer) 1"],
        ),
        Step("kubectl get pods", [], []),
    ]


@pytest.mark.lane
@pytest.mark.timeout(500)
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
@pytest.mark.parametrize("path", WITH_LANES, ids=lambda path: path.stem)
def test_the_lane_works_where_it_stands(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "60")
    monkeypatch.setenv("WQLIB_CONTEXT", "local")
    env = dict(os.environ) | {"KUBECONFIG": str(local.start()), "TERM": "xterm"}
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(SOLUTIONS)}}
    client = NotebookClient(notebook, timeout=300, resources=resources)
    last = max(i for i, cell in enumerate(cells(path)) if any(lane(cell["source"])))
    try:
        with client.setup_kernel():
            for index, cell in enumerate(notebook.cells[: last + 1]):
                if cell.cell_type == "code" and "check" not in cell.metadata.get("tags", []):
                    client.execute_cell(cell, index)
                for step in lane(cell.source):
                    check(step, type_it(step, env))
    finally:
        local.stop()


def type_it(step: Step, env: dict[str, str]) -> str:
    """Type a line into a shell, then the lines below it; return what is printed.

    What is typed into a program needs a terminal, as `kubectl run -i --tty` does.
    """
    shell = {"cwd": SOLUTIONS, "env": env, "start_new_session": True}
    if not step.typed:
        done = subprocess.run(
            ["sh", "-c", step.line], **shell, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, f"{step.line}: {done.stdout}{done.stderr}"
        return done.stdout
    screen, inside = pty.openpty()
    process = subprocess.Popen(
        ["sh", "-c", step.line], **shell, stdin=inside, stdout=inside, stderr=inside
    )
    os.close(inside)
    try:
        return _converse(screen, process, [*step.typed])
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def _converse(screen: int, process: subprocess.Popen[bytes], lines: list[str]) -> str:
    """Type each line when a prompt has appeared; return all that was shown."""
    deadline, shown, read_up_to, silent = time.monotonic() + SECONDS, "", 0, 0
    while process.poll() is None:
        assert time.monotonic() < deadline, f"{lines} still to type after: {shown}"
        if select.select([screen], [], [], 0.2)[0]:
            try:
                data = os.read(screen, 1 << 16)
            except OSError:  # Linux says so when the program has ended.
                break
            if _CURSOR_WANTED in data:
                os.write(screen, b"\x1b[24;1R")
            shown, silent = shown + _CONTROL.sub("", data.decode(errors="replace")), 0
        elif re.search(r"[#$>] *$", shown[read_up_to:]):
            read_up_to = len(shown)
            os.write(screen, f"{lines.pop(0) if lines else 'exit'}\r".encode())
        else:
            silent += 1
            if silent % 10 == 0:  # the prompt came before kubectl did
                os.write(screen, b"\r")
    assert process.wait(SECONDS) == 0, shown
    assert not lines, f"{lines} could not be typed: {shown}"
    return shown


def check(step: Step, printed: str) -> None:
    """Check that each line which the notebook shows was printed, one after the other."""
    printed, start = " ".join(printed.split()), 0
    for line in step.shown:
        pieces = [re.escape(" ".join(piece.split())) for piece in line.split("…")]
        found = re.compile(".*?".join(pieces)).search(printed, start)
        assert found, f"{step.line} does not print {line!r}, but: {printed[start:]}"
        start = found.end()
