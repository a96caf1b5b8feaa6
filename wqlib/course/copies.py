"""The learner's own copy of the course, `my-course/`: made, brought up to date, looked at.

What a learner has written is never overwritten. The folder remembers, by digests, what was handed
out: a file that is still like that is replaced by a new edition; any other stays, and gets the new
edition beside it. Running a notebook changes its outputs only, and those do not count.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import WqlibError
from .bundle import alone

ROOT = Path(__file__).parents[2]
NAME, SOURCE = "my-course", ROOT / "notebooks"
FOLDERS = ("manifests", "worker", "images", "capstone")
HANDED_OUT = ".handed-out.json"
VERSION = 1
_MADE_HERE = {"wqlib", "__pycache__", ".ipynb_checkpoints"}  # inside worker/, by its image

Digests = Mapping[str, str]  # of files, by their paths below the folder


@dataclass(frozen=True, slots=True)
class Plan:
    """How a folder gets a new edition. Paths are relative, with "/".

    Attributes:
        write: The files to write, each with the file of the edition that it gets.
        delete: Files to delete: handed out, not changed since, and no longer in the course.
        beside: The learner's files that stay, each with the new edition that lies beside it.
        handed_out: What to remember.
    """

    write: dict[str, str]
    delete: list[str]
    beside: dict[str, str]
    handed_out: dict[str, str]


def plan(edition: Digests, handed_out: Digests, mine: Digests) -> Plan:
    """Work out how a learner's folder gets an edition of the course.

    Args:
        edition: All files of the edition.
        handed_out: All files as they were handed out before.
        mine: Those of the learner's files that matter: they are in one of the other two, or have
            the name of a new edition.
    """
    made = Plan({}, [], {}, dict(edition))
    for name, new in edition.items():
        before = handed_out.get(name)
        if mine.get(name) in (None, before, new):
            if mine.get(name) != new:
                made.write[name] = name
        elif before != new:  # changed by the learner, and the course has changed, too
            free = next(x for x in _beside(name) if mine.get(x) in (None, handed_out.get(x), new))
            if mine.get(free) != new:
                made.write[free] = name
            made.beside[name] = free
            made.handed_out[free] = new
    for name in handed_out.keys() - edition.keys() - made.handed_out.keys():
        if mine.get(name) == handed_out[name]:
            base = _base(name)
            if base in edition and mine.get(base) not in (None, handed_out.get(base)):
                made.handed_out[name] = handed_out[name]  # a new edition that waits for the learner
            else:
                made.delete.append(name)
    return made


def _beside(name: str) -> Iterator[str]:
    """Yield names for a new edition of a file that is to stay."""
    yield _marked(name, "new")
    yield from (_marked(name, f"new{number}") for number in itertools.count(2))


def _marked(name: str, mark: str) -> str:
    """Return a file's name with a mark in it, so that a notebook opens, and no manifest applies."""
    stem = name.removesuffix(".ipynb")
    return f"{stem}.{mark}{name[len(stem) :]}"


def _base(name: str) -> str:
    """Return the file to which a new edition belongs; "" if the name is none of `_beside`'s."""
    stem = name.removesuffix(".ipynb")
    base, dot, number = stem.rpartition(".new")
    known = dot and (number.isdigit() or not number)
    return base + name[len(stem) :] if known else ""


