"""Label and field selectors, as `kubectl get -l` and `--field-selector` write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from wqlib.localcluster.apimachinery.apierrors import bad_request
from wqlib.localcluster.apimachinery.jsontypes import Obj

Match = Callable[[Obj], bool]

_SET = re.compile(r"^\s*(?P<key>[^\s!=(),]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*(?P<key>[^\s!=(),]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=(),]*)\s*$")
_EXISTS = re.compile(r"^\s*(?P<not>!?)\s*(?P<key>[^\s!=(),]+)\s*$")


def _split(text: str) -> list[str]:
    """Split at commas that are not inside parentheses."""
    parts, depth = [""], 0
    for piece in re.split(r"([,()])", text):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if piece == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part for part in parts if part.strip()]


def _label_requirement(part: str) -> Match:
    if found := _SET.match(part):
        key = found["key"]
        values = {value.strip() for value in found["values"].split(",")}
        if found["op"] == "in":
            return lambda obj: labels(obj).get(key) in values
        return lambda obj: labels(obj).get(key) not in values
    if found := _EQUAL.match(part):
        key, value = found["key"], found["value"]
        if found["op"] == "!=":
            return lambda obj: labels(obj).get(key) != value
        return lambda obj: labels(obj).get(key) == value
    if found := _EXISTS.match(part):
        key, wanted = found["key"], not found["not"]
        return lambda obj: (key in labels(obj)) == wanted
    if part.count("=") > 1:
        raise bad_request("found '=', expected: ',' or 'end of string'")
    raise bad_request(f"unable to parse requirement: found {part!r}")


def labels(obj: Obj) -> dict[str, str]:
    """Return the object's labels."""
    return obj["metadata"].get("labels") or {}


def label_selector(text: str) -> Match:
    """Return what tells whether an object's labels satisfy `text`."""
    requirements = [_label_requirement(part) for part in _split(text)]
    return lambda obj: all(requirement(obj) for requirement in requirements)


def match_labels(selector: Obj, found: dict[str, str]) -> bool:
    """Tell whether labels satisfy a `LabelSelector` object (matchLabels, matchExpressions)."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if found.get(key) != value:
            return False
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], expression.get("values") or []
        holds = {
            "In": found.get(key) in values,
            "NotIn": found.get(key) not in values,
            "Exists": key in found,
            "DoesNotExist": key not in found,
        }
        if not holds.get(expression["operator"], False):
            return False
    return True


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
    "services": ["spec.clusterIP", "spec.type"],
    "nodes": ["spec.unschedulable"],
}


def field_value(obj: Obj, path: str) -> str:
    """Return what lies at a dotted path as a field selector compares it."""
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


def field_selector(text: str, resource: str) -> Match:
    """Return what tells whether an object's fields satisfy `text`."""
    allowed = ["metadata.name", "metadata.namespace", *_FIELDS.get(resource, [])]
    requirements: list[tuple[str, bool, str]] = []
    for part in _split(text):
        found = re.match(r"^\s*([^=!]+?)\s*(==|=|!=)\s*(.*?)\s*$", part)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        path, operator, value = found[1], found[2], found[3]
        if path not in allowed:
            raise bad_request(f"field label not supported: {path}")
        requirements.append((path, operator != "!=", value))
    return lambda obj: all(
        (field_value(obj, path) == value) == wanted for path, wanted, value in requirements
    )
