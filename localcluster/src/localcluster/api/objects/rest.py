"""The verbs of the API on the store: create, update and delete, with their rules."""

from __future__ import annotations

from dataclasses import dataclass

from ...addresses import Addresses
from ...apimachinery import apierrors
from ...apimachinery.jsontypes import Key, Obj, deep_copy, key_of
from ...apimachinery.resources import Resource
from ...store import Entry, Store
from ..defaults import defaults, typedefaults
from ..options import WriteOptions
from ..patch import managedfields
from ..validation import fieldvalidation
from ..validation.objects import validate_create, validate_update
from ..validation.podupdates import SUBRESOURCES, narrowed
from ..validation.warnings import warnings_for
from . import admission, allocation, deletion, objectmeta

SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


@dataclass
class Rest:
    """The rules of the API over one store."""

    store: Store
    addresses: Addresses

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
        obj = typedefaults.fill(obj, None)
        metadata = obj["metadata"]
        self._check_namespace(resource, namespace, metadata.get("name") or "")
        objectmeta.complete_new(
            resource, metadata, lambda name: self._has(resource, (namespace, name))
        )
        name = metadata["name"]
        defaults.set_defaults(obj)
        admission.admit(resource, obj, self.store)
        validate_create(resource, obj)
        options.warnings += warnings_for(obj)
        options.warnings += admission.check(resource, obj, self.store)
        if self._has(resource, (namespace, name)):
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
        obj = fieldvalidation.check(obj, options, known)
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

    def _has(self, resource: Resource, key: Key) -> bool:
        return self.store.get(resource.name, key) is not None

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
        objectmeta.check_version(resource, key, obj["metadata"], old["metadata"])
        applied = managed is not None
        if managed is None:
            given = obj["metadata"].get("managedFields")
            managed = old["metadata"].get("managedFields") if given is None else given
        if subresource == "status":
            obj = typedefaults.fill({**old, "status": deep_copy(obj.get("status") or {})}, old)
        else:
            if subresource in SUBRESOURCES:
                obj = narrowed(subresource, old, obj)
            obj = typedefaults.fill(obj, old)
            self._prepare_for_update(resource, old, obj)
            validate_update(resource, old, obj, subresource)
            options.warnings += warnings_for(obj, old)
            options.warnings += admission.check(resource, obj, self.store, old)
            if resource.kind == "Service":
                self._allocate(obj)
        obj["metadata"] = objectmeta.complete_update(obj["metadata"], old["metadata"], managed)
        if options.manager and not applied:
            managedfields.record_update(old, obj, options.manager, subresource)
        if subresource != "status":
            objectmeta.count_change(resource, old, obj)
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
