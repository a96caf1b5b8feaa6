"""class: made, mended, looked at and removed, with the real client on the local cluster.

The local cluster has no RBAC and makes no tokens. Its place in that is taken by `tokens`, which
does what the token controller of an old cluster does. What only a real cluster keeps, such as
rights and quotas, is in test_class_on_a_cluster.py.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import json
import math
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

import wqlib
from wqlib import connect
from wqlib.cluster import local as localcluster
from wqlib.cluster.kube import client_for, get
from wqlib.commands import cli
from wqlib.course.checks import exercises
from wqlib.course.classroom import create, kubeconfigs, names, objects, progress, report, teacher
from wqlib.course.classroom.names import Learner
from wqlib.course.predictions import data
from wqlib.errors import ClassError

MANIFESTS = Path(__file__).parents[2] / "notebooks" / "manifests"
CONTEXT = "school"
ALL = ["namespace", "limits", "quota", "account", "role", "role_binding", "progress"]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """The kubeconfig of a local cluster of our own, with a context by which it is named."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WQLIB_HOME", str(tmp_path_factory.mktemp("home")))
        content = yaml.safe_load(localcluster.start("wq-course").read_text())
        content["contexts"][0]["name"] = content["current-context"] = CONTEXT
        content["contexts"][0]["context"]["namespace"] = "default"
        try:
            yield content
        finally:
            localcluster.stop()


