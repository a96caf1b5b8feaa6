"""What the verbs of the API do to the store: create, update, patch, delete and their rules."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wqlib.localcluster.addresses import Addresses
from wqlib.localcluster.api import defaults, deletion, patch, validation
from wqlib.localcluster.apimachinery import apierrors, resources
from wqlib.localcluster.apimachinery.jsontypes import Obj, now, random_suffix
from wqlib.localcluster.apimachinery.resources import Resource
from wqlib.localcluster.store import Entry, Key, Store

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_FIXED_METADATA = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "generation",
)
_WITH_GENERATION = {"Job", "NetworkPolicy", "PodDisruptionBudget"}


@dataclass
class Options:
    """What a request asks for besides its object.

    Args:
        validation: what to do about unknown fields: `Ignore`, `Warn` or `Strict`.
        manager: who applies, for server-side apply.
        warnings: filled with what the client should be told.
    """

    dry_run: bool = False
    validation: str = "Warn"
    manager: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass
class Rest:
    """The rules of the API over one store.

    Args:
        check_schema: raises when a manifest has fields or types that its kind does not know,
            and returns the object without what is unknown.
        complete: returns an object, which was another one before, with all fields that its kind
            never leaves out.
    """

    store: Store
    addresses: Addresses
    check_schema: Callable[[Obj, Options], Obj] = lambda obj, _options: obj
    complete: Callable[[Obj, Obj | None], Obj] = lambda obj, _before: obj
    _applied: dict[tuple[str, str], Obj] = field(default_factory=dict)

    def get(self, resource: Resource, namespace: str, name: str) -> Entry:
        """Return the object, or raise a 404."""
        entry = self.store.get(resource.name, (namespace, name))
        if entry is None:
            raise apierrors.not_found(resource.plural, resource.group, name)
        return entry

    def create(
        self,
        resource: Resource,
        namespace: str,
        body: Obj,
        options: Options | None = None,
    ) -> Obj:
        """Store a new object and return it with all that the server adds."""
        options = options or Options()
        obj = self.complete(self._incoming(resource, namespace, body, options), None)
        metadata = obj["metadata"]
        name = metadata.get("name")
        if not name:
            prefix = metadata.get("generateName")
            if not isinstance(prefix, str) or not prefix:
                cause = {
                    "reason": "FieldValueRequired",
                    "message": "Required value: name or generateName is required",
                    "field": "metadata.name",
                }
                raise apierrors.invalid(resource.kind, resource.group, "", [cause])
            name = self._generate(resource, namespace, prefix)
            metadata["name"] = name
        if not isinstance(name, str):
            raise apierrors.bad_request("metadata.name must be a string")
        self._check_namespace(resource, namespace, name)
        if self.store.get(resource.name, (namespace, name)):
            raise apierrors.already_exists(resource.plural, resource.group, name)
        for unwanted in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(unwanted, None)
        metadata.pop("managedFields", None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = now()
        if resource.kind in _WITH_GENERATION:
            metadata["generation"] = 1
        if resource.kind == "Secret":
            defaults.fold_string_data(obj)
        defaults.fill_in(obj)
        validation.check_create(resource, obj)
        if resource.kind == "Service":
            self._assign_address(obj)
        if options.dry_run:
            return obj
        return self.store.put(resource.name, (namespace, name), obj).obj

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Obj,
        options: Options,
        *,
        subresource: str = "",
    ) -> Obj:
        """Replace the object (or its status) and return what is stored then."""
        old = self.get(resource, namespace, name).obj
        obj = self._incoming(resource, namespace, body, options)
        if obj["metadata"].get("name") != name:
            raise apierrors.bad_request(
                "the name of the object ("
                f"{obj['metadata'].get('name', '')}) does not match the name on the URL ({name})"
            )
        return self._write(resource, (namespace, name), old, obj, subresource, options.dry_run)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Any,
        how: str,
        options: Options,
        *,
        subresource: str = "",
    ) -> tuple[Obj, bool]:
        """Change a part of the object; returns it, and whether an apply created it."""
        entry = self.store.get(resource.name, (namespace, name))
        if how == "apply":
            return self._apply(resource, namespace, name, change, entry, options)
        if entry is None:
            raise apierrors.not_found(resource.plural, resource.group, name)
        old = entry.obj
        ways = {
            "merge": patch.merge_patch,
            "strategic": patch.strategic_merge_patch,
            "json": patch.json_patch,
        }
        if how != "json" and not isinstance(change, dict):
            raise apierrors.bad_request("error decoding patch: a patch is an object")
        body = ways[how](old, change)
        if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
            raise apierrors.bad_request("the patched object is no object of the API any more")
        body = self._incoming(resource, namespace, body, options)
        key = (namespace, name)
        return self._write(resource, key, old, body, subresource, options.dry_run), False

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        options: Obj,
        *,
        dry_run: bool = False,
    ) -> tuple[Obj, bool]:
        """Delete the object; returns its last state, and whether it is gone already."""
        old = self.get(resource, namespace, name).obj
        deletion.check_preconditions(resource, name, old, options.get("preconditions") or {})
        if resource.kind == "Namespace" and name in SYSTEM_NAMESPACES:
            raise apierrors.forbidden(
                resource.plural, "", name, "this namespace may not be deleted"
            )
        obj = dict(old, metadata=dict(old["metadata"]))
        metadata = obj["metadata"]
        finalizers = deletion.propagate(resource, metadata, options)
        grace = deletion.grace_seconds(obj, options) if resource.kind == "Pod" else 0
        if resource.kind == "Namespace":
            obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
            finalizers = finalizers or (obj.get("spec") or {}).get("finalizers") or []
        if dry_run or (not finalizers and grace == 0):
            last = obj if dry_run else self.store.delete(resource.name, (namespace, name)).obj
            return last, True
        earlier = metadata.get("deletionGracePeriodSeconds")
        if not metadata.get("deletionTimestamp") or (earlier or 0) > grace:
            metadata["deletionTimestamp"] = now()
            metadata["deletionGracePeriodSeconds"] = grace
        if obj == old:
            return old, False
        return self.store.put(resource.name, (namespace, name), obj).obj, False

    def bind(self, namespace: str, name: str, body: Obj) -> None:
        """Give a pod to a node, as the scheduler asks by a `Binding`."""
        resource = resources.find("", "v1", "pods")
        assert resource is not None
        old = self.get(resource, namespace, name).obj
        binding = resources.find("", "v1", "bindings")
        assert binding is not None
        body = self._incoming(binding, namespace, body, Options())
        node = (body.get("target") or {}).get("name")
        if (old.get("spec") or {}).get("nodeName"):
            why = f'pod {name} is already assigned to node "{old["spec"]["nodeName"]}"'
            raise apierrors.conflict("pods/binding", "", name, why)
        obj = dict(old, spec={**old["spec"], "nodeName": node})
        condition = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": now(),
        }
        others = [
            c for c in old["status"].get("conditions") or [] if c.get("type") != "PodScheduled"
        ]
        obj["status"] = {**old["status"], "conditions": [*others, condition]}
        self.store.put(resource.name, (namespace, name), obj)

    def finalize_namespace(self, name: str, body: Obj) -> Obj:
        """Set a namespace's own finalizers; without any, a deleted namespace goes."""
        resource = resources.find("", "v1", "namespaces")
        assert resource is not None
        old = self.get(resource, "", name).obj
        body = self._incoming(resource, "", body, Options())
        kept = (body.get("spec") or {}).get("finalizers") or []
        obj = dict(old, spec={**(old.get("spec") or {}), "finalizers": kept})
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp") and not kept and not metadata.get("finalizers"):
            return self.store.delete(resource.name, ("", name)).obj
        return self.store.put(resource.name, ("", name), obj).obj

    def _incoming(self, resource: Resource, namespace: str, body: Obj, options: Options) -> Obj:
        """Check what came over the wire for its kind and place; returns a copy of our own."""
        if not isinstance(body, dict):
            raise apierrors.bad_request("the body is no object")
        obj = copy.deepcopy(body)
        obj.setdefault("apiVersion", resource.group_version)
        obj.setdefault("kind", resource.kind)
        if (obj["apiVersion"], obj["kind"]) != (resource.group_version, resource.kind):
            raise apierrors.bad_request(
                f"the object in the body ({obj['apiVersion']}, {obj['kind']}) is none of this"
                f" path, which takes {resource.group_version}, {resource.kind}"
            )
        obj = self.check_schema(obj, options)
        if not isinstance(obj.setdefault("metadata", {}), dict):
            raise apierrors.bad_request("metadata must be an object")
        if resource.namespaced:
            given = obj["metadata"].setdefault("namespace", namespace)
            if given != namespace:
                raise apierrors.bad_request(
                    f"the namespace of the provided object does not match the namespace sent on"
                    f" the request ({given} and {namespace})"
                )
        else:
            obj["metadata"].pop("namespace", None)
        return obj

    def _generate(self, resource: Resource, namespace: str, prefix: str) -> str:
        while True:
            name = prefix[:58] + random_suffix()
            if self.store.get(resource.name, (namespace, name)) is None:
                return name

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        if not resource.namespaced:
            return
        found = self.store.get("namespaces", ("", namespace))
        if found is None:
            raise apierrors.not_found("namespaces", "", namespace)
        if found.obj["metadata"].get("deletionTimestamp"):
            why = (
                f"unable to create new content in namespace {namespace} because it is being"
                " terminated"
            )
            raise apierrors.forbidden(resource.plural, resource.group, name, why)

    def _assign_address(self, obj: Obj) -> None:
        spec = obj["spec"]
        if spec.get("type") == "ExternalName":
            return
        if not spec.get("clusterIP"):
            services = [entry.obj for entry in self.store.list("services")]
            taken = {service["spec"].get("clusterIP", "") for service in services}
            spec["clusterIP"] = self.addresses.service(taken)
        spec.setdefault("clusterIPs", [spec["clusterIP"]])

    def _write(
        self, resource: Resource, key: Key, old: Obj, obj: Obj, subresource: str, dry_run: bool
    ) -> Obj:
        obj = self.complete(obj, old)
        metadata, before = obj["metadata"], old["metadata"]
        metadata["name"] = before["name"]
        version = metadata.get("resourceVersion")
        if version and version != before["resourceVersion"]:
            raise apierrors.conflict(resource.plural, resource.group, key[1])
        if metadata.get("uid") and metadata["uid"] != before["uid"]:
            why = (
                f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object"
                f" meta: {before['uid']}"
            )
            raise apierrors.conflict(resource.plural, resource.group, key[1], why)
        if subresource == "status":
            obj = {**old, "status": obj.get("status") or {}}
        else:
            self._complete_update(resource, old, obj)
            validation.check_update(resource, old, obj)
        for name in _FIXED_METADATA:
            if name in before:
                obj["metadata"] = {**obj["metadata"], name: before[name]}
        obj["metadata"] = {**obj["metadata"], "resourceVersion": before["resourceVersion"]}
        obj["metadata"].pop("managedFields", None)
        if subresource != "status" and resource.kind in _WITH_GENERATION:
            changed = old.get("spec") != obj.get("spec")
            obj["metadata"]["generation"] = before.get("generation", 1) + int(changed)
        if dry_run or obj == old:
            return obj
        stored = self.store.put(resource.name, key, obj).obj
        self._finish_deletion(resource, key, stored)
        return stored

    def _complete_update(self, resource: Resource, old: Obj, obj: Obj) -> None:
        """Fill in what an update left out, from the defaults and from the old object."""
        if resource.kind == "Secret":
            defaults.fold_string_data(obj)
        kept = old.get("status")
        if resource.kind == "Service":
            for name in ("clusterIP", "clusterIPs"):
                if old["spec"].get(name) and not obj.get("spec", {}).get(name):
                    obj.setdefault("spec", {})[name] = old["spec"][name]
        if resource.kind == "Job":
            spec = obj.setdefault("spec", {})
            spec.setdefault("selector", old["spec"].get("selector"))
            obj["metadata"]["uid"] = old["metadata"]["uid"]
            template = spec.get("template") or {}
            labels = (template.get("metadata") or {}).get("labels") or {}
            if set(old["spec"]["template"]["metadata"]["labels"]) - set(labels):
                labels = {**old["spec"]["template"]["metadata"]["labels"], **labels}
                spec["template"] = {
                    **template,
                    "metadata": {**(template.get("metadata") or {}), "labels": labels},
                }
        if resource.kind == "Namespace":
            obj["spec"] = old.get("spec") or {}
        else:
            defaults.fill_in(obj)
        if resource.status:
            obj.pop("status", None)
            if kept is not None:
                obj["status"] = kept

    def _finish_deletion(self, resource: Resource, key: Key, obj: Obj) -> None:
        """Remove an object whose deletion waited for the finalizers that are gone now."""
        metadata = obj["metadata"]
        if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
            return
        if metadata.get("deletionGracePeriodSeconds"):
            return
        if resource.kind == "Namespace" and obj["spec"].get("finalizers"):
            return
        self.store.delete(resource.name, key)

    def _apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Obj,
        entry: Entry | None,
        options: Options,
    ) -> tuple[Obj, bool]:
        """Server-side apply: what this manager applied before and now leaves out, goes."""
        if not isinstance(change, dict):
            raise apierrors.bad_request("error decoding patch: a configuration is an object")
        manager, dry_run = options.manager, options.dry_run
        change = self._incoming(resource, namespace, change, options)
        change["metadata"]["name"] = name
        if entry is None:
            created = self.create(resource, namespace, change, options)
            if not dry_run:
                self._applied[(created["metadata"]["uid"], manager)] = change
            return created, True
        old = entry.obj
        before = self._applied.get((old["metadata"]["uid"], manager), {})
        body = patch.strategic_merge_patch(_without(old, before, change), change)
        stored = self._write(resource, (namespace, name), old, body, "", dry_run)
        if not dry_run:
            self._applied[(old["metadata"]["uid"], manager)] = change
        return stored, False


def _without(target: Any, before: Any, now_applied: Any) -> Any:
    """Return `target` without the fields that were applied before and are not any more."""
    if not (isinstance(target, dict) and isinstance(before, dict)):
        return target
    result = dict(target)
    for name, value in before.items():
        if not isinstance(now_applied, dict) or name not in now_applied:
            if name not in ("apiVersion", "kind", "metadata"):
                result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = _without(target.get(name), value, now_applied[name])
    return result


def dumps(obj: Obj) -> bytes:
    """Return the object as the bytes of a reply."""
    return json.dumps(obj, separators=(",", ":")).encode()
