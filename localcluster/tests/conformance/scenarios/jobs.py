"""Jobs: the kinds that the course uses, and how each ends."""

from __future__ import annotations

from typing import Any

from ..script import Script, job, pod, scenario

_COUNTS = ("status.active", "status.succeeded", "status.failed")


def _has(condition: str) -> Any:
    return lambda types: condition in types


def _until_over(s: Script, name: str, condition: str = "Complete") -> None:
    s.until(f"jobs/{name}", "status.conditions.*.type", _has(condition))


def _until_told(s: Script, name: str, events: int, reason: str = "") -> str:
    """Wait for as many events about a Job; returns the field selector that finds them."""
    about = f"involvedObject.kind=Job,involvedObject.name={name}"
    about += f",reason={reason}" if reason else ""
    s.until(f"events?fieldSelector={about}", "items", lambda items: len(items) >= events)
    return about


@scenario
def a_job_of_one(s: Script) -> None:
    """The whole object, at its creation and at its end, and its pod's."""
    s.post("jobs", job("one", "python", "-c", "print('done')"))
    _until_over(s, "one")
    s.get("jobs/one")
    s.get("pods", labelSelector="job-name=one", show=("items.*.metadata", "items.*.status.phase"))
    s.kubectl("logs job/one")
    s.kubectl("get jobs")
    _until_told(s, "one", 2)
    s.kubectl("describe job one")
    s.kubectl("get pods -l job-name=one --show-labels")


@scenario(identities=False)
def a_work_queue(s: Script) -> None:
    """Without completions, a Job is complete when one has succeeded and all have ended."""
    s.post(
        "jobs",
        job("wq", "sleep", "2", parallelism=2),
        show=("spec.parallelism", "spec.completions"),
    )
    s.until("jobs/wq", "status.active", 2)
    s.get("jobs/wq", show=("status",))
    s.kubectl("get job wq")
    _until_over(s, "wq")
    s.get("jobs/wq", show=("status",))
    s.kubectl("get jobs")
    s.kubectl("get pods", sort=True)
    _until_told(s, "wq", 3)
    s.kubectl("describe jobs/wq")


@scenario
def a_work_queue_is_not_refilled(s: Script) -> None:
    """After the first success no pod is replaced, though the others still run."""
    go = "/tmp/go-$HOSTNAME"
    script = f"until test -f {go}; do sleep 0.1; done; rm {go}"
    s.quiet("POST", "jobs", job("wq", "sh", "-c", script, parallelism=2))
    s.until("pods", "items.*.status.phase", ["Running", "Running"])
    first, second = (one["metadata"]["name"] for one in s.quiet("GET", "pods")["items"])
    s.kubectl(f"exec {first} -- sh -c 'touch {go}'")
    s.until("jobs/wq", "status.succeeded", 1)
    s.get("jobs/wq", show=_COUNTS)
    s.pause(1)
    s.get("jobs/wq", show=(*_COUNTS, "status.conditions"))
    s.kubectl(f"exec {second} -- sh -c 'touch {go}'")
    _until_over(s, "wq")
    s.get("jobs/wq", show=(*_COUNTS, "status.conditions"))


@scenario(identities=False)
def completions_one_after_the_other(s: Script) -> None:
    """Three completions, one at a time: as a watch on the Job tells it."""

    def is_complete(events: list[dict[str, Any]]) -> bool:
        return any("Complete" in event.get("status.conditions.*.type", []) for event in events)

    show = ("status.succeeded", "status.conditions.*.type")
    with s.watching("jobs", is_complete, show, fieldSelector="metadata.name=three"):
        s.post(
            "jobs",
            job("three", "true", completions=3),
            show=("spec.completions", "spec.parallelism"),
        )
        _until_over(s, "three")
    s.get("jobs/three", show=("status",))
    s.kubectl("get job three -o wide")
    show = ("items.*.reason", "items.*.type", "items.*.message", "items.*.source.component")
    about = _until_told(s, "three", 4)
    s.kubectl(f"get events --field-selector {about}", sort=True)


