"""What the API says of its kinds and fields, for `kubectl explain`: read from the installed client.

The source of the `kubernetes` client's models carries the descriptions of the API itself; a field
that it does not know has none. It is read as text, because importing the client takes a second.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from pathlib import Path

from ...apimachinery.jsontypes import Obj

_NAMES = re.compile(r"^ {4}attribute_map(?:: [^=\n]*)? = (\{.*?\})$", re.MULTILINE | re.DOTALL)
_PAIR = re.compile(r"""["'](\w+)["']: ["']([^"']+)["']""")
_ABOUT = re.compile(r'^class \w+\(.*\):\n    """\s*(.*?)\s*(?:\n\n|""")', re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^ {4}([a-z]\w*): .*description=(\"(?:[^\"\\]|\\.)*\")", re.MULTILINE)
# Clients before version 36 say it in the docstrings of setters.
_SETTER = re.compile(
    r'"""Sets the (\w+) of this \w+\.\s*(.*?)(?:  # noqa: E501)?\s*:param', re.DOTALL
)


@functools.cache
def _files() -> dict[str, Path]:
    spec = importlib.util.find_spec("kubernetes")
    places = list(spec.submodule_search_locations or []) if spec else []
    found = Path(places[0]).glob("client/models/*.py") if places else iter(())
    return {path.stem.replace("_", ""): path for path in found}


def _source(definition: str) -> str:
    """Return the source of the model of a definition; empty if there is none."""
    group, version, kind = definition.lower().split(".")[-3:]
    path = _files().get(group + version + kind) or _files().get(version + kind)
    return path.read_text(encoding="utf-8") if path else ""


def about(definition: str) -> tuple[str, dict[str, str]]:
    """Return what is said of a definition, and of each of its fields by its JSON name."""
    source = _source(definition)
    table = _NAMES.search(source)
    names = dict(_PAIR.findall(table[1])) if table else {}
    said = {name: json.loads(text) for name, text in _FIELD.findall(source)}
    said |= {name: " ".join(text.split()) for name, text in _SETTER.findall(source) if text}
    found = _ABOUT.search(source)
    whole = found[1] if found and not found[1].startswith("NOTE:") else ""
    fields = {names[name]: text for name, text in said.items() if name in names}
    return " ".join(whole.split()), fields


def described(definition: str, schema: Obj) -> Obj:
    """Return a definition's schema with the descriptions of it and of its fields."""
    whole, fields = about(definition)
    made = {**schema, "description": whole} if whole else dict(schema)
    if "properties" in schema:
        made["properties"] = {
            name: _described(one, fields.get(name, ""))
            for name, one in schema["properties"].items()
        }
    return made


def _described(schema: Obj, text: str) -> Obj:
    values = schema.get("enum")
    if values:
        listed = "".join(f"\n - `{json.dumps(value)}`" for value in values)
        text = f"{text}\n\nPossible enum values:{listed}".lstrip()
    return {**schema, "description": text} if text else schema
