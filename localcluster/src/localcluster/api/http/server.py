"""The API server's HTTP: a request becomes a `Request`, and a `Response` is written back.

Who may ask at all is a matter of `guard`.
"""

from __future__ import annotations

import logging

import tornado.iostream
import tornado.web

from ...apimachinery import apierrors
from ...apimachinery.transport import Events, Made, Request, Response, WatchEvent
from ..endpoints.api import Api

log = logging.getLogger(__name__)


class ApiHandler(tornado.web.RequestHandler):
    """A handler whose responses carry the headers of the API."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-cache, private")

    def compute_etag(self) -> str | None:
        return None

    def read_request(self) -> Request:
        """Return what the client asks.

        Raises:
            ApiError: Its query is no UTF-8.
        """
        sent, headers = self.request, self.request.headers
        query = {}
        for name, values in sent.query_arguments.items():
            try:
                query[name] = [value.decode() for value in values]
            except UnicodeDecodeError:
                raise apierrors.bad_request(f"invalid Unicode in {name}") from None
        return Request(
            sent.method or "",
            sent.path,
            query,
            sent.body,
            content_type=headers.get("Content-Type", ""),
            accept=headers.get("Accept", ""),
            user_agent=headers.get("User-Agent", ""),
            host=sent.host,
        )

    def write_response(self, response: Response) -> None:
        """Send the response, without the events of a watch."""
        self.set_status(response.status)
        self.set_header("Content-Type", response.content_type)
        for name, value in response.headers.items():
            self.set_header(name, value)
        for warning in response.warnings:
            escaped = warning.replace("\\", "\\\\").replace('"', '\\"')
            self.add_header("Warning", f'299 - "{escaped}"')
        if response.events is None:
            self.finish(response.content.text)

    def refuse(self, error: apierrors.ApiError) -> None:
        """Send an error, unless something was sent already."""
        if not self._headers_written:
            self.write_response(Response(error.code, Made(error.body())))


class Door(ApiHandler):
    """Hands every request to the API, except those for the logs and streams of pods."""

    def initialize(self, api: Api) -> None:
        self.api = api
        self.events: Events | None = None

    def on_connection_close(self) -> None:
        if self.events is not None:
            self.events.close()
            self.events = None

    async def handle(self) -> None:
        try:
            response = await self.api.answer(self.read_request())
            self.write_response(response)
            if response.events is not None:
                await self._stream(response.events)
        except apierrors.ApiError as error:
            self.refuse(error)
        except tornado.iostream.StreamClosedError:
            pass
        except Exception:
            log.exception("%s %s", self.request.method, self.request.path)
            self.refuse(apierrors.internal())

    get = post = put = patch = delete = head = options = handle

    async def _stream(self, events: Events) -> None:
        """Write the events of a watch until it ends or the client leaves."""
        self.events = events
        try:
            await self.flush()
            async for some in events:
                self.write(b"".join(map(_line, some)))
                await self.flush()
        finally:
            events.close()
        if self.events is not None:
            self.finish()


def _line(event: WatchEvent) -> bytes:
    kind, content = event
    return b'{"type":"' + kind.encode() + b'","object":' + content.text + b"}\n"
