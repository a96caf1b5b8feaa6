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
from .pod import Pod
from .podenv import ConfigError, expand
from .volumesources import MountError, Payload

# The service account's token, which every pod of a real cluster has and none has here.
_TOKENS = ("kube-api-access-", "default-token-")
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 8.0


class Volumes:
    """The volumes of one pod."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.folder = _folder(pod)
        self._written: dict[str, Payload] = {}
        self._watched: list[tuple[str, str, str]] = []
        self._turn = asyncio.Lock()

    @property
    def _all(self) -> list[Obj]:
        return self.pod.manifest["spec"].get("volumes") or []

    def unsupported(self) -> str:
        """Return what is wrong when the pod asks for a volume that cannot be had here."""
        for volume in self._all:
            name = volume["name"]
            if name.startswith(_TOKENS):
                continue
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

    async def mount(self) -> bool:
        """Make all volumes, and wait for what they need; return False when the pod is to end."""
        for volume in self._all:
            delay = _FIRST_DELAY
            while not await self._try(volume):
                if await self.pod.pause(delay):
                    return False
                delay = min(delay * 2, _LONGEST_DELAY)
        self._watch()
        return True

    async def _try(self, volume: Obj) -> bool:
        name = volume["name"]
        if name.startswith(_TOKENS):
            return True
        folder = self.folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(kind in volume for kind in volumesources.DATA_KINDS):
            return True
        try:
            await self._write(volume)
        except MountError as error:
            text = f'MountVolume.SetUp failed for volume "{name}" : {error}'
            self.pod.event("FailedMount", text, kind="Warning")
            return False
        return True

    async def _write(self, volume: Obj) -> None:
        async with self._turn:
            files = await volumesources.payload(self.pod, volume)
            if self._written.get(volume["name"]) != files:
                try:
                    write_atomically(self.folder / volume["name"], files)
                except (OSError, ValueError) as error:
                    why = getattr(error, "strerror", None) or error
                    raise MountError(f"its files cannot be written: {why}") from None
                self._written[volume["name"]] = files

    def _watch(self) -> None:
        namespace = self.pod.metadata["namespace"]
        names = {ref for volume in self._all for ref in volumesources.references(volume)}
        for plural, name in sorted(names):
            self._watched.append((plural, namespace, name))
            self.pod.host.watches.add((plural, namespace, name), self.refresh)

    def close(self) -> None:
        """Watch nothing any more."""
        while self._watched:
            self.pod.host.watches.remove(self._watched.pop(), self.refresh)

    def refresh(self) -> None:
        """Bring the volumes up to date, soon."""
        if self._written and not self.pod.finished:
            self.pod.background(self._refresh())

    async def _refresh(self) -> None:
        for volume in self._all:
            if volume["name"] in self._written:
                # What is missing now stays as it was, as on a real node.
                with contextlib.suppress(MountError):
                    await self._write(volume)


def place(pod: Pod, container: Obj, mount: Obj, env: dict[str, str]) -> Path | None:
    """Return where a mount of a container lies on this machine, or None if it lies nowhere.

    Raises:
        ConfigError: Its subPath leads out of the volume.
    """
    declared = pod.manifest["spec"].get("volumes") or []
    volume = next((v for v in declared if v["name"] == mount["name"]), None)
    if volume is None or volume["name"].startswith(_TOKENS):
        return None
    folder = _folder(pod) / str(volume["name"])
    sub = mount.get("subPath") or expand(mount.get("subPathExpr") or "", env)
    if not sub:
        return folder
    part = folder / sub
    if os.path.isabs(sub) or not part.resolve().is_relative_to(folder.resolve()):
        which = f'volumeMount "{mount["name"]}" of container "{container["name"]}"'
        raise ConfigError(f"failed to prepare subPath for {which}")
    if not part.exists():
        part.mkdir(mode=0o700, parents=True)
    if "emptyDir" in volume:
        return part
    return _copy(pod, container["name"], mount, part)


def _folder(pod: Pod) -> Path:
    return pod.folder / "volumes"


def _copy(pod: Pod, container: str, mount: Obj, part: Path) -> Path:
    """Return a copy of a part of a volume: such a part does not follow changes."""
    number = (mount["name"], mount["mountPath"])
    # Its name stays, for a program may look at how it ends.
    name = os.path.basename(str(mount["mountPath"]).rstrip("/"))
    target: Path = pod.folder / "parts" / container / f"{abs(hash(number)):x}" / name
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
