"""The official Kubernetes client, made safe for a notebook.

Three things that the client leaves to its users: no call waits for ever, an error says in
words what to do next, and a watch goes on after a disconnect or an expired version
(`list_and_watch`). Objects are plain dicts here, as the API sends them.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import json
import math
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from ..errors import ClusterError, ClusterUnreachable, NotFound
from . import proxies
from .kubeconfig import check_credential_plugin

CONNECT_SECONDS = 4
READ_SECONDS = 30
WATCH_SECONDS = 60  # then a new request is made, lest a dead connection go unnoticed

Object = dict[str, Any]
Selector = dict[str, str]
P = ParamSpec("P")
R = TypeVar("R")


def client_for(files: list[Path], context: str | None) -> Any:
    """Return an ApiClient for a context, whose calls end in time.

    Args:
        files: The kubeconfig files, merged as kubectl does.
        context: Name of the context; the current one if None.
    """
    if context:
        check_credential_plugin(files, context)
    where = ", ".join(map(str, files))
    try:
        settings = proxies.load_configuration(
            config.load_kube_config, os.pathsep.join(map(str, files)), context=context
        )
    except ClusterError:
        raise
    except Exception as error:  # whatever a file that is no kubeconfig may lead to
        said = str(error)
        if not said.startswith(("Invalid kube-config", "File does not exist")):
            said = "it is not a kubeconfig"
        raise ClusterError(
            f"The kubeconfig {where} cannot be used: {said}. "
            "Try `kubectl config view` to see what is wrong with it."
        ) from None
    # One more try for a connection that the server had closed meanwhile. The client's
    # default of three tries makes a dead cluster look like a slow one.
    settings.retries = urllib3.Retry(total=1, connect=0, read=1, redirect=0, status=0, other=0)
    if not settings.verify_ssl:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return _with_time_limits(client.ApiClient(settings))


def _with_time_limits(api: Any) -> Any:
    """Give every request a time limit, if the caller gave none; a watch may stay silent."""
    pool = api.rest_client.pool_manager
    request, via = pool.request, api.configuration.via

    @functools.wraps(request)
    def limited(method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("timeout") is None:
            endless = "watch=true" in url.lower() or "follow=true" in url.lower()
            read = None if endless else READ_SECONDS
            kwargs["timeout"] = urllib3.Timeout(connect=CONNECT_SECONDS, read=read)
        try:
            return request(method, url, *args, **kwargs)
        except urllib3.exceptions.HTTPError as error:
            error.via = via  # type: ignore[attr-defined]
            raise

    pool.request = limited
    return api


def translate_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function: errors of the client become a ClusterError that says what to do."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (ApiException, urllib3.exceptions.HTTPError) as error:
            raise explain(error) from None
        except ValueError as error:
            if _is_validation(error):
                raise ClusterError(refusal(error)) from None
            raise

    return wrapped


def explain(error: Exception) -> ClusterError:
    """Return a ClusterError that says what an error of the client means, and what to do."""
    if not isinstance(error, ApiException):
        return _unreachable(error)
    if not error.status:
        return _explain_handshake(error)
    said = server_message(error)
    if error.status == 404 and "the server could not find the requested resource" in said:
        return NotFound("The cluster does not know this kind of object (or this version of it).")
    if error.status == 404:
        return NotFound(f"The cluster has no such object: {said}.")
    if error.status == 401:
        return ClusterError(
            "The cluster did not accept the credentials of this context. They may have expired: "
            "log in again as you did the first time, or ask whoever gave you the kubeconfig for a "
            "new one, and try `kubectl get pods`."
        )
    if error.status == 403 and "exceeded quota" in said:
        return ClusterError(
            f"Your namespace is at its quota: {said}. Delete what you no longer need, with "
            "cluster.delete(…) or cluster.clean_up(), or ask whoever made the namespace for more."
        )
    if error.status == 403:
        return ClusterError(
            f"The cluster does not allow this: {said}. Ask its administrator for permission, or "
            "use a namespace of your own: connect(…, namespace=…)."
        )
    return ClusterError(f"The cluster refused ({error.status}): {said}.")


def refusal(error: Exception) -> str:
    """Return in words why a manifest was refused, by the client itself or by the server."""
    if isinstance(error, ApiException):
        said = server_message(error)
    elif _is_validation(error):
        said = "; ".join(map(_invalid, error.errors()[:3]))  # type: ignore[attr-defined]
    else:
        said = " ".join(str(error).split())
    said = said.removeprefix("The cluster refused (422): ").rstrip(".")
    return f"Kubernetes would not take this: {said if len(said) <= 400 else said[:399] + '…'}."


def _is_validation(error: Exception) -> bool:
    """Is this pydantic's error, with which the client refuses an object before it sends it?"""
    return type(error).__name__ == "ValidationError" and hasattr(error, "errors")


