"""JupyterLab's terminals: kubectl there speaks to the cluster of the course, and to no other."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import wqlib
from wqlib.cluster import local
from wqlib.course.terminal import shell_command

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl here")
InTerminal = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of our own, with a blank in its path, and a kubeconfig of the learner's."""
    home = tmp_path / "my home"
    home.mkdir()
    for name in ("WQLIB_CONTEXT", "WQLIB_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WQLIB_HOME", str(home / ".wqlib"))
    monkeypatch.setenv("KUBECONFIG", str(home / "config"))
    monkeypatch.setenv("LOCALCLUSTER_LINGER_SECONDS", "1")
    yield home
    local.stop()


@pytest.fixture
def terminal(tmp_path: Path) -> InTerminal:
    """Types a line into a new terminal, and returns what it prints."""
    root = tmp_path / "the course"
    (root / "my-course").mkdir(parents=True)

    def typed(line: str, folder: Path = root) -> str:
        done = subprocess.run(
            [*shell_command(), "-c", line],
            cwd=folder,
            env=os.environ | {"JUPYTER_SERVER_ROOT": str(root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        # bash says that it has no terminal to control jobs on
        return "".join(x for x in done.stdout.splitlines(True) if not x.startswith("bash: "))

    return typed


def named_cluster(path: Path, own_namespace: str) -> None:
    """Write a kubeconfig in which the local cluster is a real one, and another is the current."""
    config = yaml.safe_load(local.kubeconfig().read_text())
    cluster = {"cluster": config["clusters"][0]["name"], "user": config["users"][0]["name"]}
    contexts = {
        "kind-wq": {**cluster, "namespace": own_namespace},
        "production": {"cluster": "elsewhere", "user": "elsewhere", "namespace": "shop"},
    }
    config["contexts"] = [{"name": name, "context": one} for name, one in contexts.items()]
    config["clusters"].append({"name": "elsewhere", "cluster": {"server": "https://127.0.0.1:1"}})
    config["current-context"] = "production"
    path.write_text(yaml.safe_dump(config))


def test_a_terminal_starts_in_the_learners_folder_and_knows_the_commands_of_the_course(
    home: Path, terminal: InTerminal
) -> None:
    assert Path(terminal("pwd").strip()).name == "my-course"
    assert terminal("pwd", home).strip() == str(home)
    assert "wqlib course" in terminal("wqlib course --help")


@needs_kubectl
def test_kubectl_finds_the_local_cluster_also_after_it_was_started_again(
    home: Path, terminal: InTerminal
) -> None:
    (home / "config").write_text("the learner's own")
    assert terminal("kubectl get pods").startswith("The local cluster is not running.")
    for _ in range(2):
        with wqlib.connect():
            assert terminal("kubectl get pods") == "No resources found in wq-course namespace.\n"
            assert terminal("kubectl get jobs -n default").endswith("in default namespace.\n")
        local.stop()
    assert (home / "config").read_text() == "the learner's own"


@needs_kubectl
def test_kubectl_speaks_to_the_cluster_and_the_namespace_that_the_learner_named(
    home: Path, terminal: InTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with wqlib.connect():
        for own_namespace, namespace in (("shop", "wq-course"), ("wq-monday-01", "wq-monday-01")):
            named_cluster(home / "config", own_namespace)
            before = (home / "config").read_bytes()
            monkeypatch.setenv("WQLIB_CONTEXT", "kind-wq")
            assert terminal("kubectl get pods").endswith(f"found in {namespace} namespace.\n")
            assert terminal("kubectl config current-context") == "kind-wq\n"
            assert (home / "config").read_bytes() == before
        monkeypatch.setenv("WQLIB_NAMESPACE", "wq-mine")
        assert terminal("kubectl get pods").endswith("found in wq-mine namespace.\n")
        monkeypatch.delenv("WQLIB_CONTEXT")
        assert terminal("kubectl config current-context") == "localcluster\n"
        assert "production" not in terminal("kubectl config get-contexts")


@needs_kubectl
def test_with_a_context_that_is_not_there_kubectl_goes_nowhere(
    home: Path, terminal: InTerminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WQLIB_CONTEXT", "kind-none")
    assert "context was not found for specified context: kind-none" in terminal("kubectl get pods")


def test_without_bash_the_plain_shell_gets_the_same_settings(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("env", "sh"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    done = subprocess.run(
        [*shell_command()], input="echo $KUBECONFIG\n", capture_output=True, text=True, timeout=60
    )
    assert str(local.kubeconfig()) in done.stdout
