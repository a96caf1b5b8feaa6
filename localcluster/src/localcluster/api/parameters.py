"""What comes in with a request: its body in any of the API's forms, and its options."""

from __future__ import annotations

import json
from typing import Any

import tornado.web

from ..apimachinery import apierrors
from ..apimachinery.jsontypes import Obj, whole_number
from ..apimachinery.profile import profile
from . import fieldvalidation, protobuf, serializer
from .rest import Options

_FORMS = ["application/json", "application/yaml", protobuf.CONTENT_TYPE]
PATCHES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
    "application/apply-patch+json": "apply",
}
_VALIDATIONS = ("Ignore", "Strict", "Warn")
_OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "DELETE": "DeleteOptions"}


def content_type(handler: tornado.web.RequestHandler) -> str:
    """Return the media type of the body, without its parameters."""
    return handler.request.headers.get("Content-Type", "").partition(";")[0].strip()


def read(handler: tornado.web.RequestHandler, kind: str = "") -> Any:
    """Return the body as JSON-like data; an empty body is an error unless `kind` is empty.

    Args:
        kind: the kind of object that the path takes.
    """
    body, form = handler.request.body, content_type(handler) or "application/json"
    if not body.strip() and not kind:
        return {}
    if form not in _FORMS and form not in PATCHES:
        raise apierrors.unsupported_media_type(_FORMS)
    if form == protobuf.CONTENT_TYPE:
        return protobuf.decode(body)
    try:
        return serializer.parse(body, as_yaml=form.endswith("yaml"))
    except (ValueError, RecursionError) as error:
        if form in PATCHES:
            raise apierrors.broken_patch(PATCHES[form], _go_words(body, error)) from None
        where = f" (must be of type {kind})" if kind else ""
        raise apierrors.bad_request(
            f"the object provided is unrecognized{where}: couldn't get version/kind;"
            f" json parse error: {_go_words(body, error)} ({_excerpt(body)})"
        ) from None


def _go_words(body: bytes, error: Exception) -> str:
    """Return what is wrong with a JSON text as the real server says it."""
    place = getattr(error, "pos", len(body))
    rest = body.decode(errors="replace")[place:].lstrip()
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    if len(rest) < 2 and not rest.strip("{["):
        return "unexpected end of JSON input"
    return f"invalid character '{rest[0]}' looking for beginning of value"


def _excerpt(body: bytes) -> str:
    return body[:64].decode(errors="replace") if body else "<empty>"


def options(handler: tornado.web.RequestHandler, how: str = "") -> Options:
    """Return what the query parameters of a write ask for.

    Args:
        how: the form of a patch.
    """
    about = _OPTIONS.get(str(handler.request.method), "PatchOptions")
    dry_run = handler.get_query_argument("dryRun", "")
    if dry_run not in ("", "All"):
        text = f'Unsupported value: []string{{"{dry_run}"}}: supported values: "All"'
        raise apierrors.invalid_option(about, "FieldValueNotSupported", "dryRun", text)
    manager = handler.get_query_argument("fieldManager", "")
    force = flag(handler, "force")
    if how == "apply" and not manager:
        text = "Required value: is required for apply patch"
        raise apierrors.invalid_option(about, "FieldValueRequired", "fieldManager", text)
    if how and how != "apply" and handler.get_query_argument("force", ""):
        text = "Forbidden: may not be specified for non-apply patch"
        raise apierrors.invalid_option(about, "FieldValueForbidden", "force", text)
    return Options(
        dry_run=dry_run == "All",
        validation=_validation(handler, about),
        manager=manager or _user_agent(handler),
        force=force,
    )


def _validation(handler: tornado.web.RequestHandler, about: str) -> str:
    if not profile().modern:
        return "Ignore"
    wanted = handler.get_query_argument("fieldValidation", "") or "Warn"
    if wanted not in _VALIDATIONS:
        known = ", ".join(f'"{one}"' for one in ("", *_VALIDATIONS))
        text = f'Unsupported value: "{wanted}": supported values: {known}'
        raise apierrors.invalid_option(about, "FieldValueNotSupported", "fieldValidation", text)
    return wanted


def _user_agent(handler: tornado.web.RequestHandler) -> str:
    """Return who writes when they do not say so: the program's name, as the real server does."""
    return str(handler.request.headers.get("User-Agent", "")).partition("/")[0][:128]


def flag(handler: tornado.web.RequestHandler, name: str) -> bool:
    """Return a query parameter that is true or false."""
    return handler.get_query_argument(name, "").lower() in ("true", "1", "t")


def number(handler: tornado.web.RequestHandler, name: str, default: int) -> int:
    """Return a query parameter that is a whole number."""
    text = handler.get_query_argument(name, "")
    if not text:
        return default
    found = whole_number(text)
    if found is None:
        raise apierrors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return found


def delete_options(handler: tornado.web.RequestHandler) -> Obj:
    """Return the `DeleteOptions` of a request, from its body and its query."""
    found = read(handler)
    if not isinstance(found, dict):
        raise apierrors.bad_request("DeleteOptions must be an object")
    found = fieldvalidation.check({"apiVersion": "v1", **found, "kind": "DeleteOptions"}, Options())
    for name in ("propagationPolicy", "gracePeriodSeconds", "orphanDependents"):
        text = handler.get_query_argument(name, "")
        if text and name == "gracePeriodSeconds":
            found.setdefault(name, number(handler, name, 0))
        elif text:
            found.setdefault(name, flag(handler, name) if name == "orphanDependents" else text)
    return found
