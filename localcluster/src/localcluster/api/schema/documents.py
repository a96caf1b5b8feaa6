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
from ...apimachinery.resources import Resource
from ...apimachinery.version import GIT_VERSION
from . import descriptions, schema
from . import openapiproto as protobuf


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

    writing = ("dryRun", "fieldManager", "fieldValidation")
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
                self._v2 = await asyncio.to_thread(_v2_protobuf)
            return protobuf.CONTENT_TYPE, self._v2
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
    return {"title": "Kubernetes", "version": GIT_VERSION}


def _served() -> dict[str, list[Resource]]:
    """Return the resources of each group version, by its name in the list of documents."""
    found: dict[str, list[Resource]] = {}
    for resource in resources.ALL:
        name = f"apis/{resource.group_version}" if resource.group else "api/v1"
        found.setdefault(name, []).append(resource)
    return found


def _paths(served: list[Resource]) -> Obj:
    paths: Obj = {}
    for resource in served:
        if "get" in resource.verbs:
            paths.update(_paths_of(resource))
    return paths


def _definitions(served: list[Resource]) -> dict[str, Obj]:
    """Return the definitions of some kinds and of all that these refer to, with descriptions."""
    pending = [schema.name_of(one.group_version, one.kind) for one in served]
    found: dict[str, Obj] = {}
    while pending:
        name = pending.pop()
        if name and name not in found:
            found[name] = descriptions.described(name, schema.definitions()[name])
            pending += re.findall(rf'"{schema.REFERENCE}([^"]+)"', json.dumps(found[name]))
    return dict(sorted(found.items()))


def _v3_documents() -> dict[str, bytes]:
    found = {}
    for name, served in _served().items():
        document = {
            "openapi": "3.0.0",
            "info": _info(),
            "paths": _paths(served),
            "components": {"schemas": _definitions(served)},
        }
        found[name] = json.dumps(document, separators=(",", ":")).encode()
    return found


def _v2_document() -> Obj:
    return {
        "swagger": "2.0",
        "info": _info(),
        "paths": _paths(resources.ALL),
        "definitions": {name: _older(one) for name, one in _definitions(resources.ALL).items()},
    }


def _v2_json() -> bytes:
    return json.dumps(_v2_document()).encode()


def _v2_protobuf() -> bytes:
    return protobuf.document(_v2_document())


def _older(one: Obj) -> Obj:
    """Return a schema as OpenAPI 2 writes it: no defaults, one type, bare references."""
    made = {k: v for k, v in one.items() if k not in ("allOf", "default", "oneOf")}
    made |= one.get("allOf", [{}])[0]
    if "$ref" in made:
        made["$ref"] = made["$ref"].replace(schema.REFERENCE, "#/definitions/")
    if "oneOf" in one:
        made["type"] = "string"
    for key in ("items", "additionalProperties"):
        if key in made:
            made[key] = _older(made[key])
    if "properties" in made:
        made["properties"] = {name: _older(inner) for name, inner in made["properties"].items()}
    return made


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32].upper()
