"""Pods from their creation to their end."""

from __future__ import annotations

from typing import Any

from ..script import PYTHON, Script, config_map, pod, scenario


def _is_over(events: list[dict[str, Any]]) -> bool:
    return any(event.get("status.phase") in ("Succeeded", "Failed") for event in events)


@scenario
def a_pod_that_succeeds(s: Script) -> None:
    """The whole object, at its creation and at its end."""
    s.post("pods", pod("a", "python", "-c", "print('hello')"))
    s.until("pods/a", "status.phase", "Succeeded")
    s.get("pods/a")
    s.get("pods/a/status", show=("kind", "status.phase"))
    s.get("pods/a/log")
    s.delete("pods/a", show=("kind", "metadata.name", "status.phase"))
    s.until("pods/a", "gone")


@scenario
def a_pod_that_fails(s: Script) -> None:
    """What exit codes are told as."""
    for name, command in (
        ("code", "exit 42"),
        ("killed", "sh -c 'kill -KILL $$'; exit $?"),
    ):
        s.post("pods", pod(name, "sh", "-c", command), show=("metadata.name",))
        s.until(f"pods/{name}", "status.phase", "Failed")
        s.get(
            f"pods/{name}", show=("status.phase", "status.conditions", "status.containerStatuses")
        )
    s.kubectl("get pods")


@scenario
def a_pod_that_runs(s: Script) -> None:
    """The whole object while it runs, and its life as a watch tells it."""
    show = ("metadata.name", "status.phase", "status.conditions.*.type", "status.qosClass")
    with s.watching("pods", _is_over, show, fieldSelector="metadata.name=a"):
        s.quiet("POST", "pods", pod("a", "sleep", "6"))
        s.until("pods/a", "status.phase", "Running")
        s.get("pods/a")
        s.until("pods/a", "status.phase", "Succeeded")


@scenario
def the_account_of_a_pod(s: Script) -> None:
    """What the server adds for the service account, unless told not to."""
    s.post("pods", pod("a", "true", automountServiceAccountToken=True), show=("spec",))


@scenario
def generous_pods(s: Script) -> None:
    """Resources decide the class of a pod."""
    for name, resources in (
        ("guaranteed", {"limits": {"cpu": "100m", "memory": "64Mi"}}),
        ("burstable", {"requests": {"memory": "32Mi"}}),
        ("written-oddly", {"requests": {"cpu": "0.1", "memory": "67108864"}}),
        ("best-effort", {}),
    ):
        made = pod(name, "true", container={"resources": resources})
        s.post("pods", made, show=("spec.containers.0.resources", "status.qosClass"))


@scenario
def on_failure_the_container_starts_again(s: Script) -> None:
    """restartPolicy OnFailure: the same pod, another container, and a growing pause."""
    container = {"volumeMounts": [{"name": "data", "mountPath": "/data"}], "workingDir": "/data"}
    script = (
        "test -f twice && exit 0; test -f once && touch twice; touch once; echo failing; exit 3"
    )
    s.post(
        "pods",
        pod(
            "a",
            "sh",
            "-c",
            script,
            container=container,
            restartPolicy="OnFailure",
            volumes=[{"name": "data", "emptyDir": {}}],
        ),
        show=("spec.restartPolicy", "spec.volumes", "spec.containers.0.volumeMounts"),
    )
    waits = "status.containerStatuses.0.state.waiting.reason"
    s.until("pods/a", waits, "CrashLoopBackOff")
    show = ("status.phase", "status.conditions.*.status", "status.containerStatuses")
    s.get("pods/a", show=(*show[:2], "status.containerStatuses.0.state.waiting.reason"))
    s.kubectl("get pod a")
    s.until("pods/a", "status.phase", "Succeeded")
    s.get("pods/a", show=show)
    s.kubectl("logs a")


@scenario
def always_starts_again(s: Script) -> None:
    """restartPolicy Always: also after a success."""
    s.post("pods", pod("a", "true", restartPolicy="Always"), show=("spec.restartPolicy",))
    waits = "status.containerStatuses.0.state.waiting.reason"
    s.until("pods/a", waits, "CrashLoopBackOff")
    s.get("pods/a", show=("status.phase", "status.containerStatuses.0.lastState"))