@pytest.fixture(autouse=True)
def here(local: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of our own to work in; the cluster's kubeconfig is named by KUBECONFIG."""
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(local))
    monkeypatch.setenv("KUBECONFIG", str(path))
    for variable in ("WQLIB_CONTEXT", "WQLIB_NAMESPACE", "WQLIB_BUILD_COMMAND"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def school() -> teacher.Teacher:
    return teacher.connect(CONTEXT)


@pytest.fixture
def tokens(local: dict, here: Path) -> Iterator[None]:
    """Fills the Secrets of service accounts with a token, as old clusters do."""
    token = base64.b64encode(local["users"][0]["user"]["token"].encode()).decode()
    stop, core = threading.Event(), teacher.connect(CONTEXT).core

    def control() -> None:
        while not stop.wait(0.05):
            found = get(core.list_secret_for_all_namespaces).get("items") or []
            for one in found:
                if one["type"].endswith("service-account-token") and "data" not in one:
                    where = one["metadata"]["name"], one["metadata"]["namespace"]
                    core.patch_namespaced_secret(*where, {"data": {"token": token}})

    thread = threading.Thread(target=control)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.fixture
def a_class(tokens: None, school: teacher.Teacher) -> Iterator[str]:
    """The name of a class, which is removed afterwards."""
    name = f"t{os.urandom(3).hex()}"
    yield name
    for learner in school.namespaces(name):
        school.core.delete_namespace(learner.namespace)


@pytest.fixture
def wqlib_class(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `wqlib class …` on the local cluster."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main(["class", *map(str, arguments), "--context", CONTEXT])
        return (code, *capsys.readouterr())

    return run


def folder_of(name: str) -> Path:
    return Path(f"wq-{name}")


def there(school: teacher.Teacher, learner: Learner) -> list[str]:
    """What of a learner is in the cluster."""
    core, rbac = school.core, school.rbac
    reads = {
        "namespace": lambda: core.read_namespace(learner.namespace),
        "limits": lambda: core.read_namespaced_limit_range("class", learner.namespace),
        "quota": lambda: core.read_namespaced_resource_quota("class", learner.namespace),
        "account": lambda: core.read_namespaced_service_account("learner", learner.namespace),
        "role": lambda: rbac.read_namespaced_role("learner", learner.namespace),
        "role_binding": lambda: rbac.read_namespaced_role_binding("learner", learner.namespace),
        "progress": lambda: core.read_namespaced_config_map("wqlib-progress", learner.namespace),
    }
    found = []
    for what, read in reads.items():
        try:
            read()
            found.append(what)
        except ApiException as error:
            if error.status != 404:
                raise
    return found


# -- create


def test_each_learner_gets_a_namespace_and_what_belongs_into_it(wqlib_class, a_class, school):
    code, out, err = wqlib_class("create", a_class, "--learners", 2)
    assert (code, err) == (0, "")
    learners = list(school.namespaces(a_class))
    assert [learner.namespace for learner in learners] == [f"wq-{a_class}-01", f"wq-{a_class}-02"]
    for learner in learners:
        assert there(school, learner) == ALL
        assert f"{learner.namespace}  made, kubeconfig new" in out


def test_kubeconfigs_are_for_their_owner_alone(wqlib_class, a_class):
    before = os.umask(0)
    try:
        wqlib_class("create", a_class, "--learners", 2)
    finally:
        os.umask(before)
    folder = folder_of(a_class)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = sorted(path.name for path in folder.iterdir())
    stems = [f"wq-{a_class}-{number}" for number in ("01", "02")]
    notes = [f"{stem}.{kind}" for stem in stems for kind in ("kubeconfig", "txt")]
    assert files == sorted([".gitignore", *notes, f"wq-{a_class}-learners.csv"])
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert (folder / ".gitignore").read_text() == "*\n"


def test_a_kubeconfig_leads_to_the_own_namespace_and_works(wqlib_class, a_class):
    wqlib_class("create", a_class, "--learners", 1)
    name = f"wq-{a_class}-01"
    with connect(name, kubeconfig=folder_of(a_class) / f"{name}.kubeconfig") as cluster:
        assert cluster.namespace == name
        assert cluster.apply(job())[0].endswith("created")
        assert cluster.clean_up() == [f"job/{job()['metadata']['name']}"]
        kept = cluster.core.read_namespaced_config_map("wqlib-progress", name)
        assert kept.metadata.labels["wqlib/class"] == a_class


def job() -> dict:
    """The course's Job, with no pods."""
    manifest = yaml.safe_load((MANIFESTS / "job.yaml").read_text())
    manifest["spec"]["parallelism"] = 0
    return manifest


def test_the_note_has_the_commands_to_type_and_the_list_has_everybody(wqlib_class, a_class):
    wqlib_class("create", a_class, "--learners", 2, "--pods", 15)
    folder, name = folder_of(a_class), f"wq-{a_class}-02"
    note = (folder / f"{name}.txt").read_text()
    assert f"KUBECONFIG=$PWD/{name}.kubeconfig WQLIB_CONTEXT={name} make lab" in note
    assert "up to 15 at once" in note
    rows = list(csv.DictReader((folder / f"wq-{a_class}-learners.csv").open()))
    assert [row["learner"] for row in rows] == ["01", "02"]
    assert (rows[1]["namespace"], rows[1]["kubeconfig"]) == (name, f"{name}.kubeconfig")


def test_again_changes_nothing_and_keeps_the_kubeconfigs(wqlib_class, a_class):
    wqlib_class("create", a_class, "--learners", 2)
    before = {path: path.read_text() for path in folder_of(a_class).iterdir()}
    code, out, _ = wqlib_class("create", a_class, "--learners", 2)
    assert code == 0
    assert out.count("complete, kubeconfig kept") == 2
    assert {path: path.read_text() for path in folder_of(a_class).iterdir()} == before


def test_more_learners_are_added_and_fewer_take_none_away(wqlib_class, a_class, school):
    wqlib_class("create", a_class, "--learners", 1)
    assert "3 learners:" in wqlib_class("create", a_class, "--learners", 3)[1]
    assert "3 learners:" in wqlib_class("create", a_class, "--learners", 2)[1]
    assert [learner.number for learner in school.namespaces(a_class)] == [1, 2, 3]
    assert len(list(csv.reader((folder_of(a_class) / f"wq-{a_class}-learners.csv").open()))) == 4


def test_what_was_taken_away_or_changed_by_hand_is_mended(wqlib_class, a_class, school):
    wqlib_class("create", a_class, "--learners", 2)
    where = f"wq-{a_class}-01"
    school.rbac.delete_namespaced_role("learner", where)
    school.core.delete_namespaced_config_map("wqlib-progress", where)
    hard = {"spec": {"hard": {"pods": "1"}}}
    school.core.patch_namespaced_resource_quota("class", where, hard)
    (folder_of(a_class) / f"{where}.kubeconfig").unlink()
    code, out, _ = wqlib_class("create", a_class, "--learners", 2)
    assert code == 0
    assert f"{where}  made, kubeconfig new" in out
    assert f"wq-{a_class}-02  complete, kubeconfig kept" in out
    assert there(school, Learner(a_class, 1)) == ALL
    quota = school.core.read_namespaced_resource_quota("class", where)
    assert quota.spec.hard["pods"] == "20"


def test_a_kubeconfig_that_no_longer_works_or_ends_soon_is_renewed(wqlib_class, a_class):
    wqlib_class("create", a_class, "--learners", 2)
    paths = [folder_of(a_class) / f"wq-{a_class}-0{number}.kubeconfig" for number in (1, 2)]
    good = [path.read_text() for path in paths]
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + 60}).encode()).decode()
    for path, token in zip(paths, ("of a cluster long gone", f"a.{claims}.c"), strict=True):
        content = yaml.safe_load(path.read_text())
        content["users"][0]["user"]["token"] = token
        path.write_text(yaml.safe_dump(content))
    code, out, _ = wqlib_class("create", a_class, "--learners", 2)
    assert code == 0
    assert out.count("complete, kubeconfig new") == 2
    assert [path.read_text() for path in paths] == good


