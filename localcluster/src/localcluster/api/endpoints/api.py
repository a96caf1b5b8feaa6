"""The API: one function that answers every request but those for the logs and streams of pods."""

from __future__ import annotations

import email.utils
import logging
import time
from dataclasses import dataclass, replace

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj
from ...apimachinery.transport import Made, Request, Response, Text
from ..objects.rest import Rest
from ..schema import discovery
from ..schema.documents import OpenApi
from ..validation.warnings import deprecation
from .resourceverbs import ResourceRequest
from .routing import Target, parse_path

log = logging.getLogger(__name__)

_AGGREGATED = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_FIXED = {
    "/": discovery.paths,
    "/version": discovery.version,
    "/apis": discovery.group_list,
    # kubectl asks for it before it says that it does not know a kind.
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": discovery.no_custom_kinds,
}


@dataclass
class Api:
    """Answers requests."""

    rest: Rest
    openapi: OpenApi

    async def answer(self, request: Request) -> Response:
        """Return the response, which may be a refusal."""
        target = parse_path(request.path)
        response = await self._answer(request, target)
        warnings = deprecation(target.resource) if target else []
        return replace(response, warnings=[*warnings, *response.warnings]) if warnings else response

    async def _answer(self, request: Request, target: Target | None) -> Response:
        try:
            if target is not None:
                return ResourceRequest(self.rest, request, target).answer()
            return await self._non_resource(request)
        except apierrors.ApiError as error:
            refusal = error
        except RecursionError:
            refusal = apierrors.bad_request("the object is nested too deeply")
        except Exception:
            log.exception("%s %s", request.method, request.path)
            refusal = apierrors.internal()
        return Response(refusal.code, Made(refusal.body()))

    async def _non_resource(self, request: Request) -> Response:
        """Answer what is no resource: discovery, version, health, OpenAPI."""
        path = request.path
        if request.method != "GET":
            known = path in ("/version", "/api", "/apis")
            raise apierrors.method_not_allowed() if known else apierrors.no_such_path()
        if path in ("/healthz", "/livez", "/readyz"):
            return _plain(discovery.health(path, verbose="verbose" in request.query))
        if path.startswith("/openapi/"):
            return await self._openapi_document(request)
        if path in ("/api", "/apis") and _AGGREGATED in request.accept:
            content = Made(discovery.aggregated(core=path == "/api"))
            return Response(200, content, f"application/json;{_AGGREGATED}")
        found = _discovered(path.rstrip("/") or "/", request.host)
        return Response(200, Made(found)) if found is not None else _nowhere(path)

    async def _openapi_document(self, request: Request) -> Response:
        content_type, body = await self.openapi.document(request.path, request.accept)
        if body is None:
            return _nowhere(request.path)
        headers = {}
        if request.param("hash"):
            # The address names this very text, so kubectl may keep it.
            expires = email.utils.formatdate(time.time() + 31536000, usegmt=True)
            headers = {"Cache-Control": "public, immutable", "Expires": expires}
        return Response(200, Text(body), content_type, headers=headers)


def _discovered(path: str, host: str) -> Obj | None:
    """Return what discovery says at a path, or None."""
    if path in _FIXED:
        return _FIXED[path]()
    if path == "/api":
        return discovery.core_versions(host)
    if path == "/api/v1":
        return discovery.resource_list("", "v1")
    parts = path.strip("/").split("/")
    if parts[0] == "apis" and len(parts) == 2:
        return discovery.one_group(parts[1])
    if parts[0] == "apis" and len(parts) == 3:
        return discovery.resource_list(parts[1], parts[2])
    return None


def _plain(text: str, status: int = 200) -> Response:
    return Response(status, Text(text.encode()), "text/plain; charset=utf-8")


def _nowhere(path: str) -> Response:
    """Answer a path that leads nowhere: below a group of the API by a `Status`, else by a text."""
    if path.startswith("/api/") or discovery.has_group(path):
        raise apierrors.no_such_path()
    return _plain("404 page not found\n", 404)
