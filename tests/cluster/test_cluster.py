"""cluster: the same verbs on the local cluster and, with WQLIB_CONTEXT set, on a real one."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest
import redis
import yaml
from clusters import (
    IMAGE,
    MANIFESTS,
    REAL,
    SLEEP,
    eventually,
    job,
    local_only,
    pod,
)
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from proxy import Proxy

from wqlib.cluster import Cluster, builder, connect, kube, manifests, namespaces
from wqlib.cluster import states as pod_states
from wqlib.cluster.manifests import kind_of
from wqlib.errors import ClusterError, ClusterUnreachable, ImageError, NotFound, WaitTimeout
from wqlib.events import PodEvent

pytestmark = pytest.mark.usefixtures("home")
needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on PATH")


@pytest.fixture(scope="module")
def redis_pod(cluster: Cluster) -> Iterator[str]:
    """The password of the course's own Redis, which runs."""
    password = cluster.secret("redis")
    cluster.apply(MANIFESTS / "redis.yaml")
    cluster.wait("pod/redis", "ready")
    yield password
    cluster.delete("pod/redis", grace_seconds=0)


# -- connect


@local_only
def test_without_a_name_it_is_the_local_cluster(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "real"))
    with connect(namespace="wq-test-default") as cluster:
        assert urlparse(cluster.api.configuration.host).hostname == "127.0.0.1"
        assert cluster.kubeconfig != tmp_path / "real"
        assert "namespace/wq-test-default" in cluster.clean_up()


@local_only
def test_local_may_be_named_whatever_the_variable_says(monkeypatch):
    monkeypatch.setenv("WQLIB_CONTEXT", "somewhere-else")
    with connect("local", namespace="wq-test-named") as cluster:
        assert cluster.clean_up() == ["namespace/wq-test-named"]


def kubeconfig(folder: Path, server: str, **cluster: object) -> Path:
    path = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [
            {"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("here", "there")
        ],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_an_unknown_context_is_answered_with_those_that_there_are(tmp_path):
    path = kubeconfig(tmp_path, "https://127.0.0.1:1")
    with pytest.raises(ClusterError, match="here, there"):
        connect("nowhere", kubeconfig=path)


def test_the_context_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "https://127.0.0.1:1")))
    monkeypatch.setenv("WQLIB_CONTEXT", "nowhere")
    with pytest.raises(ClusterError, match="There is no context 'nowhere'"):
        connect()


def test_without_any_kubeconfig_the_error_says_where_it_looked(tmp_path):
    with pytest.raises(ClusterError, match="no kubeconfig with contexts"):
        connect("kind-wq", kubeconfig=tmp_path / "missing")


def test_a_kubeconfig_alone_does_not_choose_a_real_cluster(tmp_path, monkeypatch):
    monkeypatch.delenv("WQLIB_CONTEXT", raising=False)
    with pytest.raises(ClusterError, match="Name the context too"):
        connect(kubeconfig=kubeconfig(tmp_path, "https://127.0.0.1:1"))


def test_a_cluster_that_does_not_run_is_told_in_words(tmp_path):
    with pytest.raises(ClusterUnreachable, match="nothing listens at its address"):
        connect("here", kubeconfig=kubeconfig(tmp_path, "https://127.0.0.1:1"))


def test_a_cluster_that_never_answers_does_not_hang_the_notebook(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterUnreachable, match="did not answer in time"):
            connect("here", kubeconfig=kubeconfig(tmp_path, server))


@local_only
@pytest.mark.parametrize(
    ("variable", "of_the_context", "expected"),
    [
        (None, None, "wq-course"),
        (None, "default", "wq-course"),
        (None, "wq-test-class-01", "wq-test-class-01"),
        ("wq-test-variable", "wq-test-class-01", "wq-test-variable"),
        ("", "wq-test-class-01", "wq-test-class-01"),
    ],
)
def test_the_namespace_is_the_variables_the_contexts_or_the_courses(
    tmp_path, monkeypatch, cluster, variable, of_the_context, expected
):
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    context = content["contexts"][0]
    context["context"].pop("namespace", None)
    if of_the_context:
        context["context"]["namespace"] = of_the_context
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    monkeypatch.delenv("WQLIB_NAMESPACE", raising=False)
    if variable is not None:
        monkeypatch.setenv("WQLIB_NAMESPACE", variable)
    with connect(context["name"], kubeconfig=path) as found:
        assert found.namespace == expected
        assert f"namespace/{expected}" in found.clean_up()


@local_only
def test_the_variable_names_the_namespace_of_the_local_cluster_too(monkeypatch):
    monkeypatch.setenv("WQLIB_NAMESPACE", "wq-test-variable")
    with connect() as found:
        assert found.clean_up() == ["namespace/wq-test-variable"]


def test_the_namespace_is_made_with_our_label(cluster):
    found = cluster.core.read_namespace(cluster.namespace)
    assert found.metadata.labels["app.kubernetes.io/managed-by"] == "wqlib"


def test_its_repr_is_the_same_everywhere(cluster):
    assert repr(cluster) == f"Cluster(namespace={cluster.namespace!r})"


