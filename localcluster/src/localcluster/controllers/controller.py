"""What all controllers have: a queue of keys to work on, and a recorder of Events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..apimachinery.client import Client
from ..apimachinery.events import Recorder
from ..apimachinery.informer import Informer
from ..apimachinery.jsontypes import Key, Obj, key_of
from ..apimachinery.keyqueue import KeyQueue
from ..apimachinery.resources import object_path


@dataclass
class Controller:
    """Brings the objects of one kind, one by one, to their desired state.

    It is told of each change of the objects of a kind for which it has a method such as
    `pod_changed(old, new)`; None stands for absence.

    Attributes:
        component: Who its Events are from.
    """

    client: Client
    component: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self.queue = KeyQueue(self._sync)
        self.recorder = Recorder(self.client, self.component)

    async def run(self) -> None:
        """Do what is not asked for by a change, until cancelled."""
        await self.recorder.run()

    def enqueue(self, old: Obj | None, new: Obj | None) -> None:
        """Enqueue an object that changed; one that is gone needs nothing."""
        if new is not None:
            self.queue.add(key_of(new))

    async def _sync(self, key: Key) -> None:
        """Reconcile the object with this key."""
        raise NotImplementedError

    async def write_status(self, informer: Informer, obj: Obj, status: Obj) -> Obj:
        """Write an object's status; a conflict makes the whole sync start again.

        Returns:
            The object as it is stored, which the informer knows from now on.
        """
        stored = await self.client.replace(object_path(obj, "status"), {**obj, "status": status})
        informer.put(stored)
        return stored
