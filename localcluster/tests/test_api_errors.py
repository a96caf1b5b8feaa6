"""How the API says no: codes and words, as a real cluster says them."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Local

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON = "application/json-patch+json"
RULE = "the server rejected our request due to an error in our request"


@pytest.fixture
def base(local: Local, ns: str) -> str:
    path = f"/api/v1/namespaces/{ns}"
    local.request("POST", f"{path}/configmaps", {"metadata": {"name": "c"}, "data": {"a": "1"}})
    return path


def _refused(local: Local, code: int, message: str, *request: Any, **params: str) -> None:
    reply = local.request(*request, **params)
    assert reply.code == code, reply.body
    status = reply.json
    assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", code)
    assert message in status["message"]


_PORTED = {"name": "a", "port": 80}


@pytest.mark.parametrize(
    ("kind", "patch", "code", "message"),
    [
        (JSON, [{"op": "test", "path": "/data/a", "value": "2"}], 422, RULE),
        (JSON, [{"op": "remove", "path": "/data/z"}], 422, RULE),
        (JSON, {}, 400, "error decoding patch: json: cannot unmarshal object into Go value of ty"),
        (
            MERGE,
            [1],
            400,
            "error decoding patch: json: cannot unmarshal array into Go value of typ",
        ),
        (STRATEGIC, [1], 400, "cannot unmarshal array into Go value of type map[string]interface"),
        (
            STRATEGIC,
            {"data": 3},
            422,
            'Invalid value: "map[data:3]": cannot restore map from int64',
        ),
        (MERGE, {"data": {"a": 3}}, 422, "json: cannot unmarshal number into Go struct field"),
        (MERGE, {"metadata": {"name": "x"}}, 400, "the name of the object (x) does not match the"),
        (MERGE, {"metadata": {"uid": "1"}}, 422, 'metadata.uid: Invalid value: "1": field is imm'),
        (
            MERGE,
            {"metadata": {"resourceVersion": "1"}},
            409,
            "the object has been modified; please",
        ),
        (
            MERGE,
            {"metadata": {"labels": {"-": "b"}}},
            422,
            "name part must consist of alphanumeric",
        ),
        (MERGE, {"metadata": {"finalizers": ["x"]}}, 422, "neither a standard finalizer name nor"),
        ("text/plain", {}, 415, "415: Unsupported Media Type"),
    ],
)
def test_patches(local: Local, base: str, kind: str, patch: Any, code: int, message: str) -> None:
    _refused(local, code, message, "PATCH", f"{base}/configmaps/c", patch, kind)


@pytest.mark.parametrize(
    ("plural", "obj", "code", "message"),
    [
        ("configmaps", {"metadata": {"name": "c"}}, 409, 'configmaps "c" already exists'),
        ("configmaps", {"metadata": {"name": "C_"}}, 422, "a lowercase RFC 1123 subdomain must"),
        ("configmaps", {"metadata": {}}, 422, "Required value: name or generateName is required"),
        ("configmaps", [], 400, "json parse error: json: cannot unmarshal array into Go value"),
        ("configmaps", b"{", 400, "json parse error: unexpected end of JSON input ({)"),
        (
            "configmaps",
            {"metadata": {"name": "x", "resourceVersion": "1"}},
            500,
            "should not be set",
        ),
        (
            "configmaps",
            {"metadata": {"name": "x", "namespace": "y"}},
            400,
            "provided object does not",
        ),
        (
            "configmaps",
            {"kind": "Secret", "metadata": {"name": "x"}},
            400,
            "as a ConfigMap: conver",
        ),
        ("secrets", {"metadata": {"name": "x"}, "data": {"a": "?"}}, 400, "illegal base64 data at"),
        ("services", {"metadata": {"name": "x"}, "spec": {}}, 422, "spec.ports: Required value"),
        (
            "services",
            {"metadata": {"name": "x"}, "spec": {"type": "ExternalName"}},
            422,
            "spec.externalName: Required value",
        ),
        (
            "services",
            {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 0}]}},
            422,
            "inclusive, spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535",
        ),
        (
            "services",
            {"metadata": {"name": "x"}, "spec": {"ports": [_PORTED, _PORTED]}},
            422,
            'spec.ports[1].name: Duplicate value: "a"',
        ),
        (
            "services",
            {"metadata": {"name": "x"}, "spec": {"ports": [_PORTED], "sessionAffinity": "x"}},
            422,
            'spec.sessionAffinity: Unsupported value: "x": supported values: "ClientIP", "None"',
        ),
        (
            "secrets",
            {"metadata": {"name": "x"}, "type": "kubernetes.io/basic-auth"},
            422,
            "data[username]: Required value, data[password]: Required value",
        ),
        (
            "secrets",
            {"metadata": {"name": "x"}, "type": "kubernetes.io/dockerconfigjson"},
            422,
            "data[.dockerconfigjson]: Required value",
        ),
        (
            "events",
            {"metadata": {"name": "x"}, "involvedObject": {"namespace": "z"}},
            422,
            "does not",
        ),
    ],
)
def test_creations(local: Local, base: str, plural: str, obj: Any, code: int, message: str) -> None:
    _refused(local, code, message, "POST", f"{base}/{plural}", obj)


def _pod(container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    made = {"name": "a", "image": "redis:7", **container}
    return {"metadata": {"name": "p"}, "spec": {"containers": [made], **spec}}


_PORT = {"name": "web", "containerPort": 80}
ASKING = {"exec": {"command": ["true"]}}
MORE = {"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1500m"}}}


@pytest.mark.parametrize(
    ("obj", "code", "message"),
    [
        (_pod({}, serviceAccountName="x"), 403, 'serviceaccount "x" not found'),
        (_pod({}, priorityClassName="x"), 403, "no PriorityClass with name x was found"),
        (_pod(MORE), 422, 'Invalid value: "1500m": must be less than or equal to cpu limit of 1'),
        (_pod({"resources": {"limits": {"cpu": "x"}}}), 400, "quantities must match the regular"),
        (_pod({"env": [{"name": "="}]}), 422, "only of printable ASCII characters other than '='"),
        (_pod({"envFrom": [{}]}), 422, "must specify one of: `configMapRef` or `secretRef`"),
        (
            _pod({"env": [{"name": "A", "valueFrom": {}}]}),
            422,
            'env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`,',
        ),
        (
            _pod({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x"}}}]}),
            422,
            "env[0].valueFrom.secretKeyRef.key: Required value",
        ),
        (_pod({"ports": [_PORT, _PORT]}), 422, 'ports[1].name: Duplicate value: "web"'),
        (_pod({"ports": [{**_PORT, "protocol": "X"}]}), 422, '"X": supported values: "SCTP", "T'),
        (_pod({"ports": [{**_PORT, "name": "a" * 16}]}), 422, "must be no more than 15 bytes"),
        (_pod({"resources": {"limits": {"cpus": "1"}}}), 422, "must be a standard resource for"),
        (_pod({"resources": {"requests": {"cpu": "-1"}}}), 422, "must be greater than or equal to"),
        (_pod({"terminationMessagePolicy": "X"}), 422, "must be 'File' or 'FallbackToLogsOnError'"),
        (_pod({}, activeDeadlineSeconds=0), 422, "0: must be between 1 and 2147483647, inclusive"),
        (_pod({}, dnsPolicy="X"), 422, 'spec.dnsPolicy: Unsupported value: "X": supported values'),
        (_pod({}, tolerations=[{"operator": "X"}]), 422, 'supported values: "Equal", "Exists"'),
        (_pod({}, hostname="A_b"), 422, 'spec.hostname: Invalid value: "A_b": a lowercase RFC'),
        (
            _pod({}, initContainers=[{"name": "a", "image": "x"}]),
            422,
            'spec.initContainers[0].name: Duplicate value: "a"',
        ),
        (_pod({"livenessProbe": {}}), 422, "Required value: must specify a handler type"),
        (
            _pod({"livenessProbe": {**ASKING, "tcpSocket": {"port": 3}}}),
            422,
            "livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        (
            _pod({"livenessProbe": {**ASKING, "successThreshold": 2}}),
            422,
            "livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            _pod({"readinessProbe": {"exec": {}, "periodSeconds": -1}}),
            422,
            "[spec.containers[0].readinessProbe.exec.command: Required value, spec.containers[0]"
            ".readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0]",
        ),
        (
            _pod({"startupProbe": {"httpGet": {"port": 70000}}}),
            422,
            "startupProbe.httpGet.port: Invalid value: 70000: must be between 1 and 65535",
        ),
        (
            _pod({"readinessProbe": {"tcpSocket": {"port": "A_b"}}}),
            422,
            '"A_b": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
        ),
        (
            _pod({"lifecycle": {"preStop": {}}}),
            422,
            "spec.containers[0].lifecycle.preStop: Required value: must specify a handler type",
        ),
    ],
)
def test_pods(local: Local, base: str, obj: Any, code: int, message: str) -> None:
    _refused(local, code, message, "POST", f"{base}/pods", obj)


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"limit": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"limit": "1" * 20}, 400, f'strconv.ParseInt: parsing "{"1" * 20}": value out of range'),
        ({"timeoutSeconds": "1s"}, 400, 'strconv.ParseInt: parsing "1s": invalid syntax'),
        ({"continue": "abc"}, 400, "invalid continue token: continue key is not valid"),
        (
            {"resourceVersion": "x"},
            400,
            'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: ',
        ),
        ({"resourceVersion": "-1"}, 400, 'strconv.ParseUint: parsing "-1": invalid syntax'),
        ({"resourceVersion": "9" * 20}, 400, "value out of range"),
        (
            {"resourceVersion": "x", "watch": "1"},
            500,
            'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
        ),
        ({"timeoutSeconds": "x", "watch": "1"}, 400, 'parsing "x": invalid syntax'),
        ({"resourceVersion": "99999999"}, 504, "Too large resource version: 99999999, current: "),
        ({"resourceVersionMatch": "Exact"}, 422, "forbidden unless resourceVersion is provided"),
        ({"labelSelector": "a=b=c"}, 400, "found '=', expected: ',' or 'end of string'"),
        ({"labelSelector": "!!"}, 400, "unable to parse requirement: found '!', expected: ident"),
        ({"labelSelector": "-a"}, 400, 'invalid label key "-a": name part must consist of'),
        ({"fieldSelector": "x"}, 400, "invalid selector: 'x'; can't understand 'x'"),
        ({"fieldSelector": "spec.x=1"}, 400, '"spec.x" is not a known field selector: only'),
    ],
)
def test_lists(local: Local, base: str, params: dict[str, str], code: int, message: str) -> None:
    _refused(local, code, message, "GET", f"{base}/configmaps", **params)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"preconditions": {"uid": "x"}}, 409, "the UID in the precondition (x) does not match"),
        ({"preconditions": {"resourceVersion": "x"}}, 409, "The object might have been modified"),
        ({"propagationPolicy": "x"}, 422, 'Unsupported value: "x": supported values: "Foreground"'),
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422, "cannot be both set"),
    ],
)
def test_deletions(local: Local, base: str, options: Any, code: int, message: str) -> None:
    _refused(local, code, message, "DELETE", f"{base}/configmaps/c", options)


def test_numbers_that_make_no_sense_in_other_requests(local: Local, base: str) -> None:
    one = f"{base}/configmaps/c"
    text = 'strconv.ParseUint: parsing "x": invalid syntax'
    where = f'resourceVersion: Invalid value: "x": {text}'
    _refused(local, 500, where, "GET", one, resourceVersion="x")
    _refused(
        local, 504, "Too large resource version: 99999999", "GET", one, resourceVersion="9" * 8
    )
    wrong = {"metadata": {"name": "c", "resourceVersion": "x"}}
    _refused(local, 500, text, "PUT", one, wrong)
    _refused(local, 500, text, "PATCH", one, wrong, MERGE)
    many = f"{base}/configmaps"
    _refused(local, 400, f"invalid resource version: {where}", "DELETE", many, resourceVersion="x")
    text = 'strconv.ParseInt: parsing "x": invalid syntax'
    _refused(local, 400, text, "DELETE", one, gracePeriodSeconds="x")
    _refused(local, 400, text, "GET", f"{base}/pods/p/log", tailLines="x")


@pytest.mark.parametrize(
    ("kind", "start"),
    [(MERGE, "error decoding patch: "), (JSON, "error decoding patch: "), (STRATEGIC, "")],
)
def test_a_patch_that_is_no_json(local: Local, base: str, kind: str, start: str) -> None:
    reply = local.request("PATCH", f"{base}/configmaps/c", b"[{]", kind)
    assert reply.code == 400
    assert reply.json["message"].startswith(f"{start}invalid character ']' ")


def test_values_in_messages_are_json_with_sorted_maps(local: Local, base: str) -> None:
    labels = {"b": "2", "a": "ä"}
    spec = {
        "selector": {"matchLabels": {"c": "3"}},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    }
    path = base.replace("/api/v1", "/apis/apps/v1") + "/replicasets"
    text = 'spec.template.metadata.labels: Invalid value: {"a":"ä","b":"2"}: `selector` does not'
    _refused(local, 422, "Invalid", "POST", path, {"metadata": {"name": "r"}, "spec": spec})
    spec["template"]["metadata"]["labels"]["a"] = "1"  # type: ignore[index]
    text = text.replace("ä", "1")
    _refused(local, 422, text, "POST", path, {"metadata": {"name": "r"}, "spec": spec})


def test_options_of_a_write(local: Local, base: str) -> None:
    path, body = f"{base}/configmaps", {"metadata": {"name": "x"}}
    text = 'dryRun: Unsupported value: ["x"]: supported values: "All"'
    _refused(local, 422, text, "POST", path, body, dryRun="x")
    text = 'fieldValidation: Unsupported value: "x": supported values: "", "Ignore", "Strict"'
    _refused(local, 422, text, "POST", path, body, fieldValidation="x")
    text = "force: Forbidden: may not be specified for non-apply patch"
    _refused(local, 422, text, "PATCH", f"{path}/c", {}, MERGE, force="true")


def test_roles_and_bindings(local: Local, ns: str) -> None:
    group = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}"
    role = {"metadata": {"name": "r"}, "rules": [{"verbs": []}]}
    text = "rules[0].verbs: Required value: verbs must contain at least one value"
    _refused(local, 422, text, "POST", f"{group}/roles", role)
    binding = {"metadata": {"name": "b"}, "roleRef": {"kind": "Foo"}}
    text = 'roleRef.kind: Unsupported value: "Foo": supported values: "Role", "ClusterRole"'
    _refused(local, 422, text, "POST", f"{group}/rolebindings", binding)
    role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    local.request("POST", f"{group}/rolebindings", {**binding, "roleRef": role_ref})
    text = '"Kind":"Role","Name":"q"}: cannot change roleRef'
    change = {"roleRef": {"name": "q"}}
    _refused(local, 422, text, "PATCH", f"{group}/rolebindings/b", change, MERGE)


def test_network_policies(local: Local, ns: str) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies"
    spec = {"podSelector": {}, "policyTypes": ["Sideways"]}
    text = 'policyTypes[0]: Unsupported value: "Sideways": supported values: "Ingress", "Egress"'
    _refused(local, 422, text, "POST", path, {"metadata": {"name": "n"}, "spec": spec})


def test_updates(local: Local, base: str) -> None:
    text = "the name of the object (b) does not match the name on the URL (none)"
    body = {"metadata": {"name": "b"}}
    _refused(local, 400, text, "PUT", f"{base}/configmaps/none", body)
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    local.request("POST", f"{base}/services", service)
    text = 'spec.clusterIPs[0]: Invalid value: ["10.1.2.3"]: may not change once set'
    change = {"spec": {"clusterIP": "10.1.2.3"}}
    _refused(local, 422, text, "PATCH", f"{base}/services/s", change, MERGE)
    _refused(local, 400, "error decoding patch: ", "PATCH", f"{base}/services/s", b"{", MERGE)
    _refused(local, 405, "does not allow this method", "DELETE", "/version")


def test_an_object_that_is_being_deleted_takes_no_new_finalizer(local: Local, base: str) -> None:
    path = f"{base}/configmaps/c"
    local.request("PATCH", path, {"metadata": {"finalizers": ["a.b/keep"]}}, MERGE)
    local.request("DELETE", path)
    text = "no new finalizers can be added if the object is being deleted, found new finalizers"
    change = {"metadata": {"finalizers": ["a.b/keep", "a.b/more"]}}
    _refused(local, 422, f'{text} []string{{"a.b/more"}}', "PATCH", path, change, MERGE)
    waiting = local.request("GET", path).json
    last = local.request("PATCH", path, {"metadata": {"finalizers": None}}, MERGE).json
    assert last["metadata"]["resourceVersion"] == waiting["metadata"]["resourceVersion"]
    assert local.request("GET", path).code == 404


def test_the_state_of_an_earlier_version_can_be_listed(local: Local, base: str) -> None:
    path = f"{base}/secrets"
    made = local.request("POST", path, {"metadata": {"name": "a"}, "stringData": {"x": "1"}}).json
    local.request("PATCH", f"{path}/a", {"stringData": {"x": "2"}}, MERGE)
    local.request("POST", path, {"metadata": {"name": "b"}})
    then = {"resourceVersion": made["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
    [only] = local.request("GET", path, **then).json["items"]
    assert only["data"] == {"x": "MQ=="}
    newer = {**then, "resourceVersionMatch": "NotOlderThan"}
    assert len(local.request("GET", path, **newer).json["items"]) == 2
