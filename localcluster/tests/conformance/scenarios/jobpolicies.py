"""What a Job's policies make of its pods: failures, successes, replacements; and CronJobs."""

from __future__ import annotations

from typing import Any

from ..script import PYTHON, Script, job, scenario

_COUNTS = ("status.active", "status.succeeded", "status.failed", "status.terminating")
_WHY = ("status.conditions.*.type", "status.conditions.*.reason", "status.conditions.*.message")


def _indexed(name: str, script: str, **spec: Any) -> dict[str, Any]:
    modes = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}
    return job(name, "sh", "-c", script, **{**modes, **spec})


def _until_over(s: Script, name: str, condition: str) -> dict[str, str]:
    """Wait for the Job's end; returns the reason of each of its conditions."""
    ended = s.until(f"jobs/{name}", "status.conditions.*.type", lambda types: condition in types)
    return {one["type"]: one.get("reason", "") for one in ended["status"]["conditions"]}


@scenario
def native_sidecars(s: Script) -> None:
    """A Job ends though its sidecar does not; the sidecar is up first, and is stopped last.

    This one is deaf to SIGTERM: that it has to be killed is no failure of the pod.
    """
    mounts = [{"name": "data", "mountPath": "/data"}]
    script = "sleep 1; touch /data/up; while :; do sleep 0.2; done"
    sidecar = {
        "name": "side",
        "image": PYTHON,
        "restartPolicy": "Always",
        "command": ["sh", "-c", script],
        "startupProbe": {"exec": {"command": ["test", "-f", "/data/up"]}, "periodSeconds": 1},
        "volumeMounts": mounts,
    }
    spec = {
        "initContainers": [sidecar],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "container": {"volumeMounts": mounts},
        "terminationGracePeriodSeconds": 3,
    }
    made = job("side", "sh", "-c", "test -f /data/up && sleep 2", pod=spec)
    s.post("jobs", made, show=("spec.template.spec.initContainers",))
    s.until("pods", "items.*.status.containerStatuses.0.ready", [True])
    s.kubectl("get pods")
    assert "Complete" in _until_over(s, "side", "Complete")
    s.get("jobs/side", show=_COUNTS)
    pods = s.get(
        "pods", show=("items.*.status.phase", "items.*.status.initContainerStatuses.0.state")
    )
    assert pods["items"][0]["status"]["phase"] == "Succeeded"
    assert s.kubectl("get pods").split()[6:8] == ["0/2", "Completed"]


@scenario
def pod_failure_policy(s: Script) -> None:
    """One exit code fails the Job at once, another does not count."""
    rules = [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [43]}},
    ]
    policy = {"rules": rules}
    made = job("fails", "sh", "-c", "exit 42", podFailurePolicy=policy, backoffLimit=3)
    s.post("jobs", made, show=("spec.podFailurePolicy", "spec.podReplacementPolicy"))
    reasons = _until_over(s, "fails", "Failed")
    assert reasons == {"FailureTarget": "PodFailurePolicy", "Failed": "PodFailurePolicy"}
    assert s.get("jobs/fails", show=(*_COUNTS, *_WHY))["status"]["failed"] == 1
    code = "/tmp/code-$HOSTNAME"
    script = f"until test -f {code}; do sleep 0.1; done; exec sh -c 'exit '$(cat {code}; rm {code})"
    s.quiet("POST", "jobs", job("wq", "sh", "-c", script, podFailurePolicy=policy, backoffLimit=0))
    for exit_code in (43, 0):
        running = "pods?labelSelector=job-name=wq&fieldSelector=status.phase=Running"
        name = s.until(running, "items.0.metadata.name")["items"][0]["metadata"]["name"]
        s.kubectl(f"exec {name} -- sh -c 'echo {exit_code} > {code}.new; mv {code}.new {code}'")
        s.until(f"pods/{name}", "status.phase", lambda phase: phase in ("Succeeded", "Failed"))
    assert "Complete" in _until_over(s, "wq", "Complete")
    assert not s.get("jobs/wq", show=(*_COUNTS, *_WHY))["status"].get("failed")
    unknown = [{"action": "Sideways", "onExitCodes": {"operator": "In", "values": [0]}}]
    s.post("jobs", job("bad", "true", podFailurePolicy={"rules": unknown}))
    s.post("jobs", job("bad", "true", podFailurePolicy=policy, pod={"restartPolicy": "OnFailure"}))


