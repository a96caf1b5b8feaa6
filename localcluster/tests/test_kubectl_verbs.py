"""What a learner may type besides: each verb of kubectl, and the words it answers with."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from .conftest import Local, pod, wait_until

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def running(local: Local, ns: str, kubectl: Kubectl) -> Iterator[str]:
    """The name of a pod that runs until the test is over."""
    manifest = pod("stay", "sleep", "100", terminationGracePeriodSeconds=1)
    local.request("POST", f"/api/v1/namespaces/{ns}/pods", manifest)
    kubectl("wait", "--for=condition=Ready", "pod/stay", "--timeout=30s")
    yield "stay"
    kubectl("delete", "pod", "stay", "--now", "--ignore-not-found")


def test_explain_shows_the_descriptions_of_the_api(kubectl: Kubectl) -> None:
    text = kubectl("explain", "job.spec.parallelism").stdout
    assert "FIELD: parallelism <integer>" in text
    assert "Specifies the maximum desired number of pods the job should run" in text
    spec = kubectl("explain", "job.spec").stdout
    assert "JobSpec describes how the job execution will look like." in spec
    assert re.search(r"template\t<PodTemplateSpec> -required-", spec)
    tree = kubectl("explain", "deployment.spec.strategy", "--recursive").stdout
    assert "  rollingUpdate\t<RollingUpdateDeployment>\n    maxSurge\t<IntOrString>\n" in tree
    policy = kubectl("explain", "pod.spec.restartPolicy").stdout
    assert "ENUM:\n    Always\n    Never\n    OnFailure\n" in policy
    assert 'Possible enum values:\n     - `"Always"`\n' in policy
    older = kubectl("explain", "service.spec.ports", "--output=plaintext-openapiv2").stdout
    assert re.search(r"port\t<integer> -required-", older)
    assert kubectl("explain", "job.spec.nothing", check=False).stderr == (
        'error: field "nothing" does not exist\n'
    )


def test_auth_says_that_everything_is_allowed(local: Local, kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "pods").stdout == "yes\n"
    listed = kubectl("auth", "can-i", "--list").stdout
    assert re.search(r"^\*\.\* +\[\] +\[\] +\[\*\]$", listed, re.MULTILINE)
    assert re.search(r"^Username +localcluster$", kubectl("auth", "whoami").stdout, re.MULTILINE)
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = local.request("POST", path, {"spec": {"resourceAttributes": {"verb": "get"}}}).json
    assert answer["status"]["allowed"]
    assert "has no RBAC" in answer["status"]["reason"]


def test_what_is_not_there_says_so(kubectl: Kubectl) -> None:
    assert kubectl("top", "pods", check=False).stderr == "error: Metrics API not available\n"
    token = kubectl("create", "token", "default", check=False).stderr
    assert "the local cluster gives no tokens to service accounts" in token
    unknown = kubectl("get", "gadgets", check=False).stderr
    assert unknown == 'error: the server doesn\'t have a resource type "gadgets"\n'
    kind = '{"apiVersion":"v1","kind":"Gadget","metadata":{"name":"x"}}'
    assert (
        'no matches for kind "Gadget"'
        in kubectl("apply", "-f", "-", stdin=kind, check=False).stderr
    )
    role = kubectl("create", "role", "r", "--verb=get", "--resource=pods")
    assert role.stderr == "Warning: the local cluster stores a Role and does not enforce it\n"


def test_drain_evicts_and_uncordon_lets_pods_come_back(
    local: Local, ns: str, kubectl: Kubectl, running: str
) -> None:
    path = f"/api/v1/namespaces/{ns}/pods/{running}"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": running}}
    dry = local.request("POST", f"{path}/eviction", eviction, dryRun="All")
    assert dry.code == 201
    assert "deletionTimestamp" not in local.request("GET", path).json["metadata"]
    drained = kubectl("drain", "worker-1", "--pod-selector=app=stay", "--force")
    assert f"evicting pod {ns}/stay" in drained.stderr + drained.stdout
    assert "node/worker-1 drained" in drained.stdout
    assert "Ready,SchedulingDisabled" in kubectl("get", "nodes").stdout
    kubectl("uncordon", "worker-1")
    assert local.request("GET", path).code == 404


def test_an_evicted_pod_knows_why(local: Local, ns: str) -> None:
    manifest = pod("far", "sleep", "9", nodeSelector={"disk": "none"})
    manifest["metadata"]["finalizers"] = ["example.com/wait"]
    path = f"/api/v1/namespaces/{ns}/pods"
    local.request("POST", path, manifest)
    wait_until(lambda: local.request("GET", f"{path}/far").json["status"].get("conditions"))
    local.request("POST", f"{path}/far/eviction", {"metadata": {"name": "far"}})
    found = local.request("GET", f"{path}/far").json
    [condition] = [c for c in found["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    assert (condition["status"], condition["reason"]) == ("True", "EvictionByEvictionAPI")
    local.request("PATCH", f"{path}/far", {"metadata": {"finalizers": None}}, _MERGE)


_MERGE = "application/merge-patch+json"


def test_labels_and_annotations_come_and_go(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "c")
    assert kubectl("label", "cm", "c", "x=y").stdout == "configmap/c labeled\n"
    refused = kubectl("label", "cm", "c", "x=z", check=False)
    assert refused.stderr == "error: 'x' already has a value (y), and --overwrite is false\n"
    kubectl("label", "cm", "c", "x=z", "--overwrite")
    assert kubectl("label", "cm", "c", "--list").stdout == "x=z\n"
    assert kubectl("label", "cm", "c", "x-").stdout == "configmap/c unlabeled\n"
    kubectl("annotate", "cm", "c", "note=1")
    kubectl("annotate", "cm", "c", "note-")
    metadata = json.loads(kubectl("get", "cm", "c", "-o", "json").stdout)["metadata"]
    assert metadata.keys().isdisjoint(("labels", "annotations"))
    wrong = kubectl("label", "cm", "c", "x=-", check=False).stderr
    assert "a valid label must be an empty string or consist of alphanumeric" in wrong


def test_replace_set_edit_and_patch(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "c", "--from-literal=a=1")
    new = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"b":"2"}}'
    assert kubectl("replace", "-f", "-", stdin=new).stdout == "configmap/c replaced\n"
    forced = kubectl("replace", "--force", "-f", "-", stdin=new).stdout
    assert forced == 'configmap "c" deleted\nconfigmap/c replaced\n'
    for kind, change in (
        ("strategic", '{"data":{"c":"3"}}'),
        ("merge", '{"data":{"d":"4","b":null}}'),
        ("json", '[{"op":"replace","path":"/data/c","value":"5"}]'),
    ):
        kubectl("patch", "cm", "c", "--type", kind, "-p", change)
    shown = kubectl("get", "cm", "c", "-o", "jsonpath={.data}").stdout
    assert json.loads(shown) == {"c": "5", "d": "4"}
    none = kubectl("patch", "cm", "c", "-p", "{}").stdout
    assert none == "configmap/c patched (no change)\n"
    bad = kubectl("patch", "cm", "c", "-p", '{"data":"x"}', check=False).stderr
    assert "cannot restore map from string" in bad


def test_unknown_fields_are_refused_warned_of_or_ignored(kubectl: Kubectl) -> None:
    body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"dat":{"a":"b"}}'
    strict = kubectl("apply", "-f", "-", stdin=body, check=False).stderr
    assert strict.endswith('strict decoding error: unknown field "dat"\n')
    warned = kubectl("apply", "--validate=warn", "-f", "-", stdin=body)
    assert 'Warning: unknown field "dat"' in warned.stderr
    assert kubectl("apply", "--validate=ignore", "-f", "-", stdin=body).stderr == ""
    wrong = body.replace('"dat":{"a":"b"}', '"data":{"a":3}')
    said = kubectl("create", "-f", "-", stdin=wrong.replace('"c"', '"d"'), check=False).stderr
    assert "json: cannot unmarshal number into Go struct field ConfigMap.data of type" in said


def test_get_selects_sorts_and_shapes(kubectl: Kubectl) -> None:
    for name, colour in (("b", "red"), ("a", "blue"), ("c", "red")):
        kubectl("create", "secret", "generic", name)
        kubectl("label", "secret", name, f"colour={colour}")

    def got(*arguments: str) -> str:
        return kubectl("get", "secrets", *arguments).stdout

    assert got("-l", "colour in (red, green)", "-o", "name") == "secret/b\nsecret/c\n"
    assert got("-l", "colour,colour!=red", "-o", "name") == "secret/a\n"
    assert got("-l", "!colour", "-o", "name") == ""
    assert got("--field-selector=metadata.name!=a", "-o", "name") == "secret/b\nsecret/c\n"
    assert got("--sort-by=.metadata.labels.colour", "-o", "name").startswith("secret/a\n")
    assert got("--chunk-size=1", "-o", "name") == "secret/a\nsecret/b\nsecret/c\n"
    assert got("-o", "custom-columns=N:.metadata.name,T:.type").splitlines()[1].split() == [
        "a",
        "Opaque",
    ]
    assert got("-o", "go-template={{len .items}}") == "3"
    assert got("-L", "colour").splitlines()[0].split() == ["NAME", "TYPE", "DATA", "AGE", "COLOUR"]
    assert got("--show-labels", "--no-headers").splitlines()[0].endswith("colour=blue")
    wrong = kubectl("get", "secrets", "--field-selector=data=x", check=False).stderr
    assert "field label not supported: data" in wrong
    unclear = kubectl("get", "secrets", "-l", "a in b", check=False).stderr
    assert "unable to parse requirement: found 'b' expected: '('" in unclear


def test_raw_paths_and_what_the_server_is(kubectl: Kubectl) -> None:
    assert kubectl("get", "--raw", "/livez").stdout == "ok"
    assert kubectl("get", "--raw", "/readyz?verbose").stdout.endswith("readyz check passed\n")
    assert "batch/v1" in kubectl("api-versions").stdout.split()
    resources = kubectl("api-resources", "--namespaced=true", "-o", "name").stdout.split()
    assert {"pods", "jobs.batch", "cronjobs.batch", "endpointslices.discovery.k8s.io"} <= {
        *resources
    }
    assert "control plane" in kubectl("cluster-info").stdout
    assert "+localcluster" in kubectl("version").stdout


def test_every_namespace_and_the_default_one_have_what_they_have(kubectl: Kubectl) -> None:
    kubectl("wait", "--for=create", "cm/kube-root-ca.crt", "--timeout=20s")
    kubectl("delete", "cm", "kube-root-ca.crt")
    kubectl("wait", "--for=create", "cm/kube-root-ca.crt", "--timeout=20s")
    shown = kubectl("get", "cm", "kube-root-ca.crt", "-o", "jsonpath={.data}").stdout
    assert "BEGIN CERTIFICATE" in shown
    kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=20s")
    service = kubectl("describe", "service", "kubernetes", "--namespace=default").stdout
    assert re.search(r"^Endpoints: +127\.0\.0\.1:\d+$", service, re.MULTILINE)


def test_deletions_of_all_kinds(kubectl: Kubectl) -> None:
    for name in ("a", "b", "c"):
        kubectl("create", "configmap", name)
    kubectl("label", "cm", "a", "x=y")
    dry = kubectl("delete", "cm", "a", "--dry-run=server").stdout
    assert dry == 'configmap "a" deleted (server dry run)\n'
    assert kubectl("delete", "cm", "-l", "x=y").stdout == 'configmap "a" deleted\n'
    assert kubectl("delete", "cm", "b", "-o", "name").stdout == "configmap/b\n"
    assert 'configmap "c" deleted\n' in kubectl("delete", "cm", "--all").stdout
    gone = kubectl("delete", "cm", "a", check=False).stderr
    assert gone == 'Error from server (NotFound): configmaps "a" not found\n'


def test_describe_tells_of_services_and_nodes(kubectl: Kubectl, running: str) -> None:
    kubectl("expose", "pod", running, "--port=80")
    kubectl("wait", "--for=jsonpath={.endpoints}", "endpointslice/stay", "--timeout=20s")
    service = kubectl("describe", "service", "stay").stdout
    assert re.search(r"^Endpoints: +127\.\d+\.\d+\.\d+:80$", service, re.MULTILINE)
    node = kubectl("describe", "node", "worker-1").stdout
    assert re.search(r"Container Runtime Version: +process://", node)


TEMPLATE = "{metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: x}]}}"
STORED = f"""\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: claim}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: set}}
spec: {{serviceName: x, selector: {{matchLabels: {{a: b}}}}, template: {TEMPLATE}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: daemon}}
spec: {{selector: {{matchLabels: {{a: b}}}}, template: {TEMPLATE}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: policy}}
spec: {{podSelector: {{matchLabels: {{a: b}}}}}}
---
apiVersion: v1
kind: LimitRange
metadata: {{name: limits}}
spec: {{limits: [{{type: Pod, max: {{cpu: 100m}}}}]}}
"""


def test_what_is_only_stored_can_be_shown(kubectl: Kubectl) -> None:
    done = kubectl("apply", "-f", "-", stdin=STORED)
    assert "the local cluster stores a StatefulSet and does not run it" in done.stderr
    again = kubectl("apply", "-f", "-", stdin=STORED)
    assert again.stdout.count("unchanged") == 5
    assert again.stderr == ""
    kinds = "persistentvolumeclaim,statefulset,daemonset,networkpolicy,limitrange"
    described = kubectl("describe", kinds).stdout
    assert described.count("Name: ") == 5
    listed = kubectl("get", "statefulset").stdout.splitlines()
    assert listed[1].split()[:2] == ["set", "0/1"]