def test_what_learners_made_is_left_alone(wqlib_class, a_class, school):
    wqlib_class("create", a_class, "--learners", 1)
    school.core.create_namespaced_config_map(f"wq-{a_class}-01", {"metadata": {"name": "mine"}})
    school.core.patch_namespaced_config_map(
        "wqlib-progress", f"wq-{a_class}-01", {"data": {progress.KEY: '{"exercises": {}}'}}
    )
    wqlib_class("create", a_class, "--learners", 1)
    assert school.core.read_namespaced_config_map("mine", f"wq-{a_class}-01")
    kept = school.core.read_namespaced_config_map("wqlib-progress", f"wq-{a_class}-01")
    assert kept.data == {progress.KEY: '{"exercises": {}}'}


def _cluster(school: teacher.Teacher, name: str):
    return connect(CONTEXT, namespace=f"wq-{name}-01")


class Faults:
    """Breaks a run off at one of its changes of the cluster, or of its files."""

    def __init__(self, school: teacher.Teacher, monkeypatch, at: int, *, before: bool) -> None:
        self.left, self.before, self.broke = at, before, False
        pool = school.api.rest_client.pool_manager
        send, write = pool.request, kubeconfigs.write

        def request(method: str, url: str, *args, **kwargs):
            if method == "GET" or "accessreviews" in url or "dryRun" in url:
                return send(method, url, *args, **kwargs)
            return self.step(lambda: send(method, url, *args, **kwargs))

        monkeypatch.setattr(pool, "request", request)
        monkeypatch.setattr(kubeconfigs, "write", lambda *args: self.step(lambda: write(*args)))

    def step(self, do: Callable[[], object]) -> object:
        self.left -= 1
        if self.left == 0 and self.before:
            self.broke = True
            raise KeyboardInterrupt
        result = do()
        if self.left == 0:
            self.broke = True
            raise KeyboardInterrupt
        return result


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_broken_off_at_any_step_it_is_mended_by_the_same_command(
    wqlib_class, tokens, school, before
):
    at, broke = 0, True
    while broke:
        at += 1
        name = f"b{at}{'b' if before else 'a'}"
        plan = create.ClassPlan(name, 1, folder_of(name))
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(school, patch, at, before=before)
            try:
                create.create(school, plan, lambda line: None)
            except KeyboardInterrupt:
                assert faults.broke
            broke = faults.broke
        assert wqlib_class("create", name, "--learners", 1)[0] == 0
        assert there(school, Learner(name, 1)) == ALL
        files = sorted(path.suffix for path in folder_of(name).iterdir())
        assert files == ["", ".csv", ".kubeconfig", ".txt"]
        path = folder_of(name) / f"wq-{name}-01.kubeconfig"
        get(client.CoreV1Api(client_for([path], None)).list_namespaced_pod, f"wq-{name}-01")
        school.core.delete_namespace(f"wq-{name}-01")
    assert at > 11  # namespace, six objects, the token, four files


# -- bad input


