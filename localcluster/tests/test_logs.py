"""The logs of containers, in all the ways in which they can be asked for."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.stream import stream

from .conftest import Local, Reply, pod, wait_until

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


def _log(local: Local, ns: str, name: str = "p", **params: str) -> Reply:
    return local.request("GET", f"/api/v1/namespaces/{ns}/pods/{name}/log", **params)


def _run(local: Local, ns: str, *command: str, **spec: Any) -> None:
    """Run a pod to its end."""
    local.core.create_namespaced_pod(ns, pod("p", *command, **spec))
    wait_until(lambda: _phase(local, ns) in ("Succeeded", "Failed"))


def _phase(local: Local, ns: str, name: str = "p") -> str:
    return str(local.core.read_namespaced_pod(name, ns).status.phase)


def test_the_end_of_a_log_and_its_first_bytes(local: Local, ns: str) -> None:
    _run(local, ns, "python", "-c", "for i in range(30000): print('line', i)")
    whole = _log(local, ns)
    assert whole.headers["content-type"] == "text/plain"
    assert whole.body.splitlines() == [b"line %d" % i for i in range(30000)]
    assert _log(local, ns, tailLines="2").body == b"line 29998\nline 29999\n"
    assert _log(local, ns, tailLines="9000").body == whole.body[-9000 * 11 :]
    assert _log(local, ns, tailLines="0").body == b""
    assert _log(local, ns, tailLines="99999").body == whole.body
    assert _log(local, ns, limitBytes="8").body == b"line 0\nl"
    assert _log(local, ns, tailLines="1", limitBytes="8").body == b"line 299"
    assert _log(local, ns, follow="true", limitBytes="8").body == b"line 0\nl"


def test_only_what_is_young_enough(local: Local, ns: str) -> None:
    _run(local, ns, "sh", "-c", "echo old; sleep 1.3; echo young")
    lines = _log(local, ns, timestamps="true").body.decode().splitlines()
    assert [line.split(" ")[1] for line in lines] == ["old", "young"]
    first = datetime.datetime.fromisoformat(lines[0].split(" ")[0][:26] + "+00:00")
    later = first + datetime.timedelta(seconds=0.6)
    assert _log(local, ns, sinceTime=later.isoformat()).body == b"young\n"
    assert _log(local, ns, sinceTime=first.isoformat()).body == b"old\nyoung\n"
    assert _log(local, ns, sinceSeconds="3600").body == b"old\nyoung\n"
    wait_until(lambda: _log(local, ns, sinceSeconds="1").body == b"")


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"tailLines": "-1"}, 422, "tailLines: Invalid value: -1: must be greater than or equal"),
        ({"limitBytes": "0"}, 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ({"sinceSeconds": "0"}, 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ({"tailLines": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"sinceTime": "x"}, 400, 'parsing time "x" as'),
        (
            {"sinceTime": "2020-01-01T00:00:00Z", "sinceSeconds": "1"},
            422,
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
        ({"previous": "true"}, 400, 'previous terminated container "main" in pod "p" not found'),
        ({"container": "x"}, 400, "container x is not valid for pod p"),
    ],
)
def test_what_makes_no_sense(
    local: Local, ns: str, params: dict[str, str], code: int, message: str
) -> None:
    _run(local, ns, "true")
    reply = _log(local, ns, **params)
    assert (reply.code, reply.json["kind"]) == (code, "Status")
    assert message in reply.json["message"]


def test_which_container_is_meant(local: Local, ns: str) -> None:
    body = pod("p", "echo", "a")
    body["spec"]["containers"].append({**body["spec"]["containers"][0], "name": "side"})
    body["spec"]["initContainers"] = [{**body["spec"]["containers"][0], "name": "first"}]
    local.core.create_namespaced_pod(ns, body)
    wait_until(lambda: _phase(local, ns) == "Succeeded")
    assert _log(local, ns).json["message"] == (
        "a container name must be specified for pod p, choose one of: [main side] or one of the"
        " init containers: [first]"
    )
    assert _log(local, ns, container="first").body == b"a\n"


def test_a_pod_without_a_node_or_an_image(local: Local, ns: str) -> None:
    local.core.create_namespaced_pod(ns, pod("p", image="no/such:1"))
    text = 'container "main" in pod "p" is waiting to start: '
    expected = (text + "image can't be pulled", text + "trying and failing to pull image")
    # Before a node has it, the answer is empty.
    wait_until(lambda: (r := _log(local, ns)).code == 400 and r.json["message"] in expected)
    local.core.create_namespaced_pod(ns, pod("q", nodeName="no-such-node"))
    assert _log(local, ns, "q").code == 404
    assert _log(local, ns, "nosuch").json["message"] == 'pods "nosuch" not found'


def test_following_sees_each_line_when_it_comes_and_the_end(local: Local, ns: str) -> None:
    script = "echo 1; while [ ! -e go ]; do sleep 0.05; done; printf '2\\n3'"
    local.core.create_namespaced_pod(ns, pod("p", "sh", "-c", script))
    wait_until(lambda: _phase(local, ns) == "Running")
    following = local.core.read_namespaced_pod_log(
        "p", ns, follow=True, _preload_content=False, _request_timeout=20
    ).stream()
    assert next(following) == b"1\n"
    stream(
        local.core.connect_get_namespaced_pod_exec, "p", ns, command=["touch", "go"], stdout=True
    )
    assert b"".join(following) == b"2\n3"


def test_a_program_that_never_started_has_an_empty_log(local: Local, ns: str) -> None:
    _run(local, ns, "nosuchprogram")
    reply = _log(local, ns)
    assert (reply.code, reply.body) == (200, b"")


def test_a_restart_ends_what_follows_and_leaves_the_previous_log(local: Local, ns: str) -> None:
    script = "if [ -e again ]; then echo second; sleep 60; fi; touch again; echo first; sleep 0.5"
    local.core.create_namespaced_pod(ns, pod("p", "sh", "-c", script, restartPolicy="Always"))
    wait_until(lambda: _phase(local, ns) == "Running")
    wait_until(lambda: _log(local, ns).body == b"first\n")
    assert _log(local, ns, follow="true").body == b"first\n"
    wait_until(lambda: _log(local, ns).body == b"second\n")
    assert _log(local, ns, previous="true").body == b"first\n"


def test_following_survives_that_the_log_begins_anew(local: Local, ns: str) -> None:
    # More than the kubelet keeps of a log, slowly enough that the client is there from the start.
    script = (
        "import sys, time\n"
        "for i in range(24):\n"
        "    sys.stdout.write(''.join(f'{i:02}.{j:05} {\"x\" * 490}\\n' for j in range(1000)))\n"
        "    sys.stdout.flush(); time.sleep(0.02)"
    )
    local.core.create_namespaced_pod(ns, pod("p", "python", "-c", script))
    wait_until(lambda: _log(local, ns).code == 200)
    followed = _log(local, ns, follow="true").body.splitlines()
    assert [line[:8] for line in followed] == [
        b"%02d.%05d" % (i, j) for i in range(24) for j in range(1000)
    ]
    kept = _log(local, ns).body.splitlines()
    assert 0 < len(kept) < len(followed)


def test_kubectl_shows_many_containers_and_pods(local: Local, ns: str, kubectl: Kubectl) -> None:
    for name in ("a", "b"):
        body = pod(name, "echo", name, labels={"of": "both"})
        body["spec"]["containers"].append({**body["spec"]["containers"][0], "name": "side"})
        local.core.create_namespaced_pod(ns, body)
    wait_until(lambda: all(_phase(local, ns, name) == "Succeeded" for name in ("a", "b")))
    assert kubectl("logs", "a", "--all-containers").stdout == "a\na\n"
    found = kubectl("logs", "-l", "of=both", "--all-containers", "--prefix", "-f").stdout
    assert sorted(found.splitlines()) == [
        f"[pod/{name}/{container}] {name}" for name in "ab" for container in ("main", "side")
    ]
    assert kubectl("logs", "a").stderr.startswith('Defaulted container "main" out of: main, side')
    assert kubectl("logs", "a", "side", "--tail=1", "--since=1h").stdout == "a\n"
