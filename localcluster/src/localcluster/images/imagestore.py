"""Images without containers: a name, a folder of files, a command, an environment.

`python` is this very interpreter with what is installed in it. Some stand for programs of the
machine, as the caller wants it: see `programs`. Others are built from a Dockerfile, and live as
folders in the state folder.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import secrets
import shlex
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

from ..errors import ImageError
from ..paths import State
from . import dockerfile as docker
from . import podpython, programs

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?"
_NAME = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?", re.ASCII)
# As Docker: longer ones are no names.
_MAX_NAME = 255
_MAX_FILE_NAME = 200
_PYTHON = "python"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Image(NamedTuple):
    """An image that was built.

    Attributes:
        name: With its tag, for example `job-wq-2:1`.
        command: What a pod runs that names no command itself.
        workdir: The folder, inside the image, where it starts.
        files: How many files were copied in.
    """

    name: str
    base: str
    command: list[str]
    workdir: str
    files: int


@dataclass(frozen=True)
class ResolvedImage:
    """All that the kubelet needs to know about an image.

    Attributes:
        kind: `python`, or the program image that it stands on.
        root: The folder with the image's files, or None when it has none of its own.
        path: Folders that come first on PATH.
        programs: Absolute paths inside the image that stand for programs of this machine.
    """

    name: str
    digest: str
    kind: str
    entrypoint: list[str]
    command: list[str]
    workdir: str
    env: dict[str, str]
    root: Path | None
    path: list[Path]
    programs: dict[str, Path] = field(default_factory=dict)


class _Record(NamedTuple):
    """What is kept of an image that was built; its files lie in `folder`."""

    name: str
    base: str
    kind: str
    entrypoint: list[str]
    command: list[str]
    workdir: str
    env: dict[str, str]
    folder: str

    @classmethod
    def read(cls, path: Path) -> _Record:
        """Read a record.

        Raises:
            ValueError: It cannot be read.
            TypeError: Another version wrote it.
        """
        return cls(**json.loads(path.read_text("utf-8")))


class ImageNotFound(Exception):
    """There is no such image; the message says which there are."""


def normalized_name(name: str) -> str:
    """Return the name with its tag and without the parts that Docker adds by itself."""
    for prefix in ("docker.io/library/", "docker.io/", "library/"):
        name = name.removeprefix(prefix)
    name = name.partition("@")[0]
    if ":" not in name.rpartition("/")[2]:
        name += ":latest"
    return name


def _untagged(name: str) -> str:
    return normalized_name(name).rpartition(":")[0]


def _is_name(text: str) -> bool:
    return len(text) <= _MAX_NAME and bool(_NAME.fullmatch(text))


def _file_name(name: str) -> str:
    """Return the name of the files that belong to an image: no path, and not too long for one."""
    quoted = quote(name, safe="")
    if len(quoted) <= _MAX_FILE_NAME:
        return quoted
    return f"{quoted[:100]}%{hashlib.sha256(name.encode()).hexdigest()}"


@dataclass
class Images:
    """The images of one cluster."""

    state: State

    @property
    def site(self) -> Path:
        """What the Python of all pods shares, first on their PYTHONPATH: see `sitecustomize`."""
        return self.state.images / "site"

    def prepare(self) -> None:
        """Write the small programs that stand for `pip` in pods."""
        podpython.write_shared(self._bin(_PYTHON), self.site, _machine_path())

    def names(self) -> list[str]:
        """Return the images that pods can use."""
        built = [_Record.read(path).name for path in self._built().glob("*.json")]
        return sorted([_PYTHON, *programs.names(self.state), *built])

    def ports(self, name: str | None = None) -> list[int]:
        """Return the ports on which a program image listens by itself; None: all of them do."""
        bare = programs.names(self.state)
        if name is not None:
            bare = [_untagged(name)] if _is_name(name) else []
        found = (programs.load(self.state, one) for one in bare)
        return sorted({port for image in found if image for port in image.ports})

    def resolve(self, name: str) -> ResolvedImage:
        """Return the image of that name.

        Raises:
            ImageNotFound: There is none.
        """
        if not _is_name(name):
            raise ImageNotFound(f'couldn\'t parse image name "{name}": invalid reference format')
        name = normalized_name(name)
        record_path = self._record_path(name)
        if record_path.exists():
            return self._resolve_built(_Record.read(record_path))
        bare = _untagged(name)
        if bare == _PYTHON:
            return self._resolved(name, "process-python", bare, ["python3"], "/")
        if image := programs.load(self.state, bare):
            digest = f"process-{bare.replace('/', '-')}"
            resolved = self._resolved(name, digest, bare, image.command, image.workdir)
            return replace(resolved, entrypoint=image.entrypoint)
        raise ImageNotFound(
            f'the local cluster has no image "{name}" and pulls from no registry; it has'
            f" {', '.join(self.names())}, and what you build"
        )

    def build(self, tag: str, folder: Path, dockerfile: Path | None = None) -> Image:
        """Build an image from a Dockerfile; see `dockerfile` for what it may say."""
        if not _is_name(tag):
            raise ImageError(
                f"{tag!r} is no image name. Use small letters, digits and dashes, then a tag:"
                " job-wq-2:1"
            )
        folder = Path(folder).expanduser().resolve()
        file = Path(dockerfile).expanduser() if dockerfile else folder / "Dockerfile"
        if not folder.is_dir():
            raise ImageError(f"There is no folder {folder} to build {tag} from. Check its name.")
        if not file.is_file():
            raise ImageError(f"There is no Dockerfile at {file}. Write one, or name its place.")
        name = normalized_name(tag)
        instructions = docker.parse(file.read_text("utf-8"))
        base = self._base(file, instructions)
        built = self._built()
        built.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = built / f"{_file_name(name)}.{secrets.token_hex(6)}"
        target.mkdir(mode=0o700)
        try:
            config = docker.ImageConfig(base.name, base.workdir, dict(base.env))
            if base.root:
                copy_writable(base.root, target)
            builder = docker.Builder(file, folder, target, config)
            builder.run(instructions[1:])
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        entrypoint = config.entrypoint if config.entrypoint is not None else base.entrypoint
        command = config.command
        if command is None:
            command = [] if config.entrypoint is not None else base.command
        workdir = config.workdir or "/"
        record = _Record(
            name, base.name, base.kind, entrypoint, command, workdir, config.env, target.name
        )
        programs.write(self._record_path(name), json.dumps(record._asdict()), 0o600)
        files = sum(1 for path in target.rglob("*") if path.is_file())
        for path in [target, *target.rglob("*")]:
            path.chmod(0o500 if path.is_dir() or os.access(path, os.X_OK) else 0o400)
        return Image(name, base.name, [*entrypoint, *command], workdir, files)

    def prune(self) -> None:
        """Remove what no image needs.

        That is the files of one whose name was given to a newer one, and records that cannot be
        read or that another version wrote.
        """
        built = self._built()
        kept = set()
        for path in built.glob("*.json"):
            try:
                kept.add(_Record.read(path).folder)
            except (ValueError, TypeError):
                path.unlink()
        for path in built.glob("*"):
            if path.is_dir() and path.name not in kept:
                remove_tree(path)

    def _base(self, file: Path, instructions: list[docker.Instruction]) -> ResolvedImage:
        if not instructions:
            raise ImageError(f"{file} is empty. Begin it with FROM python:3.11-slim.")
        first = instructions[0]
        words = shlex.split(first.rest)
        words = [word for word in words if not word.startswith("--platform")]
        if first.word != "FROM" or not words:
            raise ImageError(
                f"{file}, line {first.line}: a Dockerfile begins with FROM, for example"
                " FROM python:3.11-slim"
            )
        name = words[0]
        try:
            return self.resolve(name)
        except ImageNotFound:
            raise ImageError(
                f"{file}, line {first.line}: the local cluster has no image {name} to build on."
                f" It has {', '.join(self.names())}: begin with one of them."
            ) from None

    def _resolve_built(self, record: _Record) -> ResolvedImage:
        digest = record.folder.rpartition(".")[2]
        plain = self._resolved(record.name, digest, record.kind, record.command, record.workdir)
        root = self._built() / record.folder
        return replace(plain, entrypoint=record.entrypoint, env=record.env, root=root)

    def _resolved(
        self, name: str, digest: str, kind: str, command: list[str], workdir: str
    ) -> ResolvedImage:
        path = [self._bin(folder) for folder in dict.fromkeys((kind, _PYTHON))]
        return ResolvedImage(
            name, digest, kind, [], command, workdir, {}, None, path, self._programs(kind)
        )

    def _built(self) -> Path:
        return self.state.images / "built"

    def _record_path(self, name: str) -> Path:
        return self._built() / f"{_file_name(name)}.json"

    def _bin(self, kind: str) -> Path:
        return programs.programs_folder(self.state, kind)

    def _programs(self, kind: str) -> dict[str, Path]:
        folders = tuple(self._bin(folder) for folder in {kind, "python"})
        changed = tuple(f.stat().st_mtime_ns if f.is_dir() else 0 for f in folders)
        return _programs(folders, changed)


@functools.lru_cache(maxsize=16)
def _programs(folders: tuple[Path, ...], _changed: tuple[int, ...]) -> dict[str, Path]:
    """Return what lies in the folders, looked up anew when they have changed."""
    return {f"/usr/local/bin/{path.name}": path for f in folders for path in f.glob("*")}


def copy_writable(source: Path, target: Path) -> None:
    """Copy the files of an image, to be changed."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in [target, *target.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


