"""Make `api/schema/openapi.json` anew, from the cluster that kubectl's context names.

    ../.venv/bin/python -m tests.record_openapi > src/localcluster/api/schema/openapi.json

Kept is what the groups below say of their kinds, without the descriptions.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from typing import Any

GROUPS = (
    "api/v1",
    "apis/apps/v1",
    "apis/authentication.k8s.io/v1",
    "apis/authorization.k8s.io/v1",
    "apis/batch/v1",
    "apis/coordination.k8s.io/v1",
    "apis/discovery.k8s.io/v1",
    "apis/networking.k8s.io/v1",
    "apis/policy/v1",
    "apis/rbac.authorization.k8s.io/v1",
    "apis/scheduling.k8s.io/v1",
)
_KINDS = "x-kubernetes-group-version-kind"


def gather(documents: Iterable[Any]) -> dict[str, Any]:
    """Return the definitions of several documents, without descriptions, in one."""
    found: dict[str, Any] = {}
    for document in documents:
        for name, definition in document["components"]["schemas"].items():
            # Of a kind that many groups have, each document names only its own group.
            kinds = found.get(name, {}).get(_KINDS, [])
            found[name] = _bare(definition)
            if _KINDS in definition:
                found[name][_KINDS] = kinds + [k for k in definition[_KINDS] if k not in kinds]
    return found


def _bare(schema: Any) -> Any:
    """Return a schema without the descriptions; a property may be called so, too."""
    made = {key: value for key, value in schema.items() if key != "description"}
    if "properties" in made:
        made["properties"] = {name: _bare(inner) for name, inner in made["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = _bare(made[key])
    return made


def text_of(version: str, definitions: dict[str, Any]) -> str:
    """Return the text of the file: one definition a line, so that a change is seen in a diff."""
    origin = f"/openapi/v3 of Kubernetes {version}, without descriptions; see record_openapi.py"
    head = {"openapi": "3.0.0", "info": {"title": origin, "version": version}}
    lines = (
        f"{json.dumps(name)}:{json.dumps(one, separators=(',', ':'), sort_keys=True)}"
        for name, one in sorted(definitions.items())
    )
    return json.dumps(head)[:-1] + ',"components":{"schemas":{\n' + ",\n".join(lines) + "\n}}}\n"


def _get(path: str) -> Any:
    return json.loads(subprocess.check_output(["kubectl", "get", "--raw", path]))


if __name__ == "__main__":
    served = _get("/openapi/v3")["paths"]
    definitions = gather(
        _get(served[group]["serverRelativeURL"]) for group in GROUPS if group in served
    )
    print(text_of(_get("/version")["gitVersion"], definitions), end="")
