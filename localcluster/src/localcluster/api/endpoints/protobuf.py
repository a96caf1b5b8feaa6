"""The protobuf form of the API's objects, which `kubectl create` and other Go programs send.

Only what clients send is read; answers are JSON, which every client accepts beside protobuf.
https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
"""

from __future__ import annotations

import base64
import datetime
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...apimachinery.apierrors import ApiError, bad_request
from ...apimachinery.jsontypes import Obj, format_time

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_DEEPEST = 64

# Messages whose fields stand in JSON among those of the message around them.
_INLINED = {
    "ephemeralContainerCommon",
    "handler",
    "ingressRuleValue",
    "localObjectReference",
    "persistentVolumeSource",
    "volumeSource",
}
# Parts that are always on the wire, and mean nothing when they are empty.
_ALWAYS_SENT = {
    "completionTime",
    "creationTimestamp",
    "eventTime",
    "firstTimestamp",
    "lastProbeTime",
    "lastTimestamp",
    "lastTransitionTime",
    "loadBalancer",
    "metadata",
    "resources",
    "source",
    "spec",
    "status",
    "strategy",
    "template",
    "daemonEndpoints",
    "nodeInfo",
    "lastState",
    "state",
}


class _Field(NamedTuple):
    """A field of a message; `many` is `[]`, `{}` or empty."""

    name: str
    kind: str
    many: str
    keeps_zero: bool


_Message = dict[int, _Field]


@functools.cache
def _messages() -> dict[str, _Message]:
    text = Path(__file__).with_name("protobuf.txt").read_text(encoding="ascii")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {
        name: dict(_field(word) for word in fields.split())
        for name, _, fields in (line.partition(": ") for line in lines)
    }


def _field(word: str) -> tuple[int, _Field]:
    name, _, rest = word.partition("=")
    number, _, kind = rest.partition(".")
    many = kind[:2] if kind[:2] in ("[]", "{}") else ""
    kind = kind.removeprefix(many)
    return int(number), _Field(name, kind.rstrip("?") or "string", many, kind.endswith("?"))


def decode(body: bytes) -> Obj:
    """Return the object that a body in protobuf form stands for.

    Raises:
        ApiError: The body is broken (400), or of a kind that is not known here (415).
    """
    if not body.startswith(_MAGIC):
        raise bad_request("the body is no protobuf of the API: it does not begin with k8s\\0")
    try:
        envelope = dict(_wire(body[len(_MAGIC) :]))
        about = dict(_wire(envelope.get(1, b"")))
        version, kind = about.get(1, b"").decode(), about.get(2, b"").decode()
        message = _messages().get(kind)
        if message is None:
            raise ApiError(
                415,
                "UnsupportedMediaType",
                f"the local cluster does not read {kind} ({version}) in protobuf form;"
                " send it as application/json",
            )
        obj = _decode(envelope.get(2, b""), message, 0)
    except (ValueError, IndexError, AttributeError, TypeError, OverflowError) as error:
        raise bad_request(f"the protobuf in the body cannot be read: {error}") from None
    return {"apiVersion": version, "kind": kind, **obj}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _wire(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (field number, number or bytes) of one message."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        form = tag & 7
        if form == 0:
            number, at = _varint(data, at)
            yield tag >> 3, number
            continue
        if form == 2:
            length, at = _varint(data, at)
        elif form in (1, 5):
            length = 8 if form == 1 else 4
        else:
            raise ValueError(f"field form {form} is not known")
        if at + length > end:
            raise ValueError("it ends too early")
        yield tag >> 3, data[at : at + length]
        at += length


def _decode(data: bytes, message: _Message, depth: int) -> Obj:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    obj: Obj = {}
    for number, raw in _wire(data):
        field = message.get(number)
        if field is None:
            continue
        if field.many == "[]":
            obj.setdefault(field.name, []).append(_value(raw, field.kind, depth))
        elif field.many == "{}":
            pair = dict(_wire(raw))
            value = _value(pair.get(2, b""), field.kind, depth)
            obj.setdefault(field.name, {})[pair.get(1, b"").decode()] = value
        else:
            value = _value(raw, field.kind, depth)
            if field.name in _INLINED:
                obj.update(value)
            elif _meant(field, value):
                obj[field.name] = value
    return obj


def _meant(field: _Field, value: Any) -> bool:
    """Tell whether a value says something, or is only there because Go always writes it."""
    if value is None:
        return False
    if value == {}:
        return field.name not in _ALWAYS_SENT
    return field.keeps_zero or bool(value)


def _value(raw: Any, kind: str, depth: int) -> Any:
    if kind == "string":
        return raw.decode()
    if kind == "bool":
        return bool(raw)
    if kind == "int":
        return raw - (1 << 64) if raw >> 63 else raw
    if kind == "bytes":
        return base64.b64encode(raw).decode()
    if kind in _SPECIAL:
        return _SPECIAL[kind](dict(_wire(raw)))
    message = _messages().get(kind)
    if message is None:
        raise ValueError(f"{kind} is not known")
    if set(message) == {1} and message[1].name == "items" and kind == "ExtraValue":
        return _decode(raw, message, depth + 1).get("items", [])
    return _decode(raw, message, depth + 1)


def _moment(parts: dict[int, Any]) -> datetime.datetime | None:
    if not parts:
        return None
    return datetime.datetime.fromtimestamp(parts.get(1, 0), datetime.UTC)


def _time(parts: dict[int, Any]) -> str | None:
    moment = _moment(parts)
    return format_time(moment) if moment else None


def _micro_time(parts: dict[int, Any]) -> str | None:
    moment = _moment(parts)
    if moment is None:
        return None
    return moment.replace(microsecond=parts.get(2, 0) // 1000).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _int_or_string(parts: dict[int, Any]) -> int | str:
    if parts.get(1):
        return str(parts.get(3, b"").decode())
    return int(_value(parts.get(2, 0), "int", 0))


def _fields(parts: dict[int, Any]) -> Any:
    return json.loads(parts.get(1) or b"{}")


_SPECIAL = {
    "Time": _time,
    "MicroTime": _micro_time,
    "IntOrString": _int_or_string,
    "Quantity": lambda parts: parts.get(1, b"").decode(),
    "FieldsV1": _fields,
    "RawExtension": _fields,
}