def test_kubectl_does_the_same_with_the_options_given(cluster):
    try:
        run = subprocess.run(
            ["kubectl", *shlex.split(cluster.kubectl_options), "get", "pods"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("no kubectl on this machine")
    assert run.returncode == 0, run.stderr


# -- apply


def test_apply_tells_created_unchanged_and_configured(fresh):
    manifest = job("applied", SLEEP)
    assert fresh.apply(manifest) == ["job.batch/applied created"]
    assert fresh.apply(manifest) == ["job.batch/applied unchanged"]
    manifest["spec"]["parallelism"] = 0
    assert fresh.apply(manifest) == ["job.batch/applied configured"]
    assert fresh.batch.read_namespaced_job("applied", fresh.namespace).spec.parallelism == 0


def test_a_dry_run_says_what_would_happen_and_changes_nothing(fresh):
    manifest = job("dry", SLEEP)
    assert fresh.apply(manifest, dry_run=True) == ["job.batch/dry created (server dry run)"]
    assert fresh.apply(manifest) == ["job.batch/dry created"]
    changed = copy.deepcopy(manifest)
    changed["spec"]["parallelism"] = 0
    assert fresh.apply(changed, dry_run=True) == ["job.batch/dry configured (server dry run)"]
    assert fresh.apply(manifest) == ["job.batch/dry unchanged"]


@pytest.mark.parametrize("there", [False, True], ids=["new", "there already"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_misspelt_field_is_refused_and_not_dropped(fresh, there, dry_run):
    manifest = job("misspelt", SLEEP)
    if there:
        fresh.apply(manifest)
    manifest["spec"]["backofLimit"] = 2
    with pytest.raises(ClusterError, match="backofLimit"):
        fresh.apply(manifest, dry_run=dry_run)


def test_the_manifest_that_was_applied_comes_back_and_can_be_applied_again(fresh):
    fresh.apply(job("again", SLEEP))
    found = fresh.last_applied("job/again")
    assert "uid" not in found["metadata"]
    assert fresh.apply(found) == ["job.batch/again unchanged"]
    fresh.secret("made")
    with pytest.raises(ClusterError, match="was not applied"):
        fresh.last_applied("secret/made")


def test_apply_does_not_change_what_it_was_given(fresh):
    manifest = pod("kept", "")
    before = copy.deepcopy(manifest)
    fresh.apply(manifest)
    assert manifest == before


def test_apply_reads_files_folders_text_and_lists(fresh, tmp_path):
    def config(name: str) -> dict:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}

    (tmp_path / "a.yaml").write_text(yaml.safe_dump_all([config("a1"), config("a2")]))
    (tmp_path / "b.yml").write_text("# nothing but a comment\n---\n" + yaml.safe_dump(config("b")))
    (tmp_path / "notes.txt").write_text("not a manifest")
    names = ["configmap/a1 created", "configmap/a2 created", "configmap/b created"]
    assert fresh.apply(tmp_path) == names
    unchanged = [name.replace("created", "unchanged") for name in names]
    assert fresh.apply([tmp_path / "a.yaml", str(tmp_path / "b.yml")]) == unchanged
    both = {"apiVersion": "v1", "kind": "List", "items": [config("a1"), config("a2")]}
    assert fresh.apply(both) == unchanged[:2]
    assert fresh.apply(yaml.safe_dump(config("c"))) == ["configmap/c created"]
    for name in ("a1", "a2", "b", "c"):
        assert fresh.delete(f"cm/{name}")


def test_apply_removes_a_key_that_left_the_manifest(fresh):
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "shrinking"},
        "data": {"stay": "1", "go": "2"},
    }
    fresh.apply(config)
    del config["data"]["go"]
    assert fresh.apply(config) == ["configmap/shrinking configured"]
    assert fresh.core.read_namespaced_config_map("shrinking", fresh.namespace).data == {"stay": "1"}
    fresh.delete("configmap/shrinking")


def test_all_that_apply_makes_carries_our_label(fresh):
    fresh.apply([job("labelled", SLEEP, parallelism=0), pod("labelled", "")])
    kinds = [manifests.kind_of("job"), manifests.kind_of("pod")]
    for kind in kinds:
        found = manifests.list_all(fresh.api, fresh.namespace, kind, manifests.OUR_SELECTOR)
        assert "labelled" in [one["metadata"]["name"] for one in found]


def test_a_change_that_kubernetes_refuses_is_explained(fresh):
    manifest = job("fixed", SLEEP, parallelism=0)
    fresh.apply(manifest)
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
    with pytest.raises(ClusterError, match=r"spec.template.*Delete it first, cluster.delete"):
        fresh.apply(manifest)
    fresh.delete("job/fixed")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metadata": {"name": "x", "namespace": "kube-system"}}, "names the namespace"),
        ({"kind": "Namespace"}, "does not know the kind"),
        ({"metadata": {}}, "needs apiVersion, kind and metadata.name"),
    ],
    ids=["another namespace", "not in a namespace", "no name"],
)
def test_a_manifest_that_does_not_fit_is_refused_before_it_is_sent(cluster, change, words):
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, **change}
    with pytest.raises(ClusterError, match=words):
        cluster.apply(manifest)


def test_a_manifest_that_the_cluster_refuses_is_explained(cluster):
    manifest = pod("no_such_name_allowed!", "")
    with pytest.raises(ClusterError, match="refused"):
        cluster.apply(manifest)


