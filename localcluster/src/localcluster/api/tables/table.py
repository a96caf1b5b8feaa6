"""Tables: what `kubectl get` prints, made by the server.

https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from ...apimachinery.resources import Resource
from .core import CORE, OTHERS
from .namedgroups import NAMED_GROUPS

_ENDED = {
    "Succeeded": "completed successfully.",
    "Failed": "failed.",
}


def make_table(
    resource: Resource,
    objects: list[Obj],
    version: str,
    include: str,
    api: str,
    *,
    head: bool = True,
) -> Obj:
    """Return the `Table` of some objects.

    Args:
        include: `Metadata`, `Object` or `None`: what of the object each row carries.
        api: `v1` or `v1beta1`, the version of the table itself.
        head: Whether the columns are described, which a watch does only once.
    """
    kind = resource.kind
    columns = CORE.get(kind) or NAMED_GROUPS.get(kind, OTHERS)
    rows: list[Obj] = []
    for obj in objects:
        line: Obj = {"cells": [column.cell(obj) for column in columns]}
        if include == "Object":
            line["object"] = obj
        elif include != "None":
            line["object"] = {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"meta.k8s.io/{api}",
                "metadata": obj["metadata"],
            }
        if resource.kind == "Pod" and obj["status"].get("phase") in ("Succeeded", "Failed"):
            phase = obj["status"]["phase"]
            done = {"type": "Completed", "status": "True", "reason": phase}
            line["conditions"] = [{**done, "message": f"The pod has {_ENDED[phase]}"}]
        rows.append(line)
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{api}",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [column.definition for column in columns] if head else None,
        "rows": rows,
    }


def partial_metadata(obj: Obj) -> Obj:
    """Return the `PartialObjectMetadata` of an object, for clients that ask for no more."""
    head = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
    return {**head, "metadata": obj["metadata"]}
