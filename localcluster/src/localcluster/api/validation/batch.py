"""What the server refuses about Jobs and CronJobs (the group `batch`).

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
"""

from __future__ import annotations

import itertools
import re

from ...apimachinery.jsontypes import Obj
from ...apimachinery.selectors import match_labels
from .cron import validate_schedule
from .names import label_faults, qualified_name_faults
from .part import Part, repeated
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
_MATCH = "`selector` does not match template `labels`"


def validate_job(obj: Part) -> None:
    """Complain about a Job."""
    spec, labels = obj.part("spec"), obj["spec"]["template"]["metadata"].get("labels")
    _check_selector(obj)
    _check_job_spec(obj["metadata"]["name"], spec)
    spec.require("selector")
    if not spec["selector"] or not match_labels(spec["selector"], labels or {}):
        spec.invalid("template.metadata.labels", _MATCH, labels)


def _check_job_spec(name: str, spec: Part) -> None:
    """Complain about the spec of a Job, or of the Jobs of a CronJob."""
    spec.not_negative(*_NUMBERS)
    _check_completion_mode(name, spec)
    manager = spec["managedBy"]
    if manager is not None:
        if "/" in manager:
            spec.check("managedBy", qualified_name_faults)
        else:
            spec.invalid("managedBy", 'must be a domain-prefixed path (such as "acme.io/foo")')
        if len(manager) > 63:
            spec.causes.too_long(spec.at("managedBy"), 63)
    validate_template(spec.part("template"))
    pod = spec.part("template").part("spec")
    if pod["restartPolicy"] == "Always":
        pod.required("restartPolicy", 'valid values: "OnFailure", "Never"')
    elif pod["restartPolicy"] not in ("OnFailure", "Never"):
        pod.unsupported("restartPolicy", ["OnFailure", "Never"])
    elif spec["podFailurePolicy"] and pod["restartPolicy"] != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        pod.invalid("restartPolicy", why)
    _check_failure_policy(spec)
    _check_success_policy(spec)
    spec.choose("podReplacementPolicy", ["Failed"] if spec["podFailurePolicy"] else None)


def validate_cron_job(obj: Part) -> None:
    """Complain about a CronJob."""
    spec, job = obj.part("spec"), obj.part("spec").part("jobTemplate").part("spec")
    validate_schedule(spec)
    spec.not_negative("startingDeadlineSeconds")
    spec.choose("concurrencyPolicy", always=True)
    _check_job_spec("", job)
    if job["selector"] is not None:
        job.invalid("selector", "`selector` will be auto-generated")
    if job["manualSelector"]:
        job.unsupported("manualSelector", ["nil", "false"])
    spec.not_negative("successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    if len(obj["metadata"]["name"]) > _LONGEST_CRON_JOB_NAME:
        why = f"must be no more than {_LONGEST_CRON_JOB_NAME} characters"
        obj.part("metadata").invalid("name", why)


def _check_selector(obj: Part) -> None:
    """Complain when the labels that tie the pods to the Job were changed."""
    spec, metadata = obj.part("spec"), obj["metadata"]
    if spec["manualSelector"] or not spec["selector"]:
        return
    labels = spec["template"]["metadata"].get("labels") or {}
    expected = {"controller-uid": metadata["uid"], "job-name": metadata["name"]}
    expected |= {f"batch.kubernetes.io/{key}": value for key, value in expected.items()}
    for name, value in expected.items():
        at = f"template.metadata.labels[{name}]"
        if name not in labels:
            spec.required(at, f"must be '{value}'")
        elif labels[name] != value:
            spec.invalid(at, f"must be '{value}'", labels)
    if not match_labels(spec["selector"], expected):
        spec.invalid("selector", "`selector` not auto-generated")


def _check_completion_mode(name: str, spec: Part) -> None:
    per_index, failed = spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]
    indexed = spec["completionMode"] == "Indexed"
    spec.choose("completionMode")
    if failed is not None and per_index is None:
        spec.required("backoffLimitPerIndex", "when maxFailedIndexes is specified")
    for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
        if spec[field] is not None and not indexed:
            spec.invalid(field, "requires indexed completion mode")
    if not indexed:
        return
    completions, parallelism = spec["completions"], spec["parallelism"] or 0
    if completions is None:
        spec.required("completions", "when completion mode is Indexed")
        return
    most = f"must be less than or equal to {_MOST_PARALLEL}"
    if parallelism > _MOST_PARALLEL:
        spec.invalid("parallelism", f"{most} when completion mode is Indexed")
    if (failed or 0) > completions:
        spec.invalid("maxFailedIndexes", "must be less than or equal to completions")
    if (failed or 0) > _MOST_PARALLEL:
        spec.invalid("maxFailedIndexes", most)
    if completions > _MOST_PARALLEL and per_index is not None:
        _check_many_indexes(spec)
    longest = f"{name}-{max(0, completions - 1)}"
    if name and completions and label_faults(longest):
        why = f"will not able to create pod with invalid DNS label: {longest}"
        spec.causes.invalid("metadata.name", name, why)


