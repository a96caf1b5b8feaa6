"""Deployments and ReplicaSets: the way to run workers that never end."""

from __future__ import annotations

from typing import Any

from ..script import Script, pod, scenario, template


def _deployment(name: str, replicas: int, *command: str, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template(*command, labels=labels, restartPolicy="Always"),
            **spec,
        },
    }


@scenario
def a_replica_set(s: Script) -> None:
    """As many pods as wanted; one that goes is replaced, one that fits is taken in."""
    labels = {"app": "rs"}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": template("sleep", "600", labels=labels, restartPolicy="Always"),
    }
    s.post("replicasets", {"metadata": {"name": "rs"}, "spec": spec})
    s.until("replicasets/rs", "status.readyReplicas", 2)
    s.get("replicasets/rs", show=("status", "metadata.generation"))
    s.get("pods", show=("items.*.metadata.ownerReferences", "items.*.metadata.labels"))
    first = s.quiet("GET", "pods")["items"][0]["metadata"]["name"]
    s.quiet("DELETE", f"pods/{first}", {"gracePeriodSeconds": 0})
    s.until(f"pods/{first}", "gone")
    s.until("pods", "items.*.status.phase", ["Running", "Running"])
    s.pause(1)
    s.until("replicasets/rs", "status.readyReplicas", 2)
    s.kubectl("get rs")
    s.patch(
        "replicasets/rs", {"spec": {"replicas": 0}}, show=("spec.replicas", "metadata.generation")
    )
    s.until("pods", "items", lambda items: not items)
    s.until("replicasets/rs", "status.replicas", 0)
    s.get("replicasets/rs", show=("status",))
    wrong = {**spec, "selector": {"matchLabels": {"app": "other"}}}
    s.post("replicasets", {"metadata": {"name": "wrong"}, "spec": wrong})


@scenario
def a_deployment(s: Script) -> None:
    """The whole object at its creation, and its state when all is well."""
    s.post("deployments", _deployment("web", 2, "sleep", "600"))
    s.until("deployments/web", "status.readyReplicas", 2)
    s.until("deployments/web", "status.conditions.1.reason", "NewReplicaSetAvailable")
    s.get("deployments/web", show=("metadata", "status"))
    s.get("replicasets", show=("items.*.metadata", "items.*.status"))
    s.get("pods", show=("items.*.metadata.labels", "items.*.metadata.ownerReferences"))
    s.kubectl("get deployments")
    s.kubectl("get deployment web -o wide")
    s.kubectl("get rs")
    s.kubectl("rollout status deployment/web")
    s.kubectl("describe deployment web")
    s.kubectl("delete deployment web")
    s.until("replicasets", "items", lambda items: not items)
    s.until("pods", "items", lambda items: not items)


@scenario
def scaling(s: Script) -> None:
    """The scale of a Deployment, which is a resource of its own."""
    s.quiet("POST", "deployments", _deployment("web", 1, "sleep", "600"))
    s.until("deployments/web", "status.readyReplicas", 1)
    s.get("deployments/web/scale")
    s.patch("deployments/web/scale", {"spec": {"replicas": 3}}, show=("kind", "spec"))
    s.until("deployments/web", "status.readyReplicas", 3)
    s.kubectl("scale deployment web --replicas=2")
    s.kubectl("scale deployment web --replicas=1 --current-replicas=7")
    s.until("deployments/web", "status.replicas", 2)
    s.until("pods", "items", lambda items: len(items) == 2)
    s.kubectl("get deployment web")
    s.kubectl("scale deployment none --replicas=1")
    s.kubectl("scale job none --replicas=1")
    s.patch("deployments/web/scale", {"spec": {"replicas": -1}})


@scenario
def a_rollout(s: Script) -> None:
    """A new template replaces the pods; the old one can be had back."""
    s.quiet("POST", "deployments", _deployment("web", 1, "sleep", "600"))
    s.until("deployments/web", "status.readyReplicas", 1)
    s.kubectl("set env deployment/web COLOUR=red")
    s.until("deployments/web", "status.conditions.1.message", lambda m: "successfully" in m)
    s.until("deployments/web", "status.observedGeneration", 2)
    s.until("pods", "items", lambda items: len(items) == 1)
    s.kubectl("rollout history deployment/web")
    s.kubectl("rollout status deployment/web")
    s.kubectl("rollout undo deployment/web")
    s.until("deployments/web", "metadata.annotations", lambda a: "3" in a.values())
    s.until("deployments/web", "status.observedGeneration", 3)
    s.kubectl("rollout history deployment/web")
    s.kubectl("rollout pause deployment/web")
    s.kubectl("rollout resume deployment/web")
    s.kubectl("rollout restart deployment/web")
    s.kubectl("rollout status job/none")


@scenario
def a_deployment_that_cannot_be(s: Script) -> None:
    """What a Deployment must have."""
    s.post("deployments", {"metadata": {"name": "a"}, "spec": {}})
    s.post("deployments", _deployment("a", -1, "true"))
    s.post("deployments", _deployment("a", 1, "true", selector={"matchLabels": {"b": "c"}}))
    s.post("deployments", _deployment("a", 1, "true", strategy={"type": "Sideways"}))
    never = _deployment("a", 1, "true")
    never["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    s.post("deployments", never)
    s.quiet("POST", "deployments", _deployment("b", 0, "true"))
    s.patch("deployments/b", {"spec": {"selector": {"matchLabels": {"app": "c"}}}})


@scenario
def a_pod_without_an_owner(s: Script) -> None:
    """Nobody replaces it."""
    s.quiet("POST", "pods", pod("a", "sleep", "60"))
    s.until("pods/a", "status.phase", "Running")
    s.kubectl("delete pod a --grace-period=1")
    s.get("pods")
