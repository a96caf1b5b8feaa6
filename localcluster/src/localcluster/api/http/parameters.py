"""Query parameters: the options of writes and of logs, checked as the real server does.

https://kubernetes.io/docs/reference/kubernetes-api/common-parameters/common-parameters/
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import tornado.web

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import parse_integer, parse_time
from ..validation.causes import Causes

_FIELD_VALIDATIONS = ("Ignore", "Strict", "Warn")
_KINDS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "DELETE": "DeleteOptions"}
_LOG_FLAGS = ("follow", "previous", "timestamps")
_LOG_LEAST = {"tailLines": 0, "sinceSeconds": 1, "limitBytes": 1}


@dataclass
class WriteOptions:
    """What a request asks for besides its object.

    Args:
        field_validation: What to do about unknown fields: `Ignore`, `Warn` or `Strict`.
        manager: Who writes, for `managedFields`; empty for the cluster's own parts.
        force: Whether a server-side apply takes fields away from others.
        warnings: Filled with what the client should be told.
        duplicates: The paths of the fields that its body names twice.
    """

    dry_run: bool = False
    field_validation: str = "Warn"
    manager: str = ""
    force: bool = False
    warnings: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)


def write_options(handler: tornado.web.RequestHandler, patch_type: str = "") -> WriteOptions:
    """Return what the query parameters of a write ask for.

    Args:
        patch_type: The form of a patch.
    """
    about = _KINDS.get(str(handler.request.method), "PatchOptions")
    dry_run = handler.get_query_arguments("dryRun")
    if set(dry_run) - {"", "All"}:
        given = json.dumps(dry_run, separators=(",", ":"), ensure_ascii=False)
        text = f'Unsupported value: {given}: supported values: "All"'
        raise apierrors.invalid_option(about, "FieldValueNotSupported", "dryRun", text)
    manager = handler.get_query_argument("fieldManager", "")
    force = flag(handler, "force")
    if patch_type == "apply" and not manager:
        text = "Required value: is required for apply patch"
        raise apierrors.invalid_option(about, "FieldValueRequired", "fieldManager", text)
    if patch_type and patch_type != "apply" and handler.get_query_argument("force", ""):
        text = "Forbidden: may not be specified for non-apply patch"
        raise apierrors.invalid_option(about, "FieldValueForbidden", "force", text)
    return WriteOptions(
        dry_run="All" in dry_run,
        field_validation=_field_validation(handler, about),
        manager=manager or _user_agent(handler),
        force=force,
    )


def _field_validation(handler: tornado.web.RequestHandler, about: str) -> str:
    wanted = handler.get_query_argument("fieldValidation", "") or "Warn"
    if wanted not in _FIELD_VALIDATIONS:
        known = ", ".join(f'"{one}"' for one in ("", *_FIELD_VALIDATIONS))
        text = f'Unsupported value: "{wanted}": supported values: {known}'
        raise apierrors.invalid_option(about, "FieldValueNotSupported", "fieldValidation", text)
    return wanted


def _user_agent(handler: tornado.web.RequestHandler) -> str:
    """Return who writes when they do not say so: the program's name, as the real server does."""
    return str(handler.request.headers.get("User-Agent", "")).partition("/")[0][:128]


def flag(handler: tornado.web.RequestHandler, name: str) -> bool:
    """Return a query parameter that is true or false: false only if it says so or is not there."""
    values = handler.get_query_arguments(name)
    return bool(values) and values[0].lower() not in ("false", "0")


def integer(handler: tornado.web.RequestHandler, name: str, default: int) -> int:
    """Return a query parameter that is a whole number."""
    text = handler.get_query_argument(name, "")
    if not text:
        return default
    try:
        return parse_integer(text)
    except ValueError as error:
        raise apierrors.bad_request(str(error)) from None


def pod_log_options(handler: tornado.web.RequestHandler, pod_name: str) -> list[tuple[str, str]]:
    """Return `PodLogOptions` as the parameters of the request to the kubelet.

    Raises:
        ApiError: One of them makes no sense.
    """
    params: list[tuple[str, str]] = []
    causes = Causes()
    params += [(name, "true") for name in _LOG_FLAGS if flag(handler, name)]
    for name, least in _LOG_LEAST.items():
        if not handler.get_query_argument(name, ""):
            continue
        number = integer(handler, name, 0)
        if number < least:
            bound = "greater than or equal to 0" if least == 0 else "greater than 0"
            causes.invalid(name, number, f"must be {bound}")
        params.append((name, str(number)))
    moment = handler.get_query_argument("sinceTime", "")
    if moment:
        _check_since_time(moment)
        params.append(("sinceTime", moment))
        if any(name == "sinceSeconds" for name, _ in params):
            causes.forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified")
    if causes:
        raise apierrors.invalid("PodLogOptions", "", pod_name, causes)
    return params


def _check_since_time(text: str) -> None:
    try:
        parse_time(text)
    except ValueError:
        raise apierrors.bad_request(
            f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
        ) from None
