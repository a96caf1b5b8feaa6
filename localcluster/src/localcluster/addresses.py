"""Addresses for pods and Services on a machine that has no network for them.

On Linux all of 127.0.0.0/8 is the machine itself, so each cluster takes one 127.x.0.0/16: pods
get an address of their own from its lower half, Services from the upper half, and every port
number keeps its meaning. Elsewhere only 127.0.0.1 exists: all share it, and ports are handed
out instead. `LOCALCLUSTER_LOOPBACK=single` chooses that on Linux too.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field

# Who holds this port on the last address of a range owns the range.
_CLAIM_PORT = 61250


def single_loopback() -> bool:
    """Tell whether pods and Services have to share 127.0.0.1."""
    wanted = os.environ.get("LOCALCLUSTER_LOOPBACK", "")
    if wanted:
        return wanted == "single"
    return sys.platform != "linux"


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses at this moment."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(address: str, port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        return probe.connect_ex((address, port)) != 0


@dataclass
class Addresses:
    """The addresses of one cluster.

    Args:
        seed: Makes the range the same at each start of the same cluster, if it is free.
        ports: Those that pods are sure to listen on.
    """

    seed: str
    ports: Collection[int] = ()
    single: bool = field(default_factory=single_loopback)
    prefix: str = ""
    _claim: socket.socket | None = None
    _next_pod: int = 1
    _next_service: int = 0
    _ports: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.single:
            return
        start = int(hashlib.sha256(self.seed.encode()).hexdigest(), 16)
        for attempt in range(190):
            second = 64 + (start + attempt) % 190
            claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                claim.bind((f"127.{second}.255.254", _CLAIM_PORT))
                claim.listen(1)
            except OSError:
                claim.close()
                continue
            self._claim, self.prefix = claim, f"127.{second}"
            # A program that listens on every address, as Docker does, has those of pods too.
            last = f"{self.prefix}.255.254"
            self.single = not all(_is_free(last, port) for port in self.ports)
            return
        self.single = True

    @property
    def node(self) -> str:
        """The address of the node."""
        return "127.0.0.1"

    def pod(self) -> str:
        """Return an address for a new pod; none is given twice before 32,000 others were."""
        if self.single:
            return "127.0.0.1"
        number = self._next_pod
        self._next_pod = number % (127 * 254) + 1
        return f"{self.prefix}.{number // 254}.{number % 254 + 1}"

    def service(self, taken: set[str]) -> str:
        """Return an address for a new Service that is none of `taken`."""
        if self.single:
            return "127.0.0.1"
        while True:
            number = self._next_service
            self._next_service = (number + 1) % (126 * 254)
            address = f"{self.prefix}.{128 + number // 254}.{number % 254 + 1}"
            if address not in taken:
                return address

    def port(self, wanted: int) -> int:
        """Return the port that stands for `wanted` where all share one address."""
        if not self.single:
            return wanted
        while True:
            port = free_port()
            if port not in self._ports:
                self._ports.add(port)
                return port

    def close(self) -> None:
        """Give the range back."""
        if self._claim:
            self._claim.close()