def cleared(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notebook as nobody has run it."""
    metadata = {k: v for k, v in notebook["metadata"].items() if k != "widgets"}
    blank: dict[str, Any] = {"outputs": [], "execution_count": None}
    cells = [x | (blank if x["cell_type"] == "code" else {}) for x in notebook["cells"]]
    return {**notebook, "metadata": metadata, "cells": cells}


def digest(name: str, content: bytes) -> str:
    """Return what tells two editions of a file apart: of a notebook, the sources of its cells.

    Empty cells do not count: JupyterLab adds one when the last cell is run.
    """
    if name.endswith(".ipynb"):
        with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
            cells = [(x["cell_type"], "".join(x["source"])) for x in json.loads(content)["cells"]]
            content = json.dumps([cell for cell in cells if cell[1].strip()]).encode()
    return hashlib.sha256(content).hexdigest()


def _was_run(content: bytes) -> bool:
    """Tell whether a cell of a notebook has been run."""
    try:
        return any(cell.get("execution_count") for cell in json.loads(content)["cells"])
    except (ValueError, LookupError, TypeError, AttributeError):
        return True


# -- files


def default_folder() -> Path:
    """Return the learner's folder: the current one, one in it, or that of this course."""
    here = Path.cwd()
    places = [x for x in (here, here / NAME) if (x / HANDED_OUT).is_file()]
    return places[0] if places else ROOT / NAME


def edition(source: Path = SOURCE) -> dict[str, bytes]:
    """Read all files that a learner gets, by their paths below the folder.

    Raises:
        WqlibError: There are no notebooks.
    """
    files = {
        path.name: json.dumps(cleared(json.loads(path.read_bytes())), indent=1, ensure_ascii=False)
        for path in sorted(source.glob("[0-9]*.ipynb"))
    }
    if not files:
        raise WqlibError(
            f"There are no notebooks in {source}. Get the whole course: a clone of its repository, "
            "or the offline kit. The package wqlib alone does not have them."
        )
    found = {name: f"{text}\n".encode() for name, text in files.items()}
    for folder in FOLDERS:
        for path in sorted((source / folder).rglob("*")):
            name = path.relative_to(source)
            if path.is_file() and not _MADE_HERE & set(name.parts):
                found[name.as_posix()] = path.read_bytes()
    return found


def update(folder: Path | None = None, source: Path = SOURCE) -> list[str]:
    """Make the learner's folder, or bring it up to date.

    Args:
        folder: The learner's; None: `default_folder()`.
        source: The folder of the notebooks.

    Returns:
        What to tell the learner, in lines; nothing if nothing has changed.

    Raises:
        WqlibError: The folder cannot be written to, or there are no notebooks.
    """
    folder = folder or default_folder()
    files = edition(source)
    with _opened(folder, make=True) as handed_out:
        is_new = not handed_out
        done = plan(_digests(files), handed_out, _mine(folder, {*files, *handed_out}))
        for name, new in done.write.items():
            _write(folder / name, files[new])
        for name in done.delete:
            (folder / name).unlink(missing_ok=True)
        _remember(folder, done.handed_out)
    lines = [
        f"{folder.name}/{name} stays as you left it. Its new edition is beside it: {Path(new).name}"
        for name, new in sorted(done.beside.items())
    ]
    renewed = len(done.write.keys() & files.keys())
    if is_new:
        notebooks = sum(name.endswith(".ipynb") for name in files)
        lines.insert(0, f"{folder.name}/ is your own copy of the course: {notebooks} notebooks.")
    elif renewed:
        files_are = "1 file has" if renewed == 1 else f"{renewed} files have"
        lines.insert(0, f"{folder.name}/: {files_are} been brought up to date.")
    return lines


def reset(what: str, folder: Path | None = None, source: Path = SOURCE) -> str:
    """Put a fresh copy of a file in place.

    Args:
        what: A notebook's number such as "05", or a path such as "manifests/job.yaml".
        folder: As for `update`.
        source: As for `update`.

    Returns:
        What to tell the learner.

    Raises:
        WqlibError: There is no such file, no folder, or it cannot be written to.
    """
    folder = folder or default_folder()
    files = edition(source)
    name = _named(what, files)
    with _opened(folder) as handed_out:
        new = digest(name, files[name])
        mine = _mine(folder, {*files, *handed_out})
        kept = ""
        if mine.get(name) not in (None, handed_out.get(name), new):
            kept = _dated(folder / name)
            (folder / name).rename((folder / name).with_name(kept))
        _write(folder / name, files[name])
        for waiting in [x for x in handed_out if _base(x) == name and mine.get(x) == handed_out[x]]:
            (folder / waiting).unlink()
            del handed_out[waiting]
        _remember(folder, handed_out | {name: new})
    said = f"{folder.name}/{name} is fresh again"
    said += f"; yours is beside it: {kept}." if kept else "; you had not changed it."
    return f"{said} If it is open in JupyterLab, close it there and open it again."


def _named(what: str, files: Mapping[str, bytes]) -> str:
    notebooks = {name[:2]: name for name in files if name.endswith(".ipynb")}
    number = what.zfill(2)
    if number in notebooks:
        return notebooks[number]
    if what in files:
        return what
    raise WqlibError(
        f"There is no notebook {what!r}, and no file of that name. The notebooks are "
        f"{min(notebooks)} to {max(notebooks)}; a file is named like manifests/job.yaml."
    )


def _dated(path: Path) -> str:
    """Return a free name beside a file, with the time in it."""
    at = datetime.now()
    marks = (f"{at:%Y-%m-%d-%H%M%S}{more}" for more in ("", *map("-{}".format, range(2, 99))))
    names = (_marked(path.name, mark) for mark in marks)
    return next(name for name in names if not path.with_name(name).exists())


@dataclass(frozen=True, slots=True)
class Copy:
    """A notebook of the learner's.

    Attributes:
        number: As in the course, e.g. "05".
        state: "missing", "untouched" or "begun", which a notebook is once a cell was run.
        beside: The names of its new editions.
    """

    number: str
    state: str
    beside: list[str]


def status(folder: Path | None = None, source: Path = SOURCE) -> list[Copy]:
    """Return how each notebook of the learner's is.

    Raises:
        WqlibError: There is no such folder, or there are no notebooks.
    """
    folder = folder or default_folder()
    files = edition(source)
    with _opened(folder) as handed_out:
        mine = _mine(folder, {*files, *handed_out})
        return [
            Copy(name[:2], _state(folder, name, mine, handed_out), _waiting(name, mine))
            for name in files
            if name.endswith(".ipynb")
        ]


def _state(folder: Path, name: str, mine: Digests, handed_out: Digests) -> str:
    if name not in mine:
        return "missing"
    if mine[name] != handed_out.get(name) or _was_run((folder / name).read_bytes()):
        return "begun"
    return "untouched"


def _waiting(name: str, mine: Digests) -> list[str]:
    return sorted(found for found in mine if _base(found) == name)


@contextlib.contextmanager
def _opened(folder: Path, *, make: bool = False) -> Iterator[dict[str, str]]:
    """Let one process at a time work in the learner's folder; yield what was handed out."""
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        with alone(folder):
            yield _handed_out(folder)
    except FileNotFoundError as error:
        raise WqlibError(
            f"There is no folder {folder} yet ({error.filename} is missing). `make lab` makes it."
        ) from None
    except OSError as error:
        raise WqlibError(
            f"The folder {folder} cannot be used: {error.strerror} ({error.filename}). "
            "Put the course into a folder of yours that you may write to."
        ) from None


def _handed_out(folder: Path) -> dict[str, str]:
    """Read what was handed out; nothing if that cannot be read, so nothing is overwritten."""
    try:
        known = json.loads((folder / HANDED_OUT).read_bytes())
        if known["version"] == VERSION:
            return {str(name): str(one) for name, one in known["files"].items()}
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
        pass
    return {}


def _remember(folder: Path, handed_out: Digests) -> None:
    content = {"version": VERSION, "files": dict(sorted(handed_out.items()))}
    text, path = json.dumps(content, indent=1).encode(), folder / HANDED_OUT
    if not path.is_file() or path.read_bytes() != text:
        _write(path, text)


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: digest(name, content) for name, content in files.items()}


def _mine(folder: Path, known: set[str]) -> dict[str, str]:
    """Return the digests of the learner's files that are known, or may be new editions."""
    places = {(folder / name).parent for name in known}
    found = {path for place in places if place.is_dir() for path in place.iterdir()}
    names = {path.relative_to(folder).as_posix(): path for path in found if path.is_file()}
    wanted = {name: path for name, path in names.items() if name in known or _base(name)}
    return {name: digest(name, path.read_bytes()) for name, path in wanted.items()}


def _write(path: Path, content: bytes) -> None:
    """Write a file all at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)
