"""A small Kubernetes client for the cluster's own parts: the controllers and the kubelet.

They see nothing but the API, by a transport that they do not know: over HTTP, or in its process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from .apierrors import ApiError
from .jsontypes import Obj
from .resources import object_path
from .transport import Request, Response, Transport

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass
class Client:
    """A client of one API server.

    What it returns may be the very object that others hold too: nobody changes it.
    """

    transport: Transport

    @property
    def server(self) -> str:
        """Return the base URL of the API server, `https://host:port`."""
        return self.transport.server

    async def get(self, path: str, **params: str) -> Obj:
        query = {name: [value] for name, value in params.items()}
        return await self._ask(Request("GET", path, query))

    async def create(self, path: str, body: Obj) -> Obj:
        return await self._ask(Request("POST", path, body=body))

    async def replace(self, path: str, body: Obj) -> Obj:
        return await self._ask(Request("PUT", path, body=body))

    async def patch(self, path: str, body: Obj, how: str = MERGE) -> Obj:
        return await self._ask(Request("PATCH", path, body=body, content_type=how))

    async def delete(self, path: str, **options: Any) -> Obj:
        return await self._ask(Request("DELETE", path, body=options))

    async def patch_same(
        self, obj: Obj, change: Obj, sub: str = "", how: str = STRATEGIC, *, unchanged: bool = False
    ) -> Obj:
        """Change an object, or what lies under it; a later one of the same name is left alone.

        Args:
            unchanged: Whether it must still be the version that `obj` is.

        Raises:
            ApiError: The server refused, with 404 or 409 if the object is gone.
        """
        metadata = {**change.get("metadata", {}), **_same(obj, unchanged)}
        try:
            return await self.patch(object_path(obj, sub), {**change, "metadata": metadata}, how)
        except ApiError as error:
            causes = (error.details or {}).get("causes") or []
            if any(cause.get("field") == "metadata.uid" for cause in causes):
                raise ApiError(409, "Conflict", error.message, error.details) from None
            raise

    async def delete_same(self, obj: Obj, *, unchanged: bool = False, **options: Any) -> Obj:
        """Delete an object; a later one of the same name is left alone.

        Args:
            unchanged: Whether it must still be the version that `obj` is.

        Raises:
            ApiError: The server refused, with 404 or 409 if the object is gone.
        """
        return await self.delete(object_path(obj), preconditions=_same(obj, unchanged), **options)

    async def _ask(self, request: Request) -> Obj:
        """Return the object of the response.

        Raises:
            ApiError: The server refused.
            OSError: The server does not answer.
        """
        return _accepted(await self.transport.answer(request)).content.obj

    async def watch(self, path: str, **params: str) -> AsyncIterator[tuple[str, Obj]]:
        """Yield (type, object) of each change until the server ends the watch."""
        params |= {"watch": "true", "allowWatchBookmarks": "true"}
        query = {name: [value] for name, value in params.items()}
        events = _accepted(await self.transport.answer(Request("GET", path, query))).events
        assert events is not None
        try:
            async for some in events:
                for event in some:
                    yield event.type, event.object.obj
        finally:
            events.close()


def _same(obj: Obj, unchanged: bool) -> Obj:
    names = ("uid", "resourceVersion") if unchanged else ("uid",)
    return {name: obj["metadata"][name] for name in names}


def _accepted(response: Response) -> Response:
    """Return the response, or raise the refusal that it is."""
    if response.status < 400:
        return response
    status = response.content.obj
    reason, message = status.get("reason", ""), status.get("message", "")
    raise ApiError(response.status, reason, message, status.get("details"))


def pod_path(namespace: str, name: str, sub: str = "") -> str:
    """Return the path of a pod, or of something under it."""
    return f"/api/v1/namespaces/{namespace}/pods/{name}" + (f"/{sub}" if sub else "")