def namespaces_of(school: teacher.Teacher) -> set[str]:
    return {one["metadata"]["name"] for one in get(school.core.list_namespace)["items"]}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a", "--learners", "0"], "1 to 200 learners, not 0"),
        (["a", "--learners", "1000"], "1 to 200 learners, not 1000"),
        (["Monday", "--learners", "2"], "cannot be called 'Monday'"),
        (["-a", "--learners", "2"], None),
        (["a-", "--learners", "2"], "cannot be called 'a-'"),
        (["../a", "--learners", "2"], "cannot be called '../a'"),
        (["a" * 41, "--learners", "2"], "cannot be called"),
        (["a", "--learners", "two"], None),
        (["a", "--learners", "2", "--days", "0"], None),
        (["a", "--learners", "2", "--days", "nan"], None),
        (["a", "--learners", "2", "--pods", "1"], None),
        (["a", "--learners", "2", "--server", "10.0.0.1"], None),
    ],
)
def test_bad_input_is_an_error_and_nothing_is_made(capsys, school, here, arguments, words):
    before, namespaces = sorted(here.iterdir()), namespaces_of(school)
    command = ["class", "create", *arguments, "--context", CONTEXT]
    if words is None:
        with pytest.raises(SystemExit) as ended:
            cli.main(command)
        assert ended.value.code == 2
    else:
        assert cli.main(command) == 1
        assert words in capsys.readouterr().err
    assert namespaces_of(school) <= namespaces
    assert sorted(here.iterdir()) == before


def test_a_real_cluster_is_used_only_when_named(capsys, here):
    for more, words in (([], "none is named"), (["--context", "local"], "one learner")):
        for command in (["create", "--learners", "2"], ["status"], ["delete", "--yes"]):
            assert cli.main(["class", *command, *more]) == 1
            assert words in capsys.readouterr().err


def test_the_variable_names_the_cluster_too(capsys, monkeypatch):
    monkeypatch.setenv("WQLIB_CONTEXT", CONTEXT)
    assert cli.main(["class", "status", "nobody"]) == 1
    assert f"There is no class 'nobody' in the cluster of the context '{CONTEXT}'. There are: " in (
        capsys.readouterr().err
    )


def test_an_unreachable_cluster_and_an_unknown_context_are_told(capsys, local, here):
    content = {
        **local,
        "clusters": [{**local["clusters"][0], "cluster": {"server": "https://127.0.0.1:1"}}],
    }
    (here / "kubeconfig").write_text(yaml.safe_dump(content))
    assert cli.main(["class", "create", "a", "--learners", "2", "--context", CONTEXT]) == 1
    assert "nothing listens at its address" in capsys.readouterr().err
    assert cli.main(["class", "create", "a", "--learners", "2", "--context", "elsewhere"]) == 1
    assert "There is no context 'elsewhere'" in capsys.readouterr().err
    assert not folder_of("a").exists()


def test_a_namespace_of_somebody_else_is_not_taken_over(wqlib_class, a_class, school):
    school.core.create_namespace({"metadata": {"name": f"wq-{a_class}-02"}})
    code, _, err = wqlib_class("create", a_class, "--learners", 3)
    assert code == 1
    assert f"namespace wq-{a_class}-02 already, and it is not of this class" in err
    assert school.namespaces(a_class) == {}
    assert not folder_of(a_class).exists()
    school.core.delete_namespace(f"wq-{a_class}-02")


def test_a_folder_that_others_can_read_is_refused(wqlib_class, a_class, school):
    folder_of(a_class).mkdir(mode=0o755)
    code, _, err = wqlib_class("create", a_class, "--learners", 1)
    assert code == 1
    assert f"chmod 700 wq-{a_class}" in err
    assert school.namespaces(a_class) == {}


def test_the_keys_of_another_cluster_and_other_files_are_not_overwritten(
    wqlib_class, a_class, school
):
    folder_of(a_class).mkdir(mode=0o700)
    path = folder_of(a_class) / f"wq-{a_class}-01.kubeconfig"
    other = kubeconfigs.content(
        school, Learner(a_class, 1), kubeconfigs.Token("t", math.inf), "https://x"
    )
    for text, words in ((yaml.safe_dump(other), "for the cluster at https://x"), ("?", "not a")):
        path.write_text(text)
        code, _, err = wqlib_class("create", a_class, "--learners", 1)
        assert (code, path.read_text()) == (1, text)
        assert words in err
    assert school.namespaces(a_class) == {}


def test_a_cluster_without_tokens_is_told_in_words(capsys, school, monkeypatch):
    monkeypatch.setattr(kubeconfigs, "LASTING_SECONDS", 0.3)  # nobody fills the Secret here
    assert cli.main(["class", "create", "no-tokens", "--learners", "1", "--context", CONTEXT]) == 1
    assert "makes no tokens for service accounts" in capsys.readouterr().err
    school.core.delete_namespace("wq-no-tokens-01")


