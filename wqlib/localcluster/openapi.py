"""The schema documents of the API: what `kubectl apply` asks before it sends anything.

kubectl looks whether the server checks unknown fields itself (the parameter `fieldValidation`);
this one does, so kubectl leaves the checking to it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from wqlib.localcluster import resources
from wqlib.localcluster.jsontypes import Obj
from wqlib.localcluster.resources import Resource


def _query(name: str) -> Obj:
    return {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}


def _paths_of(resource: Resource) -> dict[str, Obj]:
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else "/api/v1"
    if resource.namespaced:
        base += "/namespaces/{namespace}"
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
    return {f"{base}/{resource.plural}": collection, f"{base}/{resource.plural}/{{name}}": single}


class OpenApi:
    """Serves `/openapi/v3`."""

    async def document(self, path: str, accept: str) -> tuple[str, bytes | None]:
        """Return the content type and the bytes of a document; None when there is no such."""
        documents = self._documents()
        if path == "/openapi/v3":
            listed = {
                name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={_hash(text)}"}
                for name, text in documents.items()
            }
            return "application/json", json.dumps({"paths": listed}).encode()
        return "application/json", documents.get(path.removeprefix("/openapi/v3/"))

    def _documents(self) -> dict[str, bytes]:
        found: dict[str, Any] = {}
        for resource in resources.ALL:
            if resource.plural == "bindings":
                continue
            name = f"apis/{resource.group}/{resource.version}" if resource.group else "api/v1"
            found.setdefault(name, {}).update(_paths_of(resource))
        info = {"title": "Kubernetes", "version": resources.GIT_VERSION}
        return {
            name: json.dumps({"openapi": "3.0.0", "info": info, "paths": paths}).encode()
            for name, paths in found.items()
        }


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:32].upper()
