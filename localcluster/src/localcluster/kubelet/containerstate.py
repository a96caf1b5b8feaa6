"""What is known of one container, and how it may change. Pure, but for the clock.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-states
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace

from ..apimachinery.jsontypes import Obj, now

MAIN, INIT, SIDECAR, EPHEMERAL = "main", "init", "sidecar", "ephemeral"
# Where the manifest lists the containers of each kind.
LISTED_IN = {
    MAIN: "containers",
    INIT: "initContainers",
    SIDECAR: "initContainers",
    EPHEMERAL: "ephemeralContainers",
}

# A pod's processes are this program's own user, on Linux shown as a real kubelet shows it.
_GROUPS = list(dict.fromkeys([os.getgid(), *os.getgroups()]))
_LINUX_USER = {"uid": os.getuid(), "gid": os.getgid(), "supplementalGroups": _GROUPS}
_USER: Obj = {"user": {"linux": _LINUX_USER}} if sys.platform == "linux" else {}
_LOST = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
    "startedAt": None,
    "finishedAt": None,
}


@dataclass(frozen=True)
class ContainerState:
    """One container as its pod's status shows it.

    Attributes:
        spec: Its part of the manifest.
        kind: One of the constants above; a sidecar is an init container that goes on beside the
            others: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
        state: One of `waiting`, `running`, `terminated`, as in the status; `last_state` is that of
            the run before.
        image: The full name of the image, once it is found; `image_id` says which it is.
        container_id: Tells one run from all others; empty before the first.
        resources: What it was last started with, or got since.
    """

    spec: Obj
    kind: str = MAIN
    state: Obj = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Obj = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restarts: int = 0
    image: str = ""
    image_id: str = ""
    container_id: str = ""
    resources: Obj = field(default_factory=dict)

    @property
    def name(self) -> str:
        name: str = self.spec["name"]
        return name

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """The exit code of a container that is over."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    def waits(self, reason: str, message: str = "") -> ContainerState:
        """Return it waiting, and why; an end before that is its last state."""
        waiting = {"reason": reason, **({"message": message} if message else {})}
        return replace(self._remembering(), state={"waiting": waiting}, ready=False, started=False)

    def created(self, container_id: str) -> ContainerState:
        """Return it made, its program about to start."""
        resources = self.spec.get("resources") or {}
        return replace(self, container_id=container_id, resources=resources)

    def runs(self) -> ContainerState:
        """Return it running."""
        return replace(self, state={"running": {"startedAt": now()}})

    def has_started(self) -> ContainerState:
        """Return it started, as its startup probe sees it."""
        ready = self.kind in (MAIN, SIDECAR) and not self.spec.get("readinessProbe")
        return replace(self, started=True, ready=ready)

    def ended(self, code: int, reason: str, message: str = "") -> ContainerState:
        """Return it with its program ended, or never started."""
        terminated = {
            "exitCode": code,
            "reason": reason,
            **({"message": message} if message else {}),
            "startedAt": (self.state.get("running") or {}).get("startedAt") or now(),
            "finishedAt": now(),
            **({"containerID": self.container_id} if self.container_id else {}),
        }
        ready = self.kind == INIT and code == 0
        return replace(self, state={"terminated": terminated}, ready=ready, started=False)

    def starts_again(self) -> ContainerState:
        """Return it before its next run."""
        return replace(self._remembering(), restarts=self.restarts + 1)

    def at_the_end(self, *, expected: bool) -> ContainerState:
        """Return it when its pod is over: nothing waits any more.

        Args:
            expected: Whether the container would have been started.
        """
        if "waiting" not in self.state or not (self.last_state or expected):
            return self
        state = self.last_state or {"terminated": _LOST}
        return replace(self, state=state, ready=False, started=False)

    def _remembering(self) -> ContainerState:
        return replace(self, last_state=self.state) if "terminated" in self.state else self

    def status(self) -> Obj:
        """Return the container's part of the pod's status."""
        requests = (self.spec.get("resources") or {}).get("requests")
        status = {
            "name": self.name,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "restartCount": self.restarts,
            "image": self.image or self.spec["image"],
            "imageID": self.image_id if self.container_id else "",
            **({"containerID": self.container_id} if self.container_id else {}),
            **({"started": self.started} if self.kind != EPHEMERAL else {}),
            **({"allocatedResources": requests} if requests else {}),
        }
        if self.container_id:
            mounts = [_mount_status(mount) for mount in self.spec.get("volumeMounts") or []]
            status |= {"resources": self.resources, **({"volumeMounts": mounts} if mounts else {})}
            status |= _USER
        return status


def _mount_status(mount: Obj) -> Obj:
    shown = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        shown |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return shown


def restarts_after(kind: str, policy: str, code: int) -> bool:
    """Tell whether a container is started again after it has ended.

    https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy

    Args:
        policy: The pod's; for an init container `Always` means until it has succeeded.
    """
    if kind == SIDECAR:
        return True
    if kind == EPHEMERAL or policy == "Never":
        return False
    return code != 0 or (policy == "Always" and kind == MAIN)
