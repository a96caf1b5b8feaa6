"""Takes out of an answer what no two runs share, and leaves the rest as it is.

A value becomes a placeholder that says what it is. Those that name one thing are numbered in the
order of their appearance, as `<uid-1>`: the same value has the same number throughout a scenario,
so the comparison sees whether two fields name the same thing. Each rule has its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

# The letters of generated names: no vowels, nor 0, 1 and 3, so that none is a word.
_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
_WORDS = "Mon|Tue|Wed|Thu|Fri|Sat|Sun"
_CLOCK = r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# (kind of placeholder, whether it is numbered, pattern): in every text, in this order.
_EVERYWHERE: list[tuple[str, bool, re.Pattern[str]]] = [
    # Drawn at random by the API server.
    ("uid", True, re.compile(_UUID)),
    # The runtime's own numbers; which runtime it is stays out too: pods here are processes.
    ("container", True, re.compile(r"\b[a-z-]+://[0-9a-z-]{12,}")),
    ("image id", False, re.compile(r"(?<=Image ID:  )\S+|(?:[\w./:-]+@)?sha256:[0-9a-f]{64}")),
    # Clock times, by their precision: a field with microseconds is not one with seconds.
    (
        "nano time",
        False,
        re.compile(_CLOCK + r"\.\d{7,9}(?:Z|[+-]\d\d:\d\d)"),
    ),
    ("micro time", False, re.compile(_CLOCK + r"\.\d{6}Z")),
    ("time", False, re.compile(_CLOCK + "Z")),
    ("time", False, re.compile(rf"\b(?:{_WORDS}), \d\d \w+ \d{{4}} \d\d:\d\d:\d\d [+-]\d{{4}}")),
    ("nano time", False, re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}( \w+)?")),
    ("time", False, re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} UTC")),
    # kubectl diff's folders.
    ("folder", False, re.compile(r"\S*/(?=(?:LIVE|MERGED)-\d+)")),
    ("number", False, re.compile(r"(?<=LIVE-)\d+|(?<=MERGED-)\d+")),
    # What the API server puts behind `generateName`, a ReplicaSet behind its Deployment's name,
    # and a component behind an event's name.
    ("hash", True, re.compile(rf"(?<=-){_SAFE}{{8,10}}(?=-{_SAFE}{{5}}\b|\b)")),
    ("x", True, re.compile(rf"(?<=[a-z0-9>]-){_SAFE}{{5}}\b(?!-)")),
    ("event", False, re.compile(r"(?<=\.)[0-9a-f]{16}\b")),
    # Networks differ. The addresses that mean "all" and "here" are no host's own.
    ("ip", True, re.compile(r"\b(?!0\.0\.0\.0|127\.0\.0\.1\b)\d{1,3}(?:\.\d{1,3}){3}\b")),
    # What Go's parsers say of a wrong body, which each version words anew: that it is wrong, of
    # which kind it was to be, and the status are compared.
    ("the parser", False, re.compile(r"(?<=cannot be handled as a )(\w+): .*", re.DOTALL)),
    ("the parser", False, re.compile(r"(?<=continue key is not valid: ).*")),
    ("the parser", False, re.compile(r"json parse error: .*|invalid character .*", re.DOTALL)),
    # A forbidden change is followed by a diff of Go's structures.
    ("the change", False, re.compile(r"(?<=was previously negative\))(?:\n.*|$)", re.DOTALL)),
    # Why a runtime could not start a program, in its own words.
    ("the runtime", False, re.compile(r"(?<=failed to exec in container: ).*")),
    # Versions that a message names.
    ("version", False, re.compile(r"(?<=in record \()\d+(?=\))|(?<=, current: )\d+")),
]
# Fields whose values differ from run to run, and look like nothing in particular.
_NUMBERED_FIELDS = {
    "resourceVersion": "version",  # counts the writes to the whole cluster
    "pod-template-hash": "hash",  # a hash of Go's own memory layout
    "nodePort": "port",  # drawn at random
    "containerID": "container",  # the runtime's number
}
_PLAIN_FIELDS = {
    "imageID": "image id",  # what the image holds
    "continue": "continue",  # the server's own bookmark
    "token": "token",  # a secret
    "ca.crt": "certificate",  # the cluster's own
}
# A runtime tells an image by its whole name, and by any of its tags.
_IMAGE = re.compile(r"docker\.io/library/python:3\.11(?:-slim)?(?![\w.-])")
_AGE = r"(?:\d+[ydhms]){1,2}|<invalid>|<unknown>"
# An age fills a column, or stands before "ago" and in "(x3 over 5s)". "timeout=1s" is a setting.
_AGES = re.compile(rf"(?:(?<=^)|(?<=  )|(?<=\()|(?<=over ))(?:{_AGE})(?=  |$| ago|\))")
_SETTING = re.compile(r"^\s*(?!Duration:|Age:)[\w./-]+(?: [\w()-]+)*:\s")
# describe puts a value's further lines in the column of the first, as wide as the widest name.
_COLUMN = " " * 12
# kubectl's own note on a watch that its time-out cut short: whether it is written is a race.
_NOTE = re.compile(r"[EW]\d{4} \S+ +\d+ reflector\.go:\d+\]")
_NUMBERED = re.compile(r"<([a-z ]+)-(\d+)>")


def blank(text: str) -> str:
    """Return the text with its placeholders' numbers left out."""
    return _NUMBERED.sub(r"<\1>", text)


