"""API errors: refusals as `Status` objects, worded as the real server words them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from .jsontypes import Obj, json_type
from .resources import Resource


class ApiError(Exception):
    """A request that the API refuses, with the `Status` that it answers."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def body(self) -> Obj:
        """Return the `Status` object."""
        status: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
        status |= {"status": "Failure", "message": self.message}
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


@contextlib.contextmanager
def ignored(*codes: int) -> Iterator[None]:
    """Ignore refusals with one of these codes, such as 404 for what is gone already."""
    try:
        yield
    except ApiError as error:
        if error.code not in codes:
            raise


class WrongType(ApiError):
    """A field of an object has a value of a type that it cannot have.

    Args:
        why: The words of the real server's JSON reader.
        wanted: The kind of Go value that the field holds; empty if its type reads JSON itself.
        given: The kind of Go value that came.
    """

    def __init__(self, prefix: str, why: str, wanted: str, given: str) -> None:
        super().__init__(400, "BadRequest", prefix + why)
        self.why = why
        self.wanted = wanted
        self.given = given


def qualified(resource: str, group: str) -> str:
    """Return the resource as the real server names it in messages: `jobs.batch`."""
    return f"{resource}.{group}" if group else resource


def _about(
    code: int,
    reason: str,
    resource: str,
    group: str,
    name: str,
    text: str,
    causes: Sequence[Obj] = (),
) -> ApiError:
    """Return a refusal whose text has the object, such as `jobs.batch "a"`, in place of `{}`."""
    message = text.replace("{}", f'{qualified(resource, group)} "{name}"', 1)
    details: Obj = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = resource
    if causes:
        details["causes"] = causes
    return ApiError(code, reason, message, details)


def not_found(resource: str, group: str, name: str) -> ApiError:
    return _about(404, "NotFound", resource, group, name, "{} not found")


def no_such_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(resource: str, group: str, name: str) -> ApiError:
    return _about(409, "AlreadyExists", resource, group, name, "{} already exists")


def conflict(resource: str, group: str, name: str, why: str | None = None) -> ApiError:
    why = why or (
        "the object has been modified; please apply your changes to the latest version"
        " and try again"
    )
    text = f"Operation cannot be fulfilled on {{}}: {why}"
    return _about(409, "Conflict", resource, group, name, text)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def malformed_patch(patch_type: str, why: str) -> ApiError:
    """Return the refusal of a patch that is not JSON, or not YAML."""
    if patch_type == "strategic":
        return bad_request(why)
    return bad_request(f"error decoding {'YAML' if patch_type == 'apply' else 'patch'}: {why}")


def unsupported_patch() -> ApiError:
    return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: str, group: str, name: str, why: str, cause: Obj | None = None) -> ApiError:
    causes = [cause] if cause else []
    return _about(403, "Forbidden", resource, group, name, f"{{}} is forbidden: {why}", causes)


def method_not_allowed() -> ApiError:
    text = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", text, {})


def expired(requested: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {requested} ({oldest})")


def expired_continue_token() -> ApiError:
    text = (
        "The provided continue parameter is too old to display a consistent list result. You must"
        " start a new list without the continue parameter."
    )
    return ApiError(410, "Expired", text)


def expired_list() -> ApiError:
    return ApiError(410, "Expired", "The resourceVersion for the provided list is too old.")


def tokens_unsupported() -> ApiError:
    text = (
        "the local cluster gives no tokens to service accounts, since its pods cannot use the API;"
        " outside of pods, use the token in the cluster's kubeconfig"
    )
    return ApiError(405, "MethodNotAllowed", text, {})


def too_large_version(requested: int, current: int) -> ApiError:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    text = f"Timeout: Too large resource version: {requested}, current: {current}"
    return ApiError(504, "Timeout", text, {"causes": [cause], "retryAfterSeconds": 1})


def unsupported_media_type(accepted: list[str]) -> ApiError:
    text = "the body of the request was in an unknown format - accepted media types include: "
    return ApiError(415, "UnsupportedMediaType", text + ", ".join(accepted))


def name_mismatch(given: str, on_url: str) -> ApiError:
    return bad_request(
        f"the name of the object ({given}) does not match the name on the URL ({on_url})"
    )


def namespace_mismatch(given: str, on_url: str, *, created: bool) -> ApiError:
    if created:
        return bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    return bad_request(
        f"the namespace of the object ({given}) does not match the namespace on the request"
        f" ({on_url})"
    )


def kind_mismatch(resource: Resource, api_version: str, kind: str) -> ApiError:
    version, group = api_version.rpartition("/")[2], resource.group.partition(".")[0] or "core"
    return bad_request(
        f'{kind} in version "{version}" cannot be handled as a {resource.kind}: converting'
        f" ({version}.{kind}) to ({group}.{resource.kind}): unknown conversion"
    )


def not_an_object(kind: str, body: Any) -> ApiError:
    text = json.dumps(body, separators=(",", ":")).encode()
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind;"
        f" json parse error: json: cannot unmarshal {json_type(body)} into Go value of type struct"
        ' { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string'
        f' "json:\\"kind,omitempty\\"" }} ({text[:32].hex()})'
    )


