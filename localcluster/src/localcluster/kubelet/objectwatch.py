"""Watches of the ConfigMaps and Secrets that the volumes of running pods use, and of no others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ..apimachinery.client import Client
from ..apimachinery.informer import Informer

Reference = tuple[str, str, str]
Changed = Callable[[], None]


@dataclass
class ObjectWatches:
    """One watch for each object that somebody needs, as long as anybody does."""

    client: Client
    _needed: dict[Reference, list[Changed]] = field(default_factory=dict)
    _tasks: dict[Reference, asyncio.Task[None]] = field(default_factory=dict)

    def add(self, reference: Reference, changed: Changed) -> None:
        """Call `changed` after each change of (plural, namespace, name), and once soon."""
        self._needed.setdefault(reference, []).append(changed)
        if reference not in self._tasks:
            plural, namespace, name = reference
            informer = Informer(
                self.client,
                f"/api/v1/namespaces/{namespace}/{plural}",
                lambda old, new: self._tell(reference),
                {"fieldSelector": f"metadata.name={name}"},
            )
            self._tasks[reference] = asyncio.get_running_loop().create_task(informer.run())

    def remove(self, reference: Reference, changed: Changed) -> None:
        """Call it no more."""
        needed = self._needed.get(reference, [])
        if changed in needed:
            needed.remove(changed)
        if not needed:
            self._needed.pop(reference, None)
            task = self._tasks.pop(reference, None)
            if task is not None:
                task.cancel()

    def _tell(self, reference: Reference) -> None:
        for changed in list(self._needed.get(reference, [])):
            changed()