@scenario
def init_containers(s: Script) -> None:
    """They run one after the other, before the others, and a failed one stops the rest."""
    mounts = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    first = {
        "name": "first",
        "image": PYTHON,
        "command": ["sh", "-c", "echo 1 > /data/f"],
        **mounts,
    }
    second = {**first, "name": "second", "command": ["sh", "-c", "echo 2 >> /data/f"]}
    volumes = [{"name": "data", "emptyDir": {}}]
    made = pod("a", "cat", "/data/f", container=mounts, volumes=volumes)
    made["spec"]["initContainers"] = [first, second]
    s.post("pods", made, show=("spec.initContainers", "status"))
    s.until("pods/a", "status.phase", "Succeeded")
    s.get("pods/a", show=("status",))
    s.kubectl("logs a")
    s.kubectl("logs a -c first")
    made = pod("b", "true")
    made["spec"]["initContainers"] = [{**first, "command": ["false"], "volumeMounts": []}]
    s.post("pods", made, show=("metadata.name",))
    s.until("pods/b", "status.phase", "Failed")
    s.get("pods/b", show=("status",))
    s.kubectl("get pod b")


@scenario
def several_containers(s: Script) -> None:
    """A pod is over when all its containers are, and failed if one is."""
    other = {"name": "other", "image": PYTHON, "command": ["sh", "-c", "echo from other; exit 1"]}
    made = pod("a", "sh", "-c", "echo from main; sleep 1")
    made["spec"]["containers"].append(other)
    s.post("pods", made, show=("metadata.name",))
    s.until("pods/a", "status.phase", "Failed")
    s.get("pods/a", show=("status.phase", "status.conditions", "status.containerStatuses"))
    s.get("pods/a/log")
    s.get("pods/a/log", container="other")
    s.get("pods/a/log", container="none")
    s.kubectl("logs a --all-containers --prefix", sort=True)
    s.kubectl("logs a")
    s.kubectl("get pod a")


@scenario
def environment(s: Script) -> None:
    """Variables from everywhere that they can come from."""
    s.quiet("POST", "configmaps", config_map("settings", {"COLOUR": "red", "SIZE": "3"}))
    s.quiet("POST", "secrets", {"metadata": {"name": "keys"}, "stringData": {"PASSWORD": "s3cret"}})
    env = [
        {"name": "PLAIN", "value": "plain"},
        {"name": "TWICE", "value": "$(PLAIN)-$(PLAIN) $(NOT_THERE) $$(PLAIN)"},
        {"name": "SIZE_TOO", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "SIZE"}}},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "PASSWORD"}}},
        {
            "name": "PERHAPS",
            "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a", "optional": True}},
        },
        *(
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for name, path in (
                ("POD", "metadata.name"),
                ("SPACE", "metadata.namespace"),
                ("UID_OF_IT", "metadata.uid"),
                ("LABEL", "metadata.labels['app']"),
                ("IP", "status.podIP"),
                ("NODE", "spec.nodeName"),
                ("ACCOUNT", "spec.serviceAccountName"),
            )
        ),
        {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {
            "name": "MEMORY",
            "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
        },
    ]
    sources = [
        {"configMapRef": {"name": "settings"}},
        {"secretRef": {"name": "keys"}, "prefix": "P_"},
    ]
    resources = {"limits": {"cpu": "500m", "memory": "64Mi"}}
    container = {"env": env, "envFrom": sources, "resources": resources, "args": ["$(PLAIN)"]}
    names = "COLOUR|SIZE|P_PASSWORD|" + "|".join(str(one["name"]) for one in env)
    made = pod(
        "a",
        "sh",
        "-c",
        f"env | grep -E '^({names}|HOSTNAME)=' | sort; echo argument $0",
        container=container,
        metadata={"labels": {"app": "shown"}},
    )
    s.post("pods", made, show=("spec.containers.0.env", "spec.containers.0.envFrom"))
    s.until("pods/a", "status.phase", "Succeeded")
    s.get("pods/a/log")


@scenario
def what_a_pod_needs_is_not_there(s: Script) -> None:
    """The pod waits, and says for what; when it comes, the pod goes on."""
    lacking = {"configMapKeyRef": {"name": "late", "key": "a"}}
    container = {"env": [{"name": "A", "valueFrom": lacking}]}
    s.quiet("POST", "pods", pod("a", "sh", "-c", "echo $A", container=container))
    waits = "status.containerStatuses.0.state.waiting.reason"
    message = "status.containerStatuses.0.state.waiting.message"
    s.until("pods/a", message, 'configmap "late" not found')
    s.get("pods/a", show=("status.phase", "status.containerStatuses"))
    s.kubectl("get pod a")
    s.quiet("POST", "configmaps", config_map("late", {"a": "here"}))
    s.until("pods/a", "status.phase", "Succeeded")
    s.get("pods/a/log")
    missing = {"image": "no-such-image:1", "imagePullPolicy": "Never"}
    s.quiet("POST", "pods", pod("b", "true", container=missing))
    s.until("pods/b", waits, "ErrImageNeverPull")
    s.get("pods/b", show=("status.phase", "status.containerStatuses"))
    s.quiet("POST", "pods", pod("c", "no-such-program"))
    s.until("pods/c", "status.phase", "Failed")
    s.get("pods/c", show=("status.containerStatuses.0.state.terminated.reason",))
    s.get("pods/c", show=("status.containerStatuses.0.state.terminated.exitCode",))


