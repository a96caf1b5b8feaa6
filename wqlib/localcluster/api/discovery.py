"""What the API says about itself: its groups, its resources, its version."""

from __future__ import annotations

import platform

from wqlib.localcluster.apimachinery import resources
from wqlib.localcluster.apimachinery.jsontypes import Obj
from wqlib.localcluster.apimachinery.profile import profile


def version() -> Obj:
    """Return `/version`."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": "1",
        "minor": str(profile().minor),
        "gitVersion": profile().git_version,
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


def _group(group: str, version: str) -> Obj:
    served = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [served], "preferredVersion": served}


def group_list() -> Obj:
    """Return `/apis`."""
    listed = [_group(group, version) for group, version in resources.groups()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def one_group(group: str) -> Obj | None:
    """Return `/apis/<group>`."""
    for name, version in resources.groups():
        if name == group:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, version)}
    return None


def _entry(resource: resources.Resource, name: str, verbs: list[str]) -> Obj:
    return {
        "name": name,
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": verbs,
    }


_SUBRESOURCE_KINDS = {
    "attach": "PodAttachOptions",
    "binding": "Binding",
    "exec": "PodExecOptions",
    "portforward": "PodPortForwardOptions",
}


def resource_list(group: str, version: str) -> Obj | None:
    """Return `/api/v1` or `/apis/<group>/<version>`."""
    entries: list[Obj] = []
    for resource in resources.ALL:
        if (resource.group, resource.version) != (group, version):
            continue
        verbs = ["create"] if resource.plural == "bindings" else list(resources.VERBS)
        entry = _entry(resource, resource.plural, verbs)
        entry["singularName"] = resource.singular or resource.kind.lower()
        if resource.short:
            entry["shortNames"] = list(resource.short)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        entries.append(entry)
        for sub, sub_verbs in resource.subresources.items():
            child = _entry(resource, f"{resource.plural}/{sub}", list(sub_verbs))
            child["kind"] = _SUBRESOURCE_KINDS.get(sub, resource.kind)
            if sub == "scale":
                child |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
            entries.append(child)
        if resource.status:
            name = f"{resource.plural}/status"
            entries.append(_entry(resource, name, ["get", "patch", "update"]))
    if not entries:
        return None
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": entries,
    }


def paths() -> Obj:
    """Return `/`."""
    listed = ["/api", "/api/v1", "/apis"]
    for group, version in resources.groups():
        listed += [f"/apis/{group}", f"/apis/{group}/{version}"]
    listed += ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
    return {"paths": listed}
