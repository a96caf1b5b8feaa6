"""Images that stand for programs of this machine, as whoever starts the cluster wants them."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from ..errors import ClusterError
from ..paths import State

_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_NAME = re.compile(rf"(?:[a-z0-9][a-z0-9.-]*(?::[0-9]+)?/)?{_PART}(?:/{_PART})*")
_MAX_NAME = 80  # its quoted form is the name of a file


@dataclass(frozen=True)
class ProgramImage:
    """An image without files of its own: its programs are this machine's.

    In a pod, scripts find the pod's address in `LOCALCLUSTER_POD_IP`, the port that stands for
    port N, where it is another one, in `LOCALCLUSTER_PORT_N`, and in `LOCALCLUSTER_NAMES` a file
    with a line for each Service: its name, its address, and pairs of ports, `6379=40123`.

    Attributes:
        scripts: What pods find on their PATH: the name of a program, and a shell script that
            runs it, without its first line.
        command: What a container runs that names neither command nor arguments.
        workdir: Where it starts.
        ports: The TCP ports on which it listens, whether a manifest names them or not.
        entrypoint: What comes before the command, and before the arguments of a manifest.
    """

    scripts: Mapping[str, str]
    command: list[str]
    workdir: str = "/"
    ports: list[int] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, program: Path) -> ProgramImage:
        """Return an image that runs one program, under the name by which it was found."""
        return cls(
            {program.name: f'exec {shlex.quote(str(program.absolute()))} "$@"\n'}, [program.name]
        )


def register(state: State, images: Mapping[str, ProgramImage]) -> None:
    """Let pods use these images, whatever tag they name; those of before stay, too.

    Raises:
        ClusterError: A name is none, has a tag, or is `python`, which stands for this Python.
    """
    for name in images:
        if not _NAME.fullmatch(name) or len(name) > _MAX_NAME or name == "python":
            raise ClusterError(
                f"{name!r} cannot stand for programs of this machine. Use a name such as redis or"
                " shop/web, without a tag, and not python."
            )
    for part in ("bin", "programs"):
        (state.images / part).mkdir(mode=0o700, exist_ok=True)
    for name, image in images.items():
        folder = programs_folder(state, name)
        folder.mkdir(mode=0o700, exist_ok=True)
        for path in folder.iterdir():
            if path.name not in image.scripts:
                path.unlink(missing_ok=True)
        for program, script in image.scripts.items():
            write_program(folder / program, script)
        write(_record(state, name), json.dumps(asdict(image)), 0o600)


def load(state: State, name: str) -> ProgramImage | None:
    """Return the image of that name, without a tag; None if there is none."""
    if len(name) > _MAX_NAME:
        return None
    try:
        return ProgramImage(**json.loads(_record(state, name).read_text("utf-8")))
    except FileNotFoundError:
        return None


def names(state: State) -> list[str]:
    """Return the names of the images that there are."""
    found = (state.images / "programs").glob("*.json")
    return sorted(unquote(path.stem.replace("+", "%")) for path in found)


def _record(state: State, name: str) -> Path:
    return state.images / "programs" / f"{_file_name(name)}.json"


def _file_name(name: str) -> str:
    """Return a name without slashes, of characters that mean themselves to every shell."""
    return quote(name, safe="").replace("%", "+")


def programs_folder(state: State, name: str) -> Path:
    """Return the folder that comes first on the PATH of pods of an image."""
    return state.images / "bin" / _file_name(name)


def write_program(path: Path, script: str) -> None:
    """Write a shell script that can be run, all at once."""
    write(path, f"#!/bin/sh\n{script}", 0o700)


def write(path: Path, text: str, mode: int) -> None:
    """Write a file all at once, unless it is there already: the disk may be full."""
    data = os.fsencode(text)
    if path.is_file() and path.read_bytes() == data:
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.write_bytes(data)
    draft.chmod(mode)
    draft.replace(path)
