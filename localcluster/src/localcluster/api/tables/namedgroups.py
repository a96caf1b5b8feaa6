"""The tables of the kinds of the named groups: workloads, networking, policy, RBAC and so on."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj, parse_time
from ...apimachinery.selectors import selector_text
from .columns import (
    AGE,
    CREATED,
    NAME,
    WIDE,
    Layout,
    Row,
    age,
    balancers,
    column,
    columns,
    containers_of,
    duration,
    first_three,
    joined,
    pod_spec,
    row,
)


def _wide(obj: Obj, spec: Obj | None = None) -> Row:
    """Return the containers, images and selector of what makes pods."""
    spec = obj.get("spec") or {} if spec is None else spec
    return [*containers_of(spec), selector_text(spec.get("selector")) or "<none>"]


# What the STATUS column of a Job says: the first of these that holds.
_JOB_STATUS = (
    "Complete",
    "Failed",
    "Terminating",
    "Suspended",
    "FailureTarget",
    "SuccessCriteriaMet",
)


def _job_status(job: Obj) -> str:
    conditions = {
        c["type"]
        for c in (job.get("status") or {}).get("conditions") or []
        if c.get("status") == "True"
    }
    deleted = {"Terminating"} if job["metadata"].get("deletionTimestamp") else set()
    return next((word for word in _JOB_STATUS if word in conditions | deleted), "Running")


def _duration(job: Obj) -> str:
    """Return how long the Job has run, or ran."""
    status = job.get("status") or {}
    if not status.get("startTime"):
        return ""
    if not status.get("completionTime"):
        return age(status["startTime"])
    span = parse_time(status["completionTime"]) - parse_time(status["startTime"])
    return duration(span.total_seconds())


def _completions(job: Obj) -> str:
    spec, succeeded = job["spec"], (job.get("status") or {}).get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism", 1)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job(job: Obj) -> Row:
    return [*row(job, _job_status(job), _completions(job), _duration(job)), *_wide(job)]


def _replica_set(obj: Obj) -> Row:
    status = obj.get("status") or {}
    sizes = (status.get("replicas", 0), status.get("readyReplicas", 0))
    return [*row(obj, obj["spec"].get("replicas", 1), *sizes), *_wide(obj)]


def _deployment(obj: Obj) -> Row:
    status = obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{obj['spec'].get('replicas', 1)}"
    sizes = (status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
    return [*row(obj, ready, *sizes), *_wide(obj)]


def _role_binding(obj: Obj) -> Row:
    role, subjects = obj.get("roleRef") or {}, obj.get("subjects") or []

    def named(kind: str) -> str:
        found = [s for s in subjects if s.get("kind") == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{s.get('namespace', '')}/{s['name']}" for s in found)
        return ", ".join(s["name"] for s in found)

    bound = row(obj, f"{role.get('kind', '')}/{role.get('name', '')}")
    return [*bound, *(named(kind) for kind in ("User", "Group", "ServiceAccount"))]


def _cron_job(obj: Obj) -> Row:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    last, suspended = status.get("lastScheduleTime"), spec.get("suspend")
    cells = (
        spec.get("schedule"),
        spec.get("timeZone") or "<none>",
        "<unset>" if suspended is None else str(suspended),
        len(status.get("active") or []),
        age(last) if last else "<none>",
    )
    return [*row(obj, *cells), *_wide(obj, (spec.get("jobTemplate") or {}).get("spec") or {})]


def _disruption_budget(obj: Obj) -> Row:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return row(
        obj,
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        status.get("disruptionsAllowed", 0),
    )


def _priority_class(obj: Obj) -> Row:
    cells = row(obj, obj.get("value"), bool(obj.get("globalDefault")))
    return [*cells, obj.get("preemptionPolicy")]


def _endpoint_slice(obj: Obj) -> Row:
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or []]
    found = [one for end in obj.get("endpoints") or [] for one in end.get("addresses") or []]
    cells = (first_three(ports) or "<unset>", first_three(found) or "<unset>")
    return row(obj, obj.get("addressType"), *cells)


def _daemon_set(obj: Obj) -> Row:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    names = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    nodes = joined(pod_spec(spec).get("nodeSelector"))
    return [*row(obj, *(status.get(name, 0) for name in names), nodes), *_wide(obj)]


def _ingress(obj: Obj) -> Row:
    spec = obj.get("spec") or {}
    hosts = first_three([rule["host"] for rule in spec.get("rules") or [] if rule.get("host")])
    ports = "80, 443" if spec.get("tls") else "80"
    name = spec.get("ingressClassName") or "<none>"
    return row(obj, name, hosts or "*", ",".join(balancers(obj)), ports)


def _ip_address(obj: Obj) -> Row:
    parent = (obj.get("spec") or {}).get("parentRef") or {}
    kind = ".".join(p for p in (parent.get("resource"), parent.get("group")) if p)
    path = "/".join(p for p in (kind, parent.get("namespace"), parent.get("name")) if p)
    return [obj["metadata"]["name"], path or "<none>"]


def _stateful_set(obj: Obj) -> Row:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    return [*row(obj, ready), *containers_of(spec)]


_BINDING = [NAME, column("Role"), AGE, *columns("Users", "Groups", "ServiceAccounts", priority=1)]

NAMED_GROUPS: dict[str, Layout] = {
    "Job": (
        [NAME, *columns("Status", "Completions", "Duration"), AGE, *WIDE],
        _job,
    ),
    "ReplicaSet": (
        [NAME, *columns("Desired", "Current", "Ready", kind="integer"), AGE, *WIDE],
        _replica_set,
    ),
    "Deployment": (
        [NAME, *columns("Ready", "Up-to-date", "Available"), AGE, *WIDE],
        _deployment,
    ),
    "CronJob": (
        [
            NAME,
            *columns("Schedule", "Timezone"),
            column("Suspend", kind="boolean"),
            column("Active", kind="integer"),
            column("Last Schedule"),
            AGE,
            *WIDE,
        ],
        _cron_job,
    ),
    "NetworkPolicy": (
        [NAME, column("Pod-Selector"), AGE],
        lambda obj: row(obj, selector_text((obj.get("spec") or {}).get("podSelector")) or "<none>"),
    ),
    "PodDisruptionBudget": (
        [
            NAME,
            *columns("Min Available", "Max Unavailable"),
            column("Allowed Disruptions", kind="integer"),
            AGE,
        ],
        _disruption_budget,
    ),
    "DaemonSet": (
        [
            NAME,
            *columns("Desired", "Current", "Ready", "Up-to-date", "Available", kind="integer"),
            column("Node Selector"),
            AGE,
            *WIDE,
        ],
        _daemon_set,
    ),
    "Ingress": ([NAME, *columns("Class", "Hosts", "Address", "Ports"), AGE], _ingress),
    "StatefulSet": (
        [NAME, column("Ready"), AGE, *columns("Containers", "Images", priority=1)],
        _stateful_set,
    ),
    "IPAddress": ([NAME, column("ParentRef")], _ip_address),
    "ServiceCIDR": (
        [NAME, column("CIDRs"), AGE],
        lambda obj: row(obj, ",".join((obj.get("spec") or {}).get("cidrs") or [])),
    ),
    "Role": CREATED,
    "ClusterRole": CREATED,
    "RoleBinding": (_BINDING, _role_binding),
    "ClusterRoleBinding": (_BINDING, _role_binding),
    "PriorityClass": (
        [
            NAME,
            column("Value", kind="integer"),
            column("Global-Default", kind="boolean"),
            AGE,
            column("PreemptionPolicy"),
        ],
        _priority_class,
    ),
    "Lease": (
        [NAME, column("Holder"), AGE],
        lambda obj: row(obj, (obj.get("spec") or {}).get("holderIdentity")),
    ),
    "EndpointSlice": (
        [NAME, *columns("AddressType", "Ports", "Endpoints"), AGE],
        _endpoint_slice,
    ),
}