# -- what is made


def test_the_quota_holds_ten_workers_redis_and_some_more():
    hard = objects.quota(Learner("a", 1), 20)["spec"]["hard"]
    worker = next(_resources("job.yaml"))
    for server in (next(_resources("redis.yaml")), next(_resources("redis-durable.yaml"))):
        for what in ("requests", "limits"):
            for name in {**worker[what], **server[what]}:
                needed = 15 * _milli(worker[what].get(name, "0"))
                needed += _milli(server[what].get(name, "0"))
                assert needed <= _milli(hard[f"{what}.{name}"])
        assert int(server["limits"]["memory"].removesuffix("Mi")) <= objects.LARGEST_MIB


def _resources(file: str) -> Iterator[dict]:
    """What the containers in a manifest of the course ask for."""
    for one in yaml.safe_load_all((MANIFESTS / file).read_text()):
        spec = one["spec"].get("template", one).get("spec", {})
        for container in spec.get("containers", []):
            yield container["resources"]


def _milli(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\D*)", quantity).groups()
    return int(number) * {"m": 1, "": 1000, "Mi": 1000 * 2**20}[unit]


def test_a_learner_may_do_nothing_that_leads_to_more_rights():
    rules = objects.role(Learner("a", 1))["rules"]
    allowed = {(one, verb) for rule in rules for one in rule["resources"] for verb in rule["verbs"]}
    assert not any("*" in pair for pair in allowed)
    writable = {one for one, verb in allowed if verb not in ("get", "list", "watch")}
    forbidden = {"roles", "rolebindings", "serviceaccounts", "serviceaccounts/token", "namespaces"}
    forbidden |= {"resourcequotas", "limitranges", "nodes", "pods/ephemeralcontainers"}
    assert not writable & forbidden
    [own] = [rule for rule in rules if "namespaces" in rule["resources"]]
    assert (own["resourceNames"], own["verbs"]) == (["wq-a-01"], ["get"])


def test_nothing_of_a_class_is_taken_away_by_a_learners_reset():
    learner = Learner("a", 1)
    makers = [objects.namespace, objects.limits, objects.account, objects.role]
    makers += [objects.role_binding, objects.progress, lambda one: objects.quota(one, 20)]
    for make in makers:
        labels = make(learner)["metadata"]["labels"]
        assert labels["wqlib/class"] == "a"
        assert "app.kubernetes.io/managed-by" not in labels


def test_a_namespace_is_of_a_class_only_by_its_name():
    assert names.learner_of("a", "wq-a-01") == Learner("a", 1)
    assert names.learner_of("a", "wq-a-120") == Learner("a", 120)
    for other in ("wq-a-1", "wq-a-001", "wq-a-00", "wq-a-b-01", "wq-b-01", "kube-system", "wq-a-"):
        assert names.learner_of("a", other) is None


# -- images


def test_in_a_class_an_image_is_not_built_unless_somebody_says_how(
    wqlib_class, a_class, school, monkeypatch, tmp_path
):
    wqlib_class("create", a_class, "--learners", 1)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    with _cluster(school, a_class) as cluster:
        assert cluster.build_image("job-wq-2:1", tmp_path) == "job-wq-2:1"
        assert "whoever made the class" in cluster.how_images_are_built()
        monkeypatch.setenv("WQLIB_BUILD_COMMAND", "touch {folder}/built")
        assert cluster.build_image("job-wq-2:1", tmp_path) == "job-wq-2:1"
    assert (tmp_path / "built").exists()


# -- progress


@contextlib.contextmanager
def as_learner(a_class: str) -> Iterator[None]:
    """Sets what the note tells learner 01 to set."""
    name = f"wq-{a_class}-01"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WQLIB_CONTEXT", name)
        patch.setenv("KUBECONFIG", str((folder_of(a_class) / f"{name}.kubeconfig").resolve()))
        yield


