"""The unmodified kubectl, as a learner types it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from .conftest import Local

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]

JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: hello
spec:
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers:
        - {name: main, image: "python:3.11", command: [sh, -c, "echo hello; exit CODE"]}
"""


def _apply(kubectl: Kubectl, code: int = 0) -> None:
    done = kubectl("apply", "-f", "-", stdin=JOB.replace("CODE", str(code)))
    assert done.stdout == "job.batch/hello created\n"


def test_apply_wait_get_and_logs(kubectl: Kubectl) -> None:
    _apply(kubectl)
    kubectl("wait", "--for=condition=complete", "job/hello", "--timeout=30s")
    got = kubectl("get", "jobs").stdout.splitlines()
    assert got[0].split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"]
    assert re.match(r"hello +Complete +2/1 of 2 +\d+s +\d+s$", got[1])
    pods = kubectl("get", "pods").stdout.splitlines()
    assert pods[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert all(re.match(r"hello-[a-z0-9]{5} +0/1 +Completed +0 +\d+s$", line) for line in pods[1:])
    assert kubectl("logs", "job/hello").stdout == "hello\n"
    assert kubectl("logs", "-l", "job-name=hello", "--tail=-1").stdout == "hello\nhello\n"


def test_apply_again_changes_or_leaves_alone(kubectl: Kubectl) -> None:
    _apply(kubectl)
    again = kubectl("apply", "-f", "-", stdin=JOB.replace("CODE", "0"))
    assert again.stdout == "job.batch/hello unchanged\n"
    more = JOB.replace("CODE", "0").replace("parallelism: 2", "parallelism: 3")
    assert kubectl("apply", "-f", "-", stdin=more).stdout == "job.batch/hello configured\n"
    assert kubectl("apply", "--server-side", "-f", "-", stdin=more).stdout.startswith("job.batch")


def test_apply_of_a_misspelt_field_says_so(kubectl: Kubectl) -> None:
    wrong = JOB.replace("CODE", "0").replace("parallelism", "paralelism")
    done = kubectl("apply", "-f", "-", stdin=wrong, check=False)
    assert done.returncode == 1
    assert 'unknown field "spec.paralelism"' in done.stderr


def test_apply_of_an_impossible_job_says_so(kubectl: Kubectl) -> None:
    wrong = JOB.replace("CODE", "0").replace("restartPolicy: Never", "restartPolicy: Always")
    done = kubectl("apply", "-f", "-", stdin=wrong, check=False)
    assert done.stderr == (
        'The Job "hello" is invalid: spec.template.spec.restartPolicy: Required value: valid'
        ' values: "OnFailure", "Never"\n'
    )


def test_describe_reads_like_the_real_one(kubectl: Kubectl) -> None:
    _apply(kubectl)
    kubectl("wait", "--for=condition=complete", "job/hello", "--timeout=30s")
    text = kubectl("describe", "job", "hello").stdout
    for line in (
        r"Parallelism: +2",
        r"Completions: +<unset>",
        r"Pods Statuses: +0 Active \(0 Ready\) / 2 Succeeded / 0 Failed",
        r" +Normal +SuccessfulCreate +\d+s +job-controller +Created pod: hello-[a-z0-9]{5}",
        r" +Normal +Completed +\d+s +job-controller +Job completed",
    ):
        assert re.search(f"^{line}", text, re.MULTILINE), line
    pods = kubectl("describe", "pod").stdout
    assert "Controlled By:  Job/hello" in pods
    assert "Exit Code:    0" in pods
    assert "Successfully assigned" in pods


def test_run_exec_and_delete(kubectl: Kubectl) -> None:
    kubectl("run", "box", "--image=python", "--restart=Never", "--", "sleep", "60")
    kubectl("wait", "--for=condition=Ready", "pod/box", "--timeout=30s")
    assert kubectl("exec", "box", "--", "sh", "-c", "echo $HOSTNAME").stdout == "box\n"
    assert kubectl("exec", "-i", "box", "--", "cat", stdin="in\nput").stdout == "in\nput"
    failed = kubectl("exec", "box", "--", "sh", "-c", "exit 3", check=False)
    assert failed.returncode == 3
    assert "command terminated with exit code 3" in failed.stderr
    assert kubectl("delete", "pod", "box", "--grace-period=1").stdout.startswith(
        'pod "box" deleted'
    )
    missing = kubectl("get", "pod", "box", check=False)
    assert missing.stderr == 'Error from server (NotFound): pods "box" not found\n'


def test_deleting_a_job_takes_its_pods_along(kubectl: Kubectl) -> None:
    _apply(kubectl)
    kubectl("wait", "--for=condition=complete", "job/hello", "--timeout=30s")
    kubectl("delete", "job", "hello")
    kubectl("wait", "--for=delete", "pod", "-l", "job-name=hello", "--timeout=30s")
    assert kubectl("get", "all").stderr.startswith("No resources found")


def test_patch_label_annotate_and_scale_by_patch(kubectl: Kubectl) -> None:
    stay = JOB.replace("CODE", "0").replace("echo hello", "sleep 60")
    kubectl("apply", "-f", "-", stdin=stay)
    kubectl("patch", "job", "hello", "-p", '{"spec":{"parallelism":1}}')
    kubectl("label", "job", "hello", "colour=red")
    kubectl("annotate", "job", "hello", "note=x")
    path = "{.spec.parallelism} {.metadata.labels.colour} {.metadata.annotations.note}"
    assert kubectl("get", "job", "hello", "-o", f"jsonpath={path}").stdout == "1 red x"
    assert "Immediate" in kubectl("delete", "job", "hello", "--force", "--grace-period=0").stderr


def test_get_in_its_outputs(kubectl: Kubectl) -> None:
    _apply(kubectl)
    assert kubectl("get", "job", "-o", "name").stdout == "job.batch/hello\n"
    assert "completionMode: NonIndexed" in kubectl("get", "job", "hello", "-o", "yaml").stdout
    wide = kubectl("get", "job", "-o", "wide").stdout
    assert "batch.kubernetes.io/controller-uid=" in wide
    assert "worker-1" in kubectl("get", "nodes").stdout
    assert "process://" in kubectl("get", "nodes", "-o", "wide").stdout
    assert kubectl("api-resources", "--api-group=batch").returncode == 0


def test_events_and_watching(kubectl: Kubectl) -> None:
    _apply(kubectl, code=1)
    kubectl("wait", "--for=jsonpath={.status.failed}=2", "job/hello", "--timeout=30s")
    events = kubectl("events", "--for", "job/hello").stdout
    assert "SuccessfulCreate" in events
    listed = kubectl("get", "events").stdout.splitlines()[0].split()
    assert listed == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]


def test_a_kubeconfig_without_the_token_is_refused(
    kubectl: Kubectl, local: Local, tmp_path: Path
) -> None:
    stolen = tmp_path / "config"
    stolen.write_text(local.kubeconfig.read_text().replace(local.token, "wrong"))
    done = kubectl("--kubeconfig", str(stolen), "get", "pods", check=False)
    assert "Unauthorized" in done.stderr


def test_explain_knows_the_fields(kubectl: Kubectl) -> None:
    text = kubectl("explain", "job.spec.parallelism").stdout
    assert "FIELD: parallelism <integer>" in text
    assert "containers" in kubectl("explain", "pod.spec").stdout