def numbers(text: str) -> list[tuple[str, str]]:
    """Return kind and number of each numbered placeholder."""
    return _NUMBERED.findall(text)


class Normaliser:
    """Normalises the answers of one scenario.

    Args:
        facts: What this cluster calls things, as value to placeholder.
        keep_owners: Whether `managedFields` stay.
    """

    def __init__(self, facts: dict[str, str], *, keep_owners: bool = False) -> None:
        self._facts = sorted(facts.items(), key=lambda fact: -len(fact[0]))
        self._seen: dict[str, dict[str, int]] = {}
        self._keep_owners = keep_owners

    def value(self, value: Any) -> Any:
        """Return a JSON value, normalised."""
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return self.string(value) if isinstance(value, str) else value

    def string(self, text: str) -> str:
        """Return one string, normalised."""
        text = _IMAGE.sub("python:3.11-slim", text)
        for value, placeholder in self._facts:
            text = text.replace(value, placeholder)
        for kind, numbered, pattern in _EVERYWHERE:
            text = pattern.sub(self._replacement(kind, numbered), text)
        return text

    def text(self, text: str) -> str:
        """Return what a program printed, normalised: columns closed up, ages taken out."""
        lines = [line for line in text.splitlines() if not _NOTE.match(line)]
        return "\n".join(self._line(line) for line in lines)

    def _line(self, line: str) -> str:
        indent = line[: len(line) - len(line.lstrip())]
        line = indent[: len(_COLUMN)] + re.sub(r" {2,}|\t+", "  ", line[len(indent) :].rstrip())
        if not _SETTING.match(line):
            line = _AGES.sub("<age>", line)
        line = re.sub(
            r'(?<=resourceVersion: ")\d+', lambda m: self._number("version", m.group()), line
        )
        return self.string(line)

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        is_list = isinstance(value.get("items"), list)
        self._learn_name(value.get("generateName"), value.get("name"))
        found = {}
        for key, inner in value.items():
            # Who wrote which field is one scenario's subject; elsewhere it would fill the files.
            if key == "managedFields" and not self._keep_owners:
                continue
            if key == "managedFields":
                # Their order is that of the seconds in which they were last written.
                inner = sorted(inner, key=lambda entry: (entry["manager"], entry["operation"]))
            if key == "metadata" and is_list:
                inner = _without_version(inner)
            found[self.string(key)] = self._field(key, inner)
        return found

    def _field(self, key: str, value: Any) -> Any:
        if isinstance(value, str | int) and value not in ("", "0", 0):
            last = key if key in _PLAIN_FIELDS else key.rpartition(".")[2]
            if last in _NUMBERED_FIELDS:
                return self._number(_NUMBERED_FIELDS[last], str(value))
            if last in _PLAIN_FIELDS:
                return f"<{_PLAIN_FIELDS[last]}>"
        return self.value(value)

    def _learn_name(self, generate: Any, name: Any) -> None:
        """Remember a name that the server ended: a long beginning is cut before its end."""
        start = generate[:58] if isinstance(generate, str) else ""
        if start and isinstance(name, str) and name.startswith(start) and len(name) > len(start):
            end = name[len(start) :]
            if re.fullmatch(f"{_SAFE}{{5}}", end):
                placeholder = self.string(start) + self._number("x", end)
                self._facts.insert(0, (name, placeholder))

    def _replacement(self, kind: str, numbered: bool) -> Callable[[re.Match[str]], str]:
        if numbered:
            return lambda match: self._number(kind, match.group())
        return lambda match: f"<{kind}>"

    def _number(self, kind: str, value: str) -> str:
        seen = self._seen.setdefault(kind, {})
        return f"<{kind}-{seen.setdefault(value, len(seen) + 1)}>"


def _without_version(metadata: Any) -> Any:
    """A list's version is that of the cluster, which others write to as well."""
    if isinstance(metadata, dict) and metadata.get("resourceVersion"):
        return {**metadata, "resourceVersion": "<version>"}
    return metadata


def in_order(items: list[Any]) -> list[Any]:
    """Return items that have random names in an order that every run has."""
    texts = {id(item): json.dumps(item, sort_keys=True) for item in items}
    return sorted(items, key=lambda item: (blank(texts[id(item)]), texts[id(item)]))
