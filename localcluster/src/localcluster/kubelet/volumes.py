"""The volumes of a pod: folders of the pod's own.

Those that hold data are written as a real kubelet writes them: a folder with a time in its name,
a link `..data` to it that is replaced in one step, and a link for each file.
https://kubernetes.io/docs/concepts/storage/volumes/
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import re
import secrets
import shutil
from pathlib import Path

from ..apimachinery.jsontypes import Obj
from . import volumesources
from .objectwatch import Changed, ObjectWatches, Reference
from .podenv import ConfigError, Resolver, expand
from .volumesources import MountError, Payload

# The service account's token, which every pod of a real cluster has and none has here.
_TOKENS = ("kube-api-access-", "default-token-")
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")


class Volumes:
    """The volumes of one pod.

    Args:
        folder: The pod's.
        declared: The pod's `volumes`.
    """

    def __init__(self, folder: Path, declared: list[Obj], watches: ObjectWatches) -> None:
        self.folder = folder / "volumes"
        self._parts = folder / "parts"
        self._watches = watches
        self._written: dict[str, Payload] = {}
        self._watched: list[tuple[Reference, Changed]] = []
        self._turn = asyncio.Lock()
        self._all: dict[str, Obj] = {
            v["name"]: v for v in declared if not v["name"].startswith(_TOKENS)
        }

    def unsupported(self) -> str:
        """Return what is wrong when the pod asks for a volume that cannot be had here."""
        for name, volume in self._all.items():
            kinds = sorted(set(volume) - {"name"})
            if kinds == ["projected"]:
                sources = volume["projected"].get("sources") or []
                kinds = sorted({k for s in sources for k in s} - set(volumesources.DATA_KINDS))
            if kinds and kinds[0] not in ("emptyDir", *volumesources.DATA_KINDS):
                return (
                    f'volume "{name}" of kind {", ".join(kinds)} is not supported by the local'
                    " cluster, which runs pods as plain processes; use emptyDir, configMap,"
                    " secret, downwardAPI, or projected ones of these"
                )
            if not _NAME.fullmatch(name):
                return f'volume "{name}" has no valid name'
        return ""

    async def mount(self, resolver: Resolver) -> str:
        """Make the volumes that are not there yet; return what is missing for one, or nothing."""
        for name, volume in self._all.items():
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            if name in self._written or "emptyDir" in volume or len(volume) == 1:
                continue
            try:
                await self._write(volume, resolver)
            except MountError as error:
                return f'MountVolume.SetUp failed for volume "{name}" : {error}'
        return ""

    async def _write(self, volume: Obj, resolver: Resolver) -> None:
        async with self._turn:
            files = await volumesources.payload(resolver, volume)
            if self._written.get(volume["name"]) != files:
                try:
                    write_atomically(self.folder / volume["name"], files)
                except (OSError, ValueError) as error:
                    why = getattr(error, "strerror", None) or error
                    raise MountError(f"its files cannot be written: {why}") from None
                self._written[volume["name"]] = files

    def watch(self, namespace: str, changed: Changed) -> None:
        """Call `changed` from now on when an object that a volume holds has changed."""
        names = {ref for v in self._all.values() for ref in volumesources.references(v)}
        for plural, name in sorted(names):
            self._watched.append(((plural, namespace, name), changed))
            self._watches.add(*self._watched[-1])

    def close(self) -> None:
        """Watch nothing any more."""
        while self._watched:
            self._watches.remove(*self._watched.pop())

    async def refresh(self, resolver: Resolver) -> None:
        """Bring the volumes up to date."""
        for name in list(self._written):
            # What is missing now stays as it was, as on a real node.
            with contextlib.suppress(MountError):
                await self._write(self._all[name], resolver)

    def mounts(self, container: Obj, env: dict[str, str]) -> dict[str, Path]:
        """Return where a container's volumes lie, by the paths that it knows them by.

        Raises:
            ConfigError: A subPath leads out of its volume.
        """
        found = {}
        for mount in container.get("volumeMounts") or []:
            volume = self._all.get(mount["name"])
            if volume is not None:
                inside = os.path.normpath("/" + str(mount["mountPath"]).lstrip("/"))
                found[inside] = self._place(volume, container["name"], mount, env)
        return found

    def _place(self, volume: Obj, container: str, mount: Obj, env: dict[str, str]) -> Path:
        folder = self.folder / str(volume["name"])
        sub = mount.get("subPath") or expand(mount.get("subPathExpr") or "", env)
        if not sub:
            return folder
        part = folder / sub
        if os.path.isabs(sub) or not part.resolve().is_relative_to(folder.resolve()):
            which = f'volumeMount "{mount["name"]}" of container "{container}"'
            raise ConfigError(f"failed to prepare subPath for {which}")
        if not part.exists():
            part.mkdir(mode=0o700, parents=True)
        if "emptyDir" in volume:
            return part
        number = abs(hash((mount["name"], mount["mountPath"])))
        # Its name stays, for a program may look at how it ends.
        name = os.path.basename(str(mount["mountPath"]).rstrip("/"))
        return _copy(part, self._parts / container / f"{number:x}" / name)


def _copy(part: Path, target: Path) -> Path:
    """Return a copy of a part of a volume: such a part does not follow changes."""
    if target.exists():
        return target
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if part.is_dir():
        shutil.copytree(part, target)
    else:
        shutil.copy(part, target)
    return target


def _fill(folder: Path, files: Payload) -> None:
    for name, (content, mode) in files.items():
        path = folder / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)


def write_atomically(folder: Path, files: Payload) -> None:
    """Replace the files of a volume, all in one step."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    fresh = folder / f"{stamp}{secrets.randbelow(10**10)}"
    fresh.mkdir(mode=0o755)
    try:
        _fill(fresh, files)
    except (OSError, ValueError):
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    data, draft = folder / "..data", folder / "..data_tmp"
    before = folder / os.readlink(data) if data.is_symlink() else None
    draft.unlink(missing_ok=True)
    draft.symlink_to(fresh.name)
    draft.replace(data)
    wanted = {name.partition("/")[0] for name in files}
    for name in wanted:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    for path in folder.iterdir():
        if path.is_symlink() and path.name not in wanted and not path.name.startswith(".."):
            path.unlink()
    if before is not None and before.parent == folder:
        shutil.rmtree(before, ignore_errors=True)
