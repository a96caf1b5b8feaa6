"""class: five learners at once on a real cluster (WQLIB_CONTEXT), each in a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client.exceptions import ApiException

from wqlib import course
from wqlib.cluster import connect
from wqlib.commands import cli
from wqlib.course.bundle import bundle
from wqlib.course.classroom import teacher

pytestmark = [
    pytest.mark.skipif(not os.environ.get("WQLIB_CONTEXT"), reason="needs a real cluster"),
    pytest.mark.timeout(900),
]
LEARNERS = 5
LEARNER = Path(__file__).parent / "class_learner.py"


@pytest.fixture(scope="module")
def image() -> None:
    """The worker's image, which the teacher builds once."""
    bundle(course.folder() / "worker")
    with connect(namespace=f"wq-test-{secrets.token_hex(3)}") as cluster:
        try:
            cluster.build_image(course.IMAGE, course.folder() / "worker")
        finally:
            cluster.clean_up()


@pytest.fixture(scope="module")
def school() -> teacher.Teacher:
    return teacher.connect(None)


@pytest.fixture(scope="module")
def a_class(image, school, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A class of five, and the folder with its kubeconfigs."""
    name, folder = f"test-{secrets.token_hex(3)}", tmp_path_factory.mktemp("class") / "keys"
    began = time.monotonic()
    command = ["class", "create", name, "--learners", str(LEARNERS), "--output", str(folder)]
    assert cli.main(command) == 0
    print(f"created in {time.monotonic() - began:.1f} s")
    yield name, folder
    if school.namespaces(name):
        assert cli.main(["class", "delete", name, "--output", str(folder), "--yes"]) == 0


def environment(folder: Path, namespace: str, home: Path) -> dict[str, str]:
    """What the note tells a learner to type, and a home of the learner's own."""
    unwanted = ("WQLIB_BUILD_COMMAND", "WQLIB_NAMESPACE")
    kept = {key: value for key, value in os.environ.items() if key not in unwanted}
    key = {"KUBECONFIG": str(folder / f"{namespace}.kubeconfig"), "WQLIB_CONTEXT": namespace}
    return {**kept, **key, "WQLIB_HOME": str(home), "IPYTHONDIR": str(home / "ipython")}


def test_five_learners_at_once_and_none_in_the_way_of_another(a_class, school, tmp_path, capsys):
    name, folder = a_class
    spaces = [f"wq-{name}-{number:02d}" for number in range(1, LEARNERS + 1)]
    running, began = [], time.monotonic()
    for place, space in enumerate(spaces):
        home = tmp_path / space
        home.mkdir()
        neighbour = spaces[(place + 1) % LEARNERS]
        running.append(
            subprocess.Popen(
                [sys.executable, str(LEARNER), neighbour],
                env=environment(folder, space, home),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        told = [process.communicate(timeout=600) for process in running]
    finally:
        for process in running:
            process.kill()
    seconds = time.monotonic() - began
    assert [process.returncode for process in running] == [0] * LEARNERS, told
    found = [json.loads(out.splitlines()[-1]) for out, _ in told]
    assert [one["namespace"] for one in found] == spaces
    assert [(one["done"], one["lost"]) for one in found] == [(20, 0)] * LEARNERS
    for (out, _), one in zip(told, found, strict=True):
        assert "✓ 02-1" in out
        assert set(one["answers"].values()) == {403}, one["answers"]
        # With Redis and what else runs; a pod that has just ended may still be counted.
        assert 18 <= one["pods_at_most"] <= 20
        assert "pod/redis" in one["reset"]
        assert not any(line.startswith("namespace/") for line in one["reset"])
    capsys.readouterr()
    assert cli.main(["class", "status", name, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["namespace"], row["done"], row["last"]) for row in rows] == [
        (space, 1, "02-1") for space in spaces
    ]
    assert all(row["stuck"] == [] for row in rows)
    each = ", ".join(f"{one['seconds']:g}" for one in found)
    with capsys.disabled():
        print(f"\n{LEARNERS} learners at once: {seconds:.1f} s in all; Job and check {each} s")


def test_the_learners_of_a_class_may_not_make_one(a_class, school, tmp_path):
    name, folder = a_class
    home = tmp_path / "home"
    home.mkdir()
    run = subprocess.run(
        [sys.executable, "-m", "wqlib.commands.cli", "class", "create", "mine", "--learners", "2"],
        env=environment(folder, f"wq-{name}-01", home),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "does not allow" in run.stderr or "may not make a class" in run.stderr
    assert school.namespaces("mine") == {}
    assert not (tmp_path / "wq-mine").exists()


def test_a_job_that_the_quota_holds_back_is_shown_as_stuck(a_class, school, capsys):
    name, folder = a_class
    space = f"wq-{name}-02"
    path = folder / f"{space}.kubeconfig"
    with connect(space, kubeconfig=path) as cluster:
        cluster.secret("redis")
        job = course.job_manifest(parallelism=25)
        container = job["spec"]["template"]["spec"]["containers"][0]
        container["command"] = ["sleep", "600"]
        job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 0
        job["spec"]["template"]["spec"]["nodeSelector"] = {"no-such-node": "here"}
        cluster.apply(job)
        deadline = time.monotonic() + 120
        stuck: list[str] = []
        while not any("quota" in line for line in stuck):
            assert time.monotonic() < deadline, stuck
            time.sleep(1)
            capsys.readouterr()
            assert cli.main(["class", "status", name, "--json"]) == 0
            stuck = json.loads(capsys.readouterr().out)[1]["stuck"]
        assert "job/job-wq-2: 20 of 25 pods (quota)" in stuck
        cluster.clean_up()


def test_a_node_cannot_be_owned(a_class, school):
    space = f"wq-{a_class[0]}-01"
    container = {"name": "c", "image": "none", "securityContext": {"privileged": True}}
    pod = {"metadata": {"name": "greedy"}, "spec": {"containers": [container]}}
    with pytest.raises(ApiException, match="violates PodSecurity"):
        school.core.create_namespaced_pod(space, pod, dry_run="All")


def test_then_all_of_it_is_deleted_and_nothing_is_left(a_class, school, capsys):
    name, folder = a_class
    space, keys = f"wq-{name}-01", (folder / f"wq-{name}-01.kubeconfig").read_text()
    (folder.parent / "kept").write_text(keys)
    began = time.monotonic()
    assert cli.main(["class", "delete", name, "--output", str(folder), "--yes"]) == 0
    with capsys.disabled():
        print(f"\ndeleted in {time.monotonic() - began:.1f} s")
    spaces = [one.metadata.name for one in school.core.list_namespace().items]
    assert not any(one.startswith(f"wq-{name}-") for one in spaces)
    assert not folder.exists()
    # An API server may know a key for some seconds after it is gone; it opens nothing.
    with pytest.raises(Exception, match=r"did not accept the credentials|does not allow this"):
        connect(space, kubeconfig=folder.parent / "kept").pods()