def test_a_missing_file_and_broken_yaml_are_told_in_words(cluster, tmp_path):
    with pytest.raises(ClusterError, match="There is no manifest"):
        cluster.apply("manifests/nothing.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1, 2\nb: 3\n")
    with pytest.raises(ClusterError, match=r"broken.yaml is not valid YAML"):
        cluster.apply(tmp_path / "broken.yaml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClusterError, match="no YAML file in the folder"):
        cluster.apply(tmp_path / "empty")


# -- wait and delete


def test_wait_sees_a_pod_become_ready_and_succeed(fresh):
    fresh.apply(pod("quick", "import time; time.sleep(1)"))
    fresh.wait("pod/quick", "running")
    fresh.wait("pod/quick", "succeeded")
    assert fresh.describe("pod/quick").count("Succeeded") == 1


def test_wait_for_a_job_whose_pods_all_succeed(fresh):
    fresh.apply(job("good", "print('done')", parallelism=2))
    fresh.wait("job/good")
    assert {p.phase for p in fresh.pods("good")} == {"Succeeded"}


def test_wait_for_complete_ends_at_once_when_the_job_fails(fresh):
    fresh.apply(job("bad", "raise SystemExit(3)", backoffLimit=0))
    with pytest.raises(ClusterError, match=r"will not be complete.*BackoffLimitExceeded"):
        fresh.wait("job/bad", timeout_seconds=100)
    fresh.wait("job/bad", "failed")
    assert [p.reason for p in fresh.pods("bad")] == ["exit code 3"]


def test_wait_for_success_ends_at_once_when_the_pod_fails(fresh):
    fresh.apply(pod("bad", "raise SystemExit(4)"))
    with pytest.raises(ClusterError, match="exit code 4"):
        fresh.wait("pod/bad", "succeeded", timeout_seconds=100)


def test_wait_for_the_pods_of_a_job_to_run(fresh):
    fresh.apply(job("three", SLEEP, parallelism=3))
    fresh.wait("job/three", "running")
    assert len([p for p in fresh.pods("three") if p.phase == "Running"]) == 3
    fresh.wait("job/three", "ready")


def test_a_wait_that_takes_too_long_says_why_pods_do_not_run(fresh):
    manifest = job("unknown", SLEEP)
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "no-such-image:1"
    fresh.apply(manifest)
    eventually(lambda: [p for p in fresh.pods("unknown") if p.reason])
    with pytest.raises(WaitTimeout) as error:
        fresh.wait("job/unknown", timeout_seconds=1)
    assert "1 active, 0 succeeded" in str(error.value)
    assert "ErrImagePull" in str(error.value) or "ImagePullBackOff" in str(error.value)


def test_waiting_for_what_is_not_there_is_an_error_at_once(cluster):
    with pytest.raises(NotFound, match="job/nobody does not exist"):
        cluster.wait("job/nobody")
    with pytest.raises(NotFound):
        cluster.wait("job/nobody", "running")
    cluster.wait("job/nobody", "deleted")


def test_waiting_for_a_pod_that_is_deleted_meanwhile_is_an_error(fresh):
    fresh.apply(pod("leaving", SLEEP))
    fresh.wait("pod/leaving", "running")
    threading.Timer(0.5, fresh.kill_pod, ["leaving"]).start()
    with pytest.raises(ClusterError):
        fresh.wait("pod/leaving", "succeeded")


@pytest.mark.parametrize(
    ("target", "condition"), [("pod/x", "complete"), ("job/x", "succeeded"), ("svc/x", "ready")]
)
def test_a_condition_that_does_not_exist_is_answered_with_those_that_do(cluster, target, condition):
    with pytest.raises(ClusterError, match=r"Use one of these: .*deleted"):
        cluster.wait(target, condition)


@pytest.mark.parametrize("target", ["redis", "pod/", "/redis", "unicorn/redis"])
def test_a_target_that_names_nothing_is_explained(cluster, target):
    with pytest.raises(ClusterError, match=r"does not name an object|does not know the kind"):
        cluster.wait(target)


def test_deleting_a_job_takes_its_pods_along(fresh):
    fresh.apply(job("going", SLEEP, parallelism=2))
    fresh.wait("job/going", "running")
    assert fresh.delete("job/going", grace_seconds=0) is True
    assert fresh.pods("going") == []
    assert fresh.delete("job/going") is False


# -- looking


def test_pods_tell_their_job_and_state(fresh):
    fresh.apply([job("owner", SLEEP), pod("alone", SLEEP)])
    fresh.wait("job/owner", "ready")
    fresh.wait("pod/alone", "ready")
    found = {p.job: p for p in fresh.pods() if p.name != "redis"}
    assert set(found) == {"owner", ""}
    assert found["owner"].name.startswith("owner-")
    assert all(p.ready and p.phase == "Running" and p.ip and not p.reason for p in found.values())
    assert [p.job for p in fresh.pods("owner")] == [p.job for p in fresh.pods("job/owner")]
    assert found[""].name not in repr(found[""])


def test_the_logs_of_a_job_name_the_pod_of_each_line(fresh):
    fresh.apply(job("talker", "print('one'); print('zwölf')", parallelism=2))
    fresh.wait("job/talker")
    names = [p.name for p in fresh.pods("talker")]
    lines = fresh.logs("job/talker").splitlines()
    assert sorted(lines) == sorted(f"[{n}] {t}" for n in names for t in ("one", "zwölf"))
    assert fresh.logs(f"pod/{names[0]}") == "one\nzwölf\n"
    assert fresh.logs(names[0], tail=1) == "zwölf\n"


def test_the_log_of_a_container_before_its_restart(fresh):
    code = "import os, time; print('first life'); time.sleep(1); os._exit(1)"
    fresh.apply(pod("restarted", code, restartPolicy="OnFailure"))
    eventually(lambda: fresh.pods()[-1].restarts >= 1)
    assert fresh.logs("pod/restarted", previous=True) == "first life\n"


def test_the_log_of_nobody_is_an_error(cluster):
    with pytest.raises(NotFound):
        cluster.logs("pod/nobody")
    with pytest.raises(NotFound):
        cluster.logs("job/nobody")


def test_events_and_describe_tell_the_story_of_a_job(fresh):
    fresh.apply(job("story", "print('x')"))
    fresh.wait("job/story")
    name = fresh.pods("story")[0].name
    eventually(lambda: any("Started" in line for line in fresh.events("job/story")))
    lines = fresh.events("job/story")
    assert any(line.startswith("Normal SuccessfulCreate job/story: ") for line in lines)
    assert any(line.startswith(f"Normal Started pod/{name}: ") for line in lines)
    assert set(lines) <= set(fresh.events())
    text = fresh.describe("job/story")
    assert "0 active, 1 succeeded, 0 failed" in text
    assert "Complete" in text
    assert name in text
    assert f"image {IMAGE}" in fresh.describe(f"pod/{name}")
    with pytest.raises(NotFound):
        fresh.describe("job/nobody")


# -- acting


def test_exec_gives_output_errors_and_exit_code(redis_pod, cluster):
    script = "echo out; echo ümlaut >&2; exit 7"
    result = cluster.exec("redis", ["sh", "-c", script])
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "ümlaut\n", 7)
    assert cluster.exec("pod/redis", ["true"]).exit_code == 0


