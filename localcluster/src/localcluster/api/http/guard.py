"""The guard of the API: what is refused before any handler looks at the request.

It listens on 127.0.0.1 only. A request without the token gets 401, whatever its method and path;
one whose body is larger than the real server takes gets 413. What such a request sends is read and
dropped, never kept.
"""

from __future__ import annotations

import hmac
import ssl
from typing import Any

import tornado.httpserver
import tornado.httputil
import tornado.netutil
import tornado.web

from ...apimachinery import apierrors
from .server import ApiHandler

# As the real server: an object cannot be larger than this.
MAX_BODY_BYTES = 3 * 1024 * 1024
# So much of a refused body is read, so that its sender gets to see why; then we hang up.
_DROPPED_BYTES = 64 * 1024 * 1024


def authorized(request: tornado.httputil.HTTPServerRequest, token: str) -> bool:
    """Tell whether the request carries the token."""
    sent = request.headers.get("Authorization", "")
    return hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())


@tornado.web.stream_request_body
class Refused(ApiHandler):
    """Answers every request with one and the same error."""

    def initialize(self, error: apierrors.ApiError) -> None:
        self.error = error

    def data_received(self, chunk: bytes) -> None:
        """Drop the body."""

    def get(self) -> None:
        self.refuse(self.error)

    head = get


class Guarded(tornado.web.Application):
    """An application for whoever holds the token."""

    def __init__(self, token: str) -> None:
        super().__init__(log_function=lambda handler: None)
        self._token = token

    def find_handler(self, request: tornado.httputil.HTTPServerRequest, **kwargs: Any) -> Any:
        error = self._refusal(request)
        if error is None:
            return super().find_handler(request, **kwargs)
        if request.method != "HEAD":
            request.method = "GET"  # There is one answer to all of them.
        if request.connection is not None:
            request.connection.set_max_body_size(_DROPPED_BYTES)  # type: ignore[attr-defined]
        return self.get_handler_delegate(request, Refused, {"error": error})

    def _refusal(self, request: tornado.httputil.HTTPServerRequest) -> apierrors.ApiError | None:
        if not authorized(request, self._token):
            return apierrors.unauthorized()
        length = request.headers.get("Content-Length", "0")
        if length.isdecimal() and len(length) < 20 and int(length) > MAX_BODY_BYTES:
            return apierrors.too_large(f"limit is {MAX_BODY_BYTES}")
        return None


def listen(
    application: Guarded, context: ssl.SSLContext
) -> tuple[tornado.httpserver.HTTPServer, int]:
    """Serve the application on 127.0.0.1, and return the server and its port."""
    server = tornado.httpserver.HTTPServer(
        application,
        ssl_options=context,
        max_body_size=MAX_BODY_BYTES,
        max_buffer_size=MAX_BODY_BYTES + 65536,
        idle_connection_timeout=600,
        body_timeout=30,
    )
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1", backlog=512)
    server.add_sockets(sockets)
    return server, sockets[0].getsockname()[1]
