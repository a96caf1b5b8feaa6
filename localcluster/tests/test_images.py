"""Images: what a Dockerfile may say, what it may not, and how a pod finds its files."""

from __future__ import annotations

import base64
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest

import localcluster
from localcluster.errors import ImageError
from localcluster.images import registries
from localcluster.images.dockerfile import parse
from localcluster.images.imagestore import ImageNotFound, Images, PathMapping
from localcluster.paths import State

from .conftest import Local, pod, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    context = tmp_path / "context"
    (context / "lib" / "deep").mkdir(parents=True)
    (context / "worker.py").write_text("print('works')\n")
    (context / "other.py").write_text("")
    (context / "lib" / "a.txt").write_text("a")
    (context / "lib" / "deep" / "b.txt").write_text("b")
    (tmp_path / "outside.txt").write_text("secret")
    return context


def _build(folder: Path, dockerfile: str, tag: str = "test:1") -> tuple[localcluster.Image, Path]:
    """Return the image, and the folder with its files."""
    (folder / "Dockerfile").write_text(dockerfile)
    home = folder.parent / "home"
    image = localcluster.build_image(tag, folder, home=home)
    root = Images(State.of(home)).resolve(tag).root
    assert root is not None
    return image, root


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_comments_and_continued_lines() -> None:
    text = '# c\nFROM python:3\n\nRUN pip install \\\n    # why\n\n    redis \\\n    x\ncmd ["a"]\n'
    found = [(i.word, " ".join(i.rest.split()), i.line) for i in parse(text)]
    assert found == [
        ("FROM", "python:3", 2),
        ("RUN", "pip install redis x", 4),
        ("CMD", '["a"]', 9),
    ]


def test_an_image_has_what_its_dockerfile_says(folder: Path) -> None:
    image, root = _build(
        folder,
        "FROM python:3.11-slim\nENV A=1 B='two words'\nWORKDIR /app\n"
        'COPY worker.py other.py ./\nCOPY lib lib/\nCMD ["python", "worker.py"]\n',
    )
    assert image == localcluster.Image(
        "test:1", "python:3.11-slim", ["python", "worker.py"], "/app", 4
    )
    assert _files(root) == ["app/lib/a.txt", "app/lib/deep/b.txt", "app/other.py", "app/worker.py"]
    assert "test:1" in localcluster.list_images(folder.parent / "home")


@pytest.mark.parametrize(
    ("copy", "files"),
    [
        ("COPY worker.py /app/", ["app/worker.py"]),
        ("COPY worker.py /app", ["app"]),
        ("COPY worker.py /app/main.py", ["app/main.py"]),
        ("WORKDIR /app\nCOPY worker.py .", ["app/worker.py"]),
        ("WORKDIR /app\nCOPY worker.py /app", ["app/worker.py"]),
        ("WORKDIR /app\nWORKDIR sub\nCOPY worker.py x", ["app/sub/x"]),
        ("COPY *.py /x/", ["x/other.py", "x/worker.py"]),
        ("COPY lib /x", ["x/a.txt", "x/deep/b.txt"]),
        ("COPY lib/ /x/", ["x/a.txt", "x/deep/b.txt"]),
        ('COPY ["worker.py", "/a b/"]', ["a b/worker.py"]),
        ("ENV D=/deep\nCOPY worker.py $D/${D}.py/", ["deep/deep.py/worker.py"]),
        ("COPY --chown=1000:1000 worker.py /app/", ["app/worker.py"]),
        ("COPY worker.py /../../x/", ["x/worker.py"]),
    ],
)
def test_copy_puts_files_where_docker_would(folder: Path, copy: str, files: list[str]) -> None:
    _, root = _build(folder, f"FROM python\n{copy}\n")
    assert _files(root) == files


def test_ignored_files_are_not_copied(folder: Path) -> None:
    (folder / ".dockerignore").write_text("# c\n*.txt\nlib/deep\nother.*\n!other.py\n")
    (folder / "note.txt").write_text("")
    _, root = _build(folder, "FROM python\nCOPY . /app/\n")
    assert "app/note.txt" not in _files(root)
    assert "app/lib/deep/b.txt" not in _files(root)
    assert {"app/other.py", "app/worker.py", "app/lib/a.txt"} <= set(_files(root))