def remove_tree(path: Path) -> None:
    """Remove a folder, also when its files are read-only."""
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def base_path(image: ResolvedImage) -> str:
    """Return the PATH of a pod: the image's programs, this interpreter's, the system's."""
    return ":".join([*map(str, image.path), _machine_path()])


def _machine_path() -> str:
    extra = ["/opt/homebrew/bin"] if sys.platform == "darwin" else []
    return ":".join([str(Path(sys.executable).parent), _SYSTEM_PATH, *extra])


def _is_in_image(inside: str, place: Path, root: Path) -> bool:
    """Tell whether a path is meant inside the image: it is there, or would be made there."""
    if place == root:
        return False
    if place.exists():
        return True
    return place.parent != root and place.parent.is_dir() and not os.path.exists(inside)


class PathMapping(NamedTuple):
    """Absolute paths of an image, and where they lie on this machine."""

    folders: list[tuple[str, Path]]
    programs: dict[str, Path]

    def path(self, inside: str) -> Path | None:
        """Return the place of a path of the image, if it has one there."""
        clean = os.path.normpath(inside)
        if clean in self.programs:
            return self.programs[clean]
        for prefix, folder in self.folders:
            base = PurePosixPath(prefix)
            if PurePosixPath(clean).is_relative_to(base):
                place = folder / PurePosixPath(clean).relative_to(base)
                if prefix != "/" or _is_in_image(clean, place, folder):
                    return place
        return None

    def text(self, text: str) -> str:
        """Return `text` with each absolute path of the image replaced by its place."""

        def place(found: re.Match[str]) -> str:
            mapped = self.path(found[0])
            if mapped is None:
                return found[0]
            # The end may matter, for a shell's pattern may follow: /data/*
            return f"{mapped}/" if found[0].endswith("/") else str(mapped)

        return re.sub(r"(?<![\w./~-])/[\w.@+-][\w./@+-]*", place, text)
