"""The verbs: apply, wait, logs, exec and the rest, each a few lines over the modules beside.

https://kubernetes.io/docs/reference/kubectl/
"""

from __future__ import annotations

import base64
import re
import secrets
import shlex
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from ..errors import ClusterError
from ..events import PodEvent
from . import manifests, namespaces, podsignals, podstream, states, waiting
from .kube import Object, get, get_or_none, list_and_watch, read_log, translate_errors
from .manifests import LABEL, LABEL_VALUE, Source, kind_of, parse_target
from .podstream import ExecResult
from .portforward import PortForward
from .states import Pod

LOCAL = "local"  # the name by which `context` and WQLIB_CONTEXT mean the local cluster
NODES = 3  # of the local cluster: work goes on with one lost and one drained


class ImageBuilder(Protocol):
    """How images get into a cluster."""

    def build(self, tag: str, folder: Path) -> None:
        """Build an image from the Dockerfile in a folder; raise ImageError if that fails."""

    def describe(self) -> str:
        """Say how, in a few words; raise ImageError if it cannot work."""


class Cluster:
    """A namespace of a cluster, and what can be done in it. Made by `connect()`.

    Attributes:
        name: The context, or "local".
        namespace: The namespace in which all verbs work.
        kubeconfig: The file that kubectl needs (see `kubectl_options`).
        version: The version of Kubernetes, e.g. "v1.36.2".
        api, core, batch: The official client: ApiClient, CoreV1Api, BatchV1Api.
        at_close: What `close()` does besides.
    """

    def __init__(
        self,
        context: str | None,  # None: that of the kubeconfig, which is the local cluster's own
        namespace: str,
        kubeconfig: Path,
        api: Any,
        builder: ImageBuilder,
        *,
        answer_seconds: float = 2.4,  # a learner is told within five that it does not answer
    ) -> None:
        self.name = context or LOCAL
        self.namespace = namespace
        self.kubeconfig = kubeconfig
        self.api = api
        self.core: Any = client.CoreV1Api(api)
        self.batch: Any = client.BatchV1Api(api)
        self._builder = builder
        self._context = context
        self._forwards: list[PortForward] = []
        self.at_close = ExitStack()
        version = client.VersionApi(api).get_code(_request_timeout=(4, answer_seconds))
        self.version = str(version.git_version)
        namespaces.ensure(self.api, self.namespace)

    @property
    def kubectl_options(self) -> str:
        """The options with which kubectl works here: `!kubectl {…} get pods`."""
        where = ["--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace]
        return shlex.join([*where, *(["--context", self._context] if self._context else [])])

    def __repr__(self) -> str:
        return f"Cluster(namespace={self.namespace!r})"

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @translate_errors
    def apply(self, source: Source, *, dry_run: bool = False) -> list[str]:
        """Create the objects of manifests, or change them to what the manifests say.

        Args:
            source: Path of a YAML file or of a folder of them, YAML text, an object as a
                dict, or a list of these.
            dry_run: Ask the server whether it would, and change nothing.

        Returns:
            One line an object, as kubectl prints it: "job.batch/job-wq-2 created",
            "… configured" or "… unchanged", with " (server dry run)" after it.

        Raises:
            ClusterError: If a manifest is not valid, or changes what cannot be changed.
        """
        namespaces.ensure(self.api, self.namespace)
        return [
            manifests.apply_one(self.api, self.namespace, manifest, dry_run=dry_run)
            for manifest in manifests.read(source)
        ]

    @translate_errors
    def last_applied(self, target: str) -> dict[str, Any]:
        """Return the manifest that an object was applied from, to be changed and applied again.

        As `kubectl apply view-last-applied`: without what the server has added.

        Args:
            target: For example "job/job-wq-2".

        Raises:
            ClusterError: It is not there, or was created in another way.
        """
        kind, name = parse_target(target)
        return manifests.last_applied(get(kind.method(self.api, "read"), name, self.namespace))

    @translate_errors
    def delete(
        self, target: str, *, grace_seconds: int | None = None, timeout_seconds: float = 60
    ) -> bool:
        """Delete an object, and wait until it is gone, with its pods if it is a Job.

        Args:
            target: For example "job/job-wq-2".
            grace_seconds: How long its pods may take to end, instead of what their manifest says.
            timeout_seconds: How long to wait.

        Returns:
            False if it was not there.
        """
        kind, name = parse_target(target)
        live = manifests.find(self.api, self.namespace, kind, name)
        if live is None:
            return False
        manifests.delete(self.api, self.namespace, kind, name, grace_seconds)
        uid, deadline = live["metadata"]["uid"], time.monotonic() + timeout_seconds
        here = {"field_selector": f"metadata.name={name}"}
        waiting.wait_gone(self.api, self.namespace, kind, {uid}, deadline, here)
        if kind.name == "Job":
            pod_kind = kind_of("pod")
            if grace_seconds is not None:
                for pod in self.pods(name):
                    manifests.delete(self.api, self.namespace, pod_kind, pod.name, grace_seconds)
            here = waiting.pod_selector(name)
            waiting.wait_gone(self.api, self.namespace, pod_kind, {uid}, deadline, here)
        return True

    @translate_errors
    def wait(
        self, target: str, condition: str = "complete", *, timeout_seconds: float = 120
    ) -> None:
        """Wait until an object meets a condition, by a watch. After 3 s, say what it waits for.

        A pod that crashes once and then runs is waited for; one in CrashLoopBackOff, which
        begins with the second crash, is not, nor one that has had no image, Secret or node
        for 3 s. A Job is waited for as long as one of its pods makes progress.

        Args:
            target: "job/job-wq-2" or "pod/redis"; any kind for "deleted".
            condition: Of a Job "complete" or "failed", or "running" or "ready", which mean
                as many pods as its parallelism; of a pod "ready", "running" (it may have
                succeeded meanwhile), "succeeded" or "failed"; of anything "deleted".
            timeout_seconds: How long to wait.

        Raises:
            WaitTimeout: If the time is up; with the last state, and why pods do not run.
            ClusterError: If it can no longer come true, e.g. the Job has failed, or its pods
                cannot start; with the cause, the end of the log and what to do next.
            NotFound: If there is no such object, or it was deleted meanwhile.
        """
        kind, name = parse_target(target)
        waiting.Wait(self.api, self.namespace, kind, name, condition).run(timeout_seconds)

    @translate_errors
    def pods(self, job: str | None = None) -> list[Pod]:
        """Return the pods of a Job, or all in the namespace, the oldest first."""
        return [states.to_pod(raw) for raw in self._list_pods(job)]

    @translate_errors
    def logs(self, target: str, *, tail: int | None = None, previous: bool = False) -> str:
        """Return the log of a pod, or of all pods of a Job, each line after its pod's name.

        Args:
            target: "pod/redis" or "job/job-wq-2".
            tail: Only this many of the last lines of each pod.
            previous: The log of the container before it was restarted.
        """
        kind, name = parse_target(target, "pod")
        if kind.name == "Pod":
            return self._log(
                get(self.core.read_namespaced_pod, name, self.namespace), tail, previous
            )
        if kind.name != "Job":
            raise ClusterError(f"A {kind.noun} has no log. Name a pod or a Job.")
        get(self.batch.read_namespaced_job, name, self.namespace)
        lines = []
        for pod in self._list_pods(name):
            try:
                text = self._log(pod, tail, previous)
            except ApiException as error:
                if error.status not in (400, 404):  # it has not started, or is gone by now
                    raise
                continue
            lines += [f"[{pod['metadata']['name']}] {line}\n" for line in text.splitlines()]
        return "".join(lines)

    @translate_errors
    def exec(self, pod: str, command: list[str], *, timeout_seconds: float = 30) -> ExecResult:
        """Run a command in a pod's first container, and wait until it ends.

        Args:
            pod: Name of the pod, with or without "pod/".
            command: Program and arguments. No shell reads it: use ["sh", "-c", "…"] for one.
            timeout_seconds: How long it may take.

        Raises:
            WaitTimeout: If it takes longer. It may go on in the pod.
        """
        if isinstance(command, str):
            raise ClusterError(
                "A command is a list of program and arguments, as in ['ls', '-l'], not one string. "
                "With a shell: ['sh', '-c', '…']."
            )
        name = parse_target(pod, "pod")[1]
        return podstream.execute(self.api, self.namespace, name, command, timeout_seconds)

    @translate_errors
    def scale(self, job: str, parallelism: int) -> None:
        """Change how many pods of a Job may run at once (`spec.parallelism`)."""
        name = parse_target(job, "job")[1]
        patch = {"spec": {"parallelism": parallelism}}
        get(self.batch.patch_namespaced_job, name, self.namespace, patch)

    @translate_errors
    def kill_pod(self, pod: str, *, grace_seconds: int = 0) -> None:
        """Delete a pod with (almost) no time to shut down, and do not wait for it.

        Kubernetes sends SIGTERM and, after `grace_seconds` (at least about 2), SIGKILL.
        """
        kind, name = parse_target(pod, "pod")
        manifests.delete(self.api, self.namespace, kind, name, grace_seconds)

    @translate_errors
    def crash_pod(self, pod: str) -> None:
        """Kill all processes of a pod (SIGKILL), as when memory runs out: no warning, no clean-up.

        The pod itself stays: with `restartPolicy: OnFailure` its container is started again, with
        `Never` the pod is Failed and its Job makes another. For containers see `freeze_pod`.
        """
        podsignals.send_signal(self.exec, parse_target(pod, "pod")[1], "SIGKILL")

    @translate_errors
    def evict_pod(self, pod: str) -> None:
        """Evict a pod, as `kubectl drain` does, and do not wait for it.

        It is deleted with its own grace period, unless a PodDisruptionBudget forbids it.
        """
        name = parse_target(pod, "pod")[1]
        body = {"metadata": {"name": name, "namespace": self.namespace}}
        get(self.core.create_namespaced_pod_eviction, name, self.namespace, body)

    def kill_node(self, node: str) -> None:
        """Let a node of the local cluster lose its power: all that runs on it is killed at once.

        What follows is as on a real one, in seconds and not in minutes: the node is NotReady, then
        its pods are Terminating and replaced on other nodes.

        Args:
            node: Its name, as `kubectl get nodes` shows it: "worker-2".

        Raises:
            ClusterError: It is not there, or dead already; or this is a real cluster.
        """
        raise ClusterError(
            f"This is a real cluster: wqlib does not kill {node}. To take a node out of use, let"
            f" its pods end gracefully: kubectl drain {node} --ignore-daemonsets"
        )

    def require_login(self, registry: str, user: str, password: str) -> None:
        """Let pods of the local cluster pull from a registry only with this user and password.

        Args:
            registry: What the names of its images begin with: "registry.example.com".

        Raises:
            ClusterError: This is a real cluster.
        """
        raise ClusterError(f"This is a real cluster: {registry} decides itself who may pull.")

    @translate_errors
    def freeze_pod(self, pod: str) -> None:
        """Freeze all processes of a pod (SIGSTOP), until `thaw_pod` lets them go on.

        In a container the pod needs `shareProcessNamespace: true`: no SIGSTOP for process 1.
        """
        podsignals.send_signal(self.exec, parse_target(pod, "pod")[1], "SIGSTOP")

    @translate_errors
    def thaw_pod(self, pod: str) -> None:
        """Let the processes of a frozen pod go on, as if nothing had happened."""
        podsignals.send_signal(self.exec, parse_target(pod, "pod")[1], "SIGCONT")

    @translate_errors
    def port_forward(self, target: str, port: int) -> PortForward:
        """Reach a port of a pod or a service through a free port of 127.0.0.1.

        Args:
            target: "service/redis" or "pod/redis". Each new connection goes to a pod that is
                ready then, so this outlives a pod that is replaced.
            port: The port of the service or the pod.

        Raises:
            ClusterError: If no pod is ready.
        """
        kind, name = parse_target(target)
        podstream.ready_endpoint(self.api, self.namespace, kind, name, port)
        forward = PortForward(
            lambda: podstream.dial(self.api, self.namespace, kind, name, port),
            f"{kind.noun}/{name}",
        )
        self._forwards.append(forward)
        return forward

    @translate_errors
    def secret(self, name: str, key: str = "password") -> str:
        """Read a value from a Secret; make it, with a random value, if there is none."""
        kind = kind_of("secret")
        found = manifests.find(self.api, self.namespace, kind, name)
        if found is None or key not in (found.get("data") or {}):
            namespaces.ensure(self.api, self.namespace)
            value = base64.b64encode(secrets.token_urlsafe(24).encode()).decode()
            metadata = {"name": name, "labels": {LABEL: LABEL_VALUE}}
            body = {"metadata": metadata, "data": {key: value}}
            if found is None:  # if somebody else makes it first, take theirs
                create = self.core.create_namespaced_secret
                get_or_none(create, self.namespace, body, statuses=[409])
            else:
                patch = self.core.patch_namespaced_secret
                get(patch, name, self.namespace, {"data": {key: value}})
            found = get(self.core.read_namespaced_secret, name, self.namespace)
        return base64.b64decode(found["data"][key]).decode()

    @translate_errors
    def events(self, target: str | None = None) -> list[str]:
        """Return the events, the oldest first: "Normal Started pod/redis: …".

        Args:
            target: Only those about this object, and the pods of a Job; None for all.
        """
        found = get(self.core.list_namespaced_event, self.namespace).get("items") or []
        if target:
            kind, name = parse_target(target)
            about = re.escape(f"{kind.name}/{name}")
            if kind.name == "Job":
                about += "|" + re.escape(f"Pod/{name}-") + "[a-z0-9]{5}"
            found = [one for one in found if re.fullmatch(about, _involved(one))]
        return [states.event_summary(one) for one in sorted(found, key=states.event_time)]

    @translate_errors
    def describe(self, target: str) -> str:
        """Describe a Job or a pod: its state, its pods or containers, and its events, as text."""
        kind, name = parse_target(target)
        if kind.name not in ("Job", "Pod"):
            raise ClusterError(f"wqlib describes Jobs and pods; use kubectl for a {kind.noun}.")
        raw = get(kind.method(self.api, "read"), name, self.namespace)
        events = self.events(target)
        if kind.name == "Pod":
            return states.describe_pod(raw, events)
        return states.describe_job(raw, self._list_pods(name), events)

    def watch_pods(self, stop: threading.Event, job: str | None = None) -> Iterator[PodEvent]:
        """Follow the pods: first those that there are, then each change as it happens.

        It goes on when the connection breaks or the API server is away for a while.

        Args:
            stop: Ends it at once when set, from any thread.
            job: Only the pods of this Job.
        """
        seen: dict[str, tuple[Any, PodEvent, int]] = {}
        selector = waiting.pod_selector(parse_target(job, "job")[1] if job else None)
        pods = list_and_watch(self.core.list_namespaced_pod, self.namespace, selector, stop=stop)
        for state in pods:
            now = time.time()
            for name in seen.keys() - state.keys():
                yield PodEvent("deleted", now, name, seen.pop(name)[1].job)
            for name, raw in state.items():
                event, restarts = states.pod_event(raw, now), states.restarts(raw)
                key = (raw["metadata"].get("uid"), event.kind, event.reason, event.node, restarts)
                _, before, started = seen.get(name, (None, event, restarts))
                if started < restarts and before.kind != "restarting":  # it was that quick
                    yield replace(event, kind="restarting", reason=states.last_end(raw))
                if name not in seen or seen[name][0] != key:
                    seen[name] = (key, event, restarts)
                    yield event

    def build_image(self, tag: str, folder: str | Path) -> str:
        """Build an image from the Dockerfile in `folder`, so that pods here can use it.

        Returns:
            The tag.

        Raises:
            ImageError: If it fails; with the line of the Dockerfile or the tool's last lines.
        """
        self._builder.build(tag, Path(folder).expanduser())
        return tag

    def how_images_are_built(self) -> str:
        """Say how `build_image` works here, in a few words.

        Raises:
            ImageError: If it cannot work; with what to do.
        """
        return self._builder.describe()

    @translate_errors
    def clean_up(self) -> list[str]:
        """Delete what carries our label in our namespace, and wait until it is gone.

        The namespace goes too, if we made it and nobody has put anything else into it. What this
        platform puts into every namespace does not count.

        Returns:
            What was deleted: "job/job-wq-2", …, sorted. If our namespace is kept because of
            something else in it, a sentence that says so comes first.
        """
        return namespaces.clean_up(self.api, self.namespace)

    def close(self) -> None:
        """End the port-forwards and the connections. Nothing in the cluster changes."""
        while self._forwards:
            self._forwards.pop().close()
        self.api.close()
        self.at_close.close()

    def _list_pods(self, job: str | None) -> list[Object]:
        name = parse_target(job, "job")[1] if job else None
        return waiting.list_pods(self.api, self.namespace, name)

    def _log(self, pod: Object, tail: int | None, previous: bool) -> str:
        container = pod["spec"]["containers"][0]["name"]
        name = pod["metadata"]["name"]
        return read_log(self.core, self.namespace, name, container, tail, previous)


def _involved(event: Object) -> str:
    """Return the object that an event is about, as "Pod/redis"."""
    who = event.get("involvedObject") or {}
    return f"{who.get('kind')}/{who.get('name')}"
