"""One look at a Job: what its pods have come to, and how it ends. Nothing here writes.

https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..apimachinery.jsontypes import Obj
from . import jobindexes, jobpolicy
from .jobrules import (
    TOO_LATE,
    TOO_MANY_FAILURES,
    has_condition,
    has_finalizer,
    is_failed,
    restarted_too_often,
    seconds_left,
)
from .podstate import is_active, phase

_TOO_MANY_INDEXES = "Job has exceeded the specified maximal number of failed indexes"


@dataclass
class Look:
    """What a Job and its pods show.

    Attributes:
        active: the pods that neither ended nor are being deleted.
        fallen, risen: the pods that failed and succeeded since the last look.
        succeeded, failed: the totals with these.
        end: how the Job ends, as (condition, reason, message), once that is known.
        waiting: a failed pod is replaced only after a while.
        done: the indexes that succeeded, of an Indexed Job.
        lost: the indexes that failed for good, where each has its own limit.
        kept: per index, the failed pod that still has to tell its successor about failures.
    """

    job: Obj
    pods: list[Obj]
    active: list[Obj] = field(default_factory=list)
    fallen: list[Obj] = field(default_factory=list)
    risen: list[Obj] = field(default_factory=list)
    succeeded: int = 0
    failed: int = 0
    end: tuple[str, str, str] | None = None
    waiting: bool = False
    done: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    kept: dict[int, Obj] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.active = [pod for pod in self.pods if is_active(pod)]
        self._tally()
        self.end = self._verdict()
        if jobindexes.is_indexed(self.job):
            self._look_at_indexes()

    def may_go(self, pod: Obj) -> bool:
        """Tell whether the Job has no more use for the pod, once it is counted."""
        if not has_finalizer(pod):
            return False
        if self.end or phase(pod) == "Succeeded":
            return True
        index = jobindexes.index_of(pod)
        kept = None if index is None else self.kept.get(index)
        return is_failed(self.job, pod) and kept is not pod

    def counts_as_failed(self, pod: Obj) -> bool:
        """Tell whether the pod, which may go, is one more failure of the Job."""
        if not is_failed(self.job, pod) and (self.end or ("",))[0] != "FailureTarget":
            return False
        indexed = jobindexes.is_indexed(self.job)
        if indexed and jobindexes.valid_index(self.job, pod) is None:
            return False
        return jobpolicy.verdict(self.job, pod).counts

    def _tally(self) -> None:
        status = self.job["status"]
        noted = status.get("uncountedTerminatedPods") or {}
        succeeded, failed = noted.get("succeeded") or [], noted.get("failed") or []
        known = {*succeeded, *failed}
        fresh = [p for p in self.pods if has_finalizer(p) and p["metadata"]["uid"] not in known]
        self.fallen = [pod for pod in fresh if is_failed(self.job, pod)]
        self.risen = [pod for pod in fresh if phase(pod) == "Succeeded"]
        counted = [pod for pod in self.fallen if jobpolicy.verdict(self.job, pod).counts]
        self.succeeded = status.get("succeeded", 0) + len(succeeded) + len(self.risen)
        self.failed = status.get("failed", 0) + len(failed) + len(counted)

    def _verdict(self) -> tuple[str, str, str] | None:
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
        if self.failed > limit or restarted_too_often(job, self.pods):
            return ("FailureTarget", *TOO_MANY_FAILURES)
        left = seconds_left(job)
        return ("FailureTarget", *TOO_LATE) if left is not None and left <= 0 else None

    def _look_at_indexes(self) -> None:
        """Find out which indexes are done, and which have failed for good."""
        job, spec = self.job, self.job["spec"]
        self.done = jobindexes.succeeded(job, self.pods)
        self.succeeded = len(self.done)
        if jobindexes.per_index(job):
            self._look_at_failed_indexes()
            lost = len(self.lost)
            if self.end is None and lost > spec.get("maxFailedIndexes", spec["completions"]):
                self.end = ("FailureTarget", "MaxFailedIndexesExceeded", _TOO_MANY_INDEXES)
            elif self.end is None and lost and lost + len(self.done) >= spec["completions"]:
                self.end = ("FailureTarget", "FailedIndexes", "Job has failed indexes")
        rule = jobpolicy.met_success_rule(job, self.done)
        if self.end is None and rule:
            self.end = ("SuccessCriteriaMet", "SuccessPolicy", rule)

    def _look_at_failed_indexes(self) -> None:
        job = self.job
        failed = [p for p in self.pods if is_failed(job, p) and has_finalizer(p)]
        indexed = [(jobindexes.valid_index(job, pod), pod) for pod in failed]
        known = [(index, pod) for index, pod in indexed if index is not None]
        self.lost = jobindexes.parse(job["status"].get("failedIndexes"))
        self.lost |= {index for index, pod in known if self._is_lost(pod)}
        settled = self.done | self.lost | jobindexes.active_indexes(self.active)
        for index, pod in known:
            count, best = jobindexes.failures(pod), jobindexes.failures(self.kept.get(index))
            if index not in settled and count >= best:
                self.kept[index] = pod

    def _is_lost(self, pod: Obj) -> bool:
        """Tell whether the failure of this pod is the last that its index may have."""
        verdict = jobpolicy.verdict(self.job, pod)
        if verdict.action == "FailIndex":
            return True
        limit = int(self.job["spec"]["backoffLimitPerIndex"])
        return verdict.counts and jobindexes.failure_count(pod)[0] >= limit
