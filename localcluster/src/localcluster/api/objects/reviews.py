"""Access reviews: there is no RBAC here, so the one token may do everything.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from __future__ import annotations

from typing import Any

from ...apimachinery.apierrors import not_an_object
from ...apimachinery.jsontypes import Obj, now
from ...apimachinery.resources import Resource
from ..validation import fieldvalidation

USER = {"username": "localcluster", "groups": ["system:masters", "system:authenticated"]}
_WHY = "the local cluster has no RBAC: whoever holds its token may do everything"


def answer(resource: Resource, body: Any) -> Obj:
    """Return the review with its answer."""
    kind = resource.kind
    if not isinstance(body, dict):
        raise not_an_object(kind, body)
    head = {"kind": kind, "apiVersion": resource.group_version}
    body = fieldvalidation.check({**body, **head})
    metadata = {**(body.get("metadata") or {}), "creationTimestamp": None}
    review = {**head, "metadata": metadata}
    if kind == "SelfSubjectReview":
        metadata["creationTimestamp"] = now()
        return {**review, "status": {"userInfo": USER}}
    review["spec"] = body.get("spec") or {}
    if kind == "SelfSubjectRulesReview":
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        paths = {"verbs": ["*"], "nonResourceURLs": ["*"]}
        rules = {"resourceRules": [everything], "nonResourceRules": [paths]}
        return {**review, "status": {**rules, "incomplete": False}}
    return {**review, "status": {"allowed": True, "reason": _WHY}}
