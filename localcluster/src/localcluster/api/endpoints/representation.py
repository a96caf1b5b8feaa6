"""Representations: an object as the client wants to see it, by its `Accept` header.

https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
"""

from __future__ import annotations

from typing import NamedTuple

from ...apimachinery.jsontypes import Obj, dumps
from ...apimachinery.resources import Resource
from ...apimachinery.transport import Content, Made, Request
from ...store import Entry
from ..objects.listing import Page
from ..tables.table import make_table, partial_metadata


class WholeList(NamedTuple):
    """A list of whole objects; its text is joined from theirs."""

    resource: Resource
    page: Page

    @property
    def _head(self) -> Obj:
        kind, api_version = self.resource.kind + "List", self.resource.group_version
        return {"kind": kind, "apiVersion": api_version, "metadata": self.page.metadata}

    @property
    def obj(self) -> Obj:
        return {**self._head, "items": [_item(entry.obj) for entry in self.page.entries]}

    @property
    def text(self) -> bytes:
        items = b",".join(entry.item for entry in self.page.entries)
        return dumps(self._head)[:-1] + b',"items":[' + items + b"]}"


def _item(obj: Obj) -> Obj:
    return {name: value for name, value in obj.items() if name not in ("apiVersion", "kind")}


class Representation:
    """What a client wants to see of a resource: whole objects, tables, or their metadata alone."""

    def __init__(self, resource: Resource, request: Request) -> None:
        self._resource = resource
        wanted = [kind for kind in request.accept.split(",") if "as=Table" in kind]
        # The version of the Table; empty when none is wanted.
        self._table = ("v1beta1" if "v=v1beta1" in wanted[0] else "v1") if wanted else ""
        self._bare = "as=PartialObjectMetadata" in request.accept
        self._include = request.param("includeObject") or "Metadata"
        self._described = False

    def one(self, content: Content) -> Content:
        """Return one object."""
        if self._table:
            version = content.obj["metadata"].get("resourceVersion", "")
            return Made(self._tabular([content.obj], version))
        return Made(partial_metadata(content.obj)) if self._bare else content

    def event(self, entry: Entry) -> Content:
        """Return the object of an event; only the first table describes its columns."""
        if not self._table:
            return self.one(entry)
        head, self._described = not self._described, True
        return Made(self._tabular([entry.obj], str(entry.version), head=head))

    def page(self, page: Page) -> Content:
        """Return a list."""
        if self._table:
            table = self._tabular([entry.obj for entry in page.entries], "")
            return Made({**table, "metadata": page.metadata})
        if self._bare:
            items = [partial_metadata(entry.obj) for entry in page.entries]
            head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
            return Made({**head, "metadata": page.metadata, "items": items})
        return WholeList(self._resource, page)

    def _tabular(self, objects: list[Obj], version: str, *, head: bool = True) -> Obj:
        api = self._table
        return make_table(self._resource, objects, version, self._include, api, head=head)