@scenario
def volumes(s: Script) -> None:
    """Files from ConfigMaps, Secrets and the pod itself."""
    s.quiet("POST", "configmaps", config_map("files", {"one": "1\n", "two": "2\n"}))
    s.quiet("POST", "secrets", {"metadata": {"name": "keys"}, "stringData": {"key": "s3cret"}})
    path = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    made = pod(
        "a",
        "sh",
        "-c",
        "cd /v && cat config/one config/two && cat some/first && cat key/key && echo"
        " && cat self/labels && echo && ls config some key && echo new > own/file && cat own/file",
        metadata={"labels": {"app": "a", "colour": "red"}},
        container={
            "volumeMounts": [
                {"name": name, "mountPath": f"/v/{name}"}
                for name in ("config", "some", "key", "self", "own")
            ]
        },
        volumes=[
            {"name": "config", "configMap": {"name": "files"}},
            {
                "name": "some",
                "configMap": {"name": "files", "items": [{"key": "one", "path": "first"}]},
            },
            {"name": "key", "secret": {"secretName": "keys"}},
            {"name": "self", "downwardAPI": {"items": [path]}},
            {"name": "own", "emptyDir": {}},
        ],
    )
    s.post("pods", made, show=("spec.volumes", "spec.containers.0.volumeMounts"))
    s.until("pods/a", "status.phase", lambda phase: phase in ("Succeeded", "Failed"))
    s.get("pods/a", show=("status.phase",))
    s.get("pods/a/log")


@scenario
def probes(s: Script) -> None:
    """A pod becomes ready when its probe says so, and is restarted when it does not live."""
    ready = {"exec": {"command": ["cat", "/tmp/ready-{ns}"]}, "periodSeconds": 1}
    command = ("sh", "-c", "rm -f /tmp/ready-{ns}; sleep 60")
    made = pod("ready", *command, container={"readinessProbe": ready})
    s.post("pods", made, show=("spec.containers.0.readinessProbe",))
    s.until("pods/ready", "status.phase", "Running")
    show = ("status.conditions", "status.containerStatuses.0.ready")
    s.get("pods/ready", show=show)
    s.kubectl("get pod ready")
    s.kubectl("exec ready -- touch /tmp/ready-{ns}")
    s.kubectl("wait --for=condition=Ready pod/ready --timeout=30s")
    s.get("pods/ready", show=show)
    s.kubectl("exec ready -- rm /tmp/ready-{ns}")
    s.until("pods/ready", "status.containerStatuses.0.ready", False)
    alive = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    command = ("sh", "-c", "trap 'exit 7' TERM; while true; do sleep 0.1; done")
    made = pod("ill", *command, restartPolicy="Always", container={"livenessProbe": alive})
    s.post("pods", made, show=("spec.containers.0.livenessProbe",))
    s.until("pods/ill", "status.containerStatuses.0.restartCount", lambda count: count > 0)
    s.get("pods/ill", show=("status.containerStatuses.0.lastState.terminated.exitCode",))
    about = "involvedObject.name=ill,reason=Killing"
    s.kubectl(f"get events --field-selector {about} -o custom-columns=M:.message")