def _check_many_indexes(spec: Part) -> None:
    """Complain when there are too many indexes to keep a limit for each."""
    most = _MOST_PARALLEL // 10
    if spec["maxFailedIndexes"] is None:
        why = f"must be specified when completions is above {_MOST_PARALLEL}"
        spec.required("maxFailedIndexes", why)
    for name in ("parallelism", "maxFailedIndexes"):
        if (spec[name] or 0) > most:
            why = f"must be less than or equal to {most} when completions are above"
            spec.invalid(name, f"{why} {_MOST_PARALLEL} and used with backoff limit per index")


def _check_failure_policy(spec: Part) -> None:
    policy = spec.part("podFailurePolicy")
    rules = policy.each("rules")
    if len(rules) > 20:
        spec.causes.too_many(policy.at("rules"), len(rules), 20)
    for rule in rules:
        if not rule["action"]:
            listed = ", ".join(f'"{one}"' for one in rule.kind.part("action").enum)
            rule.required("action", f"valid values: {listed}")
        elif rule["action"] == "FailIndex" and spec["backoffLimitPerIndex"] is None:
            rule.invalid("action", "requires the backoffLimitPerIndex to be set")
        else:
            rule.choose("action")
        codes, conditions = rule["onExitCodes"], rule["onPodConditions"]
        if codes is not None:
            _check_exit_codes(spec, rule.part("onExitCodes"))
        for wanted in rule.each("onPodConditions"):
            wanted.choose("status", ["False", "True", "Unknown"])
        if codes is not None and conditions:
            why = "specifying both OnExitCodes and OnPodConditions is not supported"
            rule.invalid("", why)
        elif codes is None and not conditions:
            rule.invalid("", "specifying one of OnExitCodes and OnPodConditions is required")


def _check_exit_codes(spec: Part, codes: Part) -> None:
    codes.require("operator", why='valid values: "In", "NotIn"')
    codes.choose("operator")
    pod, values = spec.part("template").part("spec"), codes["values"] or []
    names = [container["name"] for container in pod.each("containers", "initContainers")]
    if codes["containerName"] is not None and codes["containerName"] not in names:
        why = "must be one of the container or initContainer names in the pod template"
        codes.invalid("containerName", why)
    if not values:
        codes.invalid("values", "at least one value is required", values)
    elif len(values) > 255:
        codes.causes.too_many(codes.at("values"), len(values), 255)
    for value, again in repeated(codes.each("values"), ""):
        if codes["operator"] == "In" and value.value == 0:
            value.invalid("", "must not be 0 for the In operator")
        if again:
            value.duplicate("")
    if values != sorted(values):
        codes.invalid("values", "must be ordered")


def _check_success_policy(spec: Part) -> None:
    policy, completions = spec.part("successPolicy"), spec["completions"] or 0
    if spec["successPolicy"] is None:
        return
    if spec["completionMode"] != "Indexed":
        policy.invalid("", "requires indexed completion mode", spec["successPolicy"])
        return
    why = "at least one rules must be specified when the successPolicy is specified"
    policy.require("rules", why=why)
    for rule in policy.each("rules"):
        count, listed = rule["succeededCount"], rule["succeededIndexes"]
        if count is None and listed is None:
            why = "at least one of succeededCount or succeededIndexes must be specified"
            rule.required("", why)
        if listed is not None and not _are_indexes(listed, completions):
            why = f"error parsing succeededIndexes: no list of indexes below {completions}"
            rule.invalid("succeededIndexes", why)
        if count is not None and count > completions:
            why = f"must be less than or equal to {completions} (the number of specified"
            rule.invalid("succeededCount", f"{why} completions)")


def _are_indexes(text: str, completions: int) -> bool:
    """Tell whether the text lists indexes in order, such as `0,2-4`."""
    if not re.fullmatch(r"[0-9]{1,9}(-[0-9]{1,9})?(,[0-9]{1,9}(-[0-9]{1,9})?)*", text):
        return False
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    rising = all(a < b for a, b in itertools.pairwise(numbers))
    return rising and numbers[-1] < completions


def validate_job_update(old: Obj, new: Part) -> None:
    """Complain about changes of what a Job may not change."""
    # The real server looks at a Job's spec twice.
    new.causes.extend([c for c in new.causes if "auto-generated" not in c["message"]])
    was, now = old["spec"], new["spec"]
    for name in _FROZEN:
        if name == "completions" and _grows_with_parallelism(was, now):
            continue
        if name == "template" and _only_scheduling_changed(old, now):
            continue
        new.part("spec").immutable(name, was)


def _grows_with_parallelism(was: Obj, now: Obj) -> bool:
    """Tell whether an Indexed Job changes its size: both numbers together."""
    indexed = was.get("completionMode") == "Indexed"
    return indexed and now.get("completions") == now.get("parallelism")


def _only_scheduling_changed(old: Obj, now: Obj) -> bool:
    """Tell whether only the scheduling of a Job changed that never ran."""
    started = (old.get("status") or {}).get("startTime")
    if started or not old["spec"].get("suspend"):
        return False
    return _without_scheduling(old["spec"]) == _without_scheduling(now)


def _without_scheduling(spec: Obj) -> Obj:
    """Return a pod template without its scheduling directives."""
    template: Obj = dict(spec["template"])
    directing = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
    template["spec"] = {k: v for k, v in template["spec"].items() if k not in directing}
    metadata = template.get("metadata") or {}
    template["metadata"] = {k: v for k, v in metadata.items() if k not in ("labels", "annotations")}
    return template
