"""The OpenAPI documents, which `kubectl apply` asks for before it sends anything.

kubectl looks whether the server checks unknown fields itself (the parameter `fieldValidation`);
this one does, so kubectl leaves the checking to it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re

from ...apimachinery import resources
from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile
from ...apimachinery.resources import Resource
from . import openapiproto as protobuf
from .definitions import definitions, name_of


def _query(name: str) -> Obj:
    return {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}


def _paths_of(resource: Resource) -> dict[str, Obj]:
    path = resources.path_of(resource, "{namespace}" if resource.namespaced else "")
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    reply = {"200": {"description": "OK"}}

    def operation(action: str, *queries: str) -> Obj:
        return {
            "operationId": f"{action}{resource.kind}",
            "parameters": [_query(name) for name in queries],
            "responses": reply,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind,
        }

    writing = ("dryRun", "fieldManager", *(["fieldValidation"] if profile().modern else []))
    collection = {
        "get": operation("list", "labelSelector", "fieldSelector", "limit", "continue"),
        "post": operation("post", *writing),
    }
    single = {
        "get": operation("get"),
        "put": operation("put", *writing),
        "patch": operation("patch", *writing, "force"),
        "delete": operation("delete", "dryRun", "gracePeriodSeconds", "propagationPolicy"),
    }
    return {path: collection, f"{path}/{{name}}": single}


class OpenApi:
    """Serves `/openapi/v2` and `/openapi/v3`; each document is made when it is first asked for."""

    def __init__(self) -> None:
        self._making = asyncio.Lock()
        self._json = b""
        self._v2: bytes | None = None
        self._v3: dict[str, bytes] = {}

    async def document(self, path: str, accept: str) -> tuple[str, bytes | None]:
        """Return the content type and the bytes of a document, or None when it does not exist."""
        async with self._making:
            return await self._document(path, accept)

    async def _document(self, path: str, accept: str) -> tuple[str, bytes | None]:
        if path == "/openapi/v2":
            if "protobuf" not in accept:
                self._json = self._json or await asyncio.to_thread(_v2_json)
                return "application/json", self._json
            if self._v2 is None:
                self._v2 = await asyncio.to_thread(protobuf.document)
            return protobuf.CONTENT_TYPE, self._v2
        if not profile().modern:
            return "", None
        if not self._v3:
            self._v3 = await asyncio.to_thread(_v3_documents)
        if path == "/openapi/v3":
            listed = {
                name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={_hash(text)}"}
                for name, text in self._v3.items()
            }
            return "application/json", json.dumps({"paths": listed}).encode()
        return "application/json", self._v3.get(path.removeprefix("/openapi/v3/"))


def _info() -> Obj:
    return {"title": "Kubernetes", "version": profile().git_version}


def _all_paths() -> dict[str, dict[str, Obj]]:
    """Return the paths of each group version."""
    found: dict[str, dict[str, Obj]] = {}
    for resource in resources.ALL:
        if resource.plural != "bindings":
            name = f"apis/{resource.group}/{resource.version}" if resource.group else "api/v1"
            found.setdefault(name, {}).update(_paths_of(resource))
    return found


def _v2_json() -> bytes:
    paths = {path: item for listed in _all_paths().values() for path, item in listed.items()}
    made = definitions("#/definitions/")
    document = {"swagger": "2.0", "info": _info(), "paths": paths, "definitions": made}
    return json.dumps(document).encode()


def _v3_documents() -> dict[str, bytes]:
    schemas = definitions("#/components/schemas/")
    found = {}
    for name, paths in _all_paths().items():
        components = {"schemas": _reachable(name, schemas)}
        document = {"openapi": "3.0.0", "info": _info(), "paths": paths, "components": components}
        found[name] = json.dumps(document, separators=(",", ":")).encode()
    return found


def _reachable(group_version: str, schemas: dict[str, Obj]) -> dict[str, Obj]:
    """Return the schemas of a group version's kinds and of all that these refer to."""
    pending = [
        name_of(resource)
        for resource in resources.ALL
        if resource.plural != "bindings"
        and group_version in (f"apis/{resource.group_version}", f"api/{resource.group_version}")
    ]
    found: dict[str, Obj] = {}
    while pending:
        name = pending.pop()
        if name not in found and name in schemas:
            found[name] = schemas[name]
            pending += re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(schemas[name]))
    return found


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32].upper()
