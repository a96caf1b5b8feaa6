"""The file in which pods find the addresses of Services by their names; see `sitecustomize`."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from ..apimachinery.conventions import real_ports
from ..apimachinery.jsontypes import Key, Obj

ANNOTATION = "localcluster/service-names"


@dataclass
class ServiceNames:
    """Keeps one line for each Service: its name, its address, which port stands for which."""

    path: Path
    _scheduled: bool = False

    def __post_init__(self) -> None:
        self.path.unlink(missing_ok=True)

    def update(self, services: dict[Key, Obj]) -> None:
        """Write the file anew, once for all changes that come together."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._write, services)

    def _write(self, services: dict[Key, Obj]) -> None:
        self._scheduled = False
        lines = []
        for (namespace, name), service in sorted(services.items()):
            address = service["spec"].get("clusterIP")
            if address and address != "None":
                moved = [f"{inside}={real}" for inside, real in sorted(real_ports(service).items())]
                lines.append(" ".join([f"{name}.{namespace}", address, *moved]) + "\n")
        draft = self.path.with_name(self.path.name + ".new")
        draft.write_text("".join(lines), "utf-8")
        os.replace(draft, self.path)


def enabled(pod: Obj) -> bool:
    """Tell whether the names are to resolve in this pod; its annotation may say no."""
    annotations = pod["metadata"].get("annotations") or {}
    return bool(annotations.get(ANNOTATION, "true") != "false")
