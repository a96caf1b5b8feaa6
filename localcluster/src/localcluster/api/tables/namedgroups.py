"""The tables of the kinds of the named groups: workloads, networking, policy, RBAC and so on."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj, parse_time
from ...apimachinery.profile import profile
from ...apimachinery.selectors import selector_text
from .columns import (
    AGE,
    CREATED,
    NAME,
    Layout,
    Row,
    age,
    column,
    columns,
    duration,
    first_three,
    joined,
    row,
)


def _wide(obj: Obj) -> Row:
    spec = obj["spec"]
    containers = spec["template"]["spec"].get("containers") or []
    names, images = (",".join(c.get(k, "") for c in containers) for k in ("name", "image"))
    return [names, images, selector_text(spec.get("selector")) or "<none>"]


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
    status = [_job_status(job)] if profile().modern else []
    return [*row(job, *status, _completions(job), _duration(job)), *_wide(job)]


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
    spec, status = obj["spec"], obj.get("status") or {}
    last = status.get("lastScheduleTime")
    containers = spec["jobTemplate"]["spec"]["template"]["spec"].get("containers") or []
    zone = [spec.get("timeZone") or "<none>"] if profile().modern else []
    return [
        *row(
            obj,
            spec.get("schedule"),
            *zone,
            str(bool(spec.get("suspend"))),
            len(status.get("active") or []),
            age(last) if last else "<none>",
        ),
        ",".join(c["name"] for c in containers),
        ",".join(c["image"] for c in containers),
        "<none>",
    ]


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
    return [*cells, obj.get("preemptionPolicy")] if profile().modern else cells


def _endpoint_slice(obj: Obj) -> Row:
    ports = [str(port.get("port")) for port in obj.get("ports") or []]
    found = [one for end in obj.get("endpoints") or [] for one in end.get("addresses") or []]
    shown = first_three(found) or "<unset>"
    return row(obj, obj.get("addressType"), ",".join(ports) or "<unset>", shown)


def _daemon_set(obj: Obj) -> Row:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    names = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    nodes = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector") or {}
    return row(obj, *(status.get(name, 0) for name in names), joined(nodes))


def _ingress(obj: Obj) -> Row:
    spec = obj.get("spec") or {}
    hosts = ",".join(rule.get("host") or "*" for rule in spec.get("rules") or []) or "*"
    ports = "80, 443" if spec.get("tls") else "80"
    return row(obj, spec.get("ingressClassName") or "<none>", hosts, "", ports)


def _stateful_set(obj: Obj) -> Row:
    wanted = (obj.get("spec") or {}).get("replicas", 1)
    return row(obj, f"{(obj.get('status') or {}).get('readyReplicas', 0)}/{wanted}")


_WIDE = columns("Containers", "Images", "Selector", priority=1)
_BINDING = [NAME, column("Role"), AGE, *columns("Users", "Groups", "ServiceAccounts", priority=1)]
_MODERN = profile().modern
_STATUS = columns("Status") if _MODERN else []

NAMED_GROUPS: dict[str, Layout] = {
    "Job": (
        [
            NAME,
            *(columns("Status") if _MODERN else []),
            *columns("Completions", "Duration"),
            AGE,
            *_WIDE,
        ],
        _job,
    ),
    "ReplicaSet": (
        [NAME, *columns("Desired", "Current", "Ready", kind="integer"), AGE, *_WIDE],
        _replica_set,
    ),
    "Deployment": (
        [NAME, *columns("Ready", "Up-to-date", "Available"), AGE, *_WIDE],
        _deployment,
    ),
    "CronJob": (
        [
            NAME,
            *columns("Schedule", *(["Timezone"] if _MODERN else []), "Suspend"),
            column("Active", kind="integer"),
            column("Last Schedule"),
            AGE,
            *_WIDE,
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
        ],
        _daemon_set,
    ),
    "Ingress": ([NAME, *columns("Class", "Hosts", "Address", "Ports"), AGE], _ingress),
    "StatefulSet": ([NAME, column("Ready"), AGE], _stateful_set),
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
            *(columns("PreemptionPolicy") if _MODERN else []),
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
