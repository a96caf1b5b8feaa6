"""What one sync of a Job finds: how its pods ended, and how the Job ends. Nothing here writes.

https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..apimachinery.jsontypes import Obj
from . import jobindexes, jobpolicy
from .jobrules import (
    BACKOFF_LIMIT_EXCEEDED,
    DEADLINE_EXCEEDED,
    exceeds_restart_limit,
    is_failed,
    is_tracked,
    seconds_left,
)
from .podstate import has_condition, is_active, phase

_TOO_MANY_INDEXES = "Job has exceeded the specified maximal number of failed indexes"


@dataclass
class JobSync:
    """The state of a Job and its pods in one sync.

    Attributes:
        active: The pods that neither ended nor are being deleted.
        newly_failed, newly_succeeded: The pods that failed and succeeded since the last sync.
        succeeded, failed: The totals with these.
        outcome: How the Job ends, as (condition, reason, message), once that is known.
        backing_off: Whether a failed pod is replaced only after a while.
        succeeded_indexes: The indexes that succeeded, of an Indexed Job.
        failed_indexes: The indexes that failed for good, where each has its own limit.
        delayed_pods: Per index, the failed pod whose finalizer stays until its successor has
            taken over the count of failures.
    """

    job: Obj
    pods: list[Obj]
    active: list[Obj] = field(default_factory=list)
    newly_failed: list[Obj] = field(default_factory=list)
    newly_succeeded: list[Obj] = field(default_factory=list)
    succeeded: int = 0
    failed: int = 0
    outcome: tuple[str, str, str] | None = None
    backing_off: bool = False
    succeeded_indexes: set[int] = field(default_factory=set)
    failed_indexes: set[int] = field(default_factory=set)
    delayed_pods: dict[int, Obj] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.active = [pod for pod in self.pods if is_active(pod)]
        self._count_ended()
        self.outcome = self._find_outcome()
        if jobindexes.is_indexed(self.job):
            self._evaluate_indexes()

    def can_release(self, pod: Obj) -> bool:
        """Tell whether the Job has no more use for the pod, once it is counted."""
        if not is_tracked(pod):
            return False
        if self.outcome or phase(pod) == "Succeeded":
            return True
        index = jobindexes.index_of(pod)
        kept = None if index is None else self.delayed_pods.get(index)
        return is_failed(self.job, pod) and kept is not pod

    def counts_as_failed(self, pod: Obj) -> bool:
        """Tell whether the pod, which may go, is one more failure of the Job."""
        if not is_failed(self.job, pod) and (self.outcome or ("",))[0] != "FailureTarget":
            return False
        indexed = jobindexes.is_indexed(self.job)
        if indexed and jobindexes.valid_index(self.job, pod) is None:
            return False
        return jobpolicy.verdict(self.job, pod).counts

    def _count_ended(self) -> None:
        status = self.job["status"]
        noted = status.get("uncountedTerminatedPods") or {}
        succeeded, failed = noted.get("succeeded") or [], noted.get("failed") or []
        known = {*succeeded, *failed}
        fresh = [p for p in self.pods if is_tracked(p) and p["metadata"]["uid"] not in known]
        self.newly_failed = [pod for pod in fresh if is_failed(self.job, pod)]
        self.newly_succeeded = [pod for pod in fresh if phase(pod) == "Succeeded"]
        counted = [pod for pod in self.newly_failed if jobpolicy.verdict(self.job, pod).counts]
        self.succeeded = status.get("succeeded", 0) + len(succeeded) + len(self.newly_succeeded)
        self.failed = status.get("failed", 0) + len(failed) + len(counted)

    def _find_outcome(self) -> tuple[str, str, str] | None:
        """Return how the Job ends, or None while it goes on."""
        job = self.job
        for kind in ("SuccessCriteriaMet", "FailureTarget"):
            known = has_condition(job, kind)
            if known:
                return kind, known.get("reason", ""), known.get("message", "")
        for pod in self.pods:
            why = jobpolicy.verdict(job, pod).why if is_failed(job, pod) else ""
            if why:
                return "FailureTarget", "PodFailurePolicy", why
        limit = job["spec"].get("backoffLimit", 6)
        if self.failed > limit or exceeds_restart_limit(job, self.pods):
            return ("FailureTarget", *BACKOFF_LIMIT_EXCEEDED)
        left = seconds_left(job)
        return ("FailureTarget", *DEADLINE_EXCEEDED) if left is not None and left <= 0 else None

    def _evaluate_indexes(self) -> None:
        """Find out which indexes are done, and which have failed for good."""
        job, spec = self.job, self.job["spec"]
        self.succeeded_indexes = jobindexes.succeeded(job, self.pods)
        self.succeeded = len(self.succeeded_indexes)
        if jobindexes.per_index(job):
            self._evaluate_failed_indexes()
            lost, done = len(self.failed_indexes), len(self.succeeded_indexes)
            if self.outcome is None and lost > spec.get("maxFailedIndexes", spec["completions"]):
                self.outcome = ("FailureTarget", "MaxFailedIndexesExceeded", _TOO_MANY_INDEXES)
            elif self.outcome is None and lost and lost + done >= spec["completions"]:
                self.outcome = ("FailureTarget", "FailedIndexes", "Job has failed indexes")
        rule = jobpolicy.matched_success_rule(job, self.succeeded_indexes)
        if self.outcome is None and rule:
            self.outcome = ("SuccessCriteriaMet", "SuccessPolicy", rule)

    def _evaluate_failed_indexes(self) -> None:
        job = self.job
        failed = [p for p in self.pods if is_failed(job, p) and is_tracked(p)]
        indexed = [(jobindexes.valid_index(job, pod), pod) for pod in failed]
        known = [(index, pod) for index, pod in indexed if index is not None]
        self.failed_indexes = jobindexes.known(job, "failedIndexes")
        self.failed_indexes |= {index for index, pod in known if self._exhausts_index(pod)}
        finished = self.succeeded_indexes | self.failed_indexes
        settled = finished | jobindexes.active_indexes(self.active)
        for index, pod in known:
            best = jobindexes.failures(self.delayed_pods.get(index))
            if index not in settled and jobindexes.failures(pod) >= best:
                self.delayed_pods[index] = pod

    def _exhausts_index(self, pod: Obj) -> bool:
        """Tell whether the failure of this pod is the last that its index may have."""
        verdict = jobpolicy.verdict(self.job, pod)
        if verdict.action == "FailIndex":
            return True
        limit = int(self.job["spec"]["backoffLimitPerIndex"])
        return verdict.counts and jobindexes.failure_count(pod)[0] >= limit
