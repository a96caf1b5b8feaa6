"""The checks of notebook 01, Start Redis."""

from __future__ import annotations

import random
from typing import Any

import redis

from ...cluster.states import has_condition
from .answers import Answers, Wrong
from .exercise import exercise

COLORS = ("red", "green", "blue", "white", "black", "gray")


@exercise("01-1", "Who stands behind a service?")
def who_stands_behind(answers: Answers) -> str:
    """Try `stands_behind` with made-up selectors and labels."""
    app, tier, color, other = random.sample(COLORS, 4)
    both = {"app": app, "tier": tier}
    cases: list[tuple[dict[str, str], dict[str, str] | None, bool]] = [
        ({"app": app}, {"app": app}, True),
        ({"app": app}, {"color": color, "app": app, "owner": other}, True),
        (both, {**both, "color": color}, True),
        (both, {"app": app, "tier": other}, False),
        (both, {"app": other, "tier": tier}, False),
        (both, {"app": app}, False),
        ({"app": app}, {"tier": app}, False),
        ({"app": app}, {}, False),
        ({"app": app}, None, False),
    ]
    random.shuffle(cases)
    for selector, labels, wanted in cases:
        service, pod = _manifests(selector, labels)
        found = answers.call("stands_behind", service, pod)
        if type(found) is not bool:
            kind = f"something of type {type(found).__name__}"
            raise Wrong(
                f"`stands_behind` returned {'nothing (`None`)' if found is None else kind}. "
                "Return True or False; is there a `return` on each way through?"
            )
        if found is not wanted:
            why = (
                "each pair of the selector is among the labels, and more labels do no harm"
                if wanted
                else "a pair of the selector is missing among the labels, or has another value"
            )
            raise Wrong(
                f"The selector {selector} and the labels {labels or {}}: you said {found}, "
                f"but it is {wanted}, because {why}."
            )
    return "a service leads to the pods that carry every label of its selector."


def _manifests(
    selector: dict[str, str], labels: dict[str, str] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a service and a pod whose names say nothing about whether they belong together."""
    names = random.choices(COLORS, k=2)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": names[0]},
        "spec": {"selector": dict(selector), "ports": [{"port": 6379}]},
    }
    metadata = {"name": names[1]} | ({} if labels is None else {"labels": dict(labels)})
    return service, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}


@exercise("01-2", "A second name")
def second_name(answers: Answers) -> str:
    """Check that the service `store` leads from port 7000 to Redis, which answers there."""
    cluster, store = answers.cluster, answers.find("service/store")
    if store is None:
        raise Wrong(
            "There is no service `store` yet. Change the name in the copy, "
            "then cluster.apply(store)."
        )
    targets = {port["port"]: port.get("targetPort") for port in store["spec"].get("ports") or []}
    if 7000 not in targets:
        ports = " and ".join(map(str, sorted(targets))) or "no port"
        raise Wrong(
            f"The service `store` listens on {ports}, not on 7000. "
            "Change `port`, and apply it again."
        )
    if targets[7000] != 6379:
        raise Wrong(
            f"The service `store` leads from 7000 to port {targets[7000]} of the pod. "
            "Redis listens on 6379: that is the `targetPort`."
        )
    pod = answers.find("pod/redis")
    if pod is None:
        raise Wrong("The pod `redis` is gone. Run the notebook from its top.")
    selector = store["spec"].get("selector") or {}
    labels = pod["metadata"].get("labels") or {}
    if not selector or not selector.items() <= labels.items():
        raise Wrong(
            f"The service `store` looks for pods with the labels {selector}, and the pod "
            "`redis` is none of them. Leave the selector as it was."
        )
    with (
        cluster.port_forward("service/store", 7000) as forward,
        redis.Redis(forward.host, forward.port, password=cluster.secret("redis")) as client,
    ):
        try:
            client.ping()
        except redis.RedisError as error:
            raise Wrong(
                f"Behind `store` nobody answers as Redis does: {error}. Is pod/redis ready? "
                'cluster.wait("pod/redis", "ready") waits for it.'
            ) from None
    return "two names, one Redis."


@exercise("01-3", "Lose it")
def lose_it(answers: Answers) -> str:
    """Check the predictions, and that the Redis that runs is a new one that is ready."""
    service_stays = answers.value("service_stays", bool)
    word_stays = answers.value("word_stays", bool)
    pod = answers.find("pod/redis")
    if pod is None:
        raise Wrong(
            "The pod `redis` is gone, and nobody brings it back. Do it yourself: "
            'cluster.apply("manifests/redis.yaml").'
        )
    if pod["metadata"].get("deletionTimestamp") or not has_condition(pod, "Ready"):
        raise Wrong('The pod `redis` is not ready yet: cluster.wait("pod/redis", "ready").')
    client = answers.redis()
    if client.exists("word") or "cmdstat_set" in client.info("commandstats"):
        # The exercise says SET before the pod goes; a new process has never heard of it.
        raise Wrong(
            "This is still the Redis that was told the word. Delete its pod, apply the "
            "manifest again, and wait until it is ready."
        )
    if not service_stays:
        raise Wrong(
            "The service does stay: it holds a selector, and owns no pod. Delete the pod once "
            'more, and try cluster.core.read_namespaced_service("redis", cluster.namespace).'
        )
    if word_stays:
        raise Wrong(
            "The new Redis does not know the word: try client.get('word'). Where was it kept, "
            "and what became of that?"
        )
    return "the name stays, the memory goes."
