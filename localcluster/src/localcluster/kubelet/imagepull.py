"""What a kubelet shows and tells of an image that is not there. Pure."""

from __future__ import annotations

from typing import NamedTuple

PRESENT = 'Container image "{}" already present on machine and can be accessed by the pod'
MISSING_SECRETS = (
    "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed."
)

# The reason and the message of a waiting container, or of an event.
Told = tuple[str, str]


class Missing(NamedTuple):
    """An image that cannot be had.

    Attributes:
        waiting: What the container shows; `warnings` are told with it.
        backing_off: What it shows while the next attempt is far, if that is something else.
    """

    waiting: Told
    warnings: tuple[Told, ...]
    backing_off: Told | None = None


def missing(name: str, policy: str, why: str) -> Missing:
    """Return what follows from an image that was not found.

    Args:
        policy: The container's `imagePullPolicy`.
    """
    if "invalid reference format" in why:
        why = f'Failed to apply default image tag "{name}": {why}'
        return Missing(("InvalidImageName", why), (("Failed", why),))
    if policy == "Never":
        reason = "ErrImageNeverPull"
        text = f'Container image "{name}" is not present with pull policy of Never'
        return Missing((reason, text), ((reason, text), ("Failed", f"Error: {reason}: {why}")))
    why = f'Failed to pull image "{name}": {why}'
    return Missing(
        ("ErrImagePull", why),
        (("Failed", why), ("Failed", "Error: ErrImagePull")),
        ("ImagePullBackOff", f'Back-off pulling image "{name}": {why}'),
    )