def test_commands_in_both_forms_and_entrypoints(folder: Path) -> None:
    shell, _ = _build(folder, "FROM python\nCMD python worker.py > log\n")
    assert shell.command == ["/bin/sh", "-c", "python worker.py > log"]
    both, _ = _build(folder, 'FROM python\nENTRYPOINT ["python"]\nCMD ["worker.py"]\n')
    assert both.command == ["python", "worker.py"]
    bare, _ = _build(folder, "FROM python\n")
    assert bare.command == ["python3"]


def test_an_image_can_stand_on_another_one(folder: Path) -> None:
    _build(folder, "FROM python\nENV A=1\nWORKDIR /app\nCOPY worker.py .\n", "base:1")
    image, root = _build(folder, 'FROM base:1\nCOPY other.py worker.py ./\nCMD ["x"]\n', "top:1")
    assert (image.base, image.workdir) == ("base:1", "/app")
    assert _files(root) == ["app/other.py", "app/worker.py"]


def test_a_new_build_leaves_the_files_of_the_old_one_alone(folder: Path) -> None:
    _, old = _build(folder, "FROM python\nCOPY worker.py /app/\n")
    (folder / "worker.py").write_text("print('new')\n")
    _, new = _build(folder, "FROM python\nCOPY worker.py /app/\n")
    assert "works" in (old / "app/worker.py").read_text()
    assert "new" in (new / "app/worker.py").read_text()