@scenario(identities=False)
def backoff_limit(s: Script) -> None:
    """restartPolicy Never: each failure is a pod, until there were too many."""
    s.post("jobs", job("bad", "sh", "-c", "exit 1", backoffLimit=1), show=("spec.backoffLimit",))
    _until_over(s, "bad", "Failed")
    s.get("jobs/bad", show=("status",))
    s.kubectl("get jobs")
    s.kubectl("get pods", sort=True)
    _until_told(s, "bad", 1, "BackoffLimitExceeded")
    s.kubectl("describe job bad")
    s.kubectl("wait --for=condition=complete job/bad --timeout=1s")
    s.kubectl("wait --for=condition=failed job/bad --timeout=1s")


@scenario(identities=False)
def no_backoff_at_all(s: Script) -> None:
    """backoffLimit 0: the first failure is the last."""
    s.quiet("POST", "jobs", job("bad", "false", backoffLimit=0, completions=2, parallelism=1))
    _until_over(s, "bad", "Failed")
    s.get("jobs/bad", show=("status",))
    s.get("pods", show=("items.*.status.phase",))


@scenario(identities=False)
def backoff_limit_on_failure(s: Script) -> None:
    """restartPolicy OnFailure: the restarts count, and the pod goes with the failure."""
    s.quiet("POST", "jobs", job("bad", "false", backoffLimit=1, pod={"restartPolicy": "OnFailure"}))
    _until_over(s, "bad", "Failed")
    s.get("jobs/bad", show=("status.conditions",))
    s.kubectl("get jobs")


@scenario(identities=False)
def active_deadline(s: Script) -> None:
    """A Job that takes too long is failed, and its pods are ended."""
    s.quiet("POST", "jobs", job("slow", "sleep", "600", activeDeadlineSeconds=2, parallelism=2))
    _until_over(s, "slow", "Failed")
    s.get("jobs/slow", show=("spec.activeDeadlineSeconds", "status.conditions"))
    about = _until_told(s, "slow", 1, "DeadlineExceeded")
    s.kubectl(f"get events --field-selector {about}")


@scenario
def time_to_live(s: Script) -> None:
    """ttlSecondsAfterFinished takes a finished Job away, with its pods."""
    made = job("short", "true", ttlSecondsAfterFinished=1)
    s.post("jobs", made, show=("spec.ttlSecondsAfterFinished",))
    s.until("jobs/short", "gone")
    s.get("jobs/short")
    s.until("pods", "items", lambda items: not items)


@scenario(identities=False)
def more_and_fewer_workers(s: Script) -> None:
    """parallelism is patched while the Job runs."""
    at_once = {"terminationGracePeriodSeconds": 0}
    s.quiet("POST", "jobs", job("wq", "sleep", "600", parallelism=1, pod=at_once))
    s.until("jobs/wq", "status.active", 1)
    s.patch("jobs/wq", {"spec": {"parallelism": 3}}, show=("spec.parallelism",))
    s.until("jobs/wq", "status.active", 3)
    s.get("jobs/wq", show=("status.active", "status.succeeded", "status.conditions"))
    s.patch("jobs/wq", {"spec": {"parallelism": 1}}, "strategic", show=("spec.parallelism",))
    s.until("jobs/wq", "status.active", 1)
    s.until("pods", "items", lambda items: len(items) == 1)
    s.get("jobs/wq", show=("status.active", "status.succeeded", "status.conditions"))
    about = _until_told(s, "wq", 5)
    s.kubectl(f"get events --field-selector {about}", sort=True)
    s.kubectl('patch job wq -p \'{"spec":{"parallelism":0}}\'')
    s.until("pods", "items", lambda items: not items)
    s.get("jobs/wq", show=("status.active", "status.succeeded", "status.conditions"))
    s.get("jobs/wq/scale")


