"""Query parameters: the options of writes and of logs, checked as the real server does.

https://kubernetes.io/docs/reference/kubernetes-api/common-parameters/common-parameters/
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod
"""

from __future__ import annotations

import json

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj, parse_integer, parse_time
from ...apimachinery.transport import Request
from ..options import ListOptions, WriteOptions
from ..validation import fieldvalidation
from ..validation.causes import Causes
from .serializer import decode_body

_FIELD_VALIDATIONS = ("Ignore", "Strict", "Warn")
_KINDS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "DELETE": "DeleteOptions"}
_DELETE_OPTIONS = ("propagationPolicy", "gracePeriodSeconds", "orphanDependents")
_LOG_FLAGS = ("follow", "previous", "timestamps")
_LOG_LEAST = {"tailLines": 0, "sinceSeconds": 1, "limitBytes": 1}


def write_options(request: Request, patch_type: str = "") -> WriteOptions:
    """Return what the query parameters of a write ask for.

    Args:
        patch_type: The form of a patch.
    """
    about = _KINDS.get(request.method, "PatchOptions")
    dry_run = list(request.query.get("dryRun", ()))
    if set(dry_run) - {"", "All"}:
        given = json.dumps(dry_run, separators=(",", ":"), ensure_ascii=False)
        text = f'Unsupported value: {given}: supported values: "All"'
        raise apierrors.invalid_option(about, "FieldValueNotSupported", "dryRun", text)
    manager = request.param("fieldManager")
    force = flag(request, "force")
    if patch_type == "apply" and not manager:
        text = "Required value: is required for apply patch"
        raise apierrors.invalid_option(about, "FieldValueRequired", "fieldManager", text)
    if patch_type and patch_type != "apply" and request.param("force"):
        text = "Forbidden: may not be specified for non-apply patch"
        raise apierrors.invalid_option(about, "FieldValueForbidden", "force", text)
    return WriteOptions(
        dry_run="All" in dry_run,
        field_validation=_field_validation(request, about),
        manager=manager or request.user_agent.partition("/")[0][:128],
        force=force,
    )


def _field_validation(request: Request, about: str) -> str:
    wanted = request.param("fieldValidation") or "Warn"
    if wanted not in _FIELD_VALIDATIONS:
        known = ", ".join(f'"{one}"' for one in ("", *_FIELD_VALIDATIONS))
        text = f'Unsupported value: "{wanted}": supported values: {known}'
        raise apierrors.invalid_option(about, "FieldValueNotSupported", "fieldValidation", text)
    return wanted


def list_options(request: Request) -> ListOptions:
    """Return what a list or a watch asks for.

    Raises:
        ApiError: It makes no sense.
    """
    return ListOptions(
        label_selector=request.param("labelSelector"),
        field_selector=request.param("fieldSelector"),
        resource_version_match=_resource_version_match(request),
        resource_version=resource_version(request, listed=not flag(request, "watch")),
        timeout_seconds=_integer(request, "timeoutSeconds"),
        limit=_integer(request, "limit"),
        continue_token=request.param("continue"),
        allow_watch_bookmarks=flag(request, "allowWatchBookmarks"),
        send_initial_events=flag(request, "sendInitialEvents"),
    )


def resource_version(request: Request, *, listed: bool = False) -> int:
    """Return the resourceVersion that a request names, or 0.

    Args:
        listed: Whether it asks for a list; of that alone the real server says that it is bad.
    """
    text = request.param("resourceVersion")
    try:
        return parse_integer(text or "0", unsigned=True)
    except ValueError as error:
        why = f"resourceVersion: Invalid value: {json.dumps(text, ensure_ascii=False)}: {error}"
        if listed:
            raise apierrors.bad_request(f"invalid resource version: {why}") from None
        raise apierrors.ApiError(500, "", why) from None


def _resource_version_match(request: Request) -> str:
    match, given = request.param("resourceVersionMatch"), request.param("resourceVersion")
    initial = flag(request, "sendInitialEvents")
    if not match:
        return ""
    reason, message = "FieldValueForbidden", ""
    if flag(request, "watch") and not initial:
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


def delete_options(request: Request) -> Obj:
    """Return the `DeleteOptions` of a request, from its body and its query."""
    found = decode_body(request)
    if not isinstance(found, dict):
        raise apierrors.bad_request("DeleteOptions must be an object")
    found = fieldvalidation.check({**found, "apiVersion": "v1", "kind": "DeleteOptions"})
    given = {name for name in _DELETE_OPTIONS if request.param(name)}
    if "propagationPolicy" in given:
        found.setdefault("propagationPolicy", request.param("propagationPolicy"))
    if "gracePeriodSeconds" in given:
        found.setdefault("gracePeriodSeconds", _integer(request, "gracePeriodSeconds"))
    if "orphanDependents" in given:
        found.setdefault("orphanDependents", flag(request, "orphanDependents"))
    if write_options(request).dry_run:
        found["dryRun"] = ["All"]
    return found


def flag(request: Request, name: str) -> bool:
    """Return a query parameter that is true or false: false only if it says so or is not there."""
    return name in request.query and request.param(name).lower() not in ("false", "0")


def _integer(request: Request, name: str) -> int:
    """Return a query parameter that is a whole number; 0 when it is missing."""
    try:
        return parse_integer(request.param(name) or "0")
    except ValueError as error:
        raise apierrors.bad_request(str(error)) from None


def pod_log_options(request: Request, pod_name: str) -> list[tuple[str, str]]:
    """Return `PodLogOptions` as the parameters of the request to the kubelet.

    Raises:
        ApiError: One of them makes no sense.
    """
    params: list[tuple[str, str]] = []
    causes = Causes()
    params += [(name, "true") for name in _LOG_FLAGS if flag(request, name)]
    for name, least in _LOG_LEAST.items():
        if not request.param(name):
            continue
        number = _integer(request, name)
        if number < least:
            bound = "greater than or equal to 0" if least == 0 else "greater than 0"
            causes.invalid(name, number, f"must be {bound}")
        params.append((name, str(number)))
    moment = request.param("sinceTime")
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