def test_exec_brings_large_output_whole(fresh):
    fresh.apply(pod("writer", SLEEP))
    fresh.wait("pod/writer", "running")
    code = "import sys; [sys.stdout.write(f'{n} é\\n') for n in range(100000)]"
    result = fresh.exec("writer", ["python", "-c", code])
    assert result.stdout == "".join(f"{n} é\n" for n in range(100_000))


def test_exec_says_what_went_wrong(redis_pod, cluster):
    with pytest.raises(ClusterError, match="could not be run in pod/redis"):
        cluster.exec("redis", ["no-such-program"])
    with pytest.raises(NotFound):
        cluster.exec("nobody", ["true"])
    with pytest.raises(ClusterError, match="A command is a list"):
        cluster.exec("redis", "redis-cli ping")  # type: ignore[arg-type]
    with pytest.raises(WaitTimeout, match="did not end within"):
        cluster.exec("redis", ["sleep", "5"], timeout_seconds=0.5)


def test_a_websocket_that_is_refused_is_explained(cluster):
    core, name = (
        client.CoreV1Api(client.ApiClient(cluster.api.configuration)),
        "nobody-" + "x" * 240,
    )
    with pytest.raises(ApiException) as error:
        stream(core.connect_get_namespaced_pod_exec, name, cluster.namespace, command=["true"])
    explained = kube.explain(error.value)
    assert isinstance(explained, NotFound)
    assert str(explained) == f'The cluster has no such object: pods "{name}" not found.'


@pytest.mark.parametrize("quote", [str, lambda body: str(body.encode())], ids=["text", "bytes"])
@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            404,
            '{"message": "pods \\"o\'x\\" not found"}',
            'no such object: pods "o\'x" not found.',
        ),
        (403, '{"message": "no"}', "does not allow this: no."),
        (502, "<html>a proxy's page</html>", "refused (502): Handshake status 502 Reason."),
        (500, "", "refused (500): Handshake status 500 Reason."),
    ],
)
def test_the_answer_in_a_refused_handshake_is_read_in_both_of_its_forms(status, body, words, quote):
    reason = f"Handshake status {status} Reason -+-+- {{'a': 'b'}} -+-+- {quote(body)}"
    assert words in str(kube.explain(ApiException(status=0, reason=reason)))


def test_exec_in_a_pod_that_has_ended_is_explained(fresh):
    fresh.apply(pod("ended", ""))
    fresh.wait("pod/ended", "succeeded")
    with pytest.raises(ClusterError, match=r"pod/ended is not running .*Succeeded"):
        fresh.exec("ended", ["true"])


def test_scale_changes_how_many_pods_run(fresh):
    fresh.apply(job("scaled", SLEEP, parallelism=1))
    fresh.wait("job/scaled", "running")
    fresh.scale("scaled", 3)
    fresh.wait("job/scaled", "running")
    assert len(fresh.pods("scaled")) == 3
    fresh.scale("job/scaled", 0)
    eventually(lambda: not fresh.pods("scaled"))


def test_a_killed_pod_of_a_job_is_replaced(fresh):
    fresh.apply(job("stubborn", SLEEP))
    fresh.wait("job/stubborn", "running")
    victim = fresh.pods("stubborn")[0].name
    fresh.kill_pod(victim)
    fresh.wait(f"pod/{victim}", "deleted")
    eventually(lambda: any(p.phase == "Running" for p in fresh.pods("stubborn")))
    assert victim not in [p.name for p in fresh.pods("stubborn")]


def shared(name: str, code: str, **spec: object) -> dict:
    """A Job whose pods share their processes, so that theirs takes a SIGKILL."""
    made = job(name, code, **spec)
    made["spec"]["template"]["spec"]["shareProcessNamespace"] = True
    return made


@pytest.mark.parametrize("policy", ["OnFailure", "Never"])
def test_a_crash_a_deletion_and_an_eviction_are_told_apart(fresh, policy):
    name = f"ending-{policy.lower()}"
    made = shared(name, "import time; print('up', flush=True); time.sleep(600)", parallelism=3)
    made["spec"]["template"]["spec"]["restartPolicy"] = policy
    with Watcher(fresh, name) as watcher:
        fresh.apply(made)
        fresh.wait(f"job/{name}", "running")
        crashed, deleted, evicted = (one.name for one in fresh.pods(name))
        eventually(lambda: all("up" in fresh.logs(one) for one in (crashed, deleted, evicted)))
        fresh.crash_pod(crashed)
        fresh.kill_pod(deleted, grace_seconds=2)
        fresh.evict_pod(evicted)
        gone = [("deleted", deleted), ("deleted", evicted)]
        again = "running" if policy == "OnFailure" else "failed"
        eventually(lambda: {(e.kind, e.pod) for e in watcher.events} >= {*gone})
        eventually(lambda: [e.kind for e in watcher.events if e.pod == crashed][-1] == again)
    life = {
        pod: [(e.kind, e.reason) for e in watcher.events if e.pod == pod and e.kind != "pending"]
        for pod in (crashed, deleted, evicted)
    }
    end = ("restarting" if policy == "OnFailure" else "failed", "exit code 137")
    assert life[crashed][:2] == [("running", ""), end]
    assert ("terminating", "") in life[deleted]
    assert ("terminating", "EvictionByEvictionAPI") in life[evicted]


def test_a_secret_is_made_once_and_then_read(fresh):
    value = fresh.secret("token")
    assert len(value) >= 24
    assert fresh.secret("token") == value
    assert fresh.secret("token", "other") != value
    assert fresh.secret("token") == value
    found = fresh.core.read_namespaced_secret("token", fresh.namespace)
    assert found.metadata.labels["app.kubernetes.io/managed-by"] == "wqlib"
    fresh.delete("secret/token")


# -- port_forward


def test_port_forward_reaches_redis_through_its_service(redis_pod, cluster):
    with cluster.port_forward("service/redis", 6379) as forward:
        client = redis.Redis(forward.host, forward.port, password=redis_pod)
        assert client.ping()
        assert repr(forward) == "PortForward('service/redis')"
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(forward.host, forward.port).ping()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((forward.host, forward.port), timeout=5)