def test_a_run_that_installs_what_is_there_is_fine(folder: Path) -> None:
    version = importlib.metadata.version("redis")
    (folder / "requirements.txt").write_text(f"# c\nredis=={version}  # why\n-i x\n")
    _build(
        folder,
        "FROM python\nCOPY requirements.txt .\n"
        "RUN pip install --no-cache-dir -r requirements.txt 'redis>=4' \\\n"
        "  && python -m pip install redis[hiredis]\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends sh"
        " && rm -rf /var/lib/apt/lists/*\n",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN pip install nosuchpackage", "Python package nosuchpackage is not installed here"),
        ("RUN pip install redis==0.1", "the image wants redis==0.1, but redis"),
        ("RUN pip install ./folder", "installs a folder or an address"),
        ("RUN apt-get install -y nosuchprogram", "program nosuchprogram is not on this machine"),
        ("RUN make all", "RUN make all is not carried out by the local cluster"),
        ("RUN pip install redis && curl x", "RUN curl x is not carried out"),
        ("USER 1000", "USER is not understood"),
        ("ADD x /y", "ADD is not understood"),
        ("ARG X=1", "ARG is not understood"),
        ("HEALTHCHECK NONE", "HEALTHCHECK is not understood"),
        ("FROM python", "a second FROM"),
        ("COPY ../outside.txt /x", "lies outside of the folder"),
        ("COPY link /x", "is a link to a place outside"),
        ("COPY nosuch.py /x", "there is no such file in"),
        ("COPY --from=build x /y", "COPY --from=build is not understood"),
        ("COPY worker.py", "COPY needs a source and a destination"),
        ("COPY worker.py other.py /x", "needs a folder as destination"),
        ('CMD ["python", worker.py]', "write the exec form as JSON"),
        ("ENV A", "has no value"),
        ("CMD", "CMD says nothing"),
    ],
)
def test_what_cannot_be_honoured_is_an_error_that_names_the_line(
    folder: Path, line: str, message: str
) -> None:
    (folder / "link").symlink_to(folder.parent / "outside.txt")
    with pytest.raises(ImageError) as raised:
        _build(folder, f"FROM python\n# two\n{line}\n")
    assert f"{folder / 'Dockerfile'}, line 3: " in str(raised.value)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("COPY a b", "line 1: a Dockerfile begins with FROM"),
        ("FROM ubuntu:22.04", "has no image ubuntu:22.04 to build on. It has python"),
        ("FROM", "begins with FROM"),
    ],
)
def test_a_dockerfile_needs_a_base_that_is_there(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        _build(folder, text)


def test_a_build_needs_a_name_a_folder_and_a_dockerfile(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is no image name"):
        localcluster.build_image("../up", tmp_path, home=tmp_path / "home")
    with pytest.raises(ImageError, match="There is no folder"):
        localcluster.build_image("a:1", tmp_path / "nosuch", home=tmp_path / "home")
    with pytest.raises(ImageError, match="There is no Dockerfile at"):
        localcluster.build_image("a:1", tmp_path, home=tmp_path / "home")


def test_names_are_compared_as_docker_does(folder: Path) -> None:
    _build(folder, "FROM docker.io/library/python:3.11-slim\n", "job-wq-2")
    images = Images(State.of(folder.parent / "home"))
    assert images.resolve("docker.io/library/job-wq-2:latest").name == "job-wq-2:latest"
    with pytest.raises(ImageNotFound):
        images.resolve("job-wq-2:2")


def test_paths_of_the_image_are_found_in_every_word(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "w.py").touch()
    mapping = PathMapping([("/", tmp_path)], {})
    assert mapping.text("/app/w.py") == f"{tmp_path}/app/w.py"
    assert mapping.text("python /app/w.py --x=/app:/etc") == (
        f"python {tmp_path}/app/w.py --x={tmp_path}/app:/etc"
    )
    for same in ("/", "/etc/passwd", "x/app", "http://h/app", "/application", "/app/../../x"):
        assert mapping.text(same) == same


def _log_of_pod(local: Local, ns: str, manifest: dict[str, Any]) -> str:
    local.core.create_namespaced_pod(ns, manifest)
    name = manifest["metadata"]["name"]
    wait_until(lambda: local.core.read_namespaced_pod(name, ns).status.phase == "Succeeded")
    return str(local.core.read_namespaced_pod_log(name, ns))


SHOW = (
    "import json,os;print(json.dumps([os.getcwd(),os.listdir(),os.environ['A'],os.environ['P']]))"
)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_pod_runs_in_its_image(local: Local, ns: str, folder: Path, read_only: bool) -> None:
    (folder / "worker.py").write_text(SHOW)
    (folder / "Dockerfile").write_text(
        "FROM python:3.11\nENV A=1 P=/app/lib\nWORKDIR /app\nCOPY worker.py .\nCOPY lib lib\n"
        'CMD ["python", "/app/worker.py"]\n'
    )
    localcluster.build_image("pods:1", folder, home=local.home)
    container = {"securityContext": {"readOnlyRootFilesystem": read_only}}
    cwd, names, a, path = json.loads(
        _log_of_pod(local, ns, pod("p", image="pods:1", container=container))
    )
    assert sorted(names) == ["lib", "worker.py"]
    assert (a, path) == ("1", f"{cwd}/lib")
    assert str(local.home) in cwd


def test_a_pod_that_writes_in_its_image_changes_only_its_own_copy(
    local: Local, ns: str, folder: Path
) -> None:
    (folder / "Dockerfile").write_text("FROM python\nWORKDIR /app\nCOPY worker.py .\n")
    localcluster.build_image("own:1", folder, home=local.home)
    script = "ls; echo x > /app/new; echo > worker.py"
    for name in ("first", "second"):
        manifest = pod(name, "sh", "-c", script, image="own:1")
        assert _log_of_pod(local, ns, manifest) == "worker.py\n"


def test_an_unknown_image_says_which_images_there_are(local: Local, ns: str, folder: Path) -> None:
    local.core.create_namespaced_pod(ns, pod("p", "true", image="late:1"))

    def waiting() -> Any:
        statuses = local.core.read_namespaced_pod("p", ns).status.container_statuses or []
        return next((s.state.waiting for s in statuses if s.state.waiting.message), None)

    found = wait_until(waiting)
    assert found.reason in ("ErrImagePull", "ImagePullBackOff")
    assert 'Failed to pull image "late:1": the local cluster has no image' in found.message
    assert "python" in found.message

    def messages() -> list[str]:
        return [e.message for e in local.core.list_namespaced_event(ns).items]

    wait_until(lambda: any("it has" in message for message in messages()))
    (folder / "Dockerfile").write_text("FROM python\n")
    localcluster.build_image("late:1", folder, home=local.home)
    wait_until(lambda: local.core.read_namespaced_pod("p", ns).status.phase == "Succeeded")


@pytest.mark.parametrize(
    ("image", "policy", "reason"),
    [("no:1", "Never", "ErrImageNeverPull"), ("../../etc", "Always", "InvalidImageName")],
)
def test_images_that_can_never_be_found(
    local: Local, ns: str, image: str, policy: str, reason: str
) -> None:
    manifest = pod("p", "true", image=image, container={"imagePullPolicy": policy})
    local.core.create_namespaced_pod(ns, manifest)

    def reasons() -> list[str]:
        statuses = local.core.read_namespaced_pod("p", ns).status.container_statuses or []
        return [s.state.waiting.reason for s in statuses if s.state.waiting]

    wait_until(lambda: reasons() == [reason])


def _docker_login(**auth: str) -> str:
    return json.dumps({"auths": {"https://private.example.com/v1/": auth}})


SECRET = {"type": "kubernetes.io/dockerconfigjson", "metadata": {"name": "regcred"}}
TOKEN = base64.b64encode(b"ann:right").decode()


def test_a_private_registry_wants_the_login_of_the_pull_secret(
    local: Local, ns: str, folder: Path
) -> None:
    (folder / "Dockerfile").write_text("FROM python\n")
    localcluster.build_image("private.example.com/x:1", folder, home=local.home)
    localcluster.require_login("private.example.com", "ann", "right", home=local.home)

    def says(text: str) -> bool:
        return any(text in e.message for e in local.core.list_namespaced_event(ns).items)

    manifest = pod("first", "true", image="private.example.com/x:1")
    local.core.create_namespaced_pod(ns, manifest)
    wait_until(lambda: says("authorization failed: no basic auth credentials"))
    manifest = pod("second", "true", image="private.example.com/x:1")
    manifest["spec"]["imagePullSecrets"] = [{"name": "regcred"}]
    local.core.create_namespaced_pod(ns, manifest)
    wait_until(lambda: says("Unable to retrieve some image pull secrets (regcred)"))
    wrong = _docker_login(username="ann", password="wrong")
    secret = SECRET | {"stringData": {".dockerconfigjson": wrong}}
    local.core.create_namespaced_secret(ns, secret)
    wait_until(lambda: says("401 Unauthorized"))
    right = {"stringData": {".dockerconfigjson": _docker_login(auth=TOKEN)}}
    local.core.patch_namespaced_secret("regcred", ns, right)
    wait_until(lambda: local.core.read_namespaced_pod("second", ns).status.phase == "Succeeded")
    assert local.core.read_namespaced_pod("first", ns).status.phase == "Pending"


def test_the_pull_secrets_of_a_service_account_are_those_of_its_pods(local: Local, ns: str) -> None:
    wait_until(lambda: local.core.list_namespaced_service_account(ns).items)
    secrets = {"imagePullSecrets": [{"name": "regcred"}]}
    local.core.patch_namespaced_service_account("default", ns, secrets)
    local.core.create_namespaced_pod(ns, pod("p", "true"))
    found = local.core.read_namespaced_pod("p", ns).spec.image_pull_secrets
    assert [one.name for one in found] == ["regcred"]


@pytest.mark.parametrize(
    "config",
    [
        "no JSON",
        "[]",
        '{"auths": []}',
        '{"auths": {"private.example.com": {}}}',
        '{"auths": {"private.example.com": {"auth": "%"}}}',
        '{"auths": {"other.example.com": {"username": "ann", "password": "right"}}}',
    ],
)
def test_a_pull_secret_without_the_login_does_not_help(tmp_path: Path, config: str) -> None:
    state = State.of(tmp_path).create()
    registries.require_login(state, "private.example.com", "ann", "right")
    data = {".dockerconfigjson": base64.b64encode(config.encode()).decode()}
    said = registries.refusal(state, "private.example.com/x:1", [{"data": data}])
    assert said.endswith("no basic auth credentials")
    assert registries.refusal(state, "python:3", []) == ""