@scenario
def backoff_limit_per_index(s: Script) -> None:
    """Each index has its own limit: one that has failed does not end the others."""
    script = "test $JOB_COMPLETION_INDEX -ne 1"
    made = _indexed("each", script, backoffLimitPerIndex=0)
    s.post("jobs", made, show=("spec.backoffLimit", "spec.backoffLimitPerIndex"))
    assert _until_over(s, "each", "Failed")["Failed"] == "FailedIndexes"
    show = (*_COUNTS, "status.completedIndexes", "status.failedIndexes", *_WHY)
    status = s.get("jobs/each", show=show)["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    s.quiet("POST", "jobs", _indexed("few", "false", backoffLimitPerIndex=0, maxFailedIndexes=0))
    assert _until_over(s, "few", "Failed")["Failed"] == "MaxFailedIndexesExceeded"
    s.get("jobs/few", show=_WHY)
    s.post("jobs", job("bad", "true", backoffLimitPerIndex=1))


@scenario
def success_policy(s: Script) -> None:
    """The Job is complete as soon as the indexes that matter are; the others are stopped."""
    script = "test $JOB_COMPLETION_INDEX -eq 0 || sleep 60"
    policy = {"rules": [{"succeededIndexes": "0"}]}
    s.post("jobs", _indexed("first", script, successPolicy=policy), show=("spec.successPolicy",))
    reasons = _until_over(s, "first", "Complete")
    assert reasons == {"SuccessCriteriaMet": "SuccessPolicy", "Complete": "SuccessPolicy"}
    show = (*_COUNTS, "status.completedIndexes", *_WHY)
    assert s.get("jobs/first", show=show)["status"]["completedIndexes"] == "0"
    s.kubectl("get job first")
    s.post("jobs", job("bad", "true", successPolicy=policy))


@scenario
def pod_replacement_policy(s: Script) -> None:
    """With `Failed`, a pod is replaced once it has ended, and not while it is about to."""
    spec = {"terminationGracePeriodSeconds": 4}
    s.post(
        "jobs",
        job("wq", "sh", "-c", "sleep 60 & wait", podReplacementPolicy="Failed", pod=spec),
        show=("spec.podReplacementPolicy",),
    )
    name = s.until("pods", "items.0.metadata.name")["items"][0]["metadata"]["name"]
    s.until(f"pods/{name}", "status.phase", "Running")
    s.quiet("DELETE", f"pods/{name}")
    s.until("jobs/wq", "status.terminating", 1)
    s.get("jobs/wq", show=_COUNTS)
    assert len(s.quiet("GET", "pods")["items"]) == 1
    s.until(f"pods/{name}", "gone")
    s.until("jobs/wq", "status.active", 1)
    assert s.get("jobs/wq", show=_COUNTS)["status"]["failed"] == 1


@scenario
def managed_by(s: Script) -> None:
    """A Job that another controller manages is left alone."""
    made = job("theirs", "true", managedBy="example.com/theirs")
    s.post("jobs", made, show=("spec.managedBy", "spec.parallelism", "status"))
    s.pause(3)
    assert not s.quiet("GET", "pods")["items"]
    assert s.get("jobs/theirs", show=("kind", "status"))["status"] == {}
    s.patch("jobs/theirs", {"spec": {"managedBy": "kubernetes.io/job-controller"}})
    s.post("jobs", job("bad", "true", managedBy="nonsense"))


@scenario
def a_cron_job(s: Script) -> None:
    """It makes Jobs by its schedule, and whoever wants to makes one by hand."""
    template = {"spec": job("unnamed", "sleep", "60")["spec"]}
    spec = {"schedule": "@every 2s", "concurrencyPolicy": "Forbid", "jobTemplate": template}
    made = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"}, "spec": spec}
    s.post("cronjobs", made)
    s.until("cronjobs/c", "status.active.0.kind", "Job")
    s.get("cronjobs/c", show=("status.active.*.kind", "status.active.*.apiVersion"))
    # The Job is named after the minute in which it was due.
    show = ("items.*.metadata.annotations", "items.*.metadata.ownerReferences")
    first = s.get("jobs", show=show)["items"]
    assert [one["metadata"]["ownerReferences"][0]["name"] for one in first] == ["c"]
    s.kubectl("get cronjob c")
    s.patch("cronjobs/c", {"spec": {"suspend": True}}, show=("spec.suspend",))
    s.kubectl("create job by-hand --from=cronjob/c")
    by_hand = s.get("jobs/by-hand", show=("metadata.annotations", "metadata.ownerReferences"))
    assert by_hand["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    s.delete("cronjobs/c", {"propagationPolicy": "Background"}, show=("kind", "metadata.name"))
    s.until("jobs/by-hand", "gone")
    for schedule in ("nonsense", "60 * * * *", "TZ=UTC 0 0 * * *"):
        s.post("cronjobs", {**made, "spec": {**spec, "schedule": schedule}})
    s.post("cronjobs", {**made, "spec": {**spec, "timeZone": "Nowhere/Else"}})
