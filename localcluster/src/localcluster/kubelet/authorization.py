"""Who may ask the kubelet's server: the API server, and nobody else.

https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/
"""

from __future__ import annotations

import hmac
import time

from tornado.httputil import HTTPServerRequest

from ..apimachinery.apierrors import ApiError
from ..apimachinery.client import Client
from .server import Authorize

_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_REMEMBERED_SECONDS = 60.0
_VERBS = {"GET": "get", "POST": "create"}


def by_token(token: str) -> Authorize:
    """Serve whoever knows the token."""

    async def authorize(request: HTTPServerRequest) -> int:
        sent = request.headers.get("Authorization", "")
        return 200 if hmac.compare_digest(sent.encode(), f"Bearer {token}".encode()) else 401

    return authorize


def by_certificate(client: Client, node: str) -> Authorize:
    """Serve whoever shows a certificate of the cluster's CA and may, says the API, use the node.

    TLS has verified the certificate already; whether its owner has the right `nodes/proxy` is
    asked as a real kubelet asks, by a SubjectAccessReview.
    """
    known: dict[tuple[str, str], tuple[float, int]] = {}

    async def authorize(request: HTTPServerRequest) -> int:
        shown = request.get_ssl_certificate()
        if not isinstance(shown, dict) or not shown:
            return 401
        subject = [pair for part in shown["subject"] for pair in part]
        user = next((value for name, value in subject if name == "commonName"), "")
        groups = [value for name, value in subject if name == "organizationName"]
        verb = _VERBS.get(request.method or "", "proxy")
        key = (f"{user}\n{groups}", verb)
        until, code = known.get(key, (0.0, 0))
        if time.monotonic() > until:
            code = await _review(client, node, user, groups, verb)
            if len(known) > 100:
                known.clear()
            known[key] = (time.monotonic() + _REMEMBERED_SECONDS, code)
        return code

    return authorize


async def _review(client: Client, node: str, user: str, groups: list[str], verb: str) -> int:
    attributes = {"verb": verb, "resource": "nodes", "subresource": "proxy", "name": node}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, "resourceAttributes": attributes},
    }
    try:
        answer = await client.create(_REVIEWS, review)
    except (ApiError, OSError):
        return 403
    return 200 if answer["status"].get("allowed") else 403
