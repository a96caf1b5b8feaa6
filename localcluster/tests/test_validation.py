"""What the API refuses of the kinds that the cluster stores, and of all kinds: its words."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from .conftest import Local, job, pod

_POD = "{metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}"
_RUNS = f"selector: {{matchLabels: {{a: b}}}}, template: {_POD}"
_JOB = "{spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}"
_PATHS = {
    "apps/v1": ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"),
    "batch/v1": ("CronJob", "Job"),
    "coordination.k8s.io/v1": ("Lease",),
    "discovery.k8s.io/v1": ("EndpointSlice",),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "policy/v1": ("PodDisruptionBudget",),
    "rbac.authorization.k8s.io/v1": ("ClusterRoleBinding", "Role", "RoleBinding"),
    "scheduling.k8s.io/v1": ("PriorityClass",),
}
_VERSIONS = {kind: version for version, kinds in _PATHS.items() for kind in kinds}
_CLUSTER = ("ClusterRoleBinding", "Namespace", "PersistentVolume", "PriorityClass")


def _plural(kind: str) -> str:
    if kind.endswith("cy"):
        return kind.lower()[:-1] + "ies"
    special = kind.endswith("ss")
    return kind.lower() + ("" if kind == "Endpoints" else "es" if special else "s")


def _send(local: Local, ns: str, method: str, obj: dict[str, Any], **params: str) -> Any:
    kind, name = obj["kind"], obj["metadata"].get("name", "")
    version = obj.setdefault("apiVersion", _VERSIONS.get(kind, "v1"))
    place = "" if kind in _CLUSTER else f"/namespaces/{ns}"
    path = f"/{'apis' if '/' in version else 'api'}/{version}{place}/{_plural(kind)}"
    return local.request(method, path + (f"/{name}" if method == "PUT" else ""), obj, **params)


def _cron(schedule: str, rest: str = "") -> str:
    return f"CronJob {{schedule: {json.dumps(schedule)}, jobTemplate: {_JOB}{rest}}}"


def _claim(spec: str) -> str:
    return f"PersistentVolumeClaim {{resources: {{requests: {{storage: 1Gi}}}}, {spec}}}"


def _ingress(path: str, backend: str = "{service: {name: s, port: {number: 80}}}") -> str:
    return f"Ingress {{rules: [{{http: {{paths: [{{{path}, backend: {backend}}}]}}}}]}}"


def _peer(peer: str) -> str:
    return f"NetworkPolicy {{podSelector: {{}}, ingress: [{{from: [{peer}]}}]}}"


def _limit(limit: str) -> str:
    return f"LimitRange {{limits: [{limit}]}}"


_TZ = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
_SCHEDULES = {
    "every 5 minutes": "expected exactly 5 fields, found 3: [every 5 minutes]",
    "* * * * * *": "expected exactly 5 fields, found 6: [* * * * * *]",
    "60 * * * *": "end of range (60) above maximum (59): 60",
    "* * 0 * *": "beginning of range (0) below minimum (1): 0",
    "30-5 * * * *": "beginning of range (30) beyond end of range (5): 30-5",
    "*/0 * * * *": "step of range should be a positive number: */0",
    "1-2-3 * * * *": "too many hyphens: 1-2-3",
    "*/2/3 * * * *": "too many slashes: */2/3",
    "* * * * never": "failed to parse int from never: strconv.Atoi: parsing"
    ' "never": invalid syntax',
    "@often": "unrecognized descriptor: @often",
    "@every soon": 'failed to parse duration @every soon: time: invalid duration "soon"',
    "TZ=UTC * * * * *": _TZ,
    "TZ=Nowhere/Land * * * * *": "provided bad location Nowhere/Land: unknown time zone",
}
_GOOD_SCHEDULES = (
    "*/5 * * * *",
    "0 0 1,15 * mon-fri",
    "5/10 ? * JAN SUN",
    "@daily",
    "@every 1h30m",
    "0 22 * * 1-5",
)

# Each: the kind, the spec (or after a `+` the object's own fields), and what the message contains.
_REFUSED = [
    *((_cron(schedule), why) for schedule, why in _SCHEDULES.items()),
    ("CronJob {jobTemplate: <>}".replace("<>", _JOB), "spec.schedule: Required value"),
    (
        _cron("@daily", ", concurrencyPolicy: Maybe"),
        'spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid",'
        ' "Replace"',
    ),
    (
        _cron("@daily").replace("Never", "Always"),
        "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values:"
        ' "OnFailure", "Never"',
    ),
    (
        _cron("@daily", ", startingDeadlineSeconds: -1"),
        "spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0",
    ),
    (
        _cron("@daily", ", failedJobsHistoryLimit: -1"),
        "spec.failedJobsHistoryLimit: Invalid value: -1",
    ),
    (_cron("@daily", ', timeZone: ""'), "timeZone must be nil or non-empty string"),
    (_cron("@daily", ", timeZone: local"), "timeZone must be an explicit time zone as defined in"),
    (_cron("@daily", ", timeZone: Mars/X"), 'Invalid value: "Mars/X": unknown time zone Mars/X'),
    (
        _cron("@daily").replace("{spec: {template", "{spec: {manualSelector: true, template"),
        "spec.jobTemplate.spec.manualSelector: Unsupported value: true",
    ),
    (
        _cron("@daily").replace("{spec: {template", "{spec: {parallelism: -1, template"),
        "spec.jobTemplate.spec.parallelism: Invalid value: -1",
    ),
    (
        "StatefulSet {<>}".replace(
            "<>", _RUNS.replace("{a: b}}}, t", "{a: c}}}, t").replace("a: b}}, t", "a: x}}, t")
        ),
        'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match'
        " template `labels`",
    ),
    (
        "StatefulSet {podManagementPolicy: Slow, <>}".replace("<>", _RUNS),
        "spec.podManagementPolicy: Invalid value: \"Slow\": must be 'OrderedReady' or 'Parallel'",
    ),
    (
        "StatefulSet {updateStrategy: {type: OnDelete, rollingUpdate: {partition: 1}}, <>}".replace(
            "<>", _RUNS
        ),
        "only allowed for updateStrategy 'RollingUpdate'",
    ),
    ("StatefulSet {replicas: -1, <>}".replace("<>", _RUNS), "spec.replicas: Invalid value: -1"),
    (
        "StatefulSet {<>}".replace("<>", _RUNS.replace("matchLabels: {a: b}", "")),
        "spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
    ),
    (
        "StatefulSet {<>}".replace(
            "<>", _RUNS.replace("spec: {", "spec: {activeDeadlineSeconds: 5, ")
        ),
        "activeDeadlineSeconds in StatefulSet is not Supported",
    ),
    (
        "DaemonSet {<>}".replace("<>", _RUNS.replace("spec: {", "spec: {restartPolicy: Never, ")),
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ),
    (
        "DaemonSet {updateStrategy: {rollingUpdate: {maxSurge: 1}}, <>}".replace("<>", _RUNS),
        "may not be set when maxUnavailable is non-zero",
    ),
    (
        "DaemonSet {updateStrategy: {rollingUpdate: {maxUnavailable: 0}}, <>}".replace("<>", _RUNS),
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when",
    ),
    (
        "ReplicaSet {selector: {matchExpressions: [{key: a, operator: Is}]}, template: <>}".replace(
            "<>", _POD
        ),
        'spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector'
        " operator",
    ),
    (
        "ReplicationController {selector: {a: c}, template: <>}".replace("<>", _POD),
        "`selector` does not match template `labels`",
    ),
    (
        _claim("accessModes: [Sometimes]"),
        'spec.accessModes: Unsupported value: "Sometimes": supported values: "ReadOnlyMany",'
        ' "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
    ),
    (_claim(""), "spec.accessModes: Required value: at least 1 access mode is required"),
    (
        _claim("accessModes: [ReadWriteOncePod, ReadWriteOnce]"),
        "may not use ReadWriteOncePod with other access modes",
    ),
    (
        "PersistentVolumeClaim {accessModes: [ReadWriteOnce]}",
        "spec.resources[storage]: Required value",
    ),
    (
        _claim("accessModes: [ReadWriteOnce]").replace("1Gi", "0"),
        'spec.resources[storage]: Invalid value: "0": must be greater than zero',
    ),
    (
        _claim("accessModes: [ReadWriteOnce], volumeMode: Tape"),
        'spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"',
    ),
    (
        "PersistentVolume {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}}",
        "spec: Required value: must specify a volume type",
    ),
    (
        "PersistentVolume {capacity: {storage: 1Gi}, hostPath: {path: /x}, nfs: {server: s,"
        " path: /}}",
        "spec.nfs: Forbidden: may not specify more than 1 volume type",
    ),
    (
        "PersistentVolume {accessModes: [ReadWriteOnce], hostPath: {path: /x},"
        " persistentVolumeReclaimPolicy: Burn}",
        'spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn": supported values:'
        ' "Delete", "Recycle", "Retain"',
    ),
    (
        "PodDisruptionBudget {minAvailable: 1, maxUnavailable: 1}",
        'spec: Invalid value: {"MinAvailable":1,"Selector":null,"MaxUnavailable":1,'
        '"UnhealthyPodEvictionPolicy":null}: minAvailable and maxUnavailable cannot be both set',
    ),
    ("PodDisruptionBudget {minAvailable: 101%}", "must not be greater than 100%"),
    ("PodDisruptionBudget {minAvailable: many}", "a valid percent string must be"),
    (_ingress("path: x, pathType: Prefix"), 'path: Invalid value: "x": must be an absolute path'),
    (_ingress("path: /x"), "pathType: Required value: pathType must be specified"),
    (_ingress("path: /a//b, pathType: Exact"), "must not contain '//'"),
    (
        _ingress("path: /x, pathType: Prefix", "{service: {name: s}}"),
        "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
    ),
    (
        _ingress("path: /x, pathType: Prefix", "{}"),
        'backend: Invalid value: "": resource or service backend is required',
    ),
    (
        "Ingress +{metadata: {name: bad, annotations: {kubernetes.io/ingress.class: a}}, spec:"
        " {ingressClassName: b, defaultBackend: {service: {name: s, port: {number: 80}}}}}",
        "must match `ingressClassName` when both are specified",
    ),
    ("Ingress {}", "either `defaultBackend` or `rules` must be specified"),
    ("Ingress {rules: [{host: 1.2.3.4}]}", "must be a DNS name, not an IP address"),
    (_peer("{}"), "spec.ingress[0].from[0]: Required value: must specify a peer"),
    (
        _peer("{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}"),
        "may not specify both ipBlock and another peer",
    ),
    (_peer("{ipBlock: {cidr: 10.0.0.0}}"), "must be a valid CIDR value"),
    (
        _peer("{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}"),
        'except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
    ),
    (
        "NetworkPolicy {podSelector: {}, ingress: [{ports: [{port: 9, endPort: 8}]}]}",
        "endPort: Invalid value: 8: must be greater than or equal to `port`",
    ),
    (_limit("{type: Pod, default: {cpu: 1}}"), "may not be specified when `type` is 'Pod'"),
    (
        _limit("{type: Container, min: {cpu: 2}, max: {cpu: 1}}"),
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
    ),
    (_limit("{type: Pod}, {type: Pod}"), 'spec.limits[1].type: Duplicate value: "Pod"'),
    ("ResourceQuota {hard: {cakes: 1}}", "must be a standard resource for quota"),
    ("ResourceQuota {hard: {pods: 500m}}", "must be an integer"),
    ("ResourceQuota {scopes: [Mine]}", 'spec.scopes: Invalid value: ["Mine"]: unsupported scope'),
    ("Lease {leaseDurationSeconds: 0}", "spec.leaseDurationSeconds: Invalid value: 0: must be"),
    ("EndpointSlice +{addressType: IPv9, endpoints: []}", '"FQDN", "IPv4", "IPv6"'),
    (
        "EndpointSlice +{addressType: IPv4, endpoints: [{addresses: [there]}]}",
        'endpoints[0].addresses[0]: Invalid value: "there": must be a valid IPv4 address',
    ),
    ("Endpoints +{subsets: [{}]}", "must specify `addresses` or `notReadyAddresses`"),
    (
        "PriorityClass +{value: 2000000000}",
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
    ),
    (
        "Role +{rules: [{verbs: [get], nonResourceURLs: [/x]}]}",
        "namespaced rules cannot apply to non-resource URLs",
    ),
    (
        "RoleBinding +{roleRef: {kind: Role, name: r}, subjects: [{kind: Robot, name: r}]}",
        'subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User",'
        ' "Group"',
    ),
    (
        "ClusterRoleBinding +{roleRef: {kind: ClusterRole, name: r}, subjects: [{kind:"
        " ServiceAccount, name: s}]}",
        "subjects[0].namespace: Required value",
    ),
    (
        "ConfigMap +{data: {a: %s}}" % ("x" * 1048577),
        "Too long: may not be more than 1048576 bytes",
    ),
    (
        "Secret +{stringData: {a: %s}}" % ("x" * 1048577),
        "data: Too long: may not be more than 1048576 bytes",
    ),
    (
        "Service {ports: [{port: 1}], ipFamilyPolicy: RequireDualStack}",
        "this cluster is not configured for dual-stack services",
    ),
    ("Service {ports: [{port: 1}], ipFamilies: [IPv6]}", "not configured on this cluster"),
    ("ConfigMap +{data: {..: x}}", "data[..]: Invalid value"),
    ("Pod {containers: [{name: c, image: i, env: [{name: a=b}]}]}", "printable ASCII characters"),
    (
        "Pod {tolerations: [{key: a, tolerationSeconds: 5}], containers: [{name: c, image: i}]}",
        "effect must be 'NoExecute' when `tolerationSeconds` is set",
    ),
    (
        "Pod {volumes: [{name: v, nfs: {}}], containers: [{name: c, image: i}]}",
        "spec.volumes[0].nfs.server: Required value, spec.volumes[0].nfs.path: Required value",
    ),
    (
        "Pod {containers: [{name: c, image: i, securityContext: {privileged: true,"
        " allowPrivilegeEscalation: false}}]}",
        "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
    ),
    (
        "Job {managedBy: me, <>".replace("<>", _JOB.removeprefix("{spec: {")[:-1]),
        'spec.managedBy: Invalid value: "me": must be a domain-prefixed path',
    ),
    (
        "Deployment {strategy: {type: Sideways}, <>}".replace("<>", _RUNS),
        'spec.strategy: Unsupported value: {"Type":"Sideways","RollingUpdate":null}',
    ),
]


def _object(case: str, name: str = "bad") -> dict[str, Any]:
    kind, _, rest = case.partition(" ")
    metadata = {"metadata": {"name": name}, "kind": kind}
    if rest.startswith("+"):
        return {**metadata, **yaml.safe_load(rest[1:])}
    return {**metadata, "spec": yaml.safe_load(rest)}


@pytest.mark.parametrize(("case", "message"), _REFUSED, ids=lambda text: text[:60])
def test_what_is_wrong_is_refused(local: Local, ns: str, case: str, message: str) -> None:
    reply = _send(local, ns, "POST", _object(case))
    assert reply.code == 422, reply.body
    assert message in reply.json["message"]
    assert {cause["field"] for cause in reply.json["details"]["causes"]}


@pytest.mark.parametrize("schedule", _GOOD_SCHEDULES)
def test_a_good_schedule_is_accepted(local: Local, ns: str, schedule: str) -> None:
    assert _send(local, ns, "POST", _object(_cron(schedule, ", timeZone: Etc/UTC"))).code == 201


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (
            {**pod("x"), "metadata": {"name": "x", "labels": {"a": "a" * 64}}},
            f'metadata.labels: Invalid value: "{"a" * 64}": must be no more than 63 bytes',
        ),
        (
            {**pod("x"), "metadata": {"name": "x", "labels": {"a": "a" * 63 + "/"}}},
            "must be no more than 63 bytes, metadata.labels: Invalid value",
        ),
        (
            {**pod("x"), "metadata": {"name": "x", "labels": {"/a": ""}}},
            "prefix part must be non-empty",
        ),
        (
            {**pod("x"), "metadata": {"name": "x", "labels": {"a/b/c": ""}}},
            "a valid label key must consist of alphanumeric characters",
        ),
        (job("j" * 64, "true"), "spec.template.labels: Invalid value"),
        (job("j" * 64, "true"), "must be no more than 63 bytes"),
        (
            {"kind": "ConfigMap", "metadata": {"name": "x", "annotations": {"a": "x" * 262144}}},
            "metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
        (_object(_cron("@daily"), "c" * 53), "must be no more than 52 characters"),
        (
            _object("StatefulSet {<>}".replace("<>", _RUNS), "a.b"),
            "must not contain dots",
        ),
        (_object("Namespace {}", "n" * 64), "must be no more than 63 bytes"),
        (_object("PriorityClass +{value: 1}", "system-mine"), "are reserved for system use only"),
        (_object("Service {ports: [{port: 1}]}", "a.b"), "must not contain dots"),
    ],
)
def test_names_labels_and_annotations(
    local: Local, ns: str, obj: dict[str, Any], message: str
) -> None:
    reply = _send(local, ns, "POST", obj)
    assert reply.code == 422, reply.body
    assert message in reply.json["message"]


def test_a_service_may_begin_with_a_digit_and_a_variable_may_have_any_printable_name(
    local: Local, ns: str
) -> None:
    assert _send(local, ns, "POST", _object("Service {ports: [{port: 1}]}", "1a")).code == 201
    env = [{"name": "1 log.level-x", "value": "y"}]
    made = pod("env", "true", container={"env": env}, nodeSelector={"no": "node"})
    assert _send(local, ns, "POST", made).code == 201


# Each: what is created, the change of its spec (or after a `+` of itself), and the message.
_FROZEN = [
    (
        "StatefulSet {serviceName: s, <>}".replace("<>", _RUNS),
        "{serviceName: t}",
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas',"
        " 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit',"
        " 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ),
    (
        "DaemonSet {<>}".replace("<>", _RUNS),
        "{selector: {matchLabels: {a: b, c: d}}}",
        'spec.selector: Invalid value: {"matchLabels":{"a":"b","c":"d"}}: field is immutable',
    ),
    (
        _claim("accessModes: [ReadWriteOnce]"),
        "{accessModes: [ReadWriteMany]}",
        "spec: Forbidden: spec is immutable after creation except resources.requests and"
        ' volumeAttributesClassName for bound claims\n@@ -1,6 +1,6 @@\n {\n  "AccessModes": [\n'
        '-  "ReadWriteOnce"\n+  "ReadWriteMany"\n  ],\n  "Selector": null,\n  "Resources": {\n',
    ),
    (
        "Pod {nodeSelector: {no: node}, containers: [{name: c, image: i}]}",
        "{activeDeadlineSeconds: 5, hostname: h}",
        "if it was previously negative)\n@@ -66,7 +66,7 @@\n"
        '   "SELinuxChangePolicy": null\n  },\n  "ImagePullSecrets": null,\n- "Hostname": "",\n'
        '+ "Hostname": "h",\n',
    ),
    (
        "ResourceQuota {hard: {pods: 1}, scopes: [BestEffort]}",
        "{scopes: []}",
        "spec.scopes: Invalid value:",
    ),
    ("PriorityClass +{value: 1}", "+{value: 2}", "value: Forbidden: may not be changed in an"),
    (
        "EndpointSlice +{addressType: IPv4, endpoints: []}",
        "+{addressType: FQDN}",
        'addressType: Invalid value: "FQDN": field is immutable',
    ),
    (
        "Job {suspend: true, <>".replace("<>", _JOB.removeprefix("{spec: {")[:-1]),
        "{completionMode: Indexed, completions: 1}",
        'spec.completionMode: Invalid value: "Indexed": field is immutable',
    ),
    (
        "ConfigMap +{data: {a: b}, immutable: true}",
        "+{data: {a: c}}",
        "data: Forbidden: field is immutable when `immutable` is set",
    ),
]


@pytest.mark.parametrize(("case", "change", "message"), _FROZEN, ids=lambda text: text[:40])
def test_what_may_not_change(local: Local, ns: str, case: str, change: str, message: str) -> None:
    created = _send(local, ns, "POST", _object(case, f"x-{ns}"))
    assert created.code == 201, created.body
    obj = created.json
    del obj["metadata"]["resourceVersion"]
    part = obj if change.startswith("+") else obj["spec"]
    part.update(yaml.safe_load(change.lstrip("+")))
    reply = _send(local, ns, "PUT", obj)
    assert reply.code == 422, reply.body
    assert message in reply.json["message"]


def test_kubectl_shows_why(
    kubectl: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    manifest = {**_object(_cron("every 5 minutes")), "apiVersion": "batch/v1"}
    done = kubectl("apply", "-f", "-", stdin=json.dumps(manifest), check=False)
    assert done.returncode == 1
    assert done.stderr == (
        'The CronJob "bad" is invalid: spec.schedule: Invalid value: "every 5 minutes": expected'
        " exactly 5 fields, found 3: [every 5 minutes]\n"
    )
