"""The Deployment controller: replaces the pods of one template by those of the next.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""

from __future__ import annotations

from dataclasses import dataclass

from ..apimachinery.apierrors import ApiError
from ..apimachinery.jsontypes import Key, Obj, condition_in, deep_copy
from . import deploymentrules as rules
from .controller import Controller
from .ownerindex import OwnedInformer, adopter_keys, controller_keys
from .podstate import has_condition, has_ended
from .replicasetcontrol import ReplicaSetControl, inherited_annotations


@dataclass
class DeploymentController(Controller):
    """Follows Deployments, their ReplicaSets, and the end of their pods."""

    deployments: OwnedInformer
    set_informer: OwnedInformer
    pods: OwnedInformer
    component = "deployment-controller"

    deployment_changed = Controller.enqueue

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sets = ReplicaSetControl(self.client, self.set_informer, self.recorder)

    def replicaset_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue the Deployments that own a changed ReplicaSet, or could adopt it."""
        owners = controller_keys("Deployment", old, new)
        for key in (*owners, *adopter_keys(self.deployments.objects, new)):
            self.queue.add(key)

    def pod_changed(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue the Deployment of a pod that ended: `Recreate` waits for the last one."""
        gone = old if new is None else new if has_ended(new) else None
        for key in controller_keys("ReplicaSet", gone):
            owner = self.set_informer.get(*key)
            if owner is not None:
                self.replicaset_changed(None, owner)

    async def _sync(self, key: Key) -> None:
        found = self.deployments.get(*key)
        if found is None:
            return
        await self.set_informer.synced.wait()
        deployment = deep_copy(found)
        deployment.setdefault("status", {})
        # Sizes are written into what is held here; the cache keeps its own.
        sets = [deep_copy(one) for one in await self.sets.claim(deployment)]
        newest = self._newest(deployment, sets)
        old = [one for one in sets if one is not newest]
        if deployment["metadata"].get("deletionTimestamp"):
            await self._write(deployment, rules.status_of(deployment, sets, newest))
            return
        await self._report_pause(deployment)
        if deployment["spec"].get("paused") or self._was_scaled(deployment, sets):
            await self._sync_scale(deployment, old, newest)
        elif rules.is_rolling(deployment):
            await self._roll(deployment, old, newest)
        else:
            await self._recreate(deployment, old, newest)

    @staticmethod
    def _newest(deployment: Obj, sets: list[Obj]) -> Obj | None:
        """Return the ReplicaSet of the present template, the oldest if there are several."""
        template = deployment["spec"]["template"]
        same = [s for s in sets if rules.same_template(s["spec"]["template"], template)]
        return rules.by_age(same)[0] if same else None

    @staticmethod
    def _was_scaled(deployment: Obj, sets: list[Obj]) -> bool:
        wanted = str(rules.replicas(deployment))
        return any(
            rules.annotations_of(one).get(rules.DESIRED) not in (None, wanted)
            for one in rules.active(sets)
        )

    async def _report_pause(self, deployment: Obj) -> None:
        """Record in the conditions that a rollout was paused or resumed."""
        status = deployment["status"]
        known = condition_in(status, "Progressing")
        reason = known["reason"] if known else ""
        if not rules.has_deadline(deployment) or reason == "ProgressDeadlineExceeded":
            return
        paused = bool(deployment["spec"].get("paused"))
        if paused == (reason == "DeploymentPaused"):
            return
        why = ("DeploymentPaused", "Deployment is paused")
        if not paused:
            why = ("DeploymentResumed", "Deployment is resumed")
        changed = deep_copy(status)
        rules.set_condition(changed, "Progressing", "Unknown", *why)
        await self._write(deployment, changed)

    async def _sync_revision(
        self, deployment: Obj, old: list[Obj], newest: Obj | None, *, create: bool
    ) -> Obj | None:
        """Return the newest ReplicaSet with its revision up to date; create it on request."""
        number = max((rules.revision(one) for one in old), default=0) + 1
        changed = deep_copy(deployment["status"])
        if newest is not None:
            await self._update_revision(deployment, newest, number)
            if condition_in(changed, "Progressing") is None:
                text = f'Found new replica set "{newest["metadata"]["name"]}"'
                rules.set_condition(changed, "Progressing", "True", "FoundNewReplicaSet", text)
        elif not create:
            return None
        else:
            newest = await self._create(deployment, old, number)
            text = f'Created new replica set "{newest["metadata"]["name"]}"'
            rules.set_condition(changed, "Progressing", "True", "NewReplicaSetCreated", text)
        await self._set_revision(deployment, rules.annotations_of(newest)[rules.REVISION])
        if rules.has_deadline(deployment):
            await self._write(deployment, changed)
        return newest

    async def _create(self, deployment: Obj, old: list[Obj], number: int) -> Obj:
        try:
            created: Obj = deep_copy(await self.sets.create(deployment, old, number))
            return created
        except ApiError as error:
            text = f"Failed to create new replica set: {error}"
            reason = "ReplicaSetCreateError"
            self.recorder.event(deployment, reason, text, kind="Warning")
            changed = deep_copy(deployment["status"])
            if rules.has_deadline(deployment):
                rules.set_condition(changed, "Progressing", "False", reason, text)
                await self._write(deployment, changed)
            raise

    async def _update_revision(self, deployment: Obj, newest: Obj, number: int) -> None:
        """Bring the newest ReplicaSet's annotations and settings up to date."""
        known, spec = rules.annotations_of(newest), deployment["spec"]
        wanted = {**inherited_annotations(deployment)}
        for size in (rules.DESIRED, rules.MAX_REPLICAS):
            wanted.pop(size)
        before = rules.revision(newest)
        if number > before:
            wanted[rules.REVISION] = str(number)
            if before:
                history = [
                    *filter(None, known.get(rules.REVISION_HISTORY, "").split(",")),
                    str(before),
                ]
                wanted[rules.REVISION_HISTORY] = ",".join(history)
        change: Obj = {}
        if any(known.get(name) != value for name, value in wanted.items()):
            change["metadata"] = {"annotations": wanted}
        if newest["spec"].get("minReadySeconds", 0) != spec.get("minReadySeconds", 0):
            change["spec"] = {"minReadySeconds": spec.get("minReadySeconds", 0)}
        if change:
            newest.update(deep_copy(await self.sets.patch(newest, change)))

    async def _set_revision(self, deployment: Obj, text: str) -> None:
        if rules.annotations_of(deployment).get(rules.REVISION) == text:
            return
        change = {"metadata": {"annotations": {rules.REVISION: text}}}
        changed = await self.client.patch_same(deployment, change)
        self.deployments.put(changed)
        metadata = deployment["metadata"]
        metadata["annotations"] = changed["metadata"]["annotations"]
        metadata["resourceVersion"] = changed["metadata"]["resourceVersion"]

    async def _sync_scale(self, deployment: Obj, old: list[Obj], newest: Obj | None) -> None:
        """Scale without continuing a rollout."""
        newest = await self._sync_revision(deployment, old, newest, create=False)
        sets = [*old, newest] if newest else old
        running = rules.active(sets)
        if len(running) <= 1:
            latest = [newest] if newest else rules.by_age(old)[-1:]
            for one in running or latest:
                await self.sets.scale(deployment, one, rules.replicas(deployment))
        elif newest is not None and self._is_saturated(deployment, newest):
            for one in rules.active(old):
                await self.sets.scale(deployment, one, 0)
        elif rules.is_rolling(deployment):
            for one, size in rules.proportions(deployment, running):
                await self.sets.scale(deployment, one, size)
        if deployment["spec"].get("paused"):
            await self._trim_history(deployment, old)
        await self._write(deployment, rules.status_of(deployment, sets, newest))

    @staticmethod
    def _is_saturated(deployment: Obj, newest: Obj) -> bool:
        wanted = rules.replicas(deployment)
        available = (newest.get("status") or {}).get("availableReplicas", 0)
        noted = rules.annotations_of(newest).get(rules.DESIRED)
        return rules.replicas(newest) == wanted == available and noted == str(wanted)

    async def _roll(self, deployment: Obj, old: list[Obj], newest: Obj | None) -> None:
        """Take one step of a rolling update from the old ReplicaSets to the new one."""
        newest = await self._sync_revision(deployment, old, newest, create=True)
        assert newest is not None
        sets, wanted = [*old, newest], rules.replicas(deployment)
        size = rules.replicas(newest)
        if size != wanted:
            size = wanted if size > wanted else rules.new_size(deployment, sets, newest)
        stepped = await self.sets.scale(deployment, newest, size)
        stepped = stepped or await self._scale_down_old(deployment, old, newest)
        if not stepped and rules.is_complete(deployment, deployment["status"]):
            await self._trim_history(deployment, old)
        await self._sync_status(deployment, old, newest)

    async def _scale_down_old(self, deployment: Obj, old: list[Obj], newest: Obj) -> bool:
        """Scale old ReplicaSets down, as far as enough pods stay available."""
        sets, running = [*old, newest], rules.by_age(rules.active(old))
        least = rules.replicas(deployment) - rules.fence_posts(deployment)[1]
        unready = rules.replicas(newest) - rules.count([newest], "availableReplicas")
        most = rules.total(sets) - least - unready
        if not running or most <= 0:
            return False
        changed = False
        # First those that are not available: they only stand in the way.
        for one in running:
            idle = rules.replicas(one) - rules.count([one], "availableReplicas")
            fewer = min(most, max(0, idle))
            if fewer:
                most -= fewer
                size = rules.replicas(one) - fewer
                changed |= await self.sets.scale(deployment, one, size)
        spare = rules.count(sets, "availableReplicas") - least
        for one in running:
            fewer = min(rules.replicas(one), max(0, spare))
            if fewer:
                spare -= fewer
                size = rules.replicas(one) - fewer
                changed |= await self.sets.scale(deployment, one, size)
        return changed

    async def _recreate(self, deployment: Obj, old: list[Obj], newest: Obj | None) -> None:
        """End all old pods, and only then start new ones."""
        newest = await self._sync_revision(deployment, old, newest, create=False)
        running = rules.active(old)
        for one in running:
            await self.sets.scale(deployment, one, 0)
        if not running and not self._old_pods_run(old):
            if newest is None:
                newest = await self._sync_revision(deployment, old, None, create=True)
            assert newest is not None
            await self.sets.scale(deployment, newest, rules.replicas(deployment))
            if rules.is_complete(deployment, deployment["status"]):
                await self._trim_history(deployment, old)
        await self._sync_status(deployment, old, newest)

    def _old_pods_run(self, old: list[Obj]) -> bool:
        owned = self.pods.objects.controlled_by
        return any(not has_ended(pod) for one in old for pod in owned(one))

    async def _trim_history(self, deployment: Obj, old: list[Obj]) -> None:
        """Delete the oldest ReplicaSets beyond `revisionHistoryLimit`."""
        limit = deployment["spec"].get("revisionHistoryLimit")
        if limit is None:
            return
        alive = [one for one in old if not one["metadata"].get("deletionTimestamp")]
        for one in sorted(alive, key=rules.revision)[: max(0, len(alive) - limit)]:
            status = one.get("status") or {}
            seen = status.get("observedGeneration", 0) >= one["metadata"]["generation"]
            if seen and not status.get("replicas") and not rules.replicas(one):
                await self.sets.delete(one)

    async def _sync_status(self, deployment: Obj, old: list[Obj], newest: Obj | None) -> None:
        """Write the status of a rollout, and sync again when its deadline may be over."""
        sets = [*old, newest] if newest else old
        status = rules.status_of(deployment, sets, newest)
        name = newest["metadata"]["name"] if newest else deployment["metadata"]["name"]
        which = f'{"ReplicaSet" if newest else "Deployment"} "{name}"'
        known = condition_in(deployment["status"], "Progressing")
        reason = known["reason"] if known else ""
        settled = status.get("replicas", 0) == status.get("updatedReplicas", 0)
        if not rules.has_deadline(deployment):
            rules.drop_condition(status, "Progressing")
        elif not (settled and reason == "NewReplicaSetAvailable"):
            self._update_progress(deployment, status, which)
        failures = (has_condition(one, "ReplicaFailure") for one in ([newest] if newest else old))
        failure = next(filter(None, failures), None)
        if failure:
            why = (failure["reason"], failure["message"])
            rules.set_condition(status, "ReplicaFailure", "True", *why)
        else:
            rules.drop_condition(status, "ReplicaFailure")
        await self._write(deployment, status)
        left = rules.seconds_to_deadline(deployment, status)
        if left is not None:
            metadata = deployment["metadata"]
            self.queue.add_after((metadata["namespace"], metadata["name"]), max(left, 0) + 1)

    @staticmethod
    def _update_progress(deployment: Obj, status: Obj, which: str) -> None:
        if rules.is_complete(deployment, status):
            why = ("NewReplicaSetAvailable", f"{which} has successfully progressed.")
            rules.set_condition(status, "Progressing", "True", *why)
        elif rules.has_progressed(deployment, status):
            rules.refresh_progress(status, f"{which} is progressing.")
        else:
            left = rules.seconds_to_deadline(deployment, status)
            if left is not None and left < 0:
                why = ("ProgressDeadlineExceeded", f"{which} has timed out progressing.")
                rules.set_condition(status, "Progressing", "False", *why)

    async def _write(self, deployment: Obj, status: Obj) -> None:
        """Write the Deployment's status, if it changed."""
        if status == deployment["status"]:
            return
        stored = await self.write_status(self.deployments, deployment, status)
        deployment["status"] = deep_copy(stored["status"])
        deployment["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"]