def _invalid(problem: Object) -> str:
    """Return what pydantic found at one place, in a learner's words."""
    path, found = "", problem["input"]
    for part in problem["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    path = re.sub(r"^\[\d+\]", "", path).lstrip(".") or "the manifest"
    seen = repr(found) if type(found) in (int, float, str, bool) else f"a {type(found).__name__}"
    wanted = {
        "missing": "is missing",
        "extra_forbidden": "is not a field that Kubernetes knows there",
        "string_type": f"should be text, in quotes, and is {seen}",
        "int_type": f"should be a whole number, and is {seen}",
        "int_parsing": f"should be a whole number, and is {seen}",
        "bool_type": f"should be true or false, and is {seen}",
        "list_type": f"should be a list, and is {seen}",
        "dict_type": f"should have fields of its own, and is {seen}",
        "model_type": f"should have fields of its own, and is {seen}",
    }
    kind = re.sub("^(model_attributes|dataclass)_type$", "model_type", problem["type"])
    said = wanted.get(kind) or problem["msg"][:1].lower() + problem["msg"][1:]
    return f"{path} {said}"


def _explain_handshake(error: Any) -> ClusterError:
    """Explain a refused WebSocket: the client puts the whole answer into one string."""
    said, *more = str(error.reason).split(" -+-+- ", 2)  # the status, the headers, the body
    body = more[-1] if more else ""
    status = re.match(r"Handshake status (\d+)", said)
    if not status:
        return _unreachable(error)
    answer = ApiException(status=int(status[1]), reason=said)
    with contextlib.suppress(ValueError, SyntaxError):  # up to websocket-client 1.8: b'…'
        body = ast.literal_eval(body) if body.startswith("b") else body
    answer.body = body
    return explain(answer)


def _unreachable(error: Exception) -> ClusterUnreachable:
    """Say why the API server cannot be reached; the error's `via` is the proxy, if there is one."""
    text = str(getattr(error, "reason", None) or error)  # its text alone names the request too
    via: proxies.Proxy | None = getattr(error, "via", None)
    whose = "the proxy's" if via else "its"
    causes = {
        "refused": f"nothing listens at {whose} address",
        "timed out": "it did not answer in time",
        "CERTIFICATE_VERIFY_FAILED": "its certificate is not the one that the kubeconfig expects",
        "Name or service not known": f"{whose} host name is unknown",
        "nodename nor servname": f"{whose} host name is unknown",
        "name resolution": f"{whose} host name is unknown",
        "getaddrinfo": f"{whose} host name is unknown",
        "unreachable": f"there is no route to {'the proxy' if via else 'it'}",
    }
    why = next((words for sign, words in causes.items() if sign in text), text[:200])
    if not via:
        return ClusterUnreachable(
            f"The cluster's API server cannot be reached: {why}. "
            "Is the cluster running? Run `wqlib doctor`, or `wqlib cluster start` for the local "
            "one."
        )
    if refused := re.search(r"(?:Tunnel connection failed:|via proxy status:) (\d+)", text):
        why = f"the proxy answers {refused[1]}"
        if refused[1] == "407":
            why = "the proxy wants a login, written as http://user:password@host:port"
            if via.login:
                why = "the proxy refuses its user name and password"
    outside = " If no proxy is needed to reach the cluster, add its host to NO_PROXY."
    if via.named_by == proxies.IN_THE_KUBECONFIG:
        outside = ""
    return ClusterUnreachable(
        f"The cluster's API server cannot be reached through the proxy {via.address}, named by "
        f"{via.named_by}: {why}. Check that setting, and that the cluster is running.{outside}"
    )


def server_message(error: Any) -> str:
    """Return what the API server said: the message inside the body of its answer."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        return str(json.loads(error.body)["message"]).rstrip(".")
    return str(error.reason or error.body or error).strip().rstrip(".")


def get(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Object:
    """Call a method of the client, and return the answer as a dict, as it was sent."""
    answer = call(*args, _preload_content=False, **kwargs)
    result: Object = json.loads(answer.data)
    return result


def get_or_none(
    call: Callable[..., Any], *args: Any, statuses: Container[int] = (403, 404), **kwargs: Any
) -> Object | None:
    """Call a method as `get` does; return None if it fails with one of these statuses.

    Args:
        call: The method, and its arguments.
        statuses: By default those for what we may not do, and for what is not there.
    """
    try:
        return get(call, *args, **kwargs)
    except ApiException as error:
        if error.status in statuses:
            return None
        raise


def read_log(
    core: Any, namespace: str, pod: str, container: str, tail: int | None, previous: bool
) -> str:
    """Return the log of a container.

    Args:
        core: CoreV1Api of the client.
        namespace, pod, container: The names.
        tail: Only this many of its last lines.
        previous: That of the container before it was restarted.
    """
    answer = core.read_namespaced_pod_log(
        pod,
        namespace,
        container=container,
        tail_lines=tail,
        previous=previous,
        _preload_content=False,
    )
    return str(answer.data.decode("utf-8", "replace"))


def list_and_watch(
    list_call: Callable[..., Any],
    namespace: str,
    selector: Selector,
    *,
    seconds: float | None = None,
    stop: threading.Event | None = None,
) -> Iterator[dict[str, Object]]:
    """List objects, then watch them; yield the state after each change.

    Args:
        list_call: A list method, e.g. `core.list_namespaced_pod`.
        namespace: Where to look.
        selector: Which ones: `label_selector` or `field_selector`, or nothing.
        seconds: End after this time (to the second). With it, yield at least once a second, also
            when nothing has changed.
        stop: End when this is set. With it, the watch outlives an unreachable server.

    Yields:
        All objects by name, as a dict that the caller may keep. The first one comes at once,
        also when it is empty.
    """
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    pause = WATCH_SECONDS if seconds is None else 1
    state: dict[str, Object] = {}
    version = ""
    while not (stop and stop.is_set()):
        try:
            if not version:
                listed = get(list_call, namespace, **selector)
                version = listed["metadata"]["resourceVersion"]
                state = {item["metadata"]["name"]: item for item in listed.get("items") or []}
                yield dict(state)
            began = time.monotonic()
            remaining = min(deadline - began, pause)
            if remaining <= 0:
                return
            for event in _watch(list_call, namespace, version, remaining, stop, selector):
                found = event["object"]
                if event["type"] == "ERROR":
                    version = ""  # too old: list again
                    break
                version = found["metadata"].get("resourceVersion", version)
                if event["type"] == "DELETED":
                    state.pop(found["metadata"]["name"], None)
                elif event["type"] in ("ADDED", "MODIFIED"):
                    state[found["metadata"]["name"]] = found
                else:
                    continue
                yield dict(state)
            if version:  # else it is listed at once
                yield dict(state)
            if time.monotonic() - began < 0.1:  # a server that ends it at once is not pestered
                time.sleep(0.1)
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            lost_version = bool(version) and getattr(error, "status", 410) == 410
            version = ""
            if stop is None and not lost_version:
                raise
            if stop:
                stop.wait(0.5)


def _watch(
    list_call: Callable[..., Any],
    namespace: str,
    version: str,
    seconds: float,
    stop: threading.Event | None,
    selector: Selector,
) -> Iterator[Object]:
    """Make one watch request; yield its events until the server, the time or `stop` ends it.

    The client's own `Watch` fails with a KeyError at an ERROR event that it was told to leave as
    it is, and its `stop()` ends a silent watch in its newest versions only.
    """
    response = list_call(
        namespace,
        watch=True,
        resource_version=version,
        allow_watch_bookmarks=True,
        timeout_seconds=max(1, math.ceil(seconds)),
        _preload_content=False,
        _request_timeout=(CONNECT_SECONDS, seconds + 5),
        **selector,
    )
    ended = threading.Event()
    if stop:
        threading.Thread(target=_shut_down_on, args=(response, stop, ended), daemon=True).start()
    rest = b""
    try:
        for part in response.stream(amt=None, decode_content=False):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                if line:
                    yield json.loads(line)
    except (urllib3.exceptions.HTTPError, OSError):
        if not (stop and stop.is_set()):
            raise
    finally:
        ended.set()
        response.close()
        response.release_conn()


def _shut_down_on(response: Any, stop: threading.Event, ended: threading.Event) -> None:
    """Wake the reader of a silent watch when `stop` is set, by shutting down its socket."""
    while not ended.wait(0.1):
        if stop.is_set():
            line = getattr(response, "connection", None) or getattr(response, "_connection", None)
            if line is not None and line.sock is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(line.sock, socket.SHUT_RDWR)
            return
