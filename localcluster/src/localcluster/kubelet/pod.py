"""What the containers of one pod share on its node."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..apimachinery.events import Recorder
from ..apimachinery.jsontypes import Obj, whole_number
from ..images import sitecustomize
from . import servicenames
from .containerconfig import host_name
from .host import Host
from .podenv import Resolver
from .volumes import Volumes


class PodEvents(NamedTuple):
    """Records events about one pod.

    Args:
        part: The field path of the container that they are about.
    """

    recorder: Recorder
    pod: Obj
    part: str

    def normal(self, reason: str, message: str) -> None:
        """Record what is as it should be."""
        self.recorder.event(self.pod, reason, message, part=self.part)

    def warning(self, reason: str, message: str) -> None:
        """Record what is not."""
        self.recorder.event(self.pod, reason, message, kind="Warning", part=self.part)


@dataclass
class Pod:
    """A pod's manifest, and what it has been given. Only the pod's worker changes it.

    Attributes:
        manifest: The pod as the API has it now.
        ports: Which ports of the machine stand for its own, where pods share an address.
        stopping: Set when its processes are to end; `deadline` says when at the latest.
    """

    host: Host
    manifest: Obj
    ports: dict[str, int] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    deadline: float | None = None
    folder: Path = field(init=False)
    address: str = field(init=False)
    volumes: Volumes = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.host.state.pods / str(self.metadata["uid"])
        self.address = self.host.addresses.pod()
        declared = self.manifest["spec"].get("volumes") or []
        self.volumes = Volumes(self.folder, declared, self.host.watches)

    @property
    def metadata(self) -> Obj:
        metadata: Obj = self.manifest["metadata"]
        return metadata

    @property
    def full_name(self) -> str:
        """The pod's name in the messages of a kubelet."""
        return f"{self.metadata['name']}_{self.metadata['namespace']}({self.metadata['uid']})"

    @property
    def restart_policy(self) -> str:
        return str(self.manifest["spec"].get("restartPolicy", "Always"))

    @property
    def grace_seconds(self) -> float:
        """How long its programs may take to end, if nobody says otherwise."""
        return float(self.manifest["spec"].get("terminationGracePeriodSeconds") or 0)

    def events(self, part: str = "") -> PodEvents:
        """Return what records events about the pod as it is now, or about a part of it."""
        return PodEvents(self.host.recorder, self.manifest, part)

    def resolver(self) -> Resolver:
        """Return what finds the values that its manifest refers to."""
        host = self.host
        node_ip, capacity = host.addresses.node, host.capacity()
        return Resolver(self.manifest, self.address, node_ip, host.fetch, capacity)

    def environment(self) -> dict[str, str]:
        """Return what each container gets besides what its manifest and its image say."""
        env = {
            "HOSTNAME": host_name(self.manifest),
            "LOCALCLUSTER_POD_IP": self.address,
            **{f"LOCALCLUSTER_PORT_{inside}": str(real) for inside, real in self.ports.items()},
        }
        if servicenames.enabled(self.manifest):
            env[sitecustomize.NAMES] = str(self.host.names.path)
            env[sitecustomize.NAMESPACE] = self.metadata["namespace"]
            env["PYTHONPATH"] = str(self.host.images.site)
        return env

    def real_port(self, port: int | str) -> int:
        """Return the port of the machine on which the pod's port is found.

        Raises:
            ValueError: It has none of that name.
        """
        if isinstance(port, str) and whole_number(port) is None:
            for container in self.manifest["spec"]["containers"]:
                for declared in container.get("ports") or []:
                    if declared.get("name") == port:
                        port = int(declared["containerPort"])
        if isinstance(port, str) and whole_number(port) is None:
            raise ValueError(f"the pod has no port named {port}")
        return self.ports.get(str(port), int(port))

    async def pause(self, seconds: float) -> bool:
        """Wait; return True, before the time is over, when the pod is to end."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return False
        return True
