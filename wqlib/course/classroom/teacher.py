"""The teacher's own connection to the cluster, and whether it may do what a class needs."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ...cluster import LOCAL
from ...cluster.kube import client_for, get, server_message
from ...cluster.kubeconfig import find_context, kubeconfig_files
from ...errors import ClassError
from . import objects
from .names import CLASS_LABEL, Learner, learner_of
from .objects import Object

_NEEDED = [  # verbs, group, resource, subresource
    ("list create patch delete", "", "namespaces", ""),
    ("create patch", "", "resourcequotas", ""),
    ("create patch", "", "limitranges", ""),
    ("create patch", "", "serviceaccounts", ""),
    ("create", "", "serviceaccounts", "token"),
    ("create patch get", "", "configmaps", ""),
    ("create patch", "rbac.authorization.k8s.io", "roles", ""),
    ("create patch", "rbac.authorization.k8s.io", "rolebindings", ""),
    ("list", "", "pods", ""),
    ("list", "", "events", ""),
    ("list", "batch", "jobs", ""),
]


@dataclass(frozen=True, slots=True)
class Teacher:
    """An open connection by a context of the teacher's kubeconfig.

    Attributes:
        context: Its name.
        version: The version of Kubernetes, e.g. "v1.36.2".
        api, core, rbac, batch: The official client.
    """

    context: str
    version: str
    api: Any
    core: Any
    rbac: Any
    batch: Any

    @property
    def server(self) -> str:
        """The API server's address, as the teacher reaches it."""
        return str(self.api.configuration.host)

    def namespaces(self, group: str) -> dict[Learner, Object]:
        """Return the namespaces of a class: those that carry its label and its name."""
        selector = f"{CLASS_LABEL}={group}"
        found = get(self.core.list_namespace, label_selector=selector).get("items") or []
        learners = {learner_of(group, one["metadata"]["name"]): one for one in found}
        return {learner: learners[learner] for learner in sorted(filter(None, learners))}


def connect(context: str | None) -> Teacher:
    """Connect to the cluster that is named, and change nothing in it.

    Raises:
        ClassError: None is named, or the local one, which nobody else can reach.
        ClusterError, ClusterUnreachable: As `wqlib.connect`.
    """
    context = context or os.environ.get("WQLIB_CONTEXT") or None
    if context is None:
        raise ClassError(
            "A class needs a real cluster, and none is named. Say which context of your kubeconfig "
            "it is: --context NAME, or WQLIB_CONTEXT. `kubectl config get-contexts` lists them."
        )
    if context == LOCAL:
        raise ClassError(
            "The local cluster is for one learner on one machine; everybody has it already, by "
            "`make lab`. A class needs a real cluster: --context NAME."
        )
    files = kubeconfig_files(None)
    find_context(files, context)
    api = client_for(files, context)
    version = get(client.VersionApi(api).get_code, _request_timeout=(4, 5))
    return Teacher(
        context,
        str(version["gitVersion"]),
        api,
        client.CoreV1Api(api),
        client.RbacAuthorizationV1Api(api),
        client.BatchV1Api(api),
    )


def no_such_class(teacher: Teacher, group: str) -> ClassError:
    """Return the error that there is no class of this name, with those that there are."""
    found = get(teacher.core.list_namespace, label_selector=CLASS_LABEL).get("items") or []
    pairs = [(one["metadata"]["labels"][CLASS_LABEL], one["metadata"]["name"]) for one in found]
    classes = Counter(group for group, name in pairs if learner_of(group, name))
    there = ", ".join(f"{name} ({count} learners)" for name, count in sorted(classes.items()))
    return ClassError(
        f"There is no class {group!r} in the cluster of the context {teacher.context!r}. "
        f"There are: {there or 'none'}. `wqlib class create` makes one."
    )


def check_rights(teacher: Teacher, learner: Learner) -> None:
    """Check that a class can be made, before anything is changed.

    Raises:
        ClassError: It cannot; with what is not allowed.
    """
    missing = []
    review = client.AuthorizationV1Api(teacher.api).create_self_subject_access_review
    for verbs, group, resource, subresource in _NEEDED:
        for verb in verbs.split():
            asked = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
            answer = get(review, {"spec": {"resourceAttributes": asked}})
            if not answer.get("status", {}).get("allowed"):
                missing.append(f"{verb} {resource}{'/' if subresource else ''}{subresource}")
    if not missing and (why := _refusal_of_role(teacher, learner)):
        missing.append(f"grant the rights of a learner ({why})")
    if missing:
        raise ClassError(
            f"You may not make a class in the cluster of the context {teacher.context!r}. "
            f"Nothing was changed. In all namespaces you would have to be allowed to "
            f"{', '.join(missing)}. Ask the cluster's administrator."
        )


def _refusal_of_role(teacher: Teacher, learner: Learner) -> str:
    """Try by a dry run, as nobody can grant rights that they do not have; return why not."""
    role = objects.role(learner)
    role["metadata"]["name"] = f"wqlib-trial-{learner.group}"
    try:
        get(teacher.rbac.create_namespaced_role, "default", role, dry_run="All")
    except ApiException as error:
        if error.status == 403:
            return server_message(error)[:300]
        raise
    return ""


def ensure(api: Any, kind: str, body: Object, *namespace: str) -> bool:
    """Make an object, or set it to what it should be.

    Args:
        api: The part of the client that knows the kind.
        kind: As its methods are called, e.g. "resource_quota".
        body: The object.
        namespace: Where, for what is in one.

    Returns:
        True if it was not there.
    """
    noun = f"namespaced_{kind}" if namespace else kind
    try:
        get(getattr(api, f"create_{noun}"), *namespace, body)
    except ApiException as error:
        if error.status != 409:
            raise
        get(getattr(api, f"patch_{noun}"), body["metadata"]["name"], *namespace, body)
        return False
    return True
