"""Manifests: read them, apply them, and find again what we applied.

`apply` does what `kubectl apply` does, with the same annotation, so that both may be used in
turn: it creates what is missing and otherwise patches what differs. Everything that it
touches gets our label, by which `Cluster.clean_up` finds it again.
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/
"""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ..errors import ClusterError
from .kube import Object, get, get_or_none, server_message
from .kubeconfig import yaml_problem

LABEL, LABEL_VALUE = "app.kubernetes.io/managed-by", "wqlib"
OUR_SELECTOR = f"{LABEL}={LABEL_VALUE}"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
STRICT = {"field_validation": "Strict"}  # as kubectl: a misspelt field is refused, not dropped
NEW_NAMESPACE_SECONDS = 15  # how long a new namespace may lack its default service account

Source = str | Path | dict[str, Any] | list[Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, and how the official client calls it.

    Attributes:
        name: As in a manifest, e.g. "Job".
        group: API group, e.g. "batch"; "" for the core.
        api: Class of the client, e.g. "BatchV1Api".
        short_names: Further names that a target may use, e.g. ("svc",).
    """

    name: str
    group: str
    api: str
    short_names: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """The name in a target: "job" in "job/job-wq-2"."""
        return self.name.lower()

    def method(self, api: Any, verb: str) -> Any:
        """Return a method of the client, e.g. `method(api, "read")` is `read_namespaced_job`."""
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", self.name).lower()
        return getattr(getattr(client, self.api)(api), f"{verb}_namespaced_{snake}")


# In the order in which clean-up deletes: first what would create the others again.
KINDS = (
    Kind("CronJob", "batch", "BatchV1Api", ("cj",)),
    Kind("Job", "batch", "BatchV1Api"),
    Kind("HorizontalPodAutoscaler", "autoscaling", "AutoscalingV2Api", ("hpa",)),
    Kind("Deployment", "apps", "AppsV1Api", ("deploy",)),
    Kind("StatefulSet", "apps", "AppsV1Api", ("sts",)),
    Kind("DaemonSet", "apps", "AppsV1Api", ("ds",)),
    Kind("ReplicaSet", "apps", "AppsV1Api", ("rs",)),
    Kind("Pod", "", "CoreV1Api", ("po",)),
    Kind("Service", "", "CoreV1Api", ("svc",)),
    Kind("Ingress", "networking.k8s.io", "NetworkingV1Api", ("ing",)),
    Kind("NetworkPolicy", "networking.k8s.io", "NetworkingV1Api", ("netpol",)),
    Kind("PodDisruptionBudget", "policy", "PolicyV1Api", ("pdb",)),
    Kind("PersistentVolumeClaim", "", "CoreV1Api", ("pvc",)),
    Kind("ConfigMap", "", "CoreV1Api", ("cm",)),
    Kind("Secret", "", "CoreV1Api"),
    Kind("ResourceQuota", "", "CoreV1Api", ("quota",)),
    Kind("LimitRange", "", "CoreV1Api", ("limits",)),
    Kind("RoleBinding", "rbac.authorization.k8s.io", "RbacAuthorizationV1Api"),
    Kind("Role", "rbac.authorization.k8s.io", "RbacAuthorizationV1Api"),
    Kind("ServiceAccount", "", "CoreV1Api", ("sa",)),
)


def kind_of(noun: str) -> Kind:
    """Return the kind that is named: "job", "Job", "jobs", "svc" or "job.batch"."""
    wanted = noun.lower().partition(".")[0]
    for kind in KINDS:
        if wanted in (kind.noun, f"{kind.noun}s", *kind.short_names):
            return kind
    known = ", ".join(kind.noun for kind in KINDS)
    raise ClusterError(f"wqlib does not know the kind {noun!r}. It knows: {known}.")


def parse_target(target: str, default: str | None = None) -> tuple[Kind, str]:
    """Split a target into kind and name: "job/job-wq-2" is (Job, "job-wq-2").

    Args:
        target: Kind and name with a slash between.
        default: The kind if the target is a bare name.
    """
    noun, slash, name = target.partition("/")
    if not slash and default:
        noun, name = default, target
    if not noun or not name:
        raise ClusterError(
            f"{target!r} does not name an object. Write the kind, a slash and the name, "
            "as in 'job/job-wq-2' or 'pod/redis'."
        )
    return kind_of(noun), name


def read(source: Source) -> list[Object]:
    """Read manifests.

    Args:
        source: Path of a YAML file (several documents are fine) or of a folder of them;
            YAML text of more than one line; an object; or a list of any of these.

    Returns:
        The objects, each a copy that the caller may change.
    """
    if isinstance(source, dict):
        if str(source.get("kind", "")).endswith("List") and "items" in source:
            return [found for item in source["items"] for found in read(item)]
        return [copy.deepcopy(source)]
    if isinstance(source, list):
        return [found for item in source for found in read(item)]
    if isinstance(source, str) and "\n" in source:
        return list(_parse(source, "the text"))
    files = _files(Path(source))
    return [found for path in files for found in _parse(path.read_text("utf-8"), str(path))]


def _files(path: Path) -> list[Path]:
    path = path.expanduser()
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix in (".yaml", ".yml", ".json"))
        if found:
            return found
        raise ClusterError(f"There is no YAML file in the folder {path}.")
    if not path.is_file():
        raise ClusterError(
            f"There is no manifest {path} (the current folder is {Path.cwd()}). "
            "Correct the path, or change to the folder of the notebook."
        )
    return [path]


def _parse(text: str, where: str) -> Iterator[Object]:
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise ClusterError(f"{where} is not valid YAML, {yaml_problem(error)}.") from None
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise ClusterError(
                f"{where} contains something that is not a manifest: a "
                f"{'list' if isinstance(document, list) else 'single value'}. "
                "A manifest has lines such as `kind: Job`."
            )
        yield from read(document)


def prepare(manifest: Object, namespace: str) -> tuple[Kind, str, Object]:
    """Check a manifest, and add our label and namespace.

    Returns:
        Its kind, its name and the object to send.
    """
    metadata = manifest.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise ClusterError("A manifest's `metadata` has fields, such as `name`.")
    name = metadata.get("name") or metadata.get("generateName")
    needed = {"apiVersion": manifest.get("apiVersion"), "kind": manifest.get("kind")}
    if missing := [what for what, there in {**needed, "metadata.name": name}.items() if not there]:
        raise ClusterError(
            "A manifest needs apiVersion, kind and metadata.name; "
            f"this one lacks {' and '.join(missing)}."
        )
    kind = kind_of(str(manifest["kind"]))
    if metadata.get("namespace", namespace) != namespace:
        raise ClusterError(
            f"{kind.noun}/{name} names the namespace {metadata['namespace']!r}, but this cluster "
            f"object works in {namespace!r} only. Take the line out of the manifest, or connect "
            f"with namespace={metadata['namespace']!r}."
        )
    labels = {**(metadata.get("labels") or {}), LABEL: LABEL_VALUE}
    manifest["metadata"] = {**metadata, "namespace": namespace, "labels": labels}
    return kind, str(name), manifest


def apply_one(api: Any, namespace: str, manifest: Object, *, dry_run: bool = False) -> str:
    """Create an object, or patch it to what the manifest says.

    Keys that the manifest no longer has are removed if it was applied before; an entry of a
    list that it no longer has stays, as this does not know which lists are merged.

    Args:
        dry_run: Let the server check everything and keep nothing.

    Returns:
        A line like kubectl's: "job.batch/job-wq-2 created".
    """
    kind, name, wanted = prepare(manifest, namespace)
    end, option = (" (server dry run)", STRICT | {"dry_run": "All"}) if dry_run else ("", STRICT)
    title = f"{kind.noun}.{kind.group}/{name}" if kind.group else f"{kind.noun}/{name}"
    applied = json.dumps(wanted, sort_keys=True, separators=(",", ":"))
    wanted = copy.deepcopy(wanted)
    wanted["metadata"].setdefault("annotations", {})[LAST_APPLIED] = applied
    live = find(api, namespace, kind, name) if "name" in wanted["metadata"] else None
    if live is None:
        _create(api, namespace, kind, wanted, option)
        return f"{title} created{end}"
    before = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED, "{}")
    patch = _merge_patch(json.loads(before), wanted)
    try:
        changed = get(kind.method(api, "patch"), name, namespace, patch, **option)
    except ApiException as error:
        said = server_message(error)
        if error.status == 422 and ("immutable" in said or "forbidden" in said):
            raise ClusterError(_cannot_change(kind, name, said)) from None
        raise
    unchanged = _without_bookkeeping(changed) == _without_bookkeeping(live)
    return f"{title} {'unchanged' if unchanged else 'configured'}{end}"


def last_applied(live: Object) -> Object:
    """Return the manifest that an object was applied from; ClusterError if it was not applied."""
    found = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not found:
        raise ClusterError(
            f"{live['metadata']['name']} was not applied, so its manifest is unknown."
        )
    manifest: Object = json.loads(found)
    return manifest


def find(api: Any, namespace: str, kind: Kind, name: str) -> Object | None:
    """Return an object, or None if there is none."""
    return get_or_none(kind.method(api, "read"), name, namespace, statuses=[404])


def delete(
    api: Any, namespace: str, kind: Kind, name: str, grace_seconds: int | None = None
) -> bool:
    """Delete an object and what it owns, without waiting; False if it was not there."""
    # The API's default for Jobs, Orphan, would leave their pods behind.
    deleted = get_or_none(
        kind.method(api, "delete"),
        name,
        namespace,
        propagation_policy="Background",
        grace_period_seconds=grace_seconds,
        statuses=[404],
    )
    return deleted is not None


def list_all(api: Any, namespace: str, kind: Kind, selector: str = "") -> list[Object]:
    """Return all objects of a kind; none if the cluster does not know it, or does not allow it."""
    found = get_or_none(kind.method(api, "list"), namespace, label_selector=selector)
    return list((found or {}).get("items") or [])


def _create(api: Any, namespace: str, kind: Kind, manifest: Object, option: dict[str, str]) -> None:
    deadline = time.monotonic() + NEW_NAMESPACE_SECONDS
    while True:
        try:
            get(kind.method(api, "create"), namespace, manifest, **option)
            return
        except ApiException as error:
            too_new = error.status in (403, 500) and "service account" in server_message(error)
            if not too_new or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _merge_patch(before: Object, wanted: Object) -> Object:
    """Return the wanted object, with a null for each key that was applied before and is gone."""
    patch = dict(wanted)
    for key, value in before.items():
        if key not in wanted:
            patch[key] = None
        elif isinstance(value, dict) and isinstance(wanted[key], dict):
            patch[key] = _merge_patch(value, wanted[key])
    return patch


def _without_bookkeeping(live: Object) -> Object:
    """Return what counts as a change: not the version, the bookkeeping or the status."""
    bookkeeping = ("resourceVersion", "managedFields", "generation")
    metadata = {k: v for k, v in live["metadata"].items() if k not in bookkeeping}
    return {**live, "metadata": metadata, "status": None}


def _cannot_change(kind: Kind, name: str, said: str) -> str:
    fields = ", ".join(dict.fromkeys(re.findall(r"\b(?:spec|data)[\w.\[\]]*", said))) or "a part"
    return (
        f"{kind.noun}/{name} exists already, and {fields} of it cannot be changed in place. "
        f"Delete it first, cluster.delete('{kind.noun}/{name}'), then apply again."
    )


def is_ours(found: Object) -> bool:
    """Tell whether an object carries our label."""
    return bool((found["metadata"].get("labels") or {}).get(LABEL) == LABEL_VALUE)


def owned_by(found: Object, uids: Iterable[str]) -> bool:
    """Tell whether one of the owners of an object is among these."""
    owners = {one.get("uid") for one in found["metadata"].get("ownerReferences") or []}
    return not owners.isdisjoint(uids)
