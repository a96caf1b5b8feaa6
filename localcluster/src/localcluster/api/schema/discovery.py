"""Discovery: the groups, resources and version of the API."""

from __future__ import annotations

import platform

from ...apimachinery import resources
from ...apimachinery import version as kubernetes
from ...apimachinery.jsontypes import Obj


def version() -> Obj:
    """Return `/version`."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": str(kubernetes.MAJOR),
        "minor": str(kubernetes.MINOR),
        "gitVersion": kubernetes.GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": "gc",
        "platform": f"{platform.system().lower()}/{machine}",
    }


def core_versions(address: str) -> Obj:
    """Return `/api`."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def _group(group: str, versions: list[str]) -> Obj:
    served = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": served, "preferredVersion": served[0]}


def group_list() -> Obj:
    """Return `/apis`."""
    listed = [_group(group, versions) for group, versions in resources.groups().items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def one_group(group: str) -> Obj | None:
    """Return `/apis/<group>`."""
    versions = resources.groups().get(group)
    if versions is None:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions)}


def no_custom_kinds() -> Obj:
    """Return the list of custom resource definitions, of which there are none."""
    return {
        "kind": "CustomResourceDefinitionList",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"resourceVersion": "1"},
        "items": [],
    }


def has_group(path: str) -> bool:
    """Tell whether a path is below a group that the API has."""
    parts = path.strip("/").split("/")
    return parts[0] == "apis" and len(parts) > 1 and one_group(parts[1]) is not None


def _entry(resource: resources.Resource, name: str, verbs: list[str]) -> Obj:
    return {
        "name": name,
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs,
    }


_SUBRESOURCE_GROUPS = {
    "eviction": {"group": "policy", "version": "v1"},
    "scale": {"group": "autoscaling", "version": "v1"},
}
_SUBRESOURCE_KINDS = {
    "eviction": "Eviction",
    "scale": "Scale",
    "attach": "PodAttachOptions",
    "binding": "Binding",
    "exec": "PodExecOptions",
    "portforward": "PodPortForwardOptions",
}


def _served(group: str, version: str) -> list[resources.Resource]:
    return [r for r in resources.ALL if (r.group, r.version) == (group, version)]


def resource_list(group: str, version: str) -> Obj | None:
    """Return `/api/v1` or `/apis/<group>/<version>`."""
    entries: list[Obj] = []
    for resource in _served(group, version):
        entry = _entry(resource, resource.plural, list(resource.verbs))
        entry["singularName"] = resource.singular or resource.kind.lower()
        if resource.short:
            entry["shortNames"] = list(resource.short)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        entries.append(entry)
        for sub in [*resource.subresources, *(["status"] if resource.status else [])]:
            verbs = list(resource.verbs_of(sub))
            child = _entry(resource, f"{resource.plural}/{sub}", verbs)
            child["kind"] = _SUBRESOURCE_KINDS.get(sub, resource.kind)
            child.update(_SUBRESOURCE_GROUPS.get(sub, {}))
            entries.append(child)
    if not entries:
        return None
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": sorted(entries, key=lambda entry: str(entry["name"])),
    }


def aggregated(*, core: bool) -> Obj:
    """Return `/api` or `/apis` with all their resources in one reply.

    https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery
    """
    items = []
    for group, versions in ({"": ["v1"]} if core else resources.groups()).items():
        served = []
        for version in versions:
            listed = resource_list(group, version) or {"resources": []}
            nested = _nested(group, version, listed["resources"])
            served.append({"version": version, "resources": nested, "freshness": "Current"})
        metadata = {"name": group, "creationTimestamp": None} if group else {}
        items.append({"metadata": metadata, "versions": served})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _nested(group: str, version: str, entries: list[Obj]) -> list[Obj]:
    """Put each subresource under its resource, in the words of the aggregated form."""
    found: dict[str, Obj] = {}
    for entry in entries:
        plural, _, sub = entry["name"].partition("/")
        kind = {
            "group": entry.get("group", group),
            "version": entry.get("version", version),
            "kind": entry["kind"],
        }
        if sub:
            child = {"subresource": sub, "responseKind": kind, "verbs": entry["verbs"]}
            found[plural].setdefault("subresources", []).append(child)
            continue
        found[plural] = {
            "resource": plural,
            "responseKind": kind,
            "scope": "Namespaced" if entry["namespaced"] else "Cluster",
            "singularResource": entry["singularName"],
            "verbs": entry["verbs"],
        }
        for name in ("shortNames", "categories"):
            if name in entry:
                found[plural][name] = entry[name]
    return list(found.values())


def paths() -> Obj:
    """Return `/`."""
    listed = ["/api", "/api/v1", "/apis"]
    for group, versions in resources.groups().items():
        listed += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)]
    listed += ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
    return {"paths": listed}


def health(path: str, *, verbose: bool) -> str:
    """Return the text of `/livez` and its like."""
    return f"[+]ping ok\n[+]store ok\n{path.strip('/')} check passed\n" if verbose else "ok"
