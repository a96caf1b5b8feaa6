"""The API server: the Kubernetes protocol over TLS, for whoever holds the token.

This module turns HTTP into calls of `rest` and back. It listens on 127.0.0.1 only, and answers
401 to every request that does not carry the token.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
from typing import Any

import tornado.httpserver
import tornado.iostream
import tornado.netutil
import tornado.web

from wqlib.localcluster.api import discovery, guard, reading, schema, table, watching
from wqlib.localcluster.api.openapi import OpenApi
from wqlib.localcluster.api.rest import Options, Rest, dumps
from wqlib.localcluster.api.routing import Target, parse_path
from wqlib.localcluster.apimachinery import apierrors, resources, selectors
from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.apimachinery.resources import Resource
from wqlib.localcluster.store import Entry

log = logging.getLogger(__name__)

_JSON_TYPES = ["application/json", "application/yaml"]
_PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
    "application/apply-patch+json": "apply",
}


# Whose deletion answers with the object itself, not with a `Status`.
_RETURNED = {"Pod", "Service", "ServiceAccount", "Namespace"}


class Handler(tornado.web.RequestHandler):
    """Every request besides the streams."""

    rest: Rest
    token: str
    openapi: OpenApi

    def initialize(self, rest: Rest, token: str, openapi: OpenApi) -> None:
        self.rest = rest
        self.token = token
        self.openapi = openapi
        self.closed = asyncio.Event()

    def prepare(self) -> None:
        if not authorized(self, self.token):
            self.refuse(apierrors.unauthorized())

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
        self.set_status(code)
        self.set_header("Content-Type", "application/json")
        self.finish(body if isinstance(body, bytes) else dumps(body))

    def flag(self, name: str) -> bool:
        return self.get_query_argument(name, "").lower() in ("true", "1")

    def options_(self) -> Options:
        dry_run = self.get_query_argument("dryRun", "")
        if dry_run not in ("", "All"):
            raise apierrors.bad_request(f"invalid dryRun {dry_run!r}: only All is supported")
        return Options(
            dry_run=dry_run == "All",
            validation=self.get_query_argument("fieldValidation", "") or "Warn",
            manager=self.get_query_argument("fieldManager", ""),
        )

    def body_object(self, *, allow_empty: bool = False) -> Any:
        if allow_empty and not self.request.body.strip():
            return {}
        content_type = self.request.headers.get("Content-Type", "application/json")
        content_type = content_type.partition(";")[0].strip()
        known = content_type in _PATCH_TYPES or content_type in _JSON_TYPES
        if not known and self.request.body:
            raise apierrors.unsupported_media_type(_JSON_TYPES)
        try:
            return reading.parse(self.request.body, as_yaml=content_type.endswith("yaml"))
        except (ValueError, RecursionError) as error:
            text = f"the object provided is unrecognized: it is neither JSON nor YAML ({error})"
            raise apierrors.bad_request(text) from None

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
        if self.request.method != "GET":
            raise apierrors.no_such_path()
        found = await self.about(path.rstrip("/") or "/")
        if found is None:
            raise apierrors.no_such_path()
        self.reply(found)

    async def about(self, path: str) -> Obj | bytes | None:
        """Answer what is not an object: discovery, version, health, schema."""
        if path in ("/healthz", "/livez", "/readyz"):
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(b"ok")
            return b""
        if path.startswith("/openapi/"):
            accept = self.request.headers.get("Accept", "")
            content_type, body = await self.openapi.document(path, accept)
            if body is None:
                return None
            self.set_header("Content-Type", content_type)
            self.finish(body)
            return b""
        fixed = {
            "/": discovery.paths,
            "/version": discovery.version,
            "/apis": discovery.group_list,
        }
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

    def finish(self, chunk: Any = None) -> Any:
        return None if self._finished else super().finish(chunk)

    async def resource(self, target: Target) -> None:
        method = self.request.method
        if target.subresource and not self._known_subresource(target):
            raise apierrors.no_such_path()
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
        if target.subresource == "status":
            return target.resource.status
        if target.subresource == "finalize":
            return target.resource.kind == "Namespace"
        return target.subresource in target.resource.subresources

    def _get(self, target: Target) -> None:
        entry = self.rest.get(target.resource, target.namespace or "", target.name)
        wants = self._wants_table()
        if wants:
            self.reply(self._table(target.resource, [entry.obj], str(entry.version), wants))
        else:
            self.reply(entry.text)

    def _matcher(self, target: Target) -> selectors.Match:
        label_text = self.get_query_argument("labelSelector", "")
        field_text = self.get_query_argument("fieldSelector", "")
        by_label = selectors.label_selector(label_text)
        by_field = selectors.field_selector(field_text, target.resource.plural)
        return lambda obj: by_label(obj) and by_field(obj)

    def _number(self, name: str, default: int) -> int:
        text = self.get_query_argument(name, "")
        if not text:
            return default
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise apierrors.bad_request(f"invalid {name} {text!r}: it is no number")
        return int(text)

    def _selected(self, target: Target) -> list[Entry]:
        match = self._matcher(target)
        entries = self.rest.store.list(target.resource.name, target.namespace)
        return [entry for entry in entries if match(entry.obj)]

    async def _list(self, target: Target) -> None:
        if self.flag("watch"):
            await self._watch(target)
            return
        entries = self._selected(target)
        store, resource = self.rest.store, target.resource
        limit, start = self._number("limit", 0), self._number("continue", 0)
        metadata: Obj = {"resourceVersion": str(store.version)}
        entries = entries[start:]
        if limit and len(entries) > limit:
            metadata["continue"] = str(start + limit)
            metadata["remainingItemCount"] = len(entries) - limit
            entries = entries[:limit]
        wants = self._wants_table()
        if wants:
            made = self._table(resource, [e.obj for e in entries], str(store.version), wants)
            made["metadata"] = metadata
            self.reply(made)
            return
        head = {"kind": resource.kind + "List", "apiVersion": resource.group_version}
        text = json.dumps({**head, "metadata": metadata}, separators=(",", ":")).encode()
        self.reply(text[:-1] + b',"items":[' + b",".join(e.item for e in entries) + b"]}")

    async def _watch(self, target: Target) -> None:
        version = self._number("resourceVersion", 0)
        wants, described = self._wants_table(), False

        def render(entry: Entry) -> bytes:
            nonlocal described
            if not wants:
                return entry.text
            head, described = not described, True
            version = str(entry.version)
            return dumps(self._table(target.resource, [entry.obj], version, wants, head=head))

        request = watching.WatchRequest(
            resource=target.resource,
            namespace=target.namespace,
            match=self._matcher(target),
            since=version or None,
            bookmarks=self.flag("allowWatchBookmarks"),
            initial_end=self.flag("sendInitialEvents"),
            timeout=float(self._number("timeoutSeconds", 1800)),
            render=render,
        )
        self.set_header("Content-Type", "application/json")
        await self.flush()
        async for lines in watching.events(self.rest.store, request, self.closed):
            self.write(lines)
            await self.flush()
        if not self.closed.is_set():
            self.finish()

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
        return table.table(resource, objects, version, include, api, head=head)

    def _answer(self, obj: Obj, options: Options, code: int) -> None:
        for warning in options.warnings:
            escaped = warning.replace("\\", "\\\\").replace('"', '\\"')
            self.add_header("Warning", f'299 - "{escaped}"')
        wants = self._wants_table()
        resource = resources.find_kind(obj.get("apiVersion", ""), obj.get("kind", ""))
        if wants and resource:
            obj = self._table(resource, [obj], obj["metadata"].get("resourceVersion", ""), wants)
        self.reply(obj, code)

    def _create(self, target: Target) -> None:
        namespace, body = target.namespace or "", self.body_object()
        if target.subresource == "binding":
            self.rest.bind(namespace, target.name, body)
            self.reply(_success(target, {}), 201)
            return
        if target.name or (target.resource.namespaced and not namespace):
            raise apierrors.method_not_allowed()
        options = self.options_()
        self._answer(self.rest.create(target.resource, namespace, body, options), options, 201)

    def _change(self, target: Target) -> None:
        namespace, body, options = target.namespace or "", self.body_object(), self.options_()
        if target.subresource == "finalize":
            self.reply(self.rest.finalize_namespace(target.name, body))
            return
        if self.request.method == "PUT":
            changed = self.rest.update(
                target.resource,
                namespace,
                target.name,
                body,
                options,
                subresource=target.subresource,
            )
            self._answer(changed, options, 200)
            return
        content_type = self.request.headers.get("Content-Type", "").partition(";")[0]
        if content_type not in _PATCH_TYPES:
            raise apierrors.unsupported_media_type(list(_PATCH_TYPES))
        obj, created = self.rest.patch(
            target.resource,
            namespace,
            target.name,
            body,
            _PATCH_TYPES[content_type],
            options,
            subresource=target.subresource,
        )
        self._answer(obj, options, 201 if created else 200)

    def _delete_options(self) -> Obj:
        options = self.body_object(allow_empty=True)
        if not isinstance(options, dict):
            raise apierrors.bad_request("DeleteOptions must be an object")
        options = schema.check({"apiVersion": "v1", **options, "kind": "DeleteOptions"}, Options())
        policy = self.get_query_argument("propagationPolicy", "")
        if policy:
            options.setdefault("propagationPolicy", policy)
        if self.get_query_argument("gracePeriodSeconds", ""):
            options.setdefault("gracePeriodSeconds", self._number("gracePeriodSeconds", 0))
        return options

    def _delete(self, target: Target) -> None:
        options = self._delete_options()
        dry_run = self.options_().dry_run or options.get("dryRun") == ["All"]
        last, gone = self.rest.delete(
            target.resource, target.namespace or "", target.name, options, dry_run=dry_run
        )
        if gone and target.resource.kind not in _RETURNED:
            self.reply(_success(target, last))
        else:
            self.reply(last)

    def _delete_collection(self, target: Target) -> None:
        if target.resource.namespaced and target.namespace is None:
            raise apierrors.method_not_allowed()
        options = self._delete_options()
        chosen = self._selected(target)
        for entry in chosen:
            name = entry.obj["metadata"]["name"]
            if self.rest.store.get(target.resource.name, (target.namespace or "", name)):
                self.rest.delete(target.resource, target.namespace or "", name, options)
        items = b",".join(entry.item for entry in chosen)
        head = {"kind": target.resource.kind + "List", "apiVersion": target.resource.group_version}
        metadata = {"resourceVersion": str(self.rest.store.version)}
        text = json.dumps({**head, "metadata": metadata}, separators=(",", ":")).encode()
        self.reply(text[:-1] + b',"items":[' + items + b"]}")


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


def authorized(handler: tornado.web.RequestHandler, token: str) -> bool:
    """Tell whether the request carries the token."""
    return guard.authorized(handler.request, token)


def listen(
    application: tornado.web.Application, context: ssl.SSLContext, port: int = 0
) -> tuple[tornado.httpserver.HTTPServer, int]:
    """Serve the application on 127.0.0.1; returns the server and its port."""
    server = tornado.httpserver.HTTPServer(
        application,
        ssl_options=context,
        max_body_size=guard.MAX_BODY_BYTES,
        max_buffer_size=guard.MAX_BODY_BYTES + 65536,
        idle_connection_timeout=600,
        body_timeout=30,
    )
    sockets = tornado.netutil.bind_sockets(port, "127.0.0.1", backlog=512)
    server.add_sockets(sockets)
    return server, sockets[0].getsockname()[1]
