"""Which exercises were done: a file that no crash damages, and what is shown of it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .exercise import TITLES, Exercise

VERSION = 1
Record = dict[str, dict[str, Any]]


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
    try:
        content = json.loads(path().read_text("utf-8"))
        if content["version"] != VERSION:
            raise ValueError
        kinds = {"passed": bool, "tries": int, "at": str}
        return {
            str(name): {key: kind(one[key]) for key, kind in kinds.items()}
            for name, one in content["exercises"].items()
        }
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        with contextlib.suppress(OSError):
            path().replace(path().with_name(path().name + ".broken"))
        return {}


def note(exercise: Exercise, passed: bool) -> Record:
    """Note a try, and return everything that is noted now."""
    path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path().with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one notebook at a time
        noted = load()
        one = noted.setdefault(exercise.id, {"passed": False, "tries": 0, "at": ""})
        if not one["passed"]:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            one |= {"passed": passed, "tries": one["tries"] + 1, "at": now}
            # Written aside and renamed, so that a crash leaves the old file or the new one.
            text = json.dumps({"version": VERSION, "exercises": noted}, indent=1, sort_keys=True)
            draft = path().with_suffix(".new")
            draft.write_text(text, "utf-8")
            draft.replace(path())
        return noted


def shown(noted: Record, known: Mapping[str, Exercise], notebook: str | None = None) -> str:
    """Return progress as text: of one notebook, or of the whole course."""
    if notebook is not None:
        mine = [one for one in known.values() if one.notebook == notebook]
        return "\n".join(f"{_mark(noted, one)} {one.id}  {one.title}" for one in mine)
    lines = []
    for number, title in TITLES.items():
        mine = [one for one in known.values() if one.notebook == number]
        marks = " ".join(_mark(noted, one) for one in mine)
        lines.append(f"{number}  {title:26}{marks}")
    done = sum(noted.get(name, {}).get("passed", False) for name in known)
    return "\n".join([*lines, f"{done} of {len(known)} exercises done"])


def _mark(noted: Record, exercise: Exercise) -> str:
    if exercise.id not in noted:
        return "·"
    return "✓" if noted[exercise.id]["passed"] else "✗"
