"""The tables of the kinds of the named groups: workloads, networking, policy, RBAC and so on."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj, parse_time
from ...apimachinery.selectors import selector_text
from .columns import (
    AGE,
    CONTAINERS,
    CREATED,
    NAME,
    READY,
    WIDE,
    Cell,
    Column,
    age,
    balancers,
    duration,
    first_three,
    found,
    joined,
    number,
    template_owner,
    text,
)

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


def _subjects(kind: str) -> Cell:
    """Return the cell of a binding with the names of its subjects of one kind."""

    def cell(obj: Obj) -> str:
        some = [s for s in obj.get("subjects") or [] if s.get("kind") == kind]
        prefix = "{namespace}/" if kind == "ServiceAccount" else ""
        return ", ".join(prefix.format(namespace=s.get("namespace", "")) + s["name"] for s in some)

    return cell


def _role(obj: Obj) -> str:
    role = obj.get("roleRef") or {}
    return f"{role.get('kind', '')}/{role.get('name', '')}"


def _suspended(obj: Obj) -> str:
    suspended = (obj.get("spec") or {}).get("suspend")
    return "<unset>" if suspended is None else str(suspended)


def _last_schedule(obj: Obj) -> str:
    last = (obj.get("status") or {}).get("lastScheduleTime")
    return age(last) if last else "<none>"


def _ports(obj: Obj) -> str:
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or []]
    return first_three(ports) or "<unset>"


def _addresses(obj: Obj) -> str:
    ends = [one for end in obj.get("endpoints") or [] for one in end.get("addresses") or []]
    return first_three(ends) or "<unset>"


def _node_selector(obj: Obj) -> str:
    pod = (template_owner(obj).get("template") or {}).get("spec") or {}
    return joined(pod.get("nodeSelector"))


def _hosts(obj: Obj) -> str:
    rules = (obj.get("spec") or {}).get("rules") or []
    return first_three([rule["host"] for rule in rules if rule.get("host")]) or "*"


def _parent(obj: Obj) -> str:
    parent = (obj.get("spec") or {}).get("parentRef") or {}
    kind = ".".join(p for p in (parent.get("resource"), parent.get("group")) if p)
    path = "/".join(p for p in (kind, parent.get("namespace"), parent.get("name")) if p)
    return path or "<none>"


def _pod_selector(obj: Obj) -> str:
    return selector_text((obj.get("spec") or {}).get("podSelector")) or "<none>"


_BINDING = [
    NAME,
    Column("Role", _role),
    AGE,
    Column("Users", _subjects("User"), wide=True),
    Column("Groups", _subjects("Group"), wide=True),
    Column("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
]
NAMED_GROUPS: dict[str, list[Column]] = {
    "ClusterRole": CREATED,
    "ClusterRoleBinding": _BINDING,
    "CronJob": [
        NAME,
        text("Schedule", "spec.schedule"),
        text("Timezone", "spec.timeZone", "<none>"),
        Column("Suspend", _suspended, "boolean"),
        Column("Active", lambda obj: len(found("status.active", [])(obj)), "integer"),
        Column("Last Schedule", _last_schedule),
        AGE,
        *WIDE,
    ],
    "DaemonSet": [
        NAME,
        number("Desired", "status.desiredNumberScheduled"),
        number("Current", "status.currentNumberScheduled"),
        number("Ready", "status.numberReady"),
        number("Up-to-date", "status.updatedNumberScheduled"),
        number("Available", "status.numberAvailable"),
        Column("Node Selector", _node_selector),
        AGE,
        *WIDE,
    ],
    "Deployment": [
        NAME,
        READY,
        text("Up-to-date", "status.updatedReplicas", 0),
        text("Available", "status.availableReplicas", 0),
        AGE,
        *WIDE,
    ],
    "EndpointSlice": [
        NAME,
        text("AddressType", "addressType"),
        Column("Ports", _ports),
        Column("Endpoints", _addresses),
        AGE,
    ],
    "IPAddress": [NAME, Column("ParentRef", _parent)],
    "Ingress": [
        NAME,
        text("Class", "spec.ingressClassName", "<none>"),
        Column("Hosts", _hosts),
        Column("Address", lambda obj: ",".join(balancers(obj))),
        Column("Ports", lambda obj: "80, 443" if found("spec.tls")(obj) else "80"),
        AGE,
    ],
    "Job": [
        NAME,
        Column("Status", _job_status),
        Column("Completions", _completions),
        Column("Duration", _duration),
        AGE,
        *WIDE,
    ],
    "Lease": [NAME, text("Holder", "spec.holderIdentity"), AGE],
    "NetworkPolicy": [NAME, Column("Pod-Selector", _pod_selector), AGE],
    "PodDisruptionBudget": [
        NAME,
        Column("Min Available", lambda obj: str(found("spec.minAvailable", "N/A")(obj))),
        Column("Max Unavailable", lambda obj: str(found("spec.maxUnavailable", "N/A")(obj))),
        number("Allowed Disruptions", "status.disruptionsAllowed"),
        AGE,
    ],
    "PriorityClass": [
        NAME,
        Column("Value", found("value"), "integer"),
        Column("Global-Default", found("globalDefault", False), "boolean"),
        AGE,
        text("PreemptionPolicy", "preemptionPolicy"),
    ],
    "ReplicaSet": [
        NAME,
        number("Desired", "spec.replicas", 1),
        number("Current", "status.replicas"),
        number("Ready", "status.readyReplicas"),
        AGE,
        *WIDE,
    ],
    "Role": CREATED,
    "RoleBinding": _BINDING,
    "ServiceCIDR": [
        NAME,
        Column("CIDRs", lambda obj: ",".join(found("spec.cidrs", [])(obj))),
        AGE,
    ],
    "StatefulSet": [NAME, READY, AGE, *CONTAINERS],
}
