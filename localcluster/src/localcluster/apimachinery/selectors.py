"""Label and field selectors, as `kubectl get -l` and `--field-selector` write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from .apierrors import ApiError, bad_request
from .jsontypes import Obj, whole_number

Match = Callable[[Obj], bool]

_TOKENS = re.compile(r"\s*(!=|==|[=!(),<>]|[^\s=!(),<>]+)")
_NAME = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_WORDS = "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an"
NAME_RULE = (
    f"name part must {_WORDS} alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc',"
    " regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_RULE = (
    f"a valid label must be an empty string or {_WORDS} alphanumeric character (e.g. 'MyValue',"
    "  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def _split(text: str) -> list[str]:
    """Split a selector at the commas that are not inside parentheses."""
    parts, depth = [""], 0
    for piece in re.split(r"([,()])", text):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part for part in parts if part.strip()]


def valid_key(key: str) -> bool:
    """Tell whether `key` may be the key of a label."""
    prefix, slash, name = key.rpartition("/")
    if slash and not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", prefix):
        return False
    return len(name) <= 63 and bool(_NAME.fullmatch(name))


def valid_value(value: str) -> bool:
    """Tell whether `value` may be the value of a label."""
    return len(value) <= 63 and bool(_VALUE.fullmatch(value))


class _Parser:
    """Reads a label selector word by word, and complains as the real server does."""

    def __init__(self, text: str) -> None:
        self.words = _TOKENS.findall(text)
        self.at = 0

    def peek(self) -> str:
        return self.words[self.at] if self.at < len(self.words) else ""

    def next(self) -> str:
        word = self.peek()
        self.at += 1
        return word

    def requirements(self) -> list[Match]:
        found = []
        word = self.peek()
        if word and word != "!" and (word in "=(),<>" or word in ("!=", "==")):
            raise bad_request(f"found '{word}', expected: !, identifier, or 'end of string'")
        while self.peek():
            found.append(self._requirement())
            word = self.next()
            if word not in ("", ","):
                raise bad_request(f"found '{word}', expected: ',' or 'end of string'")
            if word == "," and not self.peek():
                raise bad_request("found '', expected: identifier after ','")
        return found

    def _requirement(self) -> Match:
        absent = self.peek() == "!"
        if absent:
            self.next()
        key = self.next()
        if not key or key in "=!(),<>" or key in ("!=", "=="):
            raise _parse_error(f"found '{key}', expected: identifier")
        if not valid_key(key):
            raise _parse_error(f'invalid label key "{key}": {NAME_RULE}')
        if absent or self.peek() in ("", ","):
            return _requirement(key, "DoesNotExist" if absent else "Exists")
        return self._comparison(key)

    def _comparison(self, key: str) -> Match:
        word = self.next()
        if word in ("=", "==", "!="):
            value = "" if self.peek() in ("", ",") else self.next()
            self._check_value(key, value)
            return _requirement(key, "NotIn" if word == "!=" else "In", [value])
        if word in ("in", "notin"):
            return _requirement(key, "In" if word == "in" else "NotIn", self._values(key))
        if word in ("<", ">"):
            value = self.next()
            if whole_number(value) is None:
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise _parse_error(f'values[0]: Invalid value: "{value}": {why}')
            return _requirement(key, "Gt" if word == ">" else "Lt", [value])
        raise _parse_error(f"found '{word}', expected: in, notin, =, ==, !=, gt, lt")

    def _values(self, key: str) -> set[str]:
        word = self.next()
        if word != "(":
            raise _parse_error(f"found '{word}' expected: '('")
        values = set()
        while True:
            word = self.next()
            if word in (")", ","):
                values.add("")
            elif word:
                self._check_value(key, word)
                values.add(word)
                word = self.next()
            if word == ")":
                return values
            if word != ",":
                raise _parse_error(f"found '{word}', expected: ',' or ')'")

    @staticmethod
    def _check_value(key: str, value: str) -> None:
        if not valid_value(value):
            raise _parse_error(f'invalid label value: "{value}": at key: "{key}": {VALUE_RULE}')


def _parse_error(why: str) -> ApiError:
    return bad_request(f"unable to parse requirement: {why}")


def labels(obj: Obj) -> dict[str, str]:
    """Return the object's labels."""
    return obj["metadata"].get("labels") or {}


