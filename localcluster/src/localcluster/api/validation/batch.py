"""What the server refuses about Jobs and CronJobs (the group `batch`).

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from ...apimachinery.jsontypes import Obj
from ...apimachinery.selectors import match_labels
from .causes import Causes
from .cron import validate_schedule
from .names import label_faults, qualified_name_faults
from .pods import validate_template

_NUMBERS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_MOST_PARALLEL = 100_000
# A CronJob's Jobs get eleven characters more, and their pods have to fit into a label.
_LONGEST_CRON_JOB_NAME = 52
_FROZEN = (
    "completions",
    "selector",
    "template",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)
_VALUES = 'valid values: "OnFailure", "Never"'
_ACTIONS = ["Count", "FailIndex", "FailJob", "Ignore"]


def validate_job(obj: Obj, causes: Causes) -> None:
    """Complain about a Job."""
    spec, template = obj["spec"], obj["spec"]["template"]
    _check_selector(obj, causes)
    _check_job_spec(obj["metadata"]["name"], spec, "spec", causes)
    if not spec.get("selector"):
        causes.required("spec.selector")
    labels = template["metadata"].get("labels")
    if not spec.get("selector") or not match_labels(spec["selector"], labels or {}):
        why = "`selector` does not match template `labels`"
        causes.invalid("spec.template.metadata.labels", labels, why)


def _check_job_spec(name: str, spec: Obj, at: str, causes: Causes) -> None:
    """Complain about the spec of a Job, or of the Jobs of a CronJob."""
    causes.not_negative(spec, _NUMBERS, at)
    _check_completion_mode(name, spec, at, causes)
    manager = spec.get("managedBy")
    if manager is not None:
        faults = qualified_name_faults(manager)
        if "/" not in manager:
            faults = ['must be a domain-prefixed path (such as "acme.io/foo")']
        causes.faults(f"{at}.managedBy", manager, faults)
        if len(manager) > 63:
            causes.too_long(f"{at}.managedBy", 63)
    validate_template(spec["template"], f"{at}.template", causes)
    policy, where = spec["template"]["spec"].get("restartPolicy"), f"{at}.template.spec"
    if policy == "Always":
        causes.required(f"{where}.restartPolicy", _VALUES)
    elif policy not in ("OnFailure", "Never"):
        causes.unsupported(f"{where}.restartPolicy", policy, ["OnFailure", "Never"])
    elif spec.get("podFailurePolicy") and policy != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        causes.invalid(f"{where}.restartPolicy", policy, why)
    _check_failure_policy(spec, at, causes)
    _check_success_policy(spec, at, causes)
    _check_replacement_policy(spec, at, causes)


def validate_cron_job(obj: Obj, causes: Causes, old: Obj | None = None) -> None:
    """Complain about a CronJob."""
    spec, job, at = obj["spec"], obj["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec"
    before = str(old["spec"].get("schedule") or "") if old else ""
    validate_schedule(spec, "spec", causes, old=before)
    causes.not_negative(spec, ("startingDeadlineSeconds",))
    policies = ["Allow", "Forbid", "Replace"]
    if spec.get("concurrencyPolicy") not in policies:
        causes.unsupported("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), policies)
    _check_job_spec("", job, at, causes)
    if job.get("selector") is not None:
        causes.invalid(f"{at}.selector", job["selector"], "`selector` will be auto-generated")
    if job.get("manualSelector"):
        causes.unsupported(f"{at}.manualSelector", True, ["nil", "false"])
    causes.not_negative(spec, ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"))
    name = obj["metadata"]["name"]
    if old is None and len(name) > _LONGEST_CRON_JOB_NAME:
        why = f"must be no more than {_LONGEST_CRON_JOB_NAME} characters"
        causes.invalid("metadata.name", name, why)


def _check_selector(obj: Obj, causes: Causes) -> None:
    """Complain when the labels that tie the pods to the Job were changed."""
    spec, metadata = obj["spec"], obj["metadata"]
    selector = spec.get("selector")
    if spec.get("manualSelector") or not selector:
        return
    labels = spec["template"]["metadata"].get("labels") or {}
    expected = {"controller-uid": metadata["uid"], "job-name": metadata["name"]}
    expected |= {f"batch.kubernetes.io/{key}": value for key, value in expected.items()}
    for name, value in expected.items():
        at = f"spec.template.metadata.labels[{name}]"
        if name not in labels:
            causes.required(at, f"must be '{value}'")
        elif labels[name] != value:
            causes.invalid(at, labels, f"must be '{value}'")
    if not match_labels(selector, expected):
        causes.invalid("spec.selector", selector, "`selector` not auto-generated")


def _check_completion_mode(name: str, spec: Obj, at: str, causes: Causes) -> None:
    mode, indexed = spec.get("completionMode"), spec.get("completionMode") == "Indexed"
    per_index, failed = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    causes.one_of(f"{at}.completionMode", mode, ["Indexed", "NonIndexed"])
    if failed is not None and per_index is None:
        causes.required(f"{at}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if spec.get(field) is not None and not indexed:
            causes.invalid(f"{at}.{field}", spec[field], "requires indexed completion mode")
    if not indexed:
        return
    completions, parallelism = spec.get("completions"), spec.get("parallelism") or 0
    if completions is None:
        causes.required(f"{at}.completions", "when completion mode is Indexed")
        return
    if parallelism > _MOST_PARALLEL:
        why = f"must be less than or equal to {_MOST_PARALLEL} when completion mode is Indexed"
        causes.invalid(f"{at}.parallelism", parallelism, why)
    if (failed or 0) > completions:
        why = "must be less than or equal to completions"
        causes.invalid(f"{at}.maxFailedIndexes", failed, why)
    if (failed or 0) > _MOST_PARALLEL:
        why = f"must be less than or equal to {_MOST_PARALLEL}"
        causes.invalid(f"{at}.maxFailedIndexes", failed, why)
    if completions > _MOST_PARALLEL and per_index is not None:
        _check_many_indexes(spec, at, causes)
    longest = f"{name}-{max(0, completions - 1)}"
    if name and completions and label_faults(longest):
        why = f"will not able to create pod with invalid DNS label: {longest}"
        causes.invalid("metadata.name", name, why)


def _check_many_indexes(spec: Obj, at: str, causes: Causes) -> None:
    """Complain when there are too many indexes to keep a limit for each."""
    failed, most = spec.get("maxFailedIndexes"), _MOST_PARALLEL // 10
    if failed is None:
        why = f"must be specified when completions is above {_MOST_PARALLEL}"
        causes.required(f"{at}.maxFailedIndexes", why)
    for name, value in (
        ("parallelism", spec.get("parallelism") or 0),
        ("maxFailedIndexes", failed or 0),
    ):
        if value > most:
            why = f"must be less than or equal to {most} when completions are above"
            why += f" {_MOST_PARALLEL} and used with backoff limit per index"
            causes.invalid(f"{at}.{name}", value, why)


def _check_failure_policy(spec: Obj, path: str, causes: Causes) -> None:
    rules = (spec.get("podFailurePolicy") or {}).get("rules") or []
    if len(rules) > 20:
        causes.too_many(f"{path}.podFailurePolicy.rules", len(rules), 20)
    for i, rule in enumerate(rules):
        at = f"{path}.podFailurePolicy.rules[{i}]"
        action = rule.get("action")
        if not action:
            listed = ", ".join(f'"{one}"' for one in _ACTIONS)
            causes.required(f"{at}.action", f"valid values: {listed}")
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            why = "requires the backoffLimitPerIndex to be set"
            causes.invalid(f"{at}.action", action, why)
        elif action not in _ACTIONS:
            causes.unsupported(f"{at}.action", action, _ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            _check_exit_codes(spec, codes, f"{at}.onExitCodes", causes)
        for j, wanted in enumerate(conditions or []):
            if wanted.get("status", "True") not in ("True", "False", "Unknown"):
                where = f"{at}.onPodConditions[{j}].status"
                causes.unsupported(where, wanted["status"], ["False", "True", "Unknown"])
        if codes is not None and conditions:
            why = "specifying both OnExitCodes and OnPodConditions is not supported"
            causes.invalid(at, rule, why)
        elif codes is None and not conditions:
            why = "specifying one of OnExitCodes and OnPodConditions is required"
            causes.invalid(at, rule, why)


def _check_exit_codes(spec: Obj, codes: Obj, at: str, causes: Causes) -> None:
    operator, values = codes.get("operator"), codes.get("values") or []
    if not operator:
        causes.required(f"{at}.operator", 'valid values: "In", "NotIn"')
    elif operator not in ("In", "NotIn"):
        causes.unsupported(f"{at}.operator", operator, ["In", "NotIn"])
    pod = spec["template"]["spec"]
    names = {c.get("name") for k in ("containers", "initContainers") for c in pod.get(k) or []}
    if codes.get("containerName") is not None and codes["containerName"] not in names:
        why = "must be one of the container or initContainer names in the pod template"
        causes.invalid(f"{at}.containerName", codes["containerName"], why)
    if not values:
        causes.invalid(f"{at}.values", values, "at least one value is required")
    elif len(values) > 255:
        causes.too_many(f"{at}.values", len(values), 255)
    for i, value in enumerate(values):
        if operator == "In" and value == 0:
            causes.invalid(f"{at}.values[{i}]", value, "must not be 0 for the In operator")
        if value in values[:i]:
            causes.duplicate(f"{at}.values[{i}]", value)
    if values != sorted(values):
        causes.invalid(f"{at}.values", values, "must be ordered")


def _check_success_policy(spec: Obj, path: str, causes: Causes) -> None:
    policy, at = spec.get("successPolicy"), f"{path}.successPolicy"
    if policy is None:
        return
    if spec.get("completionMode") != "Indexed":
        causes.invalid(at, policy, "requires indexed completion mode")
        return
    rules, completions = policy.get("rules") or [], spec.get("completions") or 0
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        causes.required(f"{at}.rules", why)
    for i, rule in enumerate(rules):
        here, count = f"{at}.rules[{i}]", rule.get("succeededCount")
        listed = rule.get("succeededIndexes")
        if count is None and listed is None:
            why = "at least one of succeededCount or succeededIndexes must be specified"
            causes.required(here, why)
        if listed is not None and not _are_indexes(listed, completions):
            why = f"error parsing succeededIndexes: no list of indexes below {completions}"
            causes.invalid(f"{here}.succeededIndexes", listed, why)
        if count is not None and count > completions:
            why = f"must be less than or equal to {completions} (the number of specified"
            causes.invalid(f"{here}.succeededCount", count, f"{why} completions)")


def _are_indexes(text: Any, completions: int) -> bool:
    """Tell whether the text lists indexes in order, such as `0,2-4`."""
    if not re.fullmatch(r"[0-9]{1,9}(-[0-9]{1,9})?(,[0-9]{1,9}(-[0-9]{1,9})?)*", str(text)):
        return False
    numbers = [int(number) for number in re.findall(r"\d+", str(text))]
    rising = all(a < b for a, b in itertools.pairwise(numbers))
    return rising and numbers[-1] < completions


def _check_replacement_policy(spec: Obj, at: str, causes: Causes) -> None:
    policy = spec.get("podReplacementPolicy")
    known = ["Failed"] if spec.get("podFailurePolicy") else ["Failed", "TerminatingOrFailed"]
    if policy is not None and policy not in known:
        causes.unsupported(f"{at}.podReplacementPolicy", policy, known)


def validate_job_update(old: Obj, new: Obj, causes: Causes) -> None:
    """Complain about changes of what a Job may not change."""
    was, now = old["spec"], new["spec"]
    for name in _FROZEN:
        if name == "completions" and _grows_with_parallelism(was, now):
            continue
        if name == "template" and _only_scheduling_changed(old, new):
            continue
        causes.immutable(f"spec.{name}", was.get(name), now.get(name))


def _grows_with_parallelism(was: Obj, now: Obj) -> bool:
    """Tell whether an Indexed Job changes its size: both numbers together."""
    indexed = was.get("completionMode") == "Indexed"
    return indexed and now.get("completions") == now.get("parallelism")


def _only_scheduling_changed(old: Obj, new: Obj) -> bool:
    """Tell whether only the scheduling of a Job changed that never ran."""
    started = (old.get("status") or {}).get("startTime")
    if started or not old["spec"].get("suspend"):
        return False
    return _without_scheduling(old["spec"]) == _without_scheduling(new["spec"])


def _without_scheduling(spec: Obj) -> Obj:
    """Return a pod template without its scheduling directives."""
    template: Obj = dict(spec["template"])
    directing = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
    template["spec"] = {k: v for k, v in template["spec"].items() if k not in directing}
    metadata = template.get("metadata") or {}
    template["metadata"] = {k: v for k, v in metadata.items() if k not in ("labels", "annotations")}
    return template