def test_port_forward_carries_large_values_and_long_pipelines(redis_pod, cluster):
    with cluster.port_forward("pod/redis", 6379) as forward:
        client = redis.Redis(forward.host, forward.port, password=redis_pod)
        large = secrets.token_bytes(8_000_000)
        client.set("large", large)
        assert client.get("large") == large
        pipeline = client.pipeline(transaction=False)
        for number in range(50_000):
            pipeline.echo(f"{number:0100}")  # 5 MB of answers before the first is read
        assert pipeline.execute()[-1] == b"%0100d" % 49_999
        client.delete("large")


def test_port_forward_serves_several_connections_at_once(redis_pod, cluster):
    answers = []
    with cluster.port_forward("service/redis", 6379) as forward:

        def work(name: str) -> None:
            client = redis.Redis(forward.host, forward.port, password=redis_pod)
            answers.append([client.echo(f"{name}{n}").decode() for n in range(200)])

        waiting = redis.Redis(forward.host, forward.port, password=redis_pod)
        blocked = threading.Thread(target=waiting.blpop, args=["nothing", 1])
        threads = [blocked] + [threading.Thread(target=work, args=[name]) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == [[f"{name}{n}" for n in range(200)] for name in "abcd"]


def test_a_closed_port_forward_leaves_no_thread_and_no_connection(redis_pod, cluster):
    before = set(threading.enumerate())
    forward = cluster.port_forward("service/redis", 6379)
    client = redis.Redis(forward.host, forward.port, password=redis_pod, retry=None)
    assert client.ping()
    forward.close()
    forward.close()
    eventually(lambda: not set(threading.enumerate()) - before)
    with pytest.raises(redis.ConnectionError):
        client.ping()


def test_a_forward_to_a_pod_that_was_replaced_goes_to_the_new_one(fresh):
    server = (
        "import os, socketserver, http.server as h\n"
        "class H(h.BaseHTTPRequestHandler):\n"
        " def do_GET(s): s.send_response(200); s.end_headers(); "
        "s.wfile.write(os.environ['LIFE'].encode())\n"
        "h.HTTPServer(('', 8123), H).serve_forever()"
    )

    def server_pod(life: str) -> dict:
        probe = {"tcpSocket": {"port": 8123}, "periodSeconds": 1}
        made = pod("server", server)
        made["spec"]["containers"][0] |= {
            "env": [{"name": "LIFE", "value": life}],
            "ports": [{"name": "web", "containerPort": 8123}],
            "readinessProbe": probe,
        }
        return made

    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "server"},
        "spec": {"selector": {"app": "server"}, "ports": [{"port": 8123, "targetPort": "web"}]},
    }
    fresh.apply([service, server_pod("first")])
    fresh.wait("pod/server", "ready")

    def ask(port: int) -> str:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            try:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
            except ConnectionError:
                return ""

    with fresh.port_forward("service/server", 8123) as forward:
        assert ask(forward.port).endswith("first")
        fresh.delete("pod/server", grace_seconds=0)
        assert ask(forward.port) == ""  # nobody is there: the connection just ends
        assert "No pod behind service/server is ready" in forward.problem
        fresh.apply(server_pod("second"))
        fresh.wait("pod/server", "ready")
        assert ask(forward.port).endswith("second")
    fresh.delete("service/server")


def test_a_forward_to_nobody_is_explained(redis_pod, cluster):
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "lonely"},
        "spec": {"selector": {"app": "lonely"}, "ports": [{"port": 80}]},
    }
    cluster.apply(service)
    with pytest.raises(ClusterError, match=r"No pod behind service/lonely is ready"):
        cluster.port_forward("service/lonely", 80)
    with pytest.raises(ClusterError, match=r"has no port 81. It has: 80"):
        cluster.port_forward("service/lonely", 81)
    with pytest.raises(NotFound):
        cluster.port_forward("service/nobody", 80)
    cluster.delete("service/lonely")
    with (
        cluster.port_forward("pod/redis", 1234) as forward,  # nothing listens there
        socket.create_connection((forward.host, forward.port), timeout=20) as connection,
    ):
        assert connection.recv(100) == b""


def test_a_queue_works_through_a_port_forward(redis_pod, cluster):
    from wqlib.queue import WorkQueue

    with cluster.port_forward("service/redis", 6379) as forward:
        login = {"host": forward.host, "port": forward.port, "password": redis_pod}
        with WorkQueue("forwarded", worker="w", **login) as queue:
            queue.put(["a", "b"])
            lease = queue.lease()
            while lease:
                lease = queue.complete_and_lease(lease)
            assert (queue.stats().done, queue.drained()) == (2, True)
            queue.clear()


# -- watch_pods


class Watcher:
    """Collects the events of the pods of a Job in a thread."""

    def __init__(self, cluster: Cluster, job: str | None) -> None:
        self.stop = threading.Event()
        self.events: list[PodEvent] = []
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, args=[cluster, job])
        self.thread.start()

    def _run(self, cluster: Cluster, job: str | None) -> None:
        try:
            for event in cluster.watch_pods(self.stop, job):
                self.events.append(event)
        except Exception as error:
            self.error = error

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()
        assert self.error is None


def test_watch_pods_tells_the_life_of_a_pod_in_order(fresh):
    with Watcher(fresh, "watched") as watcher:
        fresh.apply([job("watched", "import time; time.sleep(1)"), pod("ignored", "")])
        fresh.wait("job/watched")
        fresh.delete("job/watched")
        eventually(lambda: "deleted" in watcher.kinds())
    kinds = list(dict.fromkeys(watcher.kinds()))
    assert kinds == ["pending", "running", "succeeded", "deleted"]
    assert {event.job for event in watcher.events} == {"watched"}
    assert [e.at for e in watcher.events] == sorted(e.at for e in watcher.events)


def test_watch_pods_begins_with_what_is_there(fresh):
    fresh.apply(pod("before", SLEEP))
    fresh.wait("pod/before", "running")
    with Watcher(fresh, None) as watcher:
        eventually(lambda: "before" in [event.pod for event in watcher.events])
    assert [e.kind for e in watcher.events if e.pod == "before"] == ["running"]