def test_progress_is_published_where_the_teacher_sees_it(wqlib_class, a_class, school):
    wqlib_class("create", a_class, "--learners", 2)
    record = {
        "exercises": {
            "01-1": {"passed": True, "at": "2026-01-01T00:00:00Z"},
            "06-1": {"passed": False, "at": "2026-01-02T00:00:00Z"},
        },
        "of": 27,
    }
    assert not progress.publish(record)  # nobody has named a cluster
    with as_learner(a_class):
        assert progress.publish(record)
    rows = report.read(school, a_class)
    assert rows[0].progress == progress.Progress(1, 27, "06-1", 1767312000.0)
    assert rows[1].progress == progress.Progress()
    code, out, _ = wqlib_class("status", a_class)
    assert code == 0
    lines = out.splitlines()
    assert re.fullmatch(rf"wq-{a_class}-01 +1 of 27 +06-1 +\d+ d ago +0", lines[1])
    assert re.fullmatch(rf"wq-{a_class}-02 +0 +- +- +0", lines[2])
    assert lines[3].startswith("2 learners, 1 have begun")
    found = json.loads(wqlib_class("status", a_class, "--json")[1])
    assert [(one["learner"], one["done"], one["of"]) for one in found] == [
        ("01", 1, 27),
        ("02", 0, 0),
    ]


GUESSED = """
[01-a]
right = 2
because = "Because."
pictures = ["One.", ""]

[06-a]
right = 3
because = "Because."
pictures = ["One.", "Two.", "", "Four."]

[06-b]
right = 1
because = "Because."
pictures = ["", "Two."]
"""


