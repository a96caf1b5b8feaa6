"""What each kind and each field means: the words of the installed `kubernetes` client's models.

The client's source carries the descriptions of the API itself, so `kubectl explain` shows the
same text as on a real cluster. Clients before version 36 keep them in the docstrings of setters.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

from ...apimachinery.profile import profile
from .. import schema

_ABOUT = re.compile(r'^class \w+\(.*\):\n    """\s*(.*?)\s*(?:\n\n|""")', re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^ {4}([a-z]\w*): (.+)$", re.MULTILINE)
_DESCRIPTION = re.compile(r'description=("(?:[^"\\]|\\.)*")')
_SETTER = re.compile(
    r'"""Sets the (\w+) of this \w+\.\s*(.*?)(?:  # noqa: E501)?\s*:param', re.DOTALL
)
# A sentence of `restartPolicy` that 1.20 did not have yet.
_SAID_SINCE = "In some contexts, only a subset of those values may be permitted. "
_REQUIRED = re.compile(r"Invalid value for `(\w+)`, must not be `None`")


@dataclass
class Texts:
    """What a model's source says about it.

    Attributes:
        about: what the model is.
        fields: what each field is, by JSON name; not all are described.
        required: the JSON names of the fields that an object cannot do without.
    """

    about: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)


def texts(model: str) -> Texts:
    """Return what is said about a model; empty when it is unknown."""
    source = schema.source(model)
    if source is None:
        return Texts()
    names = schema.names(source)
    found = _ABOUT.search(source)
    about = found[1] if found and not found[1].startswith("NOTE:") else ""
    result = Texts(" ".join(about.split()))
    for attribute, declared in _FIELD.findall(source):
        name = names.get(attribute)
        if name is None:
            continue
        described = _DESCRIPTION.search(declared)
        if described:
            result.fields[name] = ast.literal_eval(described[1])
        if not declared.startswith("Optional[") and " = None" not in declared:
            result.required.append(name)
    for attribute, text in _SETTER.findall(source):
        if attribute in names and text:
            result.fields.setdefault(names[attribute], " ".join(text.split()))
    if not profile().modern:
        said = result.fields.items()
        result.fields = {name: text.replace(_SAID_SINCE, "") for name, text in said}
    for attribute in _REQUIRED.findall(source):
        if attribute in names and names[attribute] not in result.required:
            result.required.append(names[attribute])
    return result
