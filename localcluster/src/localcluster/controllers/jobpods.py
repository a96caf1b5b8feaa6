"""The pods of Jobs: how they are made, claimed, deleted and released."""

from __future__ import annotations

from ..apimachinery.jsontypes import Obj
from . import jobindexes, jobpolicy
from .jobrules import TRACKING_FINALIZER
from .podcontrol import PodControl


class JobPods(PodControl):
    """Makes, removes and releases the pods of Jobs."""

    finalizer = TRACKING_FINALIZER

    async def scale_down(self, job: Obj, pods: list[Obj]) -> None:
        """Delete surplus pods of the Job; released first, they do not count as failed."""
        await self.release(pods)
        await self.delete(job, pods)

    async def release(self, pods: list[Obj]) -> None:
        """Remove the Job's finalizer: nobody has to count these pods any more."""
        change = {"$deleteFromPrimitiveList/finalizers": [TRACKING_FINALIZER]}
        await self.patch_all(pods, lambda _pod: change)


def plain_template(job: Obj) -> Obj:
    """Return the template of the Job's pods."""
    template = job["spec"]["template"]
    metadata = {**(template.get("metadata") or {}), "finalizers": [TRACKING_FINALIZER]}
    metadata.pop("generateName", None)
    return {"metadata": metadata, "spec": template["spec"]}


def indexed_template(job: Obj, index: int, failed: Obj | None) -> Obj:
    """Return the template of the pod of one completion index.

    Args:
        failed: The pod that it replaces, where each index has its own limit of failures.
    """
    template, name = plain_template(job), job["metadata"]["name"]
    metadata, spec = template["metadata"], template["spec"]
    note = {jobindexes.INDEX: str(index)}
    metadata["labels"] = {**(metadata.get("labels") or {}), **note}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **note}
    if jobindexes.per_index(job):
        metadata["annotations"].update(_failure_notes(job, failed))
    end = f"-{index}-"
    metadata["generateName"] = name[: 58 - len(end)] + end
    changed = {kind: _with_index(spec[kind]) for kind in _CONTAINER_LISTS if spec.get(kind)}
    template["spec"] = {**spec, **changed, "hostname": f"{name}-{index}"}
    return template


_CONTAINER_LISTS = ("initContainers", "containers")


def _with_index(containers: list[Obj]) -> list[Obj]:
    """Return containers with the variable that tells them their index."""
    field = f"metadata.labels['{jobindexes.INDEX}']"
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": field}}
    variable = {"name": "JOB_COMPLETION_INDEX", "valueFrom": source}
    return [
        container
        if any(v.get("name") == variable["name"] for v in container.get("env") or [])
        else {**container, "env": [*(container.get("env") or []), variable]}
        for container in containers
    ]


def _failure_notes(job: Obj, failed: Obj | None) -> dict[str, str]:
    counted, ignored = jobindexes.failure_count(failed)
    if failed is not None:
        if jobpolicy.verdict(job, failed).counts:
            counted += 1
        else:
            ignored += 1
    notes = {jobindexes.FAILURES: str(counted)}
    return {**notes, jobindexes.IGNORED: str(ignored)} if ignored else notes
