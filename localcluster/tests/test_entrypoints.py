"""Which program a container runs: ENTRYPOINT, CMD, `command` and `args`, in all their combinations.

https://docs.docker.com/reference/dockerfile/#understand-how-cmd-and-entrypoint-interact
https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
"""

from __future__ import annotations

import ast
import itertools
from pathlib import Path
from typing import Any

import pytest

import localcluster
from localcluster import ProgramImage

from .conftest import Local, pod, wait_until

SHOW = """\
exec python -c 'import os, sys; print([os.path.basename(sys.argv[1]), *sys.argv[2:]])' "$0" "$@"
"""
TOOL = ProgramImage(
    {"entry": SHOW, "main": SHOW, "a": SHOW, "b": SHOW}, ["main"], "/", [], ["entry"]
)
SHELL = ["/bin/sh", "-c"]
# The lines of a Dockerfile after FROM, and the ENTRYPOINT and CMD that its image has.
FROM_TOOL: dict[str, tuple[list[str], list[str]]] = {
    "": (["entry"], ["main"]),
    'CMD ["b", "x"]': (["entry"], ["b", "x"]),
    "CMD b x": (["entry"], [*SHELL, "b x"]),
    "CMD []": (["entry"], []),
    'ENTRYPOINT ["a"]': (["a"], []),
    'ENTRYPOINT ["a"]\nCMD ["b"]': (["a"], ["b"]),
    'CMD ["b"]\nENTRYPOINT ["a"]': (["a"], ["b"]),
    "ENTRYPOINT a x": ([*SHELL, "a x"], []),
    'ENTRYPOINT a x\nCMD ["b"]': ([*SHELL, "a x"], ["b"]),
    'ENTRYPOINT []\nCMD ["b", "y"]': ([], ["b", "y"]),
    "ENTRYPOINT []\nCMD b y": ([], [*SHELL, "b y"]),
    "ENTRYPOINT []": ([], []),
    'ENTRYPOINT ["a"]\nENTRYPOINT ["b"]\nCMD ["1"]\nCMD ["2"]': (["b"], ["2"]),
}
COMMANDS: list[list[str] | None] = [None, [], ["a"], ["a", "-1"]]
ARGUMENTS: list[list[str] | None] = [None, [], ["b"], ["-2", "3"]]


def _expected(argv: list[str]) -> list[str] | None:
    """What `argv` prints; None when it is no program."""
    if argv[:2] == SHELL:
        argv = argv[2].split()
    return argv if argv and argv[0] in TOOL.scripts else None


@pytest.fixture(scope="module")
def images(local: Local) -> None:
    localcluster.ensure(local.home, images={"shop/tool": TOOL})


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("lines", FROM_TOOL)
def test_a_container_runs_what_the_image_and_the_manifest_say(
    local: Local, ns: str, tmp_path: Path, lines: str
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM shop/tool\n{lines}\n")
    localcluster.build_image("built:1", tmp_path, home=local.home)
    entrypoint, cmd = FROM_TOOL[lines]
    containers, wanted = [], {}
    for i, (command, args) in enumerate(itertools.product(COMMANDS, ARGUMENTS)):
        argv = [*command, *(args or [])] if command else [*entrypoint, *(args or cmd)]
        if not argv:
            continue  # see below
        wanted[f"c{i}"] = _expected(argv)
        container: dict[str, Any] = {"name": f"c{i}", "image": "built:1", "command": command}
        containers.append({**container, "args": args})
    manifest = pod("p", "true")
    manifest["spec"]["containers"] = containers
    local.core.create_namespaced_pod(ns, manifest)

    def ended() -> Any:
        status = local.core.read_namespaced_pod("p", ns).status
        return status.phase in ("Succeeded", "Failed") and status

    for status in wait_until(ended, seconds=60).container_statuses:
        expected, state = wanted[status.name], status.state.terminated
        if expected is None:
            assert (state.reason, state.exit_code) == ("StartError", 128)
            continue
        log = local.core.read_namespaced_pod_log("p", ns, container=status.name)
        assert ast.literal_eval(log) == expected


@pytest.mark.usefixtures("images")
def test_an_image_without_a_command_needs_one(local: Local, ns: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM shop/tool\nENTRYPOINT []\n")
    localcluster.build_image("bare:1", tmp_path, home=local.home)
    manifest = pod("p", "true", image="bare:1")
    del manifest["spec"]["containers"][0]["command"]
    local.core.create_namespaced_pod(ns, manifest)

    def told() -> bool:
        events = local.core.list_namespaced_event(ns).items
        return any("no command specified" in str(event.message) for event in events)

    wait_until(told)


# -- the image `python`


def _python(local: Local, ns: str, **container: Any) -> tuple[str, Any]:
    manifest = pod("p", "true")
    [only] = manifest["spec"]["containers"]
    manifest["spec"]["containers"] = [{"name": "c", "image": only["image"], **container}]
    local.core.create_namespaced_pod(ns, manifest)

    def ended() -> Any:
        status = local.core.read_namespaced_pod("p", ns).status
        return status.phase in ("Succeeded", "Failed") and status

    state = wait_until(ended).container_statuses[0].state.terminated
    return str(local.core.read_namespaced_pod_log("p", ns)), state


def test_python_without_a_command_ends_at_once(local: Local, ns: str) -> None:
    log, ended = _python(local, ns)
    assert (log, ended.exit_code) == ("", 0)


def test_python_with_a_terminal_is_a_prompt(local: Local, ns: str) -> None:
    manifest = pod("p", "true", container={"stdin": True, "tty": True})
    del manifest["spec"]["containers"][0]["command"]
    local.core.create_namespaced_pod(ns, manifest)
    wait_until(lambda: 'Type "help"' in (local.core.read_namespaced_pod_log("p", ns) or ""))


def test_python_has_no_entrypoint_that_would_take_arguments(local: Local, ns: str) -> None:
    _, ended = _python(local, ns, args=["-c", "print(1)"])
    assert ended.reason == "StartError"
    assert 'exec: "-c": executable file not found in $PATH' in ended.message


def test_python_has_the_programs_that_people_expect(local: Local, ns: str) -> None:
    names = ["python", "python3", "pip", "pip3", "sh", "cat", "ls", "env", "sleep", "date", "seq"]
    names += ["grep", "sed", "awk", "head", "sort", "mkdir", "tar", "true"]
    script = "for name do command -v $name >/dev/null || echo $name; done"
    log, _ = _python(local, ns, command=["sh", "-c", script, "sh", *names])
    assert log == ""
