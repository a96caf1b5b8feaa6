"""Events about one pod, or about one of its containers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..apimachinery.events import Recorder
from ..apimachinery.jsontypes import Obj


@dataclass(frozen=True)
class PodEvents:
    """Records events about one pod.

    Args:
        pod: Returns the pod as the API has it now.
        part: The field path of the container that they are about.
    """

    recorder: Recorder
    pod: Callable[[], Obj]
    part: str = ""

    def of(self, part: str) -> PodEvents:
        """Return what records events about a part of the pod."""
        return replace(self, part=part)

    def normal(self, reason: str, message: str) -> None:
        """Record what is as it should be."""
        self.recorder.event(self.pod(), reason, message, part=self.part)

    def warning(self, reason: str, message: str) -> None:
        """Record what is not."""
        self.recorder.event(self.pod(), reason, message, kind="Warning", part=self.part)
