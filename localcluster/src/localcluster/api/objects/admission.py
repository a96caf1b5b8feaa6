"""Admission: what a new pod needs from elsewhere in the cluster; a 403 when it is not there.

It stands for the plugins ServiceAccount, Priority and ResourceQuota.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""

from __future__ import annotations

from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj
from ...apimachinery.quantities import is_quantity, quantity
from ...apimachinery.resources import Resource
from ...store import Store


def admit(resource: Resource, obj: Obj, store: Store) -> None:
    """Raise a 403 when a pod names what is not there, or is one more than a quota allows."""
    if obj["kind"] != "Pod":
        return
    spec, metadata = obj["spec"], obj["metadata"]
    account, namespace = spec.get("serviceAccountName"), metadata["namespace"]
    # The account `default` comes a moment after its namespace; a pod need not wait for it.
    if account != "default" and not store.get("serviceaccounts", (namespace, account)):
        why = (
            f"error looking up service account {namespace}/{account}:"
            f' serviceaccount "{account}" not found'
        )
        raise apierrors.forbidden(resource.plural, "", metadata["name"], why)
    name = spec.get("priorityClassName")
    if name:
        found = store.get("priorityclasses.scheduling.k8s.io", ("", name))
        if found is None:
            why = f"no PriorityClass with name {name} was found"
            raise apierrors.forbidden(resource.plural, "", metadata["name"], why)
        spec["priority"] = found.obj["value"]
    for quota in store.list("resourcequotas", namespace):
        pods = [pod.obj.get("status", {}).get("phase") for pod in store.list("pods", namespace)]
        used = sum(phase not in ("Succeeded", "Failed") for phase in pods)
        limit = ((quota.obj.get("spec") or {}).get("hard") or {}).get("pods")
        if is_quantity(limit) and used >= quantity(limit):
            why = (
                f"exceeded quota: {quota.obj['metadata']['name']}, requested: pods=1,"
                f" used: pods={used}, limited: pods={limit}"
            )
            raise apierrors.forbidden(resource.plural, "", metadata["name"], why)
