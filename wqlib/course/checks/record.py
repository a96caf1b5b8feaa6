"""Which exercises were done and what was guessed: a file that no crash damages, and what is shown
of it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..predictions import data
from .exercise import TITLES, Exercise

VERSION = 2
Record = dict[str, dict[str, Any]]
_KINDS: dict[str, dict[str, type]] = {
    "exercises": {"passed": bool, "tries": int, "at": str},
    "predictions": {"options": list, "first": int, "guess": int, "compared": bool},
}


def path() -> Path:
    """Return the file: `progress.json` in `WQLIB_HOME`, or in `~/.wqlib`."""
    return Path(os.environ.get("WQLIB_HOME") or "~/.wqlib").expanduser() / "progress.json"


def load() -> Record:
    """Read what was done so far.

    Returns:
        By exercise: `passed` (once right, always right), `tries`, and `at`, the time of the
        last try or, once it was right, of the first right one, in UTC. A file that cannot be
        read is put aside as progress.json.broken, and counting begins anew.
    """
    return _load()["exercises"]


def guesses() -> Record:
    """Read what was guessed so far.

    Returns:
        By prediction: `options`, the texts that there were to choose from; `guess`, the number of
        the one that was chosen, from 1, or 0; `first`, the first guess, or 0 if what is right was
        told before; and `compared`, whether what is right was told.
    """
    return _load()["predictions"]


def note(exercise: Exercise, passed: bool) -> None:
    """Note a try."""
    with _changed() as noted:
        one = noted["exercises"].setdefault(exercise.id, {"passed": False, "tries": 0, "at": ""})
        if not one["passed"]:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            one |= {"passed": passed, "tries": one["tries"] + 1, "at": now}


def note_guess(prediction_id: str, options: list[str], guess: int) -> dict[str, Any]:
    """Note a guess, unless one was compared already, and return what is noted now."""
    with _changed() as noted:
        one = _guess(noted, prediction_id, options)
        if not one["compared"]:
            one |= {"guess": guess, "first": one["first"] or guess}
        elif not one["guess"]:
            one["guess"] = guess
    return one


def note_compared(prediction_id: str, options: list[str]) -> dict[str, Any]:
    """Note that what is right was told, and return what is noted now."""
    with _changed() as noted:
        one = _guess(noted, prediction_id, options)
        one["compared"] = True
    return one


def _guess(noted: dict[str, Record], prediction_id: str, options: list[str]) -> dict[str, Any]:
    """Return what is noted of a prediction; a guess at other options does not count."""
    one = noted["predictions"].get(prediction_id, {})
    if one.get("options") != options:
        one = {"options": options, "first": 0, "guess": 0, "compared": False}
        noted["predictions"][prediction_id] = one
    return one


def _load() -> dict[str, Record]:
    try:
        content = json.loads(path().read_text("utf-8"))
        if content["version"] != VERSION:
            raise ValueError
        return {
            part: {
                str(name): {key: kind(one[key]) for key, kind in kinds.items()}
                for name, one in content[part].items()
            }
            for part, kinds in _KINDS.items()
        }
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError, AttributeError):
        with contextlib.suppress(OSError):
            path().replace(path().with_name(path().name + ".broken"))
    return {part: {} for part in _KINDS}


@contextlib.contextmanager
def _changed() -> Iterator[dict[str, Record]]:
    """Read the file, and write what the block has changed."""
    path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path().with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one notebook at a time
        noted = _load()
        yield noted
        # Written aside and renamed, so that a crash leaves the old file or the new one.
        text = json.dumps({"version": VERSION, **noted}, indent=1, sort_keys=True)
        draft = path().with_suffix(".new")
        draft.write_text(text, "utf-8")
        draft.replace(path())


def shown(
    noted: Record, guessed: Record, known: Mapping[str, Exercise], notebook: str | None = None
) -> str:
    """Return progress as text: of one notebook, or of the whole course.

    Args:
        noted: What was done.
        guessed: What was guessed.
        known: All exercises.
        notebook: Its number, or None.
    """
    predictions = {
        number: " ".join(
            _guess_mark(guessed.get(name), entry.right)
            for name, entry in data.known().items()
            if name[:2] == number
        )
        for number in TITLES
    }
    if notebook is not None:
        mine = [one for one in known.values() if one.notebook == notebook]
        lines = [f"{_mark(noted, one)} {one.id}  {one.title}" for one in mine]
        if marks := predictions.get(notebook):
            lines.append(f"Predictions: {marks}")
        return "\n".join(lines)
    lines = []
    for number, title in TITLES.items():
        mine = [one for one in known.values() if one.notebook == number]
        done, marks = " ".join(_mark(noted, one) for one in mine), predictions[number]
        guessed_here = f"predicted {marks}" if marks else ""
        lines.append(f"{number}  {title:26}{done:10}{guessed_here}".rstrip())
    done_now = sum(noted.get(name, {}).get("passed", False) for name in known)
    return "\n".join([*lines, f"{done_now} of {len(known)} exercises done"])


def _mark(noted: Record, exercise: Exercise) -> str:
    if exercise.id not in noted:
        return "·"
    return "✓" if noted[exercise.id]["passed"] else "✗"


def _guess_mark(guess: dict[str, Any] | None, right: int) -> str:
    if not guess or not guess["guess"]:
        return "·"
    if not guess["compared"]:
        return "?"
    return "✓" if guess["guess"] == right else "✗"