@pytest.fixture
def predictions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three predictions: one of notebook 01 and two of 06."""
    monkeypatch.setattr(data, "FOLDER", tmp_path / "predictions")
    data.FOLDER.mkdir()
    first, _, others = GUESSED.partition("[06-a]")
    (data.FOLDER / "01.toml").write_text(first)
    (data.FOLDER / "06.toml").write_text("[06-a]" + others)


def test_a_guess_is_published_and_counted(predictions, wqlib_class, a_class, monkeypatch, tmp_path):
    wqlib_class("create", a_class, "--learners", 2)
    monkeypatch.setenv("WQLIB_HOME", str(tmp_path / "home"))
    assert wqlib_class("status", a_class, "--guesses")[1] == "No guesses yet.\n"
    with as_learner(a_class):
        wqlib.predict("06-a", "What?", ["1", "2", "3", "4"])
        wqlib.predict("06-a", 4)
        wqlib.predict("06-a", 3)
    code, out, _ = wqlib_class("status", a_class, "--guesses")
    assert (code, out.splitlines()[-1]) == (0, "06-a  1: 0  2: 0  3: 0✓  4: 1  1 of 2 guessed")
    assert wqlib_class("status", a_class, "--guesses", "6")[1].count("\n") == 2
    found = json.loads(wqlib_class("status", a_class, "--json")[1])
    assert [one["guesses"] for one in found] == [{"06-a": 4}, {}]
    with pytest.raises(SystemExit):
        wqlib_class("status", a_class, "--guesses", "13")


def test_the_columns_of_guesses_are_tidy(predictions):
    def row(number: int, **guesses: int) -> report.Row:
        found = {name.replace("_", "-")[1:]: guess for name, guess in guesses.items()}
        return report.Row(Learner("a", number), progress.Progress(guesses=found), 0, 0, ())

    rows = [row(number, _06_a=3, _06_b=2) for number in range(11)] + [row(11, _06_a=1)]
    assert report.guesses(rows, "06") == [
        "06-a  1: 1   2: 0   3: 11✓  4: 0  12 of 12 guessed",
        "06-b  1: 0✓  2: 11                11 of 12 guessed",
    ]
    assert report.guesses(rows, "") == report.guesses(rows, "06")
    assert report.guesses(rows, "01") == ["01-a  1: 0  2: 0✓  0 of 12 guessed"]
    assert report.guesses(rows, "11") == ["No guesses yet."]


@pytest.mark.parametrize("guess", ["3", 3.0, True, 0, 5, -1, None, [3]])
def test_a_guess_that_is_no_option_is_not_counted(predictions, guess):
    text = json.dumps({"exercises": {}, "guesses": {"06-a": guess, "06-z": 1, "06-b": 2}})
    assert progress.read({"data": {progress.KEY: text}}).guesses == {"06-b": 2}


def test_all_that_a_learner_can_have_done_is_far_from_too_large():
    every = {
        "exercises": {
            name: {"passed": True, "tries": 9999, "at": "2026-01-01T00:00:00Z"}
            for name in exercises()
        },
        "of": len(exercises()),
        "guesses": {f"{notebook:02}-{letter}": 4 for notebook in range(12) for letter in "abcdef"},
    }
    assert len(json.dumps(every)) < progress.LARGEST_BYTES / 10


def test_the_guide_for_teachers_has_as_many_exercises_as_there_are():
    text = (MANIFESTS.parents[1] / "docs" / "class.md").read_text("utf-8")
    shown = re.findall(r"^wq-monday-\d+ +\d+ of (\d+)", text, re.MULTILINE)
    assert shown == [str(len(exercises()))] * 2


def test_publishing_outside_of_a_class_makes_nothing(monkeypatch):
    monkeypatch.setenv("WQLIB_CONTEXT", CONTEXT)
    with connect(CONTEXT, namespace="wq-test-alone") as cluster:
        for namespace in ("", "wq-test-alone"):
            monkeypatch.setenv("WQLIB_NAMESPACE", namespace)
            assert not progress.publish({"exercises": {}})
        assert cluster.clean_up() == ["namespace/wq-test-alone"]


def test_publishing_to_a_cluster_that_is_away_neither_raises_nor_waits_long(
    local, here, monkeypatch
):
    away = {"name": "away", "cluster": {"server": "https://10.255.255.1:6443"}}  # nobody answers
    context = {"name": CONTEXT, "context": {**local["contexts"][0]["context"], "cluster": "away"}}
    (here / "kubeconfig").write_text(
        yaml.safe_dump({**local, "clusters": [away], "contexts": [context]})
    )
    monkeypatch.setenv("WQLIB_CONTEXT", CONTEXT)
    monkeypatch.setenv("WQLIB_NAMESPACE", "wq-test-away")
    began = time.monotonic()
    assert not progress.publish({"exercises": {}})
    assert time.monotonic() - began < 4 * progress.PATIENCE_SECONDS
    assert not progress.publish({"exercises": {object(): 1}})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "null",
        '{"exercises": 5}',
        '{"exercises": {"01-1": 5}}',
        '{"exercises": {}, "guesses": 5}',
        '{"exercises": {"01-1": {"passed": "yes", "at": "now"}}}',
        '{"exercises": {"01-1": {"passed": 1, "at": 1e99}}, "of": -3}',
        '{"exercises": {"01-1": {"passed": 1, "at": NaN}}, "of": Infinity}',
        "[" * 100_000,
    ],
)
def test_whatever_a_learner_writes_there_the_table_is_shown(text):
    found = progress.read({"data": {progress.KEY: text}})
    assert (found.done, found.of, found.at) == (0, 0, 0.0)
    row = report.Row(Learner("a", 1), found, 0, 0, ())
    assert len(report.lines([row], 0.0)) == 3


def test_what_a_learner_writes_cannot_move_the_teachers_cursor():
    text = json.dumps(
        {"exercises": {"\x1b[2J\n\x1b]0;x": {"passed": True, "at": "2026-01-01T00:00:00Z"}}}
    )
    row = report.Row(Learner("a", 1), progress.read({"data": {progress.KEY: text}}), 0, 0, ())
    assert all(line.isprintable() for line in report.lines([row], 0.0))


# -- status


def test_what_is_stuck_is_named(wqlib_class, a_class, school):
    wqlib_class("create", a_class, "--learners", 1)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "lost"},
        "spec": {"containers": [{"name": "c", "image": "no-such-image:9"}]},
    }
    with _cluster(school, a_class) as cluster:
        cluster.apply(pod)
        deadline = time.monotonic() + 60
        while not (stuck := report.read(school, a_class)[0].stuck):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert stuck[0].startswith("pod/lost: ")
        assert "pod/lost" in wqlib_class("status", a_class)[1]
        cluster.delete("pod/lost", grace_seconds=0)
    assert report.read(school, a_class)[0].stuck == ()


def test_a_job_that_may_have_no_more_pods_is_stuck_until_it_ends():
    job = {
        "metadata": {"name": "j", "uid": "u"},
        "spec": {"parallelism": 9},
        "status": {"active": 4},
    }
    event = {
        "involvedObject": {"uid": "u"},
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "message": 'pods "j-x" is forbidden: exceeded quota: class',
    }
    assert report.stuck_jobs([job], [event]) == ["job/j: 4 of 9 pods (quota)"]
    assert report.stuck_jobs([job], []) == []
    for status in ({"active": 9}, {"active": 2, "succeeded": 1}):
        assert report.stuck_jobs([{**job, "status": status}], [event]) == []


def test_a_table_is_cut_to_the_terminal_and_keeps_its_sum():
    text = [f"line {number}" for number in range(10)]
    assert report.cut_to_fit(text, 80, 10) == text
    cut = report.cut_to_fit(text, 7, 5)
    assert cut == ["line 0", "line 1", "line 2", "... 6 more: make the window higher", "line 9"]


# -- delete


def test_delete_takes_away_all_of_it_and_nothing_else(wqlib_class, a_class, school, here):
    other = f"{a_class}-2"
    for name in (a_class, other):
        assert wqlib_class("create", name, "--learners", 2, "--output", "keys")[0] == 0
    planted = f"wq-{a_class}-extra"  # carries the label, but is not called as a learner's is
    school.core.create_namespace(
        {"metadata": {"name": planted, "labels": {"wqlib/class": a_class}}}
    )
    (here / "keys" / "notes.txt").write_text("mine")
    with _cluster(school, a_class) as cluster:
        cluster.apply(job())
    code, out, _ = wqlib_class("delete", a_class, "--output", "keys", "--yes")
    assert code == 0
    assert f"wq-{a_class}-01" in out
    assert school.namespaces(a_class) == {}
    assert len(school.namespaces(other)) == 2
    assert school.core.read_namespace(planted).status.phase == "Active"
    left = sorted(path.name for path in (here / "keys").iterdir())
    assert [name for name in left if name.startswith(f"wq-{a_class}-0")] == []
    assert {".gitignore", "notes.txt", f"wq-{other}-01.kubeconfig"} <= set(left)
    (here / "keys" / "notes.txt").unlink()
    assert wqlib_class("delete", other, "--output", "keys", "--yes")[0] == 0
    assert not (here / "keys").exists()
    school.core.delete_namespace(planted)


def test_delete_asks_first(wqlib_class, a_class, school, monkeypatch):
    wqlib_class("create", a_class, "--learners", 1)
    for answer in ("", "y", "no"):
        monkeypatch.setattr("builtins.input", lambda question, answer=answer: answer)
        code, out, _ = wqlib_class("delete", a_class)
        assert code == 1
        assert "Nothing was deleted" in out
    assert there(school, Learner(a_class, 1)) == ALL
    monkeypatch.setattr("builtins.input", lambda question: "yes")
    assert wqlib_class("delete", a_class)[0] == 0
    assert school.namespaces(a_class) == {}
    assert not folder_of(a_class).exists()


def test_delete_without_anybody_to_ask_deletes_nothing(wqlib_class, a_class, school, monkeypatch):
    def nobody(question: str) -> str:
        raise EOFError

    wqlib_class("create", a_class, "--learners", 1)
    monkeypatch.setattr("builtins.input", nobody)
    assert wqlib_class("delete", a_class)[0] == 1
    assert there(school, Learner(a_class, 1)) == ALL


def test_a_delete_that_broke_off_is_finished_by_the_same_command(wqlib_class, a_class, school):
    wqlib_class("create", a_class, "--learners", 2)
    school.core.delete_namespace(f"wq-{a_class}-01")
    assert wqlib_class("delete", a_class, "--yes")[0] == 0
    assert school.namespaces(a_class) == {}
    assert not folder_of(a_class).exists()
    wqlib_class("create", a_class, "--learners", 1)
    for learner, found in school.namespaces(a_class).items():
        assert found["metadata"]["name"] == learner.namespace
        school.core.delete_namespace(learner.namespace)
    while school.namespaces(a_class):
        time.sleep(0.05)
    assert wqlib_class("delete", a_class, "--yes")[0] == 0  # only the files were left
    assert not folder_of(a_class).exists()


def test_a_class_that_there_is_not_is_answered_with_those_that_there_are(wqlib_class, a_class):
    wqlib_class("create", a_class, "--learners", 2)
    for command in (["status", "tuesday"], ["delete", "tuesday", "--yes"]):
        code, _, err = wqlib_class(*command)
        assert code == 1
        assert f"{a_class} (2 learners)" in err


def test_errors_are_of_the_library():
    with pytest.raises(ClassError):
        names.checked("A")
