"""The verbs of the API on the store: create, update and delete, with their rules."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from ...addresses import Addresses
from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Obj, deep_copy, key_of, now, parse_integer, random_suffix
from ...apimachinery.profile import profile
from ...apimachinery.resources import Resource
from ...store import Entry, Key, Store
from ..defaults import defaults
from ..http.parameters import WriteOptions
from ..patch import managedfields
from ..validation.objects import check_decodable, validate_create, validate_update
from ..validation.podupdates import SUBRESOURCES, narrowed
from ..validation.warnings import warnings_for
from . import admission, allocation, deletion

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
_SET_BY_SERVER = (
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)
_WITH_GENERATION = {
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Ingress",
    "NetworkPolicy",
    "Pod",
    "PodDisruptionBudget",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
}


SchemaCheck = Callable[[Obj, WriteOptions, Obj | None], Obj]


@dataclass
class Rest:
    """The rules of the API over one store.

    Args:
        check_schema: Raises when a manifest has fields or types that its kind does not know,
            and returns the object without what is unknown.
        complete: Fills in the fields that its kind never leaves out, where an object differs
            from what it was before.
    """

    store: Store
    addresses: Addresses
    check_schema: SchemaCheck = lambda obj, _options, _known: obj
    complete: Callable[[Obj, Obj | None], Obj] = lambda obj, _before: obj

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
        options: WriteOptions | None = None,
        *,
        managed: list[Obj] | None = None,
    ) -> Obj:
        """Store a new object and return it with all that the server adds.

        Args:
            managed: Its `managedFields`, when it comes from a server-side apply.
        """
        options = options or WriteOptions()
        obj = self.incoming(resource, namespace, body, options, created=True)
        obj = self.complete(obj, None)
        metadata = obj["metadata"]
        self._check_namespace(resource, namespace, metadata.get("name") or "")
        if metadata.get("resourceVersion"):
            why = "resourceVersion should not be set on objects to be created"
            raise apierrors.ApiError(500, "", why)
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
            name = self._generate_name(resource, namespace, prefix)
            metadata["name"] = name
        if not isinstance(name, str):
            raise apierrors.bad_request("metadata.name must be a string")
        for unwanted in _SET_BY_SERVER:
            metadata.pop(unwanted, None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = now()
        if _has_generation(resource):
            metadata["generation"] = 1
        defaults.set_defaults(obj)
        check_decodable(obj)
        admission.admit(resource, obj, self.store)
        validate_create(resource, obj)
        options.warnings += warnings_for(obj)
        options.warnings += admission.check(resource, obj, self.store)
        if self.store.get(resource.name, (namespace, name)):
            raise apierrors.already_exists(resource.plural, resource.group, name)
        if resource.kind == "Service":
            self._allocate(obj)
        if resource.idle:
            what = f"{'an' if resource.kind[0] in 'AEIOU' else 'a'} {resource.kind}"
            options.warnings.append(
                f"the local cluster stores {what} and does not {resource.idle} it"
            )
        if managed:
            metadata["managedFields"] = managed
        elif options.manager:
            managedfields.record_create(obj, options.manager, body)
        if options.dry_run:
            return obj
        return self.store.put(resource.name, (namespace, name), obj).obj

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Obj,
        options: WriteOptions,
        *,
        subresource: str = "",
    ) -> Obj:
        """Replace the object (or its status) and return the stored one."""
        obj = self.incoming(resource, namespace, body, options)
        if obj["metadata"].get("name") != name:
            raise apierrors.name_mismatch(obj["metadata"].get("name", ""), name)
        old = self.get(resource, namespace, name).obj
        return self.write(resource, (namespace, name), old, obj, subresource, options)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        options: Obj,
        *,
        dry_run: bool = False,
    ) -> tuple[Obj, bool]:
        """Delete the object; return its last state, and whether it is gone already."""
        old = self.get(resource, namespace, name).obj
        deletion.check_preconditions(resource, name, old, options.get("preconditions") or {})
        if resource.kind == "Namespace" and name in SYSTEM_NAMESPACES:
            raise apierrors.forbidden(
                resource.plural, "", name, "this namespace may not be deleted"
            )
        obj = dict(old, metadata=dict(old["metadata"]))
        metadata = obj["metadata"]
        finalizers = deletion.apply_propagation_policy(resource, metadata, options)
        grace = deletion.grace_seconds(obj, options) if resource.kind == "Pod" else 0
        if resource.kind == "Namespace":
            obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
            finalizers = finalizers or (obj.get("spec") or {}).get("finalizers") or []
        waits = bool(finalizers or grace)
        if waits or resource.kind == "Pod":
            # A pod that goes at once is seen to be deleted before it is gone, too.
            deletion.mark_deleted(metadata, grace)
            if obj != old and not dry_run:
                obj = self.store.put(resource.name, (namespace, name), obj).obj
        if not waits and not dry_run:
            obj = self.store.delete(resource.name, (namespace, name)).obj
        return obj, dry_run or not waits

    def incoming(
        self,
        resource: Resource,
        namespace: str,
        body: Obj,
        options: WriteOptions,
        known: Obj | None = None,
        *,
        created: bool = False,
    ) -> Obj:
        """Check the kind, namespace and fields of an object that came over the wire.

        Returns an object of our own; it shares parts with `known`, of which it is a new version.
        """
        if not isinstance(body, dict):
            raise apierrors.not_an_object(resource.kind, body)
        head = {"apiVersion": resource.group_version, "kind": resource.kind}
        obj = {**head, **(body if known is not None else deep_copy(body))}
        if (obj["apiVersion"], obj["kind"]) != (resource.group_version, resource.kind):
            raise apierrors.kind_mismatch(resource, str(obj["apiVersion"]), str(obj["kind"]))
        obj = self.check_schema(obj, options, known)
        if not isinstance(obj.setdefault("metadata", {}), dict):
            raise apierrors.bad_request("metadata must be an object")
        obj["metadata"] = dict(obj["metadata"])
        if resource.namespaced:
            given = obj["metadata"].get("namespace") or namespace
            obj["metadata"]["namespace"] = given
            if given != namespace:
                raise apierrors.namespace_mismatch(given, namespace, created=created)
        else:
            obj["metadata"].pop("namespace", None)
        return obj

    def _generate_name(self, resource: Resource, namespace: str, prefix: str) -> str:
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
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise apierrors.forbidden(resource.plural, resource.group, name, why, cause)

    def _allocate(self, service: Obj) -> None:
        entries = self.store.list("services")
        others = [e.obj for e in entries if key_of(e.obj) != key_of(service)]
        allocation.allocate(service, others, self.addresses)

    def write(
        self,
        resource: Resource,
        key: Key,
        old: Obj,
        obj: Obj,
        subresource: str,
        options: WriteOptions,
        *,
        managed: list[Obj] | None = None,
    ) -> Obj:
        """Put a changed object (or its status) in the place of the old one.

        Args:
            managed: Its `managedFields`, when it comes from a server-side apply.
        """
        metadata, before = obj["metadata"], old["metadata"]
        version = metadata.get("resourceVersion")
        if version and version != before["resourceVersion"]:
            try:
                parse_integer(str(version), unsigned=True)
            except ValueError as error:
                raise apierrors.ApiError(500, "", str(error)) from None
            raise apierrors.conflict(resource.plural, resource.group, key[1])
        if metadata.get("uid") and metadata["uid"] != before["uid"]:
            raise apierrors.uid_mismatch(resource, key, metadata["uid"], before["uid"])
        applied = managed is not None
        if managed is None:
            given = metadata.get("managedFields")
            managed = before.get("managedFields") if given is None else given
        if subresource == "status":
            obj = {**old, "status": obj.get("status") or {}}
        else:
            if subresource in SUBRESOURCES:
                obj = narrowed(subresource, old, obj)
            obj = self.complete(obj, old)
            self._prepare_for_update(resource, old, obj)
            check_decodable(obj)
            validate_update(resource, old, obj, subresource)
            options.warnings += warnings_for(obj, old)
            options.warnings += admission.check(resource, obj, self.store, old)
            if resource.kind == "Service":
                self._allocate(obj)
        for name in _FIXED_METADATA:
            if name in before:
                obj["metadata"] = {**obj["metadata"], name: before[name]}
        obj["metadata"] = {**obj["metadata"], "resourceVersion": before["resourceVersion"]}
        obj["metadata"].pop("managedFields", None)
        for name in ("annotations", "finalizers", "labels", "ownerReferences"):
            if name in obj["metadata"] and not obj["metadata"][name]:
                del obj["metadata"][name]
        if managed and managed != [{}]:
            obj["metadata"]["managedFields"] = managed
        if options.manager and not applied:
            managedfields.record_update(old, obj, options.manager, subresource)
        if subresource != "status" and _has_generation(resource):
            changed = old.get("spec") != obj.get("spec")
            obj["metadata"]["generation"] = before.get("generation", 1) + int(changed)
        if options.dry_run or obj == old:
            return obj
        if _is_finalized(resource, obj):
            self.store.delete(resource.name, key)
            return obj
        return self.store.put(resource.name, key, obj).obj

    def _prepare_for_update(self, resource: Resource, old: Obj, obj: Obj) -> None:
        """Fill in what an update left out, from the defaults and from the old object."""
        kept = old.get("status")
        if resource.kind == "Service":
            allocation.retain(old["spec"], obj.setdefault("spec", {}))
        if resource.kind == "Namespace":
            obj["spec"] = old.get("spec") or {}
        else:
            defaults.set_defaults(obj, new=False)
        if resource.status:
            obj.pop("status", None)
            if kept is not None:
                obj["status"] = kept


def _is_finalized(resource: Resource, obj: Obj) -> bool:
    """Tell whether an object's deletion waited for the finalizers that are gone now."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if metadata.get("deletionGracePeriodSeconds"):
        return False
    return resource.kind != "Namespace" or not obj["spec"].get("finalizers")


def _has_generation(resource: Resource) -> bool:
    """Tell whether objects of this kind count the changes of their spec (a Job since 1.21)."""
    return resource.kind in _WITH_GENERATION or (resource.kind == "Job" and profile().modern)


def dumps(obj: Obj) -> bytes:
    """Return the object as compact JSON."""
    return json.dumps(obj, separators=(",", ":")).encode()
