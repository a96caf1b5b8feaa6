"""Make a class, or complete one. Every step may be done again, so a broken run is mended by
the same command."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException
from kubernetes.utils.quantity import parse_quantity

from ...cluster import namespaces
from ...cluster.kube import get
from ...errors import ClassError
from . import kubeconfigs, names, objects
from .handout import handout, list_for_teacher
from .names import CLASS_LABEL, Learner
from .teacher import Object, Teacher, check_rights, ensure

IGNORE, IGNORE_ALL = ".gitignore", "*\n"  # no key gets into a repository
BUSY_PODS = 11  # ten workers and Redis: what the largest notebook runs at once


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made.

    Attributes:
        group: Name of the class.
        learners: How many.
        folder: Where the kubeconfigs go.
        days: How long they are to work.
        pods: How many pods each learner may run at once.
        server: The API server's address as learners reach it; "": as the teacher does.
    """

    group: str
    learners: int
    folder: Path
    days: float = 2.0
    pods: int = 20
    server: str = ""


def create(teacher: Teacher, plan: Plan, say: Callable[[str], None]) -> int:
    """Make the class, or what is missing of it.

    Args:
        teacher: The line to the cluster.
        plan: What is to be made.
        say: Called with a line for each learner, and with what the teacher should know.

    Returns:
        How many learners the class has now. There may be more than planned, from before.

    Raises:
        ClassError: If it cannot be made; nothing was changed then.
    """
    there = teacher.namespaces(names.checked(plan.group))
    most = max([names.checked_number(plan.learners), *(learner.number for learner in there)])
    learners = [Learner(plan.group, number) for number in range(1, most + 1)]
    server = plan.server or teacher.server
    _check_namespaces(teacher, learners)
    check_rights(teacher, learners[0])
    kubeconfigs.private_folder(plan.folder)
    _check_files(plan, learners, server)
    if not (plan.folder / IGNORE).exists():
        kubeconfigs.write(plan.folder / IGNORE, IGNORE_ALL)

    rows = []
    for learner in learners:
        made = _in_the_cluster(teacher, learner, plan.pods)
        if learner is learners[0]:
            _warn_of_greedy_pods(teacher, learner, say)
        token, renewed = _on_paper(teacher, learner, plan, server)
        ends = kubeconfigs.when(token.ends_at)
        rows.append((learner, kubeconfig(learner), ends))
        what = "made" if made else "complete"
        say(
            f"{learner.namespace}  {what}, kubeconfig {'new' if renewed else 'kept'} (until {ends})"
        )
    kubeconfigs.write(plan.folder / list_name(plan.group), list_for_teacher(rows))
    _warn_of_room(teacher, len(learners), say)
    return len(learners)


def kubeconfig(learner: Learner) -> str:
    """Name of the learner's kubeconfig."""
    return f"{learner.namespace}.kubeconfig"


def note(learner: Learner) -> str:
    """Name of the learner's hand-out."""
    return f"{learner.namespace}.txt"


def list_name(group: str) -> str:
    """Name of the teacher's list of a class."""
    return f"wq-{group}-learners.csv"


def _check_namespaces(teacher: Teacher, learners: list[Learner]) -> None:
    """Nobody else's namespaces may be called as ours would be."""
    wanted = {learner.namespace: learner.group for learner in learners}
    for found in get(teacher.core.list_namespace).get("items") or []:
        name, labels = found["metadata"]["name"], found["metadata"].get("labels") or {}
        if name in wanted and labels.get(CLASS_LABEL) != wanted[name]:
            raise ClassError(
                f"There is a namespace {name} already, and it is not of this class. Nothing was "
                "changed. Call the class something else."
            )


def _check_files(plan: Plan, learners: list[Learner], server: str) -> None:
    """The keys of another cluster are not overwritten."""
    for learner in learners:
        path = plan.folder / kubeconfig(learner)
        found = kubeconfigs.server_and_token(path)
        if found and found[0] != server:
            raise ClassError(
                f"{path} is for the cluster at {found[0]}, not for {server}. Nothing was changed. "
                "Name another folder with --output."
            )


