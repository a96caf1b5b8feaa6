"""The boundary of the API: a request, its response and the events of a watch, as plain values.

The API answers a `Request` with a `Response`. Whoever lives in its process calls it like that;
HTTP is one way to carry both.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from .jsontypes import Obj, dumps


@dataclass(frozen=True)
class Request:
    """What a client asks of the API.

    Args:
        path: As in a URL, with its escapes.
        query: The values of each parameter, decoded.
        body: Bytes of the media type `content_type`; or the object itself, from a client in the
            same process.
        host: Where the client reached the server.
    """

    method: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: Any = b""
    content_type: str = ""
    accept: str = ""
    user_agent: str = ""
    host: str = ""

    def param(self, name: str) -> str:
        """Return the value of a query parameter; empty when it is missing."""
        values = self.query.get(name)
        return values[0] if values else ""


class Content(Protocol):
    """An object, and its JSON text; one is made of the other when somebody asks for it."""

    @property
    def obj(self) -> Obj:
        """The object; nobody changes it."""

    @property
    def text(self) -> bytes:
        """The text."""


class Made(NamedTuple):
    """The content of a response that is an object."""

    obj: Obj

    @property
    def text(self) -> bytes:
        return dumps(self.obj)


class Text(NamedTuple):
    """The content of a response that is text: JSON, unless its content type says otherwise."""

    text: bytes

    @property
    def obj(self) -> Obj:
        found: Obj = json.loads(self.text) if self.text else {}
        return found


class WatchEvent(NamedTuple):
    """A change: its type (`ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, `ERROR`) and the object."""

    type: str
    object: Content


class Events(Protocol):
    """The events of a watch, as many at once as there are, until it ends or is closed."""

    def __aiter__(self) -> AsyncIterator[list[WatchEvent]]:
        """Return the iterator."""

    def close(self) -> None:
        """End the watch, also for whoever waits for the next events."""


@dataclass(frozen=True)
class Response:
    """What the API answers.

    Args:
        warnings: What the client should be told.
        headers: Others than those of the content.
        events: Of a watch, instead of the content.
    """

    status: int
    content: Content
    content_type: str = "application/json"
    warnings: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Events | None = None


class Transport(Protocol):
    """A way to the API.

    Attributes:
        server: The base URL at which the server is reached over HTTP, also when this way is none.
    """

    server: str

    async def answer(self, request: Request) -> Response:
        """Return the API's response, whatever its status.

        Raises:
            OSError: The server does not answer.
        """