def satisfies(value: str | None, operator: str, values: Collection[str]) -> bool:
    """Tell whether a value, None if there is none, satisfies an operator of a selector."""
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    if operator in ("In", "NotIn"):
        return (value in values) == (operator == "In")
    number, bound = whole_number(value or ""), whole_number(next(iter(values), ""))
    if operator not in ("Gt", "Lt") or number is None or bound is None:
        return False
    return number > bound if operator == "Gt" else number < bound


def _requirement(key: str, operator: str, values: Collection[str] = ()) -> Match:
    return lambda obj: satisfies(labels(obj).get(key), operator, values)


def label_selector(text: str) -> Match:
    """Return a function that tells whether an object's labels satisfy `text`."""
    requirements = _Parser(text).requirements()
    if len(requirements) == 1:
        return requirements[0]
    return lambda obj: all(requirement(obj) for requirement in requirements)


def match_labels(selector: Obj, found: dict[str, str]) -> bool:
    """Tell whether labels satisfy a `LabelSelector` object (matchLabels, matchExpressions)."""
    wanted, expressions = selector.get("matchLabels") or {}, selector.get("matchExpressions") or []
    return all(found.get(key) == value for key, value in wanted.items()) and all(
        satisfies(found.get(one["key"]), one["operator"], one.get("values") or [])
        for one in expressions
    )


def selector_text(selector: Obj | None) -> str:
    """Return a `LabelSelector` object as the text that `label_selector` reads."""
    chosen = selector or {}
    parts = [f"{k}={v}" for k, v in sorted((chosen.get("matchLabels") or {}).items())]
    for wanted in chosen.get("matchExpressions") or []:
        key, values = wanted["key"], ",".join(sorted(wanted.get("values") or []))
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        parts.append(forms[wanted["operator"]])
    return ",".join(parts)


# Besides metadata.name and metadata.namespace, which every resource has.
_FIELDS = {
    "pods": [
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ],
    "events": [
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ],
    "jobs": ["status.successful"],
    "secrets": ["type"],
    "namespaces": ["status.phase"],
    "replicationcontrollers": ["status.replicas"],
    "services": ["spec.clusterIP", "spec.type"],
    "nodes": ["spec.unschedulable"],
}


def field_value(obj: Obj, path: str) -> str:
    """Return the value at a dotted path as a field selector compares it."""
    if path == "status.successful":
        return str((obj.get("status") or {}).get("succeeded", 0))
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if path == "source" and isinstance(value, dict):
        value = value.get("component")
    if value is None:
        return "false" if path == "spec.unschedulable" else ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown_field(path: str, resource: str) -> ApiError:
    if resource == "jobs":
        return bad_request(f'field label "{path}" not supported for Job')
    if resource in _FIELDS:
        return bad_request(f"field label not supported: {path}")
    known = 'only "metadata.name", "metadata.namespace"'
    return bad_request(f'"{path}" is not a known field selector: {known}')


def field_selector(text: str, resource: str) -> Match:
    """Return a function that tells whether an object's fields satisfy `text`."""
    allowed = ["metadata.name", "metadata.namespace", *_FIELDS.get(resource, [])]
    requirements: list[tuple[str, bool, str]] = []
    for part in _split(text):
        found = re.match(r"^\s*([^=!]+?)\s*(==|=|!=)\s*(.*?)\s*$", part)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = found[1], found[2], found[3]
        if path not in allowed:
            raise _unknown_field(path, resource)
        requirements.append((path, operator != "!=", value))
    return lambda obj: all(
        (field_value(obj, path) == value) == wanted for path, wanted, value in requirements
    )