def test_watch_pods_tells_why_a_pod_failed(fresh):
    with Watcher(fresh, "failing") as watcher:
        fresh.apply(job("failing", "raise SystemExit(3)", backoffLimit=0))
        eventually(lambda: "failed" in watcher.kinds())
    failed = [event for event in watcher.events if event.kind == "failed"]
    assert failed[0].reason == "exit code 3"


def test_watch_pods_ends_promptly_while_nothing_happens(fresh):
    with Watcher(fresh, "nothing") as watcher:
        time.sleep(0.5)
        watcher.stop.set()
        watcher.thread.join(20)
        assert not watcher.thread.is_alive()


def test_watch_pods_goes_on_after_the_connection_broke(fresh, tmp_path):
    settings = yaml.safe_load(fresh.kubeconfig.read_text())
    name = os.environ.get("WQLIB_CONTEXT") or settings["current-context"]
    chosen = next(c["context"] for c in settings["contexts"] if c["name"] == name)
    address = next(c["cluster"] for c in settings["clusters"] if c["name"] == chosen["cluster"])
    server = urlparse(address["server"])
    if server.hostname != "127.0.0.1":
        pytest.skip("the proxy of this test leads to this machine only")
    with Proxy(server.port or 443) as proxy:
        address["server"] = f"https://127.0.0.1:{proxy.port}"
        path = tmp_path / "through-a-proxy"
        path.write_text(yaml.safe_dump(settings))
        with (
            connect(name, namespace=fresh.namespace, kubeconfig=path) as through,
            Watcher(through, "cut") as watcher,
        ):
            fresh.apply(job("cut", SLEEP))
            eventually(lambda: "running" in watcher.kinds())
            proxy.drop()
            fresh.scale("cut", 0)
            eventually(lambda: "deleted" in watcher.kinds())


def test_a_watch_whose_version_is_too_old_lists_again():
    class Answer:
        def __init__(self, *lines: str) -> None:
            self.data = self.body = "\n".join([*lines, ""]).encode()

        def stream(self, **_: object) -> Iterator[bytes]:
            yield self.body

        def close(self) -> None: ...

        def release_conn(self) -> None: ...

    def listed(version: int, *names: str) -> Answer:
        items = ", ".join(f'{{"metadata": {{"name": "{name}"}}}}' for name in names)
        return Answer(f'{{"metadata": {{"resourceVersion": "{version}"}}, "items": [{items}]}}')

    answers = iter(
        [
            listed(1, "a"),
            Answer('{"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}'),
            listed(9, "b"),
        ]
    )
    states = kube.list_and_watch(lambda *_, **__: next(answers), "ns", {}, seconds=60)
    assert [sorted(next(states)), sorted(next(states))] == [["a"], ["b"]]


