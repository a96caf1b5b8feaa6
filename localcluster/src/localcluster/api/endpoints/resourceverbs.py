"""The verbs of the API on resources: what a request for an object, or for a list, is answered.

https://kubernetes.io/docs/reference/using-api/api-concepts/#standard-api-terminology
"""

from __future__ import annotations

from typing import Any

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj
from ...apimachinery.transport import Made, Request, Response, Text
from ..objects import listing, reviews, subresources
from ..objects.rest import Rest
from ..objects.watching import Watch
from ..options import WriteOptions
from . import parameters, patchhandler
from .representation import Representation, WholeList
from .routing import Target
from .serializer import PATCH_TYPES, decode_body, media_type

# Whose deletion answers with the object itself, not with a `Status`.
_RETURNED_WHEN_DELETED = {"Pod", "ServiceAccount", "Namespace", "ResourceQuota", "Service"}
# What is created below an object, and is an act: nothing is stored under its name.
_ACTS = ("binding", "eviction")
# The verb that a method means, with and without the name of an object.
_VERBS = {
    ("GET", False): "list",
    ("GET", True): "get",
    ("POST", False): "create",
    ("POST", True): "create",
    ("PUT", True): "update",
    ("PATCH", True): "patch",
    ("DELETE", False): "deletecollection",
    ("DELETE", True): "delete",
}


class ResourceRequest:
    """One request for a resource."""

    def __init__(self, rest: Rest, request: Request, target: Target) -> None:
        self.rest = rest
        self.request = request
        self.target = target
        self.resource = target.resource
        self.view = Representation(target.resource, request)

    def answer(self) -> Response:
        """Do what the request asks.

        Raises:
            ApiError: It is refused.
        """
        target, resource = self.target, self.resource
        if target.subresource == "token" and resource.kind == "ServiceAccount":
            raise apierrors.tokens_unsupported()
        verbs = resource.verbs_of(target.subresource)
        if not verbs or (resource.namespaced and target.name and target.namespace is None):
            raise apierrors.no_such_path()
        verb = _VERBS.get((self.request.method, bool(target.name)), "")
        if verb not in verbs:
            raise apierrors.method_not_allowed()
        answers = {
            "list": self._list,
            "get": self._get,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }
        return answers[verb]()

    def _get(self) -> Response:
        wanted = parameters.resource_version(self.request)
        if wanted > self.rest.store.version:
            raise apierrors.too_large_version(wanted, self.rest.store.version)
        entry = self.rest.get(self.resource, *self.target.key)
        if self.target.subresource == "scale":
            return Response(200, Made(subresources.scale_of(entry.obj)))
        return Response(200, self.view.one(entry))

    def _list(self) -> Response:
        if parameters.flag(self.request, "watch"):
            return self._watch()
        return Response(200, self.view.page(self._page()))

    def _page(self) -> listing.Page:
        options = parameters.list_options(self.request)
        return listing.list_page(self.rest.store, self.resource, self.target.namespace, options)

    def _watch(self) -> Response:
        options = parameters.list_options(self.request)
        initial, bookmarks = options.send_initial_events, options.allow_watch_bookmarks
        events = Watch(
            self.rest.store,
            self.resource,
            self.target.namespace,
            listing.selector_of(options, self.resource),
            since=None if initial else options.resource_version or None,
            bookmarks=bookmarks,
            initial_end=initial and bookmarks,
            timeout=float(options.timeout_seconds or 1800),
            render=self.view.event,
        )
        return Response(200, Text(b""), events=events)

    def _create(self) -> Response:
        target, resource, namespace = self.target, self.resource, self.target.namespace or ""
        acts = target.subresource in _ACTS
        if not acts and (target.name or (resource.namespaced and not namespace)):
            raise apierrors.method_not_allowed()
        options, body = self._options_and_body(resource.kind)
        if target.subresource == "binding" or resource.kind == "Binding":
            subresources.bind(self.rest, namespace, target.name, body)
            return Response(201, Made(self._success({})))
        if "get" not in resource.verbs:
            return Response(201, Made(reviews.answer(resource, body)))
        if target.subresource == "eviction":
            status = subresources.evict(self.rest, namespace, target.name, body, options)
            return Response(201, Made(status))
        return self._written(self.rest.create(resource, namespace, body, options), options, 201)

    def _update(self) -> Response:
        target = self.target
        options, body = self._options_and_body(self.resource.kind)
        if target.subresource == "finalize":
            return Response(
                200, Made(subresources.finalize_namespace(self.rest, target.name, body))
            )
        if target.subresource == "scale":
            return self._write_scale(body, "replace", options)
        changed = self.rest.update(
            self.resource, *target.key, body, options, subresource=target.subresource
        )
        return self._written(changed, options)

    def _patch(self) -> Response:
        patch_type = PATCH_TYPES.get(media_type(self.request))
        if patch_type is None:
            raise apierrors.unsupported_patch()
        options, body = self._options_and_body("patch", patch_type)
        target = self.target
        if target.subresource == "scale":
            return self._write_scale(body, patch_type, options)
        obj, created = patchhandler.patch_object(
            self.rest, self.resource, target.key, body, patch_type, options, target.subresource
        )
        return self._written(obj, options, 201 if created else 200)

    def _options_and_body(self, kind: str, patch_type: str = "") -> tuple[WriteOptions, Any]:
        options = parameters.write_options(self.request, patch_type)
        return options, decode_body(self.request, kind, options.duplicates)

    def _write_scale(self, body: Any, patch_type: str, options: WriteOptions) -> Response:
        resource, key = self.resource, self.target.key
        scale = patchhandler.write_scale(self.rest, resource, key, body, patch_type, options)
        return Response(200, Made(scale))

    def _written(self, obj: Obj, options: WriteOptions, status: int = 200) -> Response:
        """Answer a write with the object; its stored text is made once, for all watches too."""
        entry = self.rest.store.get(self.resource.name, (self.target.namespace or "", _name(obj)))
        content = entry if entry is not None and entry.obj is obj else Made(obj)
        return Response(status, self.view.one(content), warnings=options.warnings)

    def _delete(self) -> Response:
        options = parameters.delete_options(self.request)
        dry_run = options.get("dryRun") == ["All"]
        last, gone = self.rest.delete(self.resource, *self.target.key, options, dry_run=dry_run)
        if gone and self.resource.kind not in _RETURNED_WHEN_DELETED:
            last = self._success(last)
        return Response(200, Made(last))

    def _delete_collection(self) -> Response:
        resource, namespace = self.resource, self.target.namespace or ""
        if resource.namespaced and not namespace:
            raise apierrors.method_not_allowed()
        options = parameters.delete_options(self.request)
        page = self._page()
        for entry in page.entries:
            name = _name(entry.obj)
            if self.rest.store.get(resource.name, (namespace, name)):
                dry_run = options.get("dryRun") == ["All"]
                self.rest.delete(resource, namespace, name, options, dry_run=dry_run)
        return Response(200, WholeList(resource, page))

    def _success(self, last: Obj) -> Obj:
        details: Obj = {"name": self.target.name, "kind": self.resource.plural}
        if self.resource.group:
            details["group"] = self.resource.group
        if last:
            details["uid"] = last["metadata"].get("uid")
        head = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
        return {**head, "status": "Success", "details": details}


def _name(obj: Obj) -> str:
    name: str = obj["metadata"]["name"]
    return name
