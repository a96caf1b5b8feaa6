"""What the API refuses, and in which words."""

from __future__ import annotations

from ..script import Script, config_map, job, pod, scenario


@scenario
def not_found(s: Script) -> None:
    """Things that do not exist: 404, and which of them."""
    s.get("configmaps/nothing")
    s.get("jobs/nothing")
    s.get("deployments/nothing")
    s.delete("pods/nothing")
    s.patch("services/nothing", {"metadata": {"labels": {"a": "b"}}})
    s.put("configmaps/nothing", config_map("nothing"))
    s.get("/api/v1/namespaces/no-such-namespace")
    s.get("/api/v1/namespaces/no-such-namespace/pods")
    s.post("/api/v1/namespaces/no-such-namespace/configmaps", config_map("a"))
    s.get("/apis/nothing.example/v1/things")
    s.get("/api/v1/namespaces/{ns}/nothings")
    s.get("pods/nothing/log")


@scenario
def refused_bodies(s: Script) -> None:
    """Bodies that no object can be made of: 400, 415 and 422."""
    s.post("configmaps", b"{not json")
    s.post("configmaps", b"")
    s.post("configmaps", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})
    s.post("configmaps", {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "a"}})
    s.post("configmaps", {"metadata": {"name": "without-a-kind"}}, show=("kind", "data"))
    s.post("configmaps", config_map("a", namespace="another"))
    s.post("configmaps", config_map("Not_A_Name"))
    s.post("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}})
    s.post("configmaps", config_map("a"), headers={"Content-Type": "text/plain"})
    s.post("configmaps", {**config_map("a"), "data": {"key": 3}})
    s.post("configmaps", config_map("a", {"bad key": "value"}))
    s.post("configmaps", config_map("a", labels={"bad key": "x", "good": "bad value!"}))
    s.put("configmaps/a", config_map("b"))


@scenario
def refused_pods(s: Script) -> None:
    """Pods that cannot be: every reason is named."""
    s.post("pods", pod("a", metadata={"labels": {"x": "-"}}))
    s.post("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}})
    s.post("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}})
    s.post("pods", pod("a", restartPolicy="Sometimes"))
    s.post("pods", pod("a", container={"name": "Main"}))
    s.post("pods", pod("a", container={"image": ""}))
    s.post("pods", pod("a", container={"imagePullPolicy": "Perhaps"}))
    s.post("pods", pod("a", container={"volumeMounts": [{"name": "x", "mountPath": "/x"}]}))
    s.post("pods", pod("a", container={"resources": {"limits": {"memory": "lots"}}}))
    requests = {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}
    s.post("pods", pod("a", container={"resources": requests}))
    s.post("pods", pod("a", container={"ports": [{"containerPort": 70000}]}))
    s.post("pods", pod("a", container={"env": [{"name": "1=2", "value": "x"}]}))
    twice = [{"name": "main", "image": "x:1"}, {"name": "main", "image": "x:1"}]
    s.post("pods", pod("a", containers=twice))


@scenario
def refused_jobs(s: Script) -> None:
    """Jobs that cannot be."""
    s.post("jobs", job("a", "true", parallelism=-1))
    s.post("jobs", job("a", "true", backoffLimit=-1, completions=-2))
    s.post("jobs", job("a", "true", pod={"restartPolicy": "Always"}))
    s.post("jobs", job("a", "true", parallelism="two"))
    s.post("jobs", job("a", "true", activeDeadlineSeconds=-1))
    s.post("jobs", job("a", "true", ttlSecondsAfterFinished=-1))
    s.post("jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": {}})
    selector = {"matchLabels": {"mine": "yes"}}
    s.post("jobs", job("a", "true", selector=selector, manualSelector=True))


@scenario
def refused_services(s: Script) -> None:
    """Services that cannot be."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    s.post("services", {**service, "spec": {}})
    s.post("services", {**service, "spec": {"ports": [{"port": 0}]}})
    s.post("services", {**service, "spec": {"ports": [{"port": 80, "protocol": "ICMP"}]}})
    s.post("services", {**service, "spec": {"ports": [{"port": 80}, {"port": 81}]}})
    s.post("services", {**service, "spec": {"type": "Other", "ports": [{"port": 80}]}})
    s.post("services", {**service, "metadata": {"name": "1a"}, "spec": {"ports": [{"port": 1}]}})


@scenario
def conflicts(s: Script) -> None:
    """What exists already, and what somebody changed in between: 409."""
    s.post("configmaps", config_map("a", {"n": "1"}))
    s.post("configmaps", config_map("a"))
    s.post("/api/v1/namespaces", {"metadata": {"name": "{ns}"}})
    old = s.get("configmaps/a")
    s.patch("configmaps/a", {"data": {"n": "2"}})
    s.put("configmaps/a", {**old, "data": {"n": "3"}})
    s.patch("configmaps/a", {"metadata": {"resourceVersion": "1"}, "data": {"n": "4"}})
    s.patch("configmaps/a", {"metadata": {"uid": "0c5a9f2e-0000-4000-8000-000000000000"}})
    s.delete("configmaps/a", {"preconditions": {"uid": "0c5a9f2e-0000-4000-8000-000000000000"}})
    s.delete("configmaps/a", {"preconditions": {"resourceVersion": "1"}})
    s.delete("configmaps/a")
    s.delete("configmaps/a")


@scenario
def wrong_methods(s: Script) -> None:
    """Verbs that a path does not have: 405."""
    s.post("configmaps/a", config_map("a"))
    s.put("configmaps", config_map("a"))
    s.delete("/version")
    s.patch("configmaps", {})
    s.send("PUT", "/api/v1/namespaces/{ns}/pods/a/log")


@scenario
def without_a_right_to_ask(s: Script) -> None:
    """A token that the server does not know: 401."""
    s.stranger("GET", "pods")
    s.stranger("GET", "/api/v1")
    s.stranger("DELETE", "configmaps/a")


@scenario
def pod_security(s: Script) -> None:
    """A namespace's labels say what its pods must not ask for, and who is only warned."""
    prefix = "pod-security.kubernetes.io"
    labels = {f"{prefix}/enforce": "restricted", f"{prefix}/warn": "restricted"}
    s.quiet("PATCH", "/api/v1/namespaces/{ns}", {"metadata": {"labels": labels}})
    assert s.post("pods", pod("root", "true"))["code"] == 403
    outside = pod("outside", "true", hostNetwork=True, container={"securityContext": {}})
    s.post("pods", outside)
    good = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    made = s.post(
        "pods",
        pod("good", "true", container={"securityContext": good}),
        show=("spec.containers.0.securityContext",),
    )
    assert made["kind"] == "Pod"
    # A Job is made, with a warning; its pods are not.
    s.kubectl("create job wq --image=python:3.11-slim -- true")
    about = "involvedObject.name=wq,reason=FailedCreate"
    s.until(f"events?fieldSelector={about}", "items.0.reason", "FailedCreate")
    assert not s.quiet("GET", "pods?labelSelector=job-name=wq")["items"]
    baseline = {f"{prefix}/enforce": "baseline", f"{prefix}/warn": None}
    s.quiet("PATCH", "/api/v1/namespaces/{ns}", {"metadata": {"labels": baseline}})
    s.post("pods", pod("root", "true"), show=("kind", "metadata.name"))
    s.post("pods", outside)
    s.patch("/api/v1/namespaces/{ns}", {"metadata": {"labels": {f"{prefix}/enforce": "strict"}}})
