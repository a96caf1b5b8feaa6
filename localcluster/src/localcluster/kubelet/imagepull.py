"""Before a container starts: its image is looked for, and its environment made."""

from __future__ import annotations

from ..images import imagestore
from . import containerconfig, podstatus
from .containers import Container
from .pod import Pod
from .podenv import ConfigError

_PRESENT = "already present on machine and can be accessed by the pod"
_FIRST_DELAY = 10.0
_LONGEST_DELAY = 300.0


async def prepare(pod: Pod, container: Container) -> list[str] | None:
    """Find the image and the environment; return the command, or None when to end."""
    delay = _FIRST_DELAY
    while not pod.stopping.is_set():
        try:
            container.image = pod.host.images.resolve(container.spec["image"])
            name = container.spec["image"]
            text = f'Container image "{name}" {_PRESENT}'
            pod.event("Pulled", text, container)
            return await containerconfig.configure(pod, container)
        except imagestore.ImageNotFound as error:
            delay, ended = await _image_missing(pod, container, str(error), delay)
            if ended:
                return None
        except ConfigError as error:
            container.set_waiting("CreateContainerConfigError", str(error))
            pod.event("Failed", f"Error: {error}", container, kind="Warning")
            podstatus.publish(pod)
            if await pod.pause(1.0):
                return None
    return None


async def _image_missing(
    pod: Pod, container: Container, why: str, delay: float
) -> tuple[float, bool]:
    name = container.spec["image"]
    invalid = "invalid reference format" in why
    if invalid:
        why = f'Failed to apply default image tag "{name}": {why}'
        container.set_waiting("InvalidImageName", why)
    elif container.spec.get("imagePullPolicy") == "Never":
        text = f'Container image "{name}" is not present with pull policy of Never'
        container.set_waiting("ErrImageNeverPull", text)
        pod.event("ErrImageNeverPull", text, container, kind="Warning")
        why = f"Error: ErrImageNeverPull: {why}"
    else:
        pod.event("Pulling", f'Pulling image "{name}"', container)
        why = f'Failed to pull image "{name}": {why}'
        container.set_waiting("ErrImagePull", why)
    pod.event("Failed", why, container, kind="Warning")
    if container.state["waiting"]["reason"] == "ErrImagePull":
        pod.event("Failed", "Error: ErrImagePull", container, kind="Warning")
    podstatus.publish(pod)
    if await pod.pause(2.0):
        return delay, True
    if not invalid and container.spec.get("imagePullPolicy") != "Never":
        container.set_waiting("ImagePullBackOff", f'Back-off pulling image "{name}": {why}')
        pod.event("BackOff", f'Back-off pulling image "{name}"', container)
        pod.event("Failed", "Error: ImagePullBackOff", container, kind="Warning")
        podstatus.publish(pod)
    # An image that was built meanwhile is seen soon, not only after the whole back-off.
    for _ in range(int(delay)):
        if await pod.pause(1.0):
            return delay, True
        if _has_image(pod, name):
            break
    return min(delay * 2, _LONGEST_DELAY), False


def _has_image(pod: Pod, name: str) -> bool:
    try:
        pod.host.images.resolve(name)
    except imagestore.ImageNotFound:
        return False
    return True
