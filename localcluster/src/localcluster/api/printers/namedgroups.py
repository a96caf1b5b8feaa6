"""The columns of the kinds that are stored and listed, and that nothing here acts on."""

from __future__ import annotations

from ...apimachinery.jsontypes import Obj
from ...apimachinery.profile import profile
from ...apimachinery.selectors import selector_text
from .columns import AGE, NAME, Layout, Row, age, column


def _created(obj: Obj) -> Row:
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


def _aged(obj: Obj, *middle: object) -> Row:
    return [obj["metadata"]["name"], *middle, age(obj["metadata"].get("creationTimestamp"))]


def _binding(obj: Obj) -> Row:
    role, subjects = obj.get("roleRef") or {}, obj.get("subjects") or []

    def named(kind: str) -> str:
        found = [s for s in subjects if s.get("kind") == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{s.get('namespace', '')}/{s['name']}" for s in found)
        return ", ".join(s["name"] for s in found)

    row = _aged(obj, f"{role.get('kind', '')}/{role.get('name', '')}")
    return [*row, *(named(kind) for kind in ("User", "Group", "ServiceAccount"))]


def _quota(obj: Obj) -> Row:
    status = obj.get("status") or {}
    hard = status.get("hard") or (obj.get("spec") or {}).get("hard") or {}
    used = status.get("used") or {}
    limits = [name for name in sorted(hard) if name.startswith("limits.")]
    requests = [name for name in sorted(hard) if name not in limits]
    parts = [
        ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)
        for names in (requests, limits)
    ]
    return _aged(obj, *parts) if profile().modern else [*_aged(obj), *parts]


def _cron_job(obj: Obj) -> Row:
    spec, status = obj["spec"], obj.get("status") or {}
    last = status.get("lastScheduleTime")
    containers = spec["jobTemplate"]["spec"]["template"]["spec"].get("containers") or []
    zone = [spec.get("timeZone") or "<none>"] if profile().modern else []
    return [
        *_aged(
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


def _budget(obj: Obj) -> Row:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return _aged(
        obj,
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        status.get("disruptionsAllowed", 0),
    )


def _priority(obj: Obj) -> Row:
    row = _aged(obj, obj.get("value"), bool(obj.get("globalDefault")))
    return [*row, obj.get("preemptionPolicy")] if profile().modern else row


def _slice(obj: Obj) -> Row:
    ports = [str(port.get("port")) for port in obj.get("ports") or []]
    found = [one for end in obj.get("endpoints") or [] for one in end.get("addresses") or []]
    shown = ",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")
    return _aged(obj, obj.get("addressType"), ",".join(ports) or "<unset>", shown or "<unset>")


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
    chosen = ",".join(f"{key}={value}" for key, value in sorted(nodes.items())) or "<none>"
    return _aged(obj, *(status.get(name, 0) for name in names), chosen)


def _claim(obj: Obj) -> Row:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    name = spec.get("storageClassName") or ""
    return _aged(obj, status.get("phase"), spec.get("volumeName") or "", "", "", name)


def _ingress(obj: Obj) -> Row:
    spec = obj.get("spec") or {}
    hosts = ",".join(rule.get("host") or "*" for rule in spec.get("rules") or []) or "*"
    ports = "80, 443" if spec.get("tls") else "80"
    return _aged(obj, spec.get("ingressClassName") or "<none>", hosts, "", ports)


def _workload(obj: Obj) -> Row:
    wanted = (obj.get("spec") or {}).get("replicas", 1)
    return _aged(obj, f"{(obj.get('status') or {}).get('readyReplicas', 0)}/{wanted}")


_CREATED = [NAME, column("Created At")]
_BOUND = [
    NAME,
    column("Role"),
    AGE,
    *(column(name, priority=1) for name in ("Users", "Groups", "ServiceAccounts")),
]
_MODERN_ONLY = [column("Timezone")]
_WIDE = [column(name, priority=1) for name in ("Containers", "Images", "Selector")]


def layouts() -> dict[str, Layout]:
    """Return the columns of these kinds, as the version that the cluster behaves like has them."""
    modern = profile().modern
    amounts = [column("Request"), column("Limit")]
    return {
        "CronJob": (
            [
                NAME,
                column("Schedule"),
                *(_MODERN_ONLY if modern else []),
                column("Suspend"),
                column("Active", kind="integer"),
                column("Last Schedule"),
                AGE,
                *_WIDE,
            ],
            _cron_job,
        ),
        "NetworkPolicy": (
            [NAME, column("Pod-Selector"), AGE],
            lambda obj: _aged(
                obj, selector_text((obj.get("spec") or {}).get("podSelector")) or "<none>"
            ),
        ),
        "PodDisruptionBudget": (
            [
                NAME,
                column("Min Available"),
                column("Max Unavailable"),
                column("Allowed Disruptions", kind="integer"),
                AGE,
            ],
            _budget,
        ),
        "DaemonSet": (
            [
                NAME,
                *(column(name, kind="integer") for name in ("Desired", "Current", "Ready")),
                *(column(name, kind="integer") for name in ("Up-to-date", "Available")),
                column("Node Selector"),
                AGE,
            ],
            _daemon_set,
        ),
        "PersistentVolumeClaim": (
            [
                NAME,
                *(column(name) for name in ("Status", "Volume", "Capacity", "Access Modes")),
                column("StorageClass"),
                AGE,
            ],
            _claim,
        ),
        "Ingress": (
            [NAME, *(column(name) for name in ("Class", "Hosts", "Address", "Ports")), AGE],
            _ingress,
        ),
        "StatefulSet": ([NAME, column("Ready"), AGE], _workload),
        "Role": (_CREATED, _created),
        "ClusterRole": (_CREATED, _created),
        "LimitRange": (_CREATED, _created),
        "RoleBinding": (_BOUND, _binding),
        "ClusterRoleBinding": (_BOUND, _binding),
        "ResourceQuota": ([NAME, *amounts, AGE] if modern else [NAME, AGE, *amounts], _quota),
        "PriorityClass": (
            [
                NAME,
                column("Value", kind="integer"),
                column("Global-Default", kind="boolean"),
                AGE,
                *([column("PreemptionPolicy")] if modern else []),
            ],
            _priority,
        ),
        "Lease": (
            [NAME, column("Holder"), AGE],
            lambda obj: _aged(obj, (obj.get("spec") or {}).get("holderIdentity")),
        ),
        "EndpointSlice": (
            [NAME, column("AddressType"), column("Ports"), column("Endpoints"), AGE],
            _slice,
        ),
    }
