"""Before a container starts: its image is looked for, and its environment made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..images import imagestore
from . import podsetup
from .containers import Container
from .podenv import ConfigError

if TYPE_CHECKING:
    from .podworker import PodWorker

_FIRST_DELAY = 10.0
_LONGEST_DELAY = 300.0


async def prepare(worker: PodWorker, container: Container) -> list[str] | None:
    """Find the image and the environment; returns the command, or None when to end."""
    delay = _FIRST_DELAY
    while not worker.stopping.is_set():
        try:
            container.image = worker.kubelet.images.resolve(container.spec["image"])
            name = container.spec["image"]
            text = f'Container image "{name}" already present on machine'
            worker.event("Pulled", text, container)
            return await podsetup.configure(worker, container)
        except imagestore.ImageMissing as error:
            delay, ended = await _without_image(worker, container, str(error), delay)
            if ended:
                return None
        except ConfigError as error:
            container.wait_for("CreateContainerConfigError", str(error))
            worker.event("Failed", f"Error: {error}", container, kind="Warning")
            worker.publish()
            if await worker.pause(1.0):
                return None
    return None


async def _without_image(
    worker: PodWorker, container: Container, why: str, delay: float
) -> tuple[float, bool]:
    name = container.spec["image"]
    invalid = "invalid reference format" in why
    if invalid:
        why = f'Failed to apply default image tag "{name}": {why}'
        container.wait_for("InvalidImageName", why)
    elif container.spec.get("imagePullPolicy") == "Never":
        text = f'Container image "{name}" is not present with pull policy of Never'
        container.wait_for("ErrImageNeverPull", text)
        worker.event("ErrImageNeverPull", text, container, kind="Warning")
        why = f"Error: ErrImageNeverPull: {why}"
    else:
        worker.event("Pulling", f'Pulling image "{name}"', container)
        why = f'Failed to pull image "{name}": {why}'
        container.wait_for("ErrImagePull", why)
    worker.event("Failed", why, container, kind="Warning")
    if container.state["waiting"]["reason"] == "ErrImagePull":
        worker.event("Failed", "Error: ErrImagePull", container, kind="Warning")
    worker.publish()
    if await worker.pause(2.0):
        return delay, True
    if not invalid and container.spec.get("imagePullPolicy") != "Never":
        container.wait_for("ImagePullBackOff", f'Back-off pulling image "{name}": {why}')
        worker.event("BackOff", f'Back-off pulling image "{name}"', container)
        worker.event("Failed", "Error: ImagePullBackOff", container, kind="Warning")
        worker.publish()
    # An image that was built meanwhile is seen soon, not only after the whole back-off.
    for _ in range(int(delay)):
        if await worker.pause(1.0):
            return delay, True
        if _has_image(worker, name):
            break
    return min(delay * 2, _LONGEST_DELAY), False


def _has_image(worker: PodWorker, name: str) -> bool:
    try:
        worker.kubelet.images.resolve(name)
    except imagestore.ImageMissing:
        return False
    return True
