"""OpenAPI definitions of the API's kinds, made from the installed `kubernetes` client's models.

The client's source carries the descriptions of the API itself, so `kubectl explain` shows the
same text as on a real cluster. Clients before version 36 keep them in the docstrings of setters.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from ...apimachinery import resources
from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile
from ..patch import strategicpatch
from ..patch.fieldsets import LIST_SETS
from . import schema

_META = {
    "ObjectMeta", "OwnerReference", "ManagedFieldsEntry", "LabelSelector",
    "LabelSelectorRequirement", "Condition", "ListMeta", "Status",
}  # fmt: skip
_INT_OR_STRING = {"targetPort", "port", "maxSurge", "maxUnavailable", "minAvailable"}
_INT_OR_STRING_NAME = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"

_ABOUT = re.compile(r'^class \w+\(.*\):\n    """\s*(.*?)\s*(?:\n\n|""")', re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^ {4}([a-z]\w*): (.+)$", re.MULTILINE)
_DESCRIPTION = re.compile(r'description=("(?:[^"\\]|\\.)*")')
_SETTER = re.compile(
    r'"""Sets the (\w+) of this \w+\.\s*(.*?)(?:  # noqa: E501)?\s*:param', re.DOTALL
)
# A sentence of `restartPolicy` that 1.20 did not have yet.
_SAID_SINCE = "In some contexts, only a subset of those values may be permitted. "
_REQUIRED = re.compile(r"Invalid value for `(\w+)`, must not be `None`")


def _package(group: str, version: str) -> str:
    return f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}"


def definitions(reference: str) -> dict[str, Obj]:
    """Return the schema of every kind and of all that they consist of.

    Args:
        reference: What comes before a name in a `$ref`, such as `#/definitions/`.
    """
    names: dict[str, str] = {}
    for resource in resources.ALL:
        if resource.plural != "bindings":
            package = _package(resource.group, resource.version)
            _name(schema.model_of(resource.kind), package, names)
    found = {name: _definition(model, names, reference) for model, name in names.items()}
    for resource in resources.ALL:
        name = names.get(schema.model_of(resource.kind))
        if name:
            kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
            found[name]["x-kubernetes-group-version-kind"] = [kind]
    found[_QUANTITY] = {"type": "string"}
    either: Obj = {"type": "string"}
    if reference.startswith("#/components/"):
        either = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
    found[_INT_OR_STRING_NAME] = {**either, "format": "int-or-string"}
    return found


def name_of(resource: resources.Resource) -> str:
    """Return the name of a kind's own definition."""
    return f"{_package(resource.group, resource.version)}.{resource.kind}"


def _name(model: str, package: str, names: dict[str, str]) -> None:
    """Name a model and all that it leads to; the first kind that uses a model names it."""
    if model in names or schema.model(model) is None:
        return
    struct = schema.struct_name(model)
    home = "io.k8s.apimachinery.pkg.apis.meta.v1" if struct in _META else package
    names[model] = f"{home}.{struct}"
    for kind in (schema.model(model) or {}).values():
        _name(kind.name, package, names)


def _definition(model: str, names: dict[str, str], reference: str) -> Obj:
    fields, said = schema.model(model) or {}, _describe(model)
    owner = schema.struct_name(model)
    properties = {}
    for field, kind in fields.items():
        made = _property(field, kind, owner, names, reference)
        if field in said.fields:
            made = _described(made, said.fields[field])
        properties[field] = made
    definition: Obj = {"type": "object", "properties": properties}
    if said.about:
        definition["description"] = said.about
    if said.required:
        definition["required"] = said.required
    return definition


def _described(made: Obj, text: str) -> Obj:
    """Add a field's description; beside a bare `$ref` none may stand in OpenAPI 3."""
    if "$ref" in made and made["$ref"].startswith("#/components/"):
        return {"allOf": [made], "description": text}
    return {**made, "description": text}


def _element(field: str, kind: str, names: dict[str, str], reference: str) -> Obj:
    if kind in names:
        return {"$ref": reference + names[kind]}
    if kind == "any":
        if field in _INT_OR_STRING:
            return {"$ref": reference + _INT_OR_STRING_NAME}
        return {"type": "object"}
    simple = {"int": "integer", "bool": "boolean", "float": "number"}
    return {"type": simple.get(kind, "string")}


def _property(
    field: str, kind: schema.Type, owner: str, names: dict[str, str], reference: str
) -> Obj:
    quantity = {"$ref": reference + _QUANTITY}
    if kind.many == "dict":
        inner = quantity if schema.is_quantity(field) else None
        values = inner or _element(field, kind.name, names, reference)
        return {"type": "object", "additionalProperties": values}
    if kind.many == "list":
        made: Obj = {"type": "array", "items": _element(field, kind.name, names, reference)}
        made.update(_patch_strategy(field, owner))
        return made
    if schema.is_quantity(field) and kind.name == "str":
        return quantity
    return _element(field, kind.name, names, reference)


def _patch_strategy(field: str, owner: str) -> dict[str, Any]:
    """Return how a strategic merge patch treats a list."""
    keys = strategicpatch.merge_keys(field)
    if field in LIST_SETS:
        return {"x-kubernetes-patch-strategy": "merge"}
    if not keys or (field == "ports" and owner not in ("Container", "ServiceSpec")):
        return {}
    key = "port" if owner == "ServiceSpec" else keys[0]
    strategy = "merge,retainKeys" if field == "volumes" else "merge"
    return {"x-kubernetes-patch-merge-key": key, "x-kubernetes-patch-strategy": strategy}


@dataclass
class _Description:
    """What a model's source says about it.

    Attributes:
        about: What the model is.
        fields: What each field is, by JSON name; not all are described.
        required: The JSON names of the fields that an object cannot do without.
    """

    about: str = ""
    fields: dict[str, str] = dataclass_field(default_factory=dict)
    required: list[str] = dataclass_field(default_factory=list)


def _describe(model: str) -> _Description:
    """Return the description of a model; empty when it is unknown."""
    source = schema.source(model)
    if source is None:
        return _Description()
    names = schema.json_names(source)
    found = _ABOUT.search(source)
    about = found[1] if found and not found[1].startswith("NOTE:") else ""
    result = _Description(" ".join(about.split()))
    for attribute, declared in _FIELD.findall(source):
        name = names.get(attribute)
        if name is None:
            continue
        described = _DESCRIPTION.search(declared)
        if described:
            result.fields[name] = ast.literal_eval(described[1])
        if not declared.startswith("Optional[") and " = None" not in declared:
            result.required.append(name)
    for attribute, text in _SETTER.findall(source):
        if attribute in names and text:
            result.fields.setdefault(names[attribute], " ".join(text.split()))
    if not profile().modern:
        said = result.fields.items()
        result.fields = {name: text.replace(_SAID_SINCE, "") for name, text in said}
    for attribute in _REQUIRED.findall(source):
        if attribute in names and names[attribute] not in result.required:
            result.required.append(names[attribute])
    return result