def immutable(resource: Resource, name: str, field: str, value: Any) -> ApiError:
    message = f"Invalid value: {json.dumps(value)}: field is immutable"
    cause = {"reason": "FieldValueInvalid", "message": message, "field": field}
    # The real server looks at the metadata of every update twice.
    return invalid(resource.kind, resource.group, name, [cause, cause])


def not_typed(resource: Resource, key: tuple[str, str], why: str) -> ApiError:
    """Return the refusal of a server-side apply of what does not fit the schema."""
    name = "/".join(part for part in key if part)
    where = f"({name}; {resource.group}/{resource.version}, Kind={resource.kind})"
    return ApiError(500, "", f"failed to create typed patch object {where}: {why}")


def uid_mismatch(resource: Resource, key: tuple[str, str], given: str, found: str) -> ApiError:
    path = "/".join(part for part in ("", "registry", resource.plural, *key) if part)
    why = (
        f"StorageError: invalid object, Code: 4, Key: /{path}, ResourceVersion: 0,"
        f" AdditionalErrorMsg: Precondition failed: UID in precondition: {given},"
        f" UID in object meta: {found}"
    )
    return conflict(resource.plural, resource.group, key[1], why)


def invalid_option(options: str, reason: str, field: str, message: str) -> ApiError:
    """Return the 422 of a query parameter, or of a field of `DeleteOptions`."""
    cause = {"reason": reason, "message": message, "field": field}
    return invalid(options, "meta.k8s.io", "", [cause])


def patch_of_wrong_type(change: Any, body: Obj, patch_type: str, error: WrongType) -> ApiError:
    """Return the 422 of a patch after which a field has a value that it cannot have."""
    if patch_type == "strategic":
        value, why = go_value(change), f"unrecognized type: {error.wanted}"
        numbers = ("int32", "int64", "float64")
        if not error.wanted:
            decoder = "error decoding from json: " if error.why.startswith("illegal base64") else ""
            why = decoder + error.why
        elif error.wanted in ("map", "slice", "struct"):
            colon = ":" if error.wanted == "struct" else ""
            why = f"cannot restore {error.wanted} from{colon} {error.given}"
        elif error.given in numbers and error.wanted in (*numbers, "string"):
            why = f"cannot convert {error.given} to {error.wanted}"
    else:
        value, why = json.dumps(body, separators=(",", ":")), error.why
    message = f"Invalid value: {json.dumps(value)}: {why}"
    cause = {"reason": "FieldValueInvalid", "message": message, "field": "patch"}
    return ApiError(422, "Invalid", f' "" is invalid: patch: {message}', {"causes": [cause]})


def go_value(value: Any) -> str:
    """Return a JSON value as Go prints it: `map[spec:map[replicas:a]]`."""
    if isinstance(value, dict):
        inner = " ".join(f"{key}:{go_value(one)}" for key, one in sorted(value.items()))
        return f"map[{inner}]"
    if isinstance(value, list):
        return "[" + " ".join(go_value(one) for one in value) + "]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def too_large(why: str) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity is too large: {why}")


def internal(why: str = "see the local cluster's log") -> ApiError:
    return ApiError(500, "InternalError", f"Internal error occurred: {why}")


def invalid(kind: str, group: str, name: str, causes: list[Obj]) -> ApiError:
    """Return a 422 that lists `causes`, each with `reason`, `message` and `field`."""
    messages = list(dict.fromkeys(f"{cause['field']}: {cause['message']}" for cause in causes))
    joined = messages[0] if len(messages) == 1 else "[" + ", ".join(messages) + "]"
    return _about(422, "Invalid", kind, group, name, f"{{}} is invalid: {joined}", causes)
