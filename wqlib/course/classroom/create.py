"""Make a class, or complete one. Every step may be repeated, so the same command repairs a run
that was interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client.exceptions import ApiException
from kubernetes.utils.quantity import parse_quantity

from ...cluster import namespaces
from ...cluster.kube import get
from ...errors import ClassError
from . import kubeconfigs, names, objects
from .handout import handout, list_for_teacher, when
from .names import CLASS_LABEL, Learner
from .teacher import Teacher, check_rights, ensure

IGNORE, IGNORE_ALL = ".gitignore", "*\n"  # no key gets into a repository
BUSY_PODS = 11  # ten workers and Redis: what the largest notebook runs at once


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """What to make.

    Attributes:
        group: Name of the class.
        learners: How many.
        folder: Where the kubeconfigs go.
        days: How long they should work.
        pods: How many pods each learner may run at once.
        server: The API server's address as learners reach it; "": as the teacher does.
    """

    group: str
    learners: int
    folder: Path
    days: float = 2.0
    pods: int = 20
    server: str = ""


def create(teacher: Teacher, plan: ClassPlan, say: Callable[[str], None]) -> int:
    """Make the class, or what is missing of it.

    Args:
        teacher: The connection to the cluster.
        plan: What to make.
        say: Called with a line for each learner, and with what the teacher should know.

    Returns:
        How many learners the class has now. There may be more than planned, from before.

    Raises:
        ClassError: It cannot be made; nothing was changed then.
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

    ends_at = dict[Learner, float]()
    for learner in learners:
        made = _in_the_cluster(teacher, learner, plan.pods)
        ends_at[learner], kept = _on_paper(teacher, learner, plan, server)
        say(
            f"{learner.namespace}  {'made' if made else 'complete'}, "
            f"kubeconfig {'kept' if kept else 'new'} (until {when(ends_at[learner])})"
        )
    kubeconfigs.write(plan.folder / names.list_name(plan.group), list_for_teacher(ends_at))
    _warn_of_capacity(teacher, len(learners), say)
    return len(learners)


def _check_namespaces(teacher: Teacher, learners: list[Learner]) -> None:
    """Check that no namespace of somebody else has a name that we need."""
    wanted = {learner.namespace: learner.group for learner in learners}
    for found in get(teacher.core.list_namespace).get("items") or []:
        name, labels = found["metadata"]["name"], found["metadata"].get("labels") or {}
        if name in wanted and labels.get(CLASS_LABEL) != wanted[name]:
            raise ClassError(
                f"There is a namespace {name} already, and it is not of this class. Nothing was "
                "changed. Call the class something else."
            )


def _check_files(plan: ClassPlan, learners: list[Learner], server: str) -> None:
    """Check that no keys of another cluster would be overwritten."""
    for learner in learners:
        path = plan.folder / learner.kubeconfig
        found = kubeconfigs.server_and_token(path)
        if found and found[0] != server:
            raise ClassError(
                f"{path} is for the cluster at {found[0]}, not for {server}. Nothing was changed. "
                "Name another folder with --output."
            )


def _in_the_cluster(teacher: Teacher, learner: Learner, pods: int) -> bool:
    """Make what the learner has in the cluster; return False if all of it was there."""
    core, rbac, where = teacher.core, teacher.rbac, learner.namespace
    with suppress(ApiException):
        if get(core.read_namespace, where).get("status", {}).get("phase") == "Terminating":
            namespaces.wait_until_gone(core, where, time.monotonic() + namespaces.SECONDS)
    made = [
        ensure(core, "namespace", objects.namespace(learner)),
        ensure(core, "resource_quota", objects.quota(learner, pods), where),
        ensure(core, "limit_range", objects.limits(learner), where),
        ensure(core, "service_account", objects.account(learner), where),
        ensure(rbac, "role", objects.role(learner), where),
        ensure(rbac, "role_binding", objects.role_binding(learner), where),
        ensure(core, "config_map", objects.progress(learner), where),
    ]
    return any(made)


def _on_paper(
    teacher: Teacher, learner: Learner, plan: ClassPlan, server: str
) -> tuple[float, bool]:
    """Write kubeconfig and hand-out, and keep a kubeconfig that works long enough.

    Returns:
        When it stops working, in seconds since the epoch, and whether it was kept.
    """
    path, seconds = plan.folder / learner.kubeconfig, plan.days * 86400
    found = kubeconfigs.server_and_token(path)
    kept = (
        found is not None
        and found[1].ends_at - time.time() >= seconds / 2
        and kubeconfigs.works(teacher, learner, found[1])
    )
    if found and kept:
        token = found[1]
    else:
        token = kubeconfigs.fresh_token(teacher, learner, int(seconds))
        if not kubeconfigs.works(teacher, learner, token, kubeconfigs.RIGHTS_SECONDS):
            raise ClassError(
                f"The cluster made a token for {learner.namespace}, but does not let its owner "
                "list pods there. Does the cluster use RBAC? Then run the same command again."
            )
        content = kubeconfigs.content(teacher, learner, token, server)
        kubeconfigs.write(path, yaml.safe_dump(content, sort_keys=False))
    kubeconfigs.write(plan.folder / learner.note, handout(learner, plan.pods, token.ends_at))
    return token.ends_at, kept


def _warn_of_capacity(teacher: Teacher, learners: int, say: Callable[[str], None]) -> None:
    """Compare what a busy class asks for with what the nodes have, if we may look."""
    try:
        nodes = get(teacher.core.list_node).get("items") or []
    except ApiException:
        return
    pods, workers = learners * BUSY_PODS, learners * (BUSY_PODS - 1)
    read: Any = parse_quantity  # it has no type hints
    memory = (workers * objects.MEMORY_MIB + learners * objects.REDIS_MEMORY_MIB) * 2**20
    wanted = {
        "pods": (pods, 1, "pods"),
        "cpu": (pods * objects.CPU_MILLI / 1000, 1, "CPUs"),
        "memory": (memory, 2**30, "GiB"),
    }
    for what, (need, unit, word) in wanted.items():
        have = float(sum(read(one["status"]["allocatable"][what]) for one in nodes))
        if need > have:
            say(
                f"NOTE: if all {learners} run {BUSY_PODS} pods at once, they ask for "
                f"{need / unit:.4g} {word}; the nodes have {have / unit:.4g} in all. "
                "Pods will then wait for their turn: add nodes, or make a smaller class."
            )