@scenario
def deletion_with_grace(s: Script) -> None:
    """SIGTERM, a time to tidy up, and the object stays until then."""
    script = "trap 'echo tidying; sleep 2; exit 0' TERM; echo ready; while true; do sleep 0.1; done"
    s.quiet("POST", "pods", pod("tidy", "sh", "-c", script, terminationGracePeriodSeconds=20))
    s.until("pods/tidy", "status.phase", "Running")
    s.pause(1)
    fields = ("metadata.deletionGracePeriodSeconds", "metadata.deletionTimestamp", "status.phase")

    def is_deleted(events: list[dict[str, Any]]) -> bool:
        return any(event["type"] == "DELETED" for event in events)

    show = ("metadata.deletionGracePeriodSeconds", "metadata.name")
    with s.watching("pods", is_deleted, show, fieldSelector="metadata.name=tidy"):
        s.delete("pods/tidy", show=fields)
        s.get("pods/tidy", show=fields)
        s.kubectl("get pod tidy")
        s.until("pods/tidy", "gone")
    s.quiet("POST", "pods", pod("now", "sleep", "60"))
    s.until("pods/now", "status.phase", "Running")
    s.delete("pods/now", {"gracePeriodSeconds": 0}, show=("kind", "metadata.name"))
    s.get("pods/now")
    s.quiet("POST", "pods", pod("unborn", "sleep", "60", nodeSelector={"no": "such"}))
    s.until("pods/unborn", "status.conditions.0.reason", "Unschedulable")
    # The message counts the nodes, and names what is wrong with each.
    fields = tuple(f"status.conditions.*.{field}" for field in ("type", "status", "reason"))
    s.get("pods/unborn", show=("status.phase", "status.qosClass", *fields))
    s.delete("pods/unborn", show=("kind", "metadata.deletionGracePeriodSeconds"))
    s.get("pods/unborn")


@scenario
def eviction(s: Script) -> None:
    """An eviction is a deletion that may be refused."""
    labels = {"labels": {"app": "a"}}
    s.quiet("POST", "pods", pod("a", "sleep", "60", metadata=labels))
    s.until("pods/a", "status.phase", "Running")
    body = {"apiVersion": "policy/v1beta1", "kind": "Eviction"}
    s.post("pods/a/eviction", {**body, "metadata": {"name": "a", "namespace": "{ns}"}})
    s.until("pods/a", "gone")
    s.post("pods/a/eviction", {**body, "metadata": {"name": "a", "namespace": "{ns}"}})


@scenario
def the_deadline_of_a_pod(s: Script) -> None:
    """activeDeadlineSeconds ends a pod."""
    s.quiet("POST", "pods", pod("a", "sleep", "60", activeDeadlineSeconds=2))
    s.until("pods/a", "status.phase", "Failed")
    s.get("pods/a", show=("status.phase", "status.reason", "status.message"))


@scenario
def debugging_a_pod(s: Script) -> None:
    """`kubectl debug` puts an ephemeral container beside those that run."""
    s.quiet("POST", "pods", pod("a", "sleep", "60"))
    s.until("pods/a", "status.phase", "Running")
    s.kubectl(f"debug a --image={PYTHON} -c probe --profile=general -- sh -c 'echo looked'")
    ended = "status.ephemeralContainerStatuses.0.state.terminated.exitCode"
    s.until("pods/a", ended, 0)
    s.get("pods/a", show=("spec.ephemeralContainers", "status.ephemeralContainerStatuses"))
    assert s.kubectl("logs a -c probe") == "looked\n"
    s.kubectl("get pod a")
    s.get("pods/a/ephemeralcontainers", show=("kind", "metadata.name"))
    change = [{"op": "remove", "path": "/spec/ephemeralContainers"}]
    s.patch("pods/a/ephemeralcontainers", change, "json")
    made = pod("b", "true", ephemeralContainers=[{"name": "early", "image": PYTHON}])
    s.post("pods", made)


@scenario
def resizing_a_pod(s: Script) -> None:
    """The resources of a running container change by the subresource `resize` alone.

    When a node acts on it is its own affair: not with cgroup v1, for one.
    """
    small = {"requests": {"cpu": "10m"}, "limits": {"cpu": "100m"}}
    large = {"requests": {"cpu": "20m"}, "limits": {"cpu": "200m"}}
    s.quiet("POST", "pods", pod("a", "sleep", "60", container={"resources": small}))
    s.until("pods/a", "status.phase", "Running")
    change = {"spec": {"containers": [{"name": "main", "resources": large}]}}
    assert s.patch("pods/a", change, "strategic")["code"] == 422
    s.patch("pods/a/resize", change, "strategic", show=("spec.containers.0.resources",))
    stored = s.get("pods/a", show=("metadata.generation", "spec.containers.0.resources"))
    assert stored["spec"]["containers"][0]["resources"] == large
    assert stored["status"]["containerStatuses"][0]["restartCount"] == 0
    image = {"spec": {"containers": [{"name": "main", "image": "python:3.11"}]}}
    s.patch("pods/a/resize", image, "strategic")
    none = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "1m"}}}]}}
    s.patch("pods/a/resize", none, "strategic")
