"""The API server: the Kubernetes protocol over TLS, for whoever holds the token.

This module turns HTTP into calls of `rest` and back. Who may ask at all is a matter of `guard`.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import time
from typing import Any

import tornado.iostream
import tornado.web

from ...apimachinery import apierrors, resources
from ...apimachinery.jsontypes import Obj, key_of
from ...apimachinery.profile import profile
from ...apimachinery.resources import Resource
from ...store import Entry
from ..objects import listing, reviews, subresources, watching
from ..objects.deletion import delete_options
from ..objects.rest import Rest, dumps
from ..objects.subresources import scale_of
from ..patch import patchhandler
from ..schema import discovery
from ..schema.documents import OpenApi
from ..tables import table
from ..validation.warnings import deprecation
from . import parameters
from .parameters import WriteOptions
from .routing import Target, parse_path
from .serializer import PATCH_TYPES, content_type, decode_body

log = logging.getLogger(__name__)

_AGGREGATED = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
# Whose deletion answers with the object itself, not with a `Status`; a Service's not yet in 1.20.
_RETURNED_WHEN_DELETED = {"Pod", "ServiceAccount", "Namespace", "ResourceQuota"}
_RETURNED_WHEN_DELETED |= {"Service"} if profile().modern else set()

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch"}


class Handler(tornado.web.RequestHandler):
    """Handles every request except logs and streams of pods."""

    rest: Rest
    openapi: OpenApi

    def initialize(self, rest: Rest, openapi: OpenApi) -> None:
        self.rest = rest
        self.openapi = openapi
        self.closed = asyncio.Event()

    def on_connection_close(self) -> None:
        self.closed.set()

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Cache-Control", "no-cache, private")

    def compute_etag(self) -> str | None:
        return None

    def refuse(self, error: apierrors.ApiError) -> None:
        self.reply(error.body(), error.code)

    def reply(self, body: Obj | bytes, code: int = 200) -> None:
        if self._finished:
            return
        self.set_status(code)
        self.set_header("Content-Type", "application/json")
        self.finish(body if isinstance(body, bytes) else dumps(body))

    async def handle(self) -> None:
        try:
            await self.route()
        except apierrors.ApiError as error:
            if not self._headers_written:
                self.refuse(error)
        except tornado.iostream.StreamClosedError:
            self.closed.set()
        except RecursionError:
            self.refuse(apierrors.bad_request("the object is nested too deeply"))
        except tornado.web.HTTPError as error:
            self.refuse(apierrors.bad_request(error.log_message or "malformed request"))
        except Exception:
            log.exception("%s %s", self.request.method, self.request.path)
            if not self._headers_written:
                self.refuse(apierrors.internal())

    get = post = put = patch = delete = head = options = handle

    async def route(self) -> None:
        path = self.request.path
        target = parse_path(path)
        if target is not None:
            await self.resource(target)
            return
        review = reviews.kind_at(path)
        if review and self.request.method == "POST":
            self.reply(reviews.answer(review, decode_body(self, review)), 201)
            return
        if self.request.method != "GET":
            known = path in ("/version", "/api", "/apis")
            raise apierrors.method_not_allowed() if known else apierrors.no_such_path()
        found = await self.non_resource(path.rstrip("/") or "/")
        if found is None:
            if path.startswith("/api/") or discovery.has_group(path):
                raise apierrors.no_such_path()
            self.set_status(404)
            found = self._plain("404 page not found\n")
        self.reply(found)

    async def non_resource(self, path: str) -> Obj | bytes | None:
        """Answer a non-resource URL: discovery, version, health, OpenAPI."""
        if path in ("/healthz", "/livez", "/readyz"):
            return self._plain(discovery.health(path, verbose="verbose" in self.request.query))
        if path.startswith("/openapi/"):
            return await self._openapi_document(path)
        fixed = {
            "/": discovery.paths,
            "/version": discovery.version,
            "/apis": discovery.group_list,
            # kubectl asks for it before it says that it does not know a kind.
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": discovery.no_custom_kinds,
        }
        if path in ("/api", "/apis") and _AGGREGATED in self.request.headers.get("Accept", ""):
            self.set_header("Content-Type", f"application/json;{_AGGREGATED}")
            self.finish(dumps(discovery.aggregated(core=path == "/api")))
            return b""
        if path in fixed:
            return fixed[path]()
        parts = path.strip("/").split("/")
        if path == "/api":
            return discovery.core_versions(self.request.host)
        if path == "/api/v1":
            return discovery.resource_list("", "v1")
        if parts[0] == "apis" and len(parts) == 2:
            return discovery.one_group(parts[1])
        if parts[0] == "apis" and len(parts) == 3:
            return discovery.resource_list(parts[1], parts[2])
        return None

    def _plain(self, text: str) -> bytes:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(text.encode())
        return b""

    async def _openapi_document(self, path: str) -> bytes | None:
        accept = self.request.headers.get("Accept", "")
        content_type, body = await self.openapi.document(path, accept)
        if body is None:
            return None
        if self.get_query_argument("hash", ""):
            # The address names this very text, so kubectl may keep it.
            self.set_header("Cache-Control", "public, immutable")
            self.set_header("Expires", email.utils.formatdate(time.time() + 31536000, usegmt=True))
        self.set_header("Content-Type", content_type)
        self.finish(body)
        return b""

    def finish(self, chunk: Any = None) -> Any:
        return None if self._finished else super().finish(chunk)

    async def resource(self, target: Target) -> None:
        method = self.request.method
        self._warn(deprecation(target.resource))
        if target.subresource and not self._known_subresource(target):
            raise apierrors.no_such_path()
        verbs = target.resource.subresources.get(target.subresource)
        if verbs is not None and _VERBS.get(method or "") not in verbs:
            raise apierrors.method_not_allowed()
        if target.resource.namespaced and target.name and target.namespace is None:
            raise apierrors.no_such_path()
        if method == "GET":
            if target.name:
                self._get(target)
            else:
                await self._list(target)
        elif method == "POST":
            self._create(target)
        elif method in ("PUT", "PATCH") and target.name:
            self._change(target)
        elif method == "DELETE" and not target.subresource:
            if target.name:
                self._delete(target)
            else:
                self._delete_collection(target)
        else:
            raise apierrors.method_not_allowed()

    def _known_subresource(self, target: Target) -> bool:
        if target.subresource == "token" and target.resource.kind == "ServiceAccount":
            raise apierrors.tokens_unsupported()
        if target.subresource == "status":
            return target.resource.status
        if target.subresource == "finalize":
            return target.resource.kind == "Namespace"
        return target.subresource in target.resource.subresources

    def _get(self, target: Target) -> None:
        wanted = listing.resource_version_of(self)
        if wanted > self.rest.store.version:
            raise apierrors.too_large_version(wanted, self.rest.store.version)
        entry = self.rest.get(target.resource, *target.key)
        if target.subresource == "scale":
            self.reply(scale_of(entry.obj))
            return
        wants = self._wants_table()
        if wants:
            self.reply(self._table(target.resource, [entry.obj], str(entry.version), wants))
        elif self._wants_metadata():
            self.reply(table.partial_metadata(entry.obj))
        else:
            self.reply(entry.text)

    async def _list(self, target: Target) -> None:
        if parameters.flag(self, "watch"):
            await self._watch(target)
            return
        page = listing.list_page(self, self.rest.store, target)
        wants = self._wants_table()
        if wants:
            objects = [entry.obj for entry in page.entries]
            made = self._table(target.resource, objects, "", wants)
            made["metadata"] = page.metadata
            self.reply(made)
        elif self._wants_metadata():
            items = [table.partial_metadata(entry.obj) for entry in page.entries]
            head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
            self.reply({**head, "metadata": page.metadata, "items": items})
        else:
            self._reply_list(target, page)

    def _reply_list(self, target: Target, page: listing.Page) -> None:
        resource = target.resource
        head = {"kind": resource.kind + "List", "apiVersion": resource.group_version}
        text = json.dumps({**head, "metadata": page.metadata}, separators=(",", ":")).encode()
        self.reply(text[:-1] + b',"items":[' + b",".join(e.item for e in page.entries) + b"]}")

    async def _watch(self, target: Target) -> None:
        listing.resource_version_match(self, watch=True)
        version = listing.resource_version_of(self)
        initial = parameters.flag(self, "sendInitialEvents")
        match = listing.selector_of(self, target)
        wants, bare, described = self._wants_table(), self._wants_metadata(), False

        def render(entry: Entry) -> bytes:
            nonlocal described
            if not wants:
                return dumps(table.partial_metadata(entry.obj)) if bare else entry.text
            head, described = not described, True
            version = str(entry.version)
            return dumps(self._table(target.resource, [entry.obj], version, wants, head=head))

        request = watching.WatchRequest(
            resource=target.resource,
            namespace=target.namespace,
            match=match or _everything,
            since=None if initial else version or None,
            bookmarks=parameters.flag(self, "allowWatchBookmarks"),
            initial_end=initial and parameters.flag(self, "allowWatchBookmarks"),
            timeout=float(parameters.integer(self, "timeoutSeconds", 0) or 1800),
            render=render,
        )
        self.set_header("Content-Type", "application/json")
        await self.flush()
        async for lines in watching.watch_events(self.rest.store, request, self.closed):
            self.write(lines)
            await self.flush()
        if not self.closed.is_set():
            self.finish()

    def _wants_metadata(self) -> bool:
        return "as=PartialObjectMetadata" in self.request.headers.get("Accept", "")

    def _wants_table(self) -> str:
        """Return the version of the Table that the client asks for, or nothing."""
        for accepted in self.request.headers.get("Accept", "").split(","):
            if "as=Table" in accepted:
                return "v1beta1" if "v=v1beta1" in accepted else "v1"
        return ""

    def _table(
        self, resource: Resource, objects: list[Obj], version: str, api: str, *, head: bool = True
    ) -> Obj:
        include = self.get_query_argument("includeObject", "") or "Metadata"
        return table.make_table(resource, objects, version, include, api, head=head)

    def _reply_object(self, obj: Obj, options: WriteOptions, code: int) -> None:
        self._warn(options.warnings)
        wants = self._wants_table()
        resource = resources.find_kind(obj.get("apiVersion", ""), obj.get("kind", ""))
        if wants and resource:
            obj = self._table(resource, [obj], obj["metadata"].get("resourceVersion", ""), wants)
        # The text of a stored object is made once, for this reply and for all watches.
        stored = self.rest.store.get(resource.name, key_of(obj)) if resource and not wants else None
        self.reply(stored.text if stored and stored.obj is obj else obj, code)

    def _warn(self, warnings: list[str]) -> None:
        for warning in warnings:
            escaped = warning.replace("\\", "\\\\").replace('"', '\\"')
            self.add_header("Warning", f'299 - "{escaped}"')

    def _create(self, target: Target) -> None:
        namespace, resource = target.namespace or "", target.resource
        acts = target.subresource in ("binding", "eviction")
        if not acts and (target.name or (resource.namespaced and not namespace)):
            raise apierrors.method_not_allowed()
        options, body = self._options_and_body(resource.kind)
        if target.subresource == "binding" or resource.kind == "Binding":
            subresources.bind(self.rest, namespace, target.name, body)
            self.reply(_success(target, {}), 201)
        elif target.subresource == "eviction":
            self.reply(subresources.evict(self.rest, namespace, target.name, body, options), 201)
        else:
            self._reply_object(self.rest.create(resource, namespace, body, options), options, 201)

    def _options_and_body(self, kind: str, patch_type: str = "") -> tuple[WriteOptions, Any]:
        options = parameters.write_options(self, patch_type)
        return options, decode_body(self, kind, options.duplicates)

    def _change(self, target: Target) -> None:
        if self.request.method == "PUT":
            options, body = self._options_and_body(target.resource.kind)
            if target.subresource == "finalize":
                self.reply(subresources.finalize_namespace(self.rest, target.name, body))
                return
            if target.subresource == "scale":
                self._write_scale(target, body, "replace", options)
                return
            changed = self.rest.update(
                target.resource, *target.key, body, options, subresource=target.subresource
            )
            self._reply_object(changed, options, 200)
            return
        patch_type = PATCH_TYPES.get(content_type(self))
        if patch_type is None:
            raise apierrors.unsupported_patch()
        options, body = self._options_and_body("patch", patch_type)
        if target.subresource == "scale":
            self._write_scale(target, body, patch_type, options)
            return
        obj, created = patchhandler.patch_object(
            self.rest, target.resource, target.key, body, patch_type, options, target.subresource
        )
        self._reply_object(obj, options, 201 if created else 200)

    def _write_scale(
        self, target: Target, body: Any, patch_type: str, options: parameters.WriteOptions
    ) -> None:
        resource, key = target.resource, target.key
        self.reply(patchhandler.write_scale(self.rest, resource, key, body, patch_type, options))

    def _delete(self, target: Target) -> None:
        options = delete_options(self)
        dry_run = parameters.write_options(self).dry_run or options.get("dryRun") == ["All"]
        last, gone = self.rest.delete(target.resource, *target.key, options, dry_run=dry_run)
        if gone and target.resource.kind not in _RETURNED_WHEN_DELETED:
            self.reply(_success(target, last))
        else:
            self.reply(last)

    def _delete_collection(self, target: Target) -> None:
        everywhere = target.resource.namespaced and target.namespace is None
        if everywhere or not target.resource.has_deletecollection:
            raise apierrors.method_not_allowed()
        options = delete_options(self)
        dry_run = parameters.write_options(self).dry_run or options.get("dryRun") == ["All"]
        page = listing.list_page(self, self.rest.store, target)
        namespace = target.namespace or ""
        for entry in page.entries:
            name = entry.obj["metadata"]["name"]
            if self.rest.store.get(target.resource.name, (namespace, name)):
                self.rest.delete(target.resource, namespace, name, options, dry_run=dry_run)
        self._reply_list(target, page)


def _everything(_obj: Obj) -> bool:
    return True


def _success(target: Target, last: Obj) -> Obj:
    details: Obj = {"name": target.name, "kind": target.resource.plural}
    if target.resource.group:
        details["group"] = target.resource.group
    if last:
        details["uid"] = last["metadata"].get("uid")
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
