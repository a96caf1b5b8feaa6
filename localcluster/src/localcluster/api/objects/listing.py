"""Lists: selectors, pages with continue tokens, and the state at an earlier resourceVersion.

The log of changes leads back to any resourceVersion that it still covers, so all pages of a list
show one moment; an older one is refused (410), as the real server does after compaction.
https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import NamedTuple

from ...apimachinery import apierrors, selectors
from ...apimachinery.jsontypes import Obj, key_of
from ...apimachinery.resources import Resource
from ...store import Entry, Store
from ..options import ListOptions

_TOKEN_VERSION = "meta.k8s.io/v1"


class Page(NamedTuple):
    """A part of a list, with the metadata of the list."""

    entries: list[Entry]
    metadata: Obj


def selector_of(options: ListOptions, resource: Resource) -> selectors.Match | None:
    """Return what the selectors of a request choose; None when they choose everything."""
    if not options.label_selector and not options.field_selector:
        return None
    by_label = selectors.label_selector(options.label_selector)
    by_field = selectors.field_selector(options.field_selector, resource.plural)
    return lambda obj: by_label(obj) and by_field(obj)


def list_page(
    store: Store, resource: Resource, namespace: str | None, options: ListOptions
) -> Page:
    """Return what a list request asks for; in all namespaces if `namespace` is None."""
    wanted, limit, token = options.resource_version, options.limit, options.continue_token
    match = options.resource_version_match
    if wanted > store.version:
        raise apierrors.too_large_version(wanted, store.version)
    version, start = store.version, ("", "")
    if token:
        version, start = _read_token(token)
    elif match == "Exact" or (wanted and limit > 0 and not match):
        version = wanted
    chosen = _entries_at(store, resource, namespace, version, continued=bool(token))
    if token:
        chosen = [entry for entry in chosen if key_of(entry.obj) >= start]
    selected = selector_of(options, resource)
    if selected is not None:
        chosen = [entry for entry in chosen if selected(entry.obj)]
    metadata: Obj = {"resourceVersion": str(version)}
    if 0 < limit < len(chosen):
        metadata["continue"] = _continue_token(version, key_of(chosen[limit].obj))
        if selected is None:
            metadata["remainingItemCount"] = len(chosen) - limit
        chosen = chosen[:limit]
    return Page(chosen, metadata)


def _entries_at(
    store: Store, resource: Resource, namespace: str | None, version: int, *, continued: bool
) -> list[Entry]:
    """Return the objects as they were at a resourceVersion."""
    name = resource.name
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