def _in_the_cluster(teacher: Teacher, learner: Learner, pods: int) -> bool:
    """Make what the learner has in the cluster; False if all of it was there."""
    core, rbac, where = teacher.core, teacher.rbac, learner.namespace
    made = [_namespace(teacher, learner)]

    def put(kind: str, body: Object, api: Any = core) -> None:
        create, patch = (getattr(api, f"{verb}_namespaced_{kind}") for verb in ("create", "patch"))
        made.append(ensure(create, patch, where, body=body))

    put("resource_quota", objects.quota(learner, pods))
    put("limit_range", objects.limits(learner))
    put("service_account", objects.account(learner))
    put("role", objects.role(learner), rbac)
    put("role_binding", objects.role_binding(learner), rbac)
    put("config_map", objects.progress(learner))
    return any(made)


def _namespace(teacher: Teacher, learner: Learner) -> bool:
    core, body = teacher.core, objects.namespace(learner)
    with suppress(ApiException):
        found = get(core.read_namespace, learner.namespace)
        if found.get("status", {}).get("phase") == "Terminating":
            namespaces.wait_until_gone(
                core, learner.namespace, time.monotonic() + namespaces.SECONDS
            )
    return ensure(core.create_namespace, core.patch_namespace, body=body)


def _on_paper(
    teacher: Teacher, learner: Learner, plan: Plan, server: str
) -> tuple[kubeconfigs.Token, bool]:
    """Write kubeconfig and hand-out, unless a kubeconfig is there that works long enough.

    Returns:
        The token in it, and whether it is new.
    """
    path = plan.folder / kubeconfig(learner)
    seconds = plan.days * 86400
    found = kubeconfigs.server_and_token(path)
    token = found[1] if found else None
    keep = (
        token is not None
        and token.seconds_left() >= seconds / 2
        and kubeconfigs.works(teacher, learner, token)
    )
    if token is None or not keep:
        token = kubeconfigs.fresh_token(teacher, learner, int(seconds))
        if not kubeconfigs.works(teacher, learner, token, kubeconfigs.RIGHTS_SECONDS):
            raise ClassError(
                f"The cluster made a token for {learner.namespace}, but does not let its owner "
                "list the own pods. Does the cluster use RBAC? Run the same command again to go on."
            )
        content = kubeconfigs.content(teacher, learner, token, server)
        kubeconfigs.write(path, kubeconfigs.as_text(content))
    ends = kubeconfigs.when(token.ends_at) if token.ends_at else None
    text = handout(learner, kubeconfig(learner), plan.pods, ends)
    kubeconfigs.write(plan.folder / note(learner), text)
    return token, not keep


def _warn_of_greedy_pods(teacher: Teacher, learner: Learner, say: Callable[[str], None]) -> None:
    """See whether the cluster refuses a pod that would own its node; nothing of it is kept."""
    namespaces.wait_service_account(teacher.api, learner.namespace)
    try:
        get(
            teacher.core.create_namespaced_pod,
            learner.namespace,
            objects.greedy_pod(),
            dry_run="All",
        )
    except ApiException as error:
        if error.status == 403:
            return
        raise
    say(
        f"NOTE: this cluster ({teacher.version}) has no Pod Security admission, so a learner who "
        "means harm can make a pod that owns its node. Use a cluster that holds nothing else."
    )


def _warn_of_room(teacher: Teacher, learners: int, say: Callable[[str], None]) -> None:
    """Compare what a busy class asks for with what the nodes have, if we may look."""
    try:
        nodes = get(teacher.core.list_node).get("items") or []
    except ApiException:
        return
    pods, workers = learners * BUSY_PODS, learners * (BUSY_PODS - 1)
    read: Any = parse_quantity  # it has no type hints
    wanted = {
        "pods": (pods, 1, ""),
        "cpu": (pods * objects.CPU_MILLI / 1000, 1, " CPUs"),
        "memory": (
            (workers * objects.MEMORY_MIB + learners * objects.REDIS_MEMORY_MIB) * 2**20,
            2**30,
            " GiB",
        ),
    }
    for what, (need, unit, word) in wanted.items():
        have = float(sum(read(one["status"]["allocatable"][what]) for one in nodes))
        if need > have:
            say(
                f"NOTE: if all {learners} run {BUSY_PODS} pods at once, they ask for "
                f"{need / unit:.4g}{word or ' pods'}; the nodes have {have / unit:.4g} in all. "
                "Pods will then wait for their turn: add nodes, or make a smaller class."
            )
