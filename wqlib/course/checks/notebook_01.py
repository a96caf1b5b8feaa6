"""The checks of notebook 01, Start Redis."""

from __future__ import annotations

from typing import Any

import redis
import yaml

from ...cluster import Cluster
from ..verbs import folder, start_redis
from .answers import Answers, Wrong
from .exercise import exercise, fault


@exercise("01-1", "A second name")
def second_name(answers: Answers) -> str:
    """Check that the Service `store` leads from port 7000 to Redis, which answers there."""
    store = answers.find("service/store")
    if store is None:
        raise Wrong(
            "There is no Service `store` yet. Write its manifest, then "
            "cluster.apply(yaml.safe_load(manifest))."
        )
    targets = {port["port"]: port.get("targetPort") for port in store["spec"].get("ports") or []}
    if 7000 not in targets:
        ports = " and ".join(map(str, sorted(targets))) or "no port"
        raise Wrong(
            f"The Service `store` listens on {ports}, not on 7000. "
            "Change `port`, and apply it again."
        )
    _leads_to_redis(answers, "store", 7000)
    return "two names, one Redis."


@fault("01-2")
def wrong_key(cluster: Cluster) -> str:
    """Let the pod ask for a key that the Secret does not have."""
    _tidy(cluster)
    cluster.secret("redis")
    empty = {"data": {"pass": None}}  # a key that an earlier answer may have added
    cluster.core.patch_namespaced_secret("redis", cluster.namespace, empty)
    service, pod, policy = _manifests()
    variable = pod["spec"]["containers"][0]["env"][0]
    variable["valueFrom"]["secretKeyRef"]["key"] = "pass"
    cluster.delete("pod/redis", grace_seconds=0)
    cluster.apply([service, pod, policy])
    return "a colleague has started Redis again, and the pod does not become ready."


@exercise("01-2", "It does not start")
def does_not_start(answers: Answers) -> str:
    """Check that pod/redis is ready, and that Redis takes the password of the Secret."""
    if answers.find("pod/redis") is None:
        raise Wrong(
            "The pod `redis` is gone, and nobody brings it back. Do it yourself: "
            'cluster.apply("manifests/redis.yaml").'
        )
    late = answers.wait("pod/redis", "ready", 20, "The pod `redis` is still not ready.")
    if late:
        raise Wrong(
            "The pod `redis` is not ready. Read its last event: what does it look for, and is "
            "that in the Secret? Its environment cannot be changed: delete the pod, and apply it."
        )
    _leads_to_redis(answers, "redis", 6379)
    return "the pod finds its password, and Redis answers."


@fault("01-3")
def wrong_selector(cluster: Cluster) -> str:
    """Make a Service that wants one label more than the pod has."""
    start_redis(cluster)
    _tidy(cluster)
    selector = {"app": "redis", "tier": "backend"}
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "queue"},
            "spec": {"selector": selector, "ports": [{"port": 6379}]},
        }
    )
    return (
        "a new Service, `queue`, should lead to Redis. pod/redis is ready, but calls to "
        "queue:6379 get no answer."
    )


@exercise("01-3", "It leads nowhere")
def leads_nowhere(answers: Answers) -> str:
    """Check that Redis answers behind the Service `queue`."""
    if answers.find("service/queue") is None:
        raise Wrong('There is no Service `queue`. Run the cell with broken("01-3", …) again.')
    _leads_to_redis(answers, "queue", 6379)
    return "each pair of the selector is among the pod's labels, and Redis answers."


def _leads_to_redis(answers: Answers, name: str, port: int) -> None:
    """Refuse a Service behind which the Redis of pod/redis does not answer."""
    service, pod = answers.find(f"service/{name}"), answers.find("pod/redis")
    if service is None:
        raise Wrong(f"There is no Service `{name}`. Apply it again.")
    if pod is None:
        raise Wrong("The pod `redis` is gone. Run the notebook from its top.")
    selector = service["spec"].get("selector") or {}
    labels = pod["metadata"].get("labels") or {}
    if not selector or not selector.items() <= labels.items():
        raise Wrong(
            f"The Service `{name}` looks for pods with the labels {_shown(selector)}. The pod "
            f"`redis` has {_shown(labels)}. Each pair must be among them."
        )
    targets = {one["port"]: one.get("targetPort") for one in service["spec"]["ports"]}
    if targets.get(port) not in (6379, "6379"):
        raise Wrong(
            f"The Service `{name}` leads to port {targets.get(port)} of the pod. Redis listens "
            "on 6379: that is the `targetPort`."
        )
    passwords: list[str | None] = [
        None
    ]  # the bare Redis has none; to ask for the Secret would make it
    if answers.find("secret/redis"):
        passwords.append(answers.cluster.secret("redis"))
    fault = ""
    with answers.cluster.port_forward(f"service/{name}", port) as forward:
        for password in passwords:
            fault = _fault(forward.host, forward.port, password)
            if not fault:
                return
    raise Wrong(f"Behind `{name}` nobody answers as the course's Redis does: {fault}.")


def _fault(host: str, port: int, password: str | None) -> str:
    """Ask Redis who it is; return what is wrong, or "" if it answers."""
    try:
        with redis.Redis(host, port, password=password, socket_timeout=10) as client:
            return "" if "run_id" in client.info("server") else "it is no Redis"
    except redis.RedisError as error:
        return str(error)


def _shown(labels: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items())) or "none"


def _manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((folder() / "manifests" / "redis.yaml").read_text("utf-8")))


def _tidy(cluster: Cluster) -> None:
    cluster.delete("service/queue")