def test_verbs_may_be_used_from_several_threads(redis_pod, cluster):
    errors: list[Exception] = []

    def use(action: Callable[[], object]) -> None:
        try:
            for _ in range(10):
                action()
        except Exception as error:
            errors.append(error)

    def forward() -> None:
        with cluster.port_forward("service/redis", 6379) as opened:
            assert redis.Redis(opened.host, opened.port, password=redis_pod).ping()

    actions = [cluster.pods, lambda: cluster.exec("redis", ["true"]), forward, cluster.events]
    threads = [threading.Thread(target=use, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


# -- images


def test_an_image_that_was_built_can_be_run(fresh, tmp_path):
    if REAL and not (os.environ.get(builder.VARIABLE) or _known(os.environ["WQLIB_CONTEXT"])):
        pytest.skip("nobody said how this cluster gets its images (WQLIB_BUILD_COMMAND)")
    (tmp_path / "Dockerfile").write_text(
        f'FROM {IMAGE}\nWORKDIR /app\nCOPY hello.py .\nCMD ["python", "hello.py"]\n'
    )
    (tmp_path / "hello.py").write_text("print('hello from the image')\n")
    assert fresh.build_image("wqlib-test:1", tmp_path) == "wqlib-test:1"
    made = pod("built", "")
    made["spec"]["containers"][0]["image"] = "wqlib-test:1"
    del made["spec"]["containers"][0]["command"]
    fresh.apply(made)
    fresh.wait("pod/built", "succeeded")
    assert fresh.logs("pod/built") == "hello from the image\n"


def _known(context: str) -> bool:
    with contextlib.suppress(ImageError):
        return bool(builder.command_for(context))
    return False


def test_an_image_that_cannot_be_built_says_why(cluster, tmp_path):
    with pytest.raises(ImageError, match="Dockerfile"):
        cluster.build_image("nothing:1", tmp_path)


def test_the_build_command_gets_tag_and_folder_and_shows_its_last_lines(tmp_path, monkeypatch):
    (tmp_path / "with space").mkdir()
    folder = tmp_path / "with space"
    (folder / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.setenv(builder.VARIABLE, "printf '%s|' {tag} {folder} > out.txt")
    monkeypatch.chdir(tmp_path)
    images = builder.CommandBuilder("anything")
    images.build("a:1", folder)
    assert (tmp_path / "out.txt").read_text() == f"a:1|{folder}|"
    monkeypatch.setenv(builder.VARIABLE, "echo first; echo no space left >&2; exit 5")
    with pytest.raises(ImageError, match=r"exit code 5(.|\n)*no space left"):
        images.build("a:1", folder)


def test_how_images_get_into_well_known_clusters(monkeypatch):
    monkeypatch.delenv(builder.VARIABLE, raising=False)
    assert "kind load docker-image {tag} --name wq" in builder.command_for("kind-wq")
    assert builder.command_for("minikube").startswith("minikube image build")
    assert builder.command_for("docker-desktop") == "docker build -t {tag} {folder}"
    with pytest.raises(ImageError, match="push the image to a registry"):
        builder.command_for("my-cloud")


# -- clean_up


def test_clean_up_deletes_what_is_ours_and_nothing_else(soon_settled):
    with connect(namespace=f"wq-test-{secrets.token_hex(3)}") as cluster:
        other = {"metadata": {"name": "someone-elses"}, "data": {"a": "b"}}
        cluster.core.create_namespaced_config_map(cluster.namespace, other)
        cluster.secret("mine")
        cluster.apply([job("mine", SLEEP, parallelism=2), pod("mine", SLEEP)])
        cluster.wait("job/mine", "running")
        why, *deleted = cluster.clean_up()
        assert deleted == ["job/mine", "pod/mine", "secret/mine"]
        assert f"{cluster.namespace} was kept: it also holds configmap/someone-elses" in why
        assert cluster.pods() == []
        assert cluster.core.read_namespaced_config_map("someone-elses", cluster.namespace)

        cluster.delete("cm/someone-elses")
        assert cluster.clean_up() == [f"namespace/{cluster.namespace}"]
        assert cluster.clean_up() == []
        cluster.apply(pod("again", ""))  # makes the namespace anew
        cluster.wait("pod/again", "succeeded")
        cluster.clean_up()


def test_the_pods_of_a_deployment_are_waited_for_before_the_namespace_is_judged(name, soon_settled):
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    template = {"metadata": {"labels": {"app": "d"}}, "spec": pod("d", stubborn)["spec"]}
    template["spec"] |= {"restartPolicy": "Always", "terminationGracePeriodSeconds": 5}
    spec = {"selector": {"matchLabels": {"app": "d"}}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
    with connect(namespace=name) as cluster:
        cluster.apply(body)
        eventually(lambda: [one for one in cluster.pods() if one.ready])
        assert cluster.clean_up() == ["deployment/d", f"namespace/{name}"]


@pytest.fixture
def soon_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for that will not come."""
    monkeypatch.setattr(namespaces, "SETTLING_SECONDS", 1)


def client_of(cluster: Cluster, program: str) -> client.ApiClient:
    """A client of its own for another program, which the API server knows by its name."""
    api = client.ApiClient(cluster.api.configuration)
    api.user_agent = f"{program}/1.0 (linux/amd64)"
    return api


SOME = {"data": {"a": "YQ=="}}


@contextlib.contextmanager
def a_platform(cluster: Cluster) -> Iterator[None]:
    """A controller that gives something to every namespace, old and new, of a test.

    At once a ConfigMap, a ServiceAccount, a Secret of that and a ConfigMap, both with random
    names; a NetworkPolicy later, as a policy engine, when the namespace is in use already.
    """
    api, stop = client_of(cluster, "test-platform"), threading.Event()
    core, networking = client.CoreV1Api(api), client.NetworkingV1Api(api)

    def give(space: str) -> None:
        with contextlib.suppress(ApiException):  # the namespace is being deleted
            body: dict = {"metadata": {"name": "mesh-ca"}, **SOME}
            core.create_namespaced_config_map(space, body)
            account = core.create_namespaced_service_account(
                space, {"metadata": {"name": "builder"}}
            ).metadata
            owner = {"apiVersion": "v1", "kind": "ServiceAccount"}
            owner |= {"name": account.name, "uid": account.uid}
            end = "".join(secrets.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))
            metadata = {"name": f"builder-token-{end}", "ownerReferences": [owner]}
            core.create_namespaced_secret(space, {"metadata": metadata, **SOME})
            metadata = {"name": f"rights-{end}"}
            core.create_namespaced_config_map(space, {"metadata": metadata, **SOME})
            stop.wait(1.5)
            body = {"metadata": {"name": "deny-by-default"}, "spec": {"podSelector": {}}}
            networking.create_namespaced_network_policy(space, body)

    def work() -> None:
        served: set[str] = set()
        list_call = lambda _, **options: core.list_namespace(**options)  # noqa: E731
        for state in kube.list_and_watch(list_call, "", {}, stop=stop):
            new = {space for space in state if space.startswith(cluster.namespace)} - served
            served |= new
            for space in new:
                threads.append(threading.Thread(target=give, args=(space,)))
                threads[-1].start()

    threads = [threading.Thread(target=work)]
    threads[0].start()
    try:
        yield
    finally:
        stop.set()
        threads[0].join()
        for thread in threads:
            thread.join()
        api.close()


@pytest.fixture
def name(cluster: Cluster) -> Iterator[str]:
    """The name of a namespace that is gone in the end."""
    name = f"wq-test-{secrets.token_hex(3)}"
    yield name
    with contextlib.suppress(ApiException):
        cluster.core.delete_namespace(name)


def test_what_a_platform_gives_to_every_namespace_does_not_keep_ours(name, monkeypatch):
    monkeypatch.setattr(namespaces, "SETTLING_SECONDS", 60)  # machines of tests are busy
    with connect(namespace=name) as cluster, a_platform(cluster):
        cluster.secret("mine")
        policies = client.NetworkingV1Api(cluster.api).list_namespaced_network_policy
        eventually(lambda: policies(name).items)
        assert cluster.clean_up() == [f"namespace/{name}", "secret/mine"]
        left = [one.metadata.name for one in cluster.core.list_namespace().items]
        assert not [one for one in left if one.startswith(name)]


@needs_kubectl
def test_nothing_that_a_person_or_a_program_put_there_on_purpose_is_lost(name, soon_settled):
    with connect(namespace=name) as cluster, a_platform(cluster):
        # At once, so that nobody can tell by the time that it is not the platform's.
        by_client = {"metadata": {"name": "by-this-client"}, **SOME}
        cluster.core.create_namespaced_config_map(name, by_client)
        helm = client.CoreV1Api(client_of(cluster, "helm"))
        helm.create_namespaced_secret(name, {"metadata": {"name": "by-a-program"}, **SOME})
        helm.create_namespaced_config_map(name, {"metadata": {"name": "mesh-ca-2"}, **SOME})
        robot = {"metadata": {"name": "robot"}}  # with nothing in it, its maker is not recorded
        robot = helm.create_namespaced_service_account(name, robot).metadata
        owner = {"apiVersion": "v1", "kind": "ServiceAccount", "name": "robot", "uid": robot.uid}
        owned = {"metadata": {"name": "its-own", "ownerReferences": [owner]}}
        helm.create_namespaced_secret(name, owned)
        quota = {"metadata": {"name": "limit"}, "spec": {"hard": {"pods": "9"}}}
        helm.create_namespaced_resource_quota(name, quota)
        helm.api_client.close()

        def kubectl(*arguments: str, **options: str) -> None:
            command = ["kubectl", *cluster.kubectl_options.split(), *arguments]
            subprocess.run(command, check=True, capture_output=True, text=True, **options)

        eventually(lambda: manifests.find(cluster.api, name, kind_of("cm"), "mesh-ca"))
        kubectl("create", "configmap", "by-hand", "--from-literal=a=b")
        kubectl("annotate", "serviceaccount", "default", "note=keep")
        kubectl("patch", "configmap", "mesh-ca", "-p", '{"data": {"mine": "too"}}')
        for how in ("client", "server"):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"by-{how}"}}
            option = f"--server-side={how == 'server'}".lower()
            kubectl("apply", option, "-f", "-", input=json.dumps({**body, **SOME}))
        (kept,) = cluster.clean_up()
        for one in (
            "configmap/by-this-client (managed by OpenAPI-Generator)",
            "secret/by-a-program (managed by helm)",
            "configmap/mesh-ca-2 (managed by helm)",
            "serviceaccount/robot",
            "resourcequota/limit (managed by helm",
            "configmap/by-hand (managed by kubectl-create)",
            "serviceaccount/default",
            "configmap/mesh-ca (managed by kubectl-patch and test-platform)",
            "configmap/by-client (managed by kubectl-client-side-apply)",
            "configmap/by-server (managed by kubectl)",
        ):
            assert one in kept
        assert cluster.core.read_namespaced_secret("its-own", name)
        spaces = [one.metadata.name for one in cluster.core.list_namespace().items]
        assert [one for one in spaces if one.startswith(name)] == [name]


@pytest.mark.skipif(not REAL, reason="the local cluster has no RBAC")
def test_a_namespace_of_which_nobody_can_tell_what_is_in_it_stays(name):
    with connect(namespace=name) as owner, connect(namespace=name) as guest:
        user = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "guest"}
        role = {"kind": "ClusterRole", "apiGroup": "rbac.authorization.k8s.io", "name": "admin"}
        body = {"metadata": {"name": "guest"}, "subjects": [user], "roleRef": role}
        client.RbacAuthorizationV1Api(owner.api).create_namespaced_role_binding(name, body)
        guest.api.set_default_header("Impersonate-User", "guest")
        (said,) = guest.clean_up()
        assert said.startswith(f"The namespace {name} was kept: wqlib is not allowed to look")
        assert "cannot create resource" in said


def test_a_namespace_that_is_not_ours_stays(cluster):
    name = f"wq-test-{secrets.token_hex(3)}"
    cluster.core.create_namespace({"metadata": {"name": name}})
    try:
        with connect(namespace=name) as other:
            other.secret("mine")
            assert other.clean_up() == ["secret/mine"]
        assert cluster.core.read_namespace(name).status.phase == "Active"
    finally:
        cluster.core.delete_namespace(name)


def test_nothing_is_written_to_the_error_stream(redis_pod, cluster, tmp_path):
    program = f"""
import socket, threading, redis, wqlib
cluster = wqlib.connect(namespace={cluster.namespace!r})
stop = threading.Event()
thread = threading.Thread(target=lambda: list(cluster.watch_pods(stop)))
thread.start()
forward = cluster.port_forward("service/redis", 6379)
client = redis.Redis(forward.host, forward.port, password=cluster.secret("redis"))
client.ping()
cluster.exec("redis", ["true"])
lost = cluster.port_forward("pod/redis", 1)
with socket.create_connection((lost.host, lost.port)) as connection:
    print(connection.recv(1))
client.close()
stop.set()
thread.join()
cluster.close()
"""
    run = subprocess.run(
        [sys.executable, "-W", "default", "-c", program], capture_output=True, text=True, timeout=90
    )
    assert (run.returncode, run.stderr) == (0, "")


# -- states (pure)


def container(**state: object) -> dict:
    return {"name": "main", "restartCount": 0, **state}


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        ({"phase": "Pending"}, "pending", ""),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    container(state={"waiting": {"reason": "ContainerCreating"}})
                ],
            },
            "pending",
            "",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                ],
            },
            "pending",
            "Unschedulable",
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [container(state={"waiting": {"reason": "CrashLoopBackOff"}})],
            },
            "running",
            "CrashLoopBackOff",
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [
                    container(
                        state={"running": {}},
                        restartCount=1,
                        lastState={"terminated": {"exitCode": 137}},
                    )
                ],
            },
            "running",
            "restarted after exit code 137",
        ),
        (
            {
                "phase": "Failed",
                "containerStatuses": [
                    container(state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})
                ],
            },
            "failed",
            "OOMKilled",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, "failed", "Evicted"),
        (
            {
                "phase": "Succeeded",
                "containerStatuses": [
                    container(state={"terminated": {"exitCode": 0, "reason": "Completed"}})
                ],
            },
            "succeeded",
            "",
        ),
    ],
)
def test_the_state_of_a_pod_in_words(status, kind, reason):
    raw = {"metadata": {"name": "p"}, "status": status}
    event = pod_states.pod_event(raw, 1.0)
    assert (event.kind, event.reason) == (kind, reason)
    assert pod_states.to_pod(raw).reason == reason


def test_a_pod_that_is_being_deleted_is_terminating():
    raw = {
        "metadata": {"name": "p", "deletionTimestamp": "now"},
        "status": {"phase": "Running"},
    }
    assert pod_states.pod_event(raw, 1.0).kind == "terminating"
    assert pod_states.to_pod(raw).reason == "Terminating"