@scenario
def what_of_a_job_stays(s: Script) -> None:
    """The fields of a Job that nobody may change."""
    s.quiet("POST", "jobs", job("a", "true", parallelism=0, completions=2))
    s.patch("jobs/a", {"spec": {"completions": 3}})
    s.patch("jobs/a", {"spec": {"selector": {"matchLabels": {"a": "b"}}}})
    s.patch("jobs/a", {"spec": {"backoffLimit": 2, "parallelism": 0}}, show=("spec.backoffLimit",))
    s.patch(
        "jobs/a", {"spec": {"ttlSecondsAfterFinished": 60}}, show=("spec.ttlSecondsAfterFinished",)
    )
    s.patch("jobs/a", {"spec": {"parallelism": -1}})
    s.patch("jobs/a", {"status": {"active": 7}}, show=("status",))
    s.patch(
        "jobs/a/status",
        {"status": {"active": 7}, "spec": {"parallelism": 4}},
        show=("spec.parallelism",),
    )


@scenario(identities=False)
def a_deleted_pod_is_replaced(s: Script) -> None:
    """A pod of a Job that is deleted comes again under another name."""
    s.quiet("POST", "jobs", job("a", "sleep", "600"))
    s.until("jobs/a", "status.active", 1)
    first = s.quiet("GET", "pods")["items"][0]["metadata"]["name"]
    s.quiet("DELETE", f"pods/{first}", {"gracePeriodSeconds": 0})
    s.until("pods", "items", lambda items: items and items[0]["metadata"]["name"] != first)
    s.until("jobs/a", "status.active", 1)
    s.get("jobs/a", show=("status.active", "status.succeeded"))
    s.get("pods", show=("items.*.metadata.ownerReferences", "items.*.metadata.labels"))


@scenario
def deleting_a_job(s: Script) -> None:
    """The pods go along, or stay behind, as one wishes."""
    for name, policy in (("a", "Background"), ("b", "Foreground"), ("c", "Orphan")):
        s.quiet("POST", "jobs", job(name, "sleep", "600"))
        s.until(f"jobs/{name}", "status.active", 1)
        s.delete(f"jobs/{name}", propagationPolicy=policy, show=("kind", "status"))
        s.until(f"jobs/{name}", "gone")
        if policy != "Orphan":
            s.until("pods", "items", lambda items: not items)
    left = ("items.*.metadata.labels.job-name", "items.*.metadata.ownerReferences")
    s.get("pods", show=left)
    s.quiet("DELETE", "pods", {"gracePeriodSeconds": 0})
    s.quiet("POST", "jobs", job("d", "sleep", "600"))
    s.until("jobs/d", "status.active", 1)
    s.kubectl("delete job d")
    s.until("pods", "items", lambda items: not items)


@scenario
def a_job_adopts_no_stranger(s: Script) -> None:
    """A Job's selector is its own; a pod that looks alike stays alone."""
    s.quiet("POST", "pods", pod("alike", "sleep", "600", metadata={"labels": {"job-name": "a"}}))
    made = job("a", "true")
    made["spec"]["template"]["metadata"] = {"labels": {"app": "mine"}, "name": "ignored"}
    s.post("jobs", made, show=("spec.selector", "spec.template.metadata", "metadata.labels"))
    _until_over(s, "a")
    s.until("pods/alike", "status.phase", "Running")
    s.get("pods/alike", show=("metadata.ownerReferences", "status.phase"))
    s.get("pods", labelSelector="app=mine", show=("items.*.metadata.labels",))


@scenario(identities=False)
def a_job_whose_pods_cannot_start(s: Script) -> None:
    """The Job waits for ever, and its pod says why."""
    container = {"image": "no-such-image:1", "imagePullPolicy": "Never"}
    s.quiet("POST", "jobs", job("a", "true", pod={"container": container}))
    s.until("jobs/a", "status.active", 1)
    waits = "items.0.status.containerStatuses.0.state.waiting.reason"
    s.until("pods", waits, "ErrImageNeverPull")
    s.kubectl("get pods")
    s.kubectl("get jobs")
    s.kubectl("logs job/a")
