"""Lists: selectors, pages with continue tokens, and the state at an earlier resourceVersion.

The log of changes leads back to any resourceVersion that it still covers, so all pages of a list
show one moment; an older one is refused (410), as the real server does after compaction.
https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

import tornado.web

from ...apimachinery import apierrors, selectors
from ...apimachinery.jsontypes import Obj, key_of, parse_integer
from ...store import Entry, Store
from ..http import parameters
from ..http.routing import Target

_TOKEN_VERSION = "meta.k8s.io/v1"


@dataclass(frozen=True)
class Page:
    """A part of a list, with the metadata of the list."""

    entries: list[Entry]
    metadata: Obj


def selector_of(handler: tornado.web.RequestHandler, target: Target) -> selectors.Match | None:
    """Return what the selectors of a request choose; None when they choose everything."""
    label_text = handler.get_query_argument("labelSelector", "")
    field_text = handler.get_query_argument("fieldSelector", "")
    if not label_text and not field_text:
        return None
    by_label = selectors.label_selector(label_text)
    by_field = selectors.field_selector(field_text, target.resource.plural)
    return lambda obj: by_label(obj) and by_field(obj)


def resource_version_of(handler: tornado.web.RequestHandler, *, listed: bool = False) -> int:
    """Return the resourceVersion that a request names, or 0.

    Args:
        listed: Whether it asks for a list; of that alone the real server says that it is bad.
    """
    text = handler.get_query_argument("resourceVersion", "")
    try:
        return parse_integer(text or "0", unsigned=True)
    except ValueError as error:
        why = f"resourceVersion: Invalid value: {json.dumps(text, ensure_ascii=False)}: {error}"
        if listed:
            raise apierrors.bad_request(f"invalid resource version: {why}") from None
        raise apierrors.ApiError(500, "", why) from None


def resource_version_match(handler: tornado.web.RequestHandler, *, watch: bool) -> str:
    """Return `resourceVersionMatch`, or raise a 422 when it does not fit the request."""
    match = handler.get_query_argument("resourceVersionMatch", "")
    given = handler.get_query_argument("resourceVersion", "")
    initial = parameters.flag(handler, "sendInitialEvents")
    if not match:
        return ""
    reason, message = "FieldValueForbidden", ""
    if watch and not initial:
        message = "Forbidden: resourceVersionMatch is forbidden for watch"
    elif not given and not initial:
        message = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match not in ("Exact", "NotOlderThan"):
        reason = "FieldValueNotSupported"
        message = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
    elif match == "Exact" and given == "0":
        message = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    if message:
        raise apierrors.invalid_option("ListOptions", reason, "resourceVersionMatch", message)
    return match


def list_page(handler: tornado.web.RequestHandler, store: Store, target: Target) -> Page:
    """Return what a list request asks for."""
    match = resource_version_match(handler, watch=False)
    wanted = resource_version_of(handler, listed=True)
    parameters.integer(handler, "timeoutSeconds", 0)
    limit, token = (
        parameters.integer(handler, "limit", 0),
        handler.get_query_argument("continue", ""),
    )
    if wanted > store.version:
        raise apierrors.too_large_version(wanted, store.version)
    version, start = store.version, ("", "")
    if token:
        version, start = _read_token(token)
    elif match == "Exact" or (wanted and limit > 0 and not match):
        version = wanted
    chosen = _entries_at(store, target, version, continued=bool(token))
    if token:
        chosen = [entry for entry in chosen if key_of(entry.obj) >= start]
    selected = selector_of(handler, target)
    if selected is not None:
        chosen = [entry for entry in chosen if selected(entry.obj)]
    metadata: Obj = {"resourceVersion": str(version)}
    if 0 < limit < len(chosen):
        metadata["continue"] = _continue_token(version, key_of(chosen[limit].obj))
        if selected is None:
            metadata["remainingItemCount"] = len(chosen) - limit
        chosen = chosen[:limit]
    return Page(chosen, metadata)


def _entries_at(store: Store, target: Target, version: int, *, continued: bool) -> list[Entry]:
    """Return the objects as they were at a resourceVersion."""
    name, namespace = target.resource.name, target.namespace
    entries = store.list(name, namespace)
    if version == store.version:
        return entries
    later = store.since(name, version)
    if later is None or version > store.version:
        raise apierrors.expired_continue_token() if continued else apierrors.expired_list()
    found = {key_of(entry.obj): entry for entry in entries}
    for change in reversed(list(later)):
        key = key_of(change.new.obj)
        if namespace is not None and key[0] != namespace:
            continue
        if change.old is None:
            found.pop(key, None)
        else:
            found[key] = change.old
    return [found[key] for key in sorted(found)]


def _continue_token(version: int, start: tuple[str, str]) -> str:
    text = json.dumps({"v": _TOKEN_VERSION, "rv": version, "start": "/".join(start)})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        found = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, _, name = str(found["start"]).partition("/")
        return int(found["rv"]), (namespace, name)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise apierrors.bad_request(
            f"invalid continue token: continue key is not valid: {error}"
        ) from None
