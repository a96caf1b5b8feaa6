"""What is right, and why: read from the TOML files beside this module."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import WqlibError

FOLDER = Path(__file__).parent
_ID = re.compile(r"\d\d-[a-z]")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a prediction.

    Attributes:
        right: The number of the right option, from 1.
        because: Why it is right.
        pictures: For each option, what one who chose it is likely to have in mind, and what is
            wrong with that; "" for the right one.
    """

    right: int
    because: str
    pictures: list[str]


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a quiz.

    Attributes:
        question: As it is asked.
        options: What one can choose from.
        right: The number of the right option, from 1.
        feedback: What one who chose an option is told, for each.
    """

    question: str
    options: list[str]
    right: int
    feedback: list[str]


def entry(prediction_id: str) -> Entry:
    """Return what is known of a prediction, e.g. "06-a".

    Raises:
        WqlibError: There is no such prediction, or its file is broken.
    """
    if not _ID.fullmatch(prediction_id):
        raise WqlibError(f'{prediction_id!r} is not the id of a prediction, such as "06-a".')
    path = FOLDER / f"{prediction_id[:2]}.toml"
    found = entries(path) if path.exists() else {}
    if prediction_id not in found:
        raise WqlibError(
            f"There is no prediction {prediction_id!r} in {path.name}. "
            f"It has: {', '.join(found) or 'none'}."
        )
    return found[prediction_id]


def known() -> dict[str, Entry]:
    """Return all predictions of the course by their ids, in its order.

    Raises:
        WqlibError: A file is broken.
    """
    files = sorted(FOLDER.glob("[0-9][0-9].toml"))
    return {name: one for path in files for name, one in sorted(entries(path).items())}


@cache
def entries(path: Path) -> dict[str, Entry]:
    """Read the predictions of a notebook from its file.

    Raises:
        WqlibError: The file is broken; with what is wrong.
    """
    found = dict[str, Entry]()
    for name, content in _read(path).items():
        where = f"[{name}] of {path.name}"
        if not _ID.fullmatch(name) or name[:2] != path.stem:
            raise WqlibError(f'{where}: call it "{path.stem}-a", "{path.stem}-b", ….')
        one = _made(Entry, content, where)
        _check_right(one.right, one.pictures, "pictures", where)
        if not one.because.strip():
            raise WqlibError(f"{where}: `because` is empty.")
        for number, picture in enumerate(one.pictures, 1):
            if bool(picture.strip()) is (number == one.right):
                raise WqlibError(f'{where}: only the picture of the right option is "".')
        found[name] = one
    return found


@cache
def questions(path: Path) -> list[Question]:
    """Read a quiz.

    Raises:
        WqlibError: The file is broken; with what is wrong.
    """
    found = []
    for number, content in enumerate(_read(path).get("questions", []), 1):
        where = f"question {number} of {path.name}"
        one = _made(Question, content, where)
        _check_right(one.right, one.options, "options", where)
        if len(one.feedback) != len(one.options) or not all(one.feedback):
            raise WqlibError(f"{where}: each option needs its `feedback`.")
        found.append(one)
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise WqlibError(f"{path.name} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise WqlibError(f"{path.name} is not TOML: {error}.") from None


def _made(kind: type[Any], content: Any, where: str) -> Any:
    """Return an object of a kind from what a file says.

    Raises:
        WqlibError: Something is missing, superfluous, or of another type.
    """
    names = [field.name for field in fields(kind)]
    if not isinstance(content, Mapping) or sorted(content) != sorted(names):
        raise WqlibError(f"{where}: its keys must be {', '.join(f'`{name}`' for name in names)}.")
    for field in fields(kind):
        value = content[field.name]
        texts = value if field.type == "list[str]" and isinstance(value, list) else [value]
        wanted = int if field.type == "int" else str
        if (isinstance(value, list) is not (field.type == "list[str]")) or not all(
            type(one) is wanted for one in texts
        ):
            raise WqlibError(f"{where}: `{field.name}` is not of type {field.type}.")
    return kind(**content)


def _check_right(right: int, options: list[str], name: str, where: str) -> None:
    if len(options) < 2:
        raise WqlibError(f"{where}: `{name}` has fewer than two.")
    if not 1 <= right <= len(options):
        raise WqlibError(f"{where}: `right` is {right}, and `{name}` has {len(options)}.")
