"""Access reviews: there is no RBAC here, so the one token may do everything.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
"""

from __future__ import annotations

from typing import Any

from ...apimachinery.apierrors import no_such_path, not_an_object
from ...apimachinery.jsontypes import Obj, now
from ..validation import fieldvalidation

USER = {"username": "localcluster", "groups": ["system:masters", "system:authenticated"]}
_WHY = "the local cluster has no RBAC: whoever holds its token may do everything"
_AUTHORIZATION, _AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"

# Kinds that can be created and are answered, and of which nothing is kept.
KINDS = {
    (_AUTHORIZATION, "selfsubjectaccessreviews"): "SelfSubjectAccessReview",
    (_AUTHORIZATION, "selfsubjectrulesreviews"): "SelfSubjectRulesReview",
    (_AUTHORIZATION, "subjectaccessreviews"): "SubjectAccessReview",
    (_AUTHORIZATION, "localsubjectaccessreviews"): "LocalSubjectAccessReview",
    (_AUTHENTICATION, "selfsubjectreviews"): "SelfSubjectReview",
}
GROUPS = (_AUTHENTICATION, _AUTHORIZATION)


def kind_at(path: str) -> str | None:
    """Return the kind of review that is created at a path."""
    parts = path.strip("/").split("/")
    if parts[0] != "apis" or parts[2:3] != ["v1"]:
        return None
    if len(parts) == 6 and parts[3] == "namespaces":
        return KINDS.get((parts[1], parts[5])) if parts[5].startswith("local") else None
    return KINDS.get((parts[1], parts[3])) if len(parts) == 4 else None


def resource_list(group: str) -> Obj:
    """Return `/apis/<group>/v1`."""
    entries = [
        {
            "name": plural,
            "singularName": kind.lower(),
            "namespaced": kind.startswith("Local"),
            "kind": kind,
            "verbs": ["create"],
        }
        for (owner, plural), kind in sorted(KINDS.items())
        if owner == group
    ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/v1",
        "resources": entries,
    }


def answer(kind: str, body: Any) -> Obj:
    """Return the review with its answer."""
    group = next((group for (group, _), one in KINDS.items() if one == kind), None)
    if group is None:
        raise no_such_path()
    if not isinstance(body, dict):
        raise not_an_object(kind, body)
    body = fieldvalidation.check({**body, "apiVersion": f"{group}/v1", "kind": kind})
    metadata = {**(body.get("metadata") or {}), "creationTimestamp": None}
    review = {"kind": kind, "apiVersion": f"{group}/v1", "metadata": metadata}
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
