"""Try the checks on sample answers: right ones must pass, wrong and malicious ones must not.

    make check-exercises [ARGS="06-1"]

The samples of notebook NN are the cells of `samples/NN.py`, each with a line above it::

    # %% 06-1 given                          what the notebook has at that point
    # %% 06-1 right
    # %% 06-1 wrong: shorter than the pause  what learners do, and why it is wrong
    # %% 06-1 malicious: equal to everything

Each answer is run in a process of its own, as a cell of a notebook would be, on a local cluster
that ends afterwards.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from kubernetes import client

import wqlib
from wqlib import course
from wqlib.cluster import local
from wqlib.course import checks
from wqlib.course.checks import exercises
from wqlib.course.verbs import reach_redis
from wqlib.errors import WqlibError

SAMPLES = Path(__file__).parent / "samples"
SECONDS = 120.0
_APIS = ("apps_v1", "batch_v1", "core_v1", "version")
LEAST = {"right": 1, "wrong": 3, "malicious": 1}
_HEAD = re.compile(r"# %% (\d\d-\d+) (given|right|wrong|malicious)(?:: (.+))?")


@dataclass(frozen=True)
class Sample:
    """A sample answer.

    Attributes:
        exercise: The exercise's id.
        kind: "right", "wrong" or "malicious".
        about: What is wrong with it, in a few words.
        given: Code that comes before, which makes what the notebook has at that point.
        code: The answer, as a learner would type it.
    """

    exercise: str
    kind: str
    about: str
    given: str
    code: str


@dataclass(frozen=True)
class Outcome:
    """What a check said of a sample.

    Attributes:
        sample: The answer.
        passed: Whether the check took it.
        text: What the check said, or why there was no verdict.
        judged: False if there was no verdict.
    """

    sample: Sample
    passed: bool
    text: str
    judged: bool = True

    @property
    def as_it_should_be(self) -> bool:
        """Right answers pass, all others do not; and there was a verdict."""
        return self.judged and self.passed == (self.sample.kind == "right")


def samples(which: Sequence[str] = ()) -> list[Sample]:
    """Return the sample answers.

    Args:
        which: Of these notebooks ("05") or exercises ("06-1"); none: all.

    Raises:
        WqlibError: There is no such exercise, or a sample file is not as it should be.
    """
    known = exercises()
    for name in which:
        if not any(name in (one.id, one.notebook) for one in known.values()):
            there = ", ".join(known)
            raise WqlibError(f"There is no exercise or notebook {name!r}. There are: {there}.")
    found = [one for path in sorted(SAMPLES.glob("*.py")) for one in _read(path)]
    for one in found:
        if one.exercise not in known:
            raise WqlibError(f"There are samples for {one.exercise}, which is no exercise.")
    wanted = [one for one in known.values() if not which or {one.id, one.notebook} & set(which)]
    for exercise in wanted:
        kinds = Counter(one.kind for one in found if one.exercise == exercise.id)
        for kind, least in LEAST.items():
            if kinds[kind] < least:
                raise WqlibError(
                    f"Exercise {exercise.id} has {kinds[kind]} {kind} sample answers, and needs "
                    f"{least}: add them to {SAMPLES}/{exercise.notebook}.py."
                )
    ids = {one.id for one in wanted}
    return [one for one in found if one.exercise in ids]


def run(
    which: Sequence[str] = (), report: Callable[[Outcome], None] = lambda outcome: None
) -> list[Outcome]:
    """Judge the sample answers, on a local cluster of their own.

    Args:
        which: Of these notebooks or exercises; none: all.
        report: Called with each outcome as it is known.
    """
    chosen, outcomes = samples(which), []
    folder = course.folder()
    context = multiprocessing.get_context("forkserver")
    # The client imports its APIs only when they are used: over a second for each answer.
    apis = [f"kubernetes.client.api.{name}_api" for name in _APIS]
    context.set_forkserver_preload(["selftest", *apis])
    with _a_cluster_of_our_own():
        for sample in chosen:
            outcomes.append(_try(context, sample, folder))
            report(outcomes[-1])
    return outcomes


def main(which: Sequence[str] = ()) -> int:
    """Do what `make check-exercises` does.

    Returns:
        The exit code: 1 if a check misjudged an answer.
    """

    def say(outcome: Outcome) -> None:
        one, ok = outcome.sample, outcome.as_it_should_be
        about = f": {one.about}" if one.about else ""
        print(f"{'ok  ' if ok else 'FAIL'} {one.exercise} {one.kind}{about}", flush=True)
        if not ok:
            print(f"     the check said {'✓' if outcome.passed else '✗'} {outcome.text}")

    outcomes = run(which, say)
    misjudged = sum(not one.as_it_should_be for one in outcomes)
    kinds = Counter(one.sample.kind for one in outcomes)
    print(
        f"exercises={len({one.sample.exercise for one in outcomes})} "
        + " ".join(f"{kind}={kinds[kind]}" for kind in LEAST)
        + f" misjudged={misjudged}"
    )
    return 1 if misjudged else 0


def _read(path: Path) -> Iterable[Sample]:
    given: dict[str, str] = {}
    pieces = re.split(r"^(?=# %% )", path.read_text("utf-8"), flags=re.MULTILINE)
    for piece in pieces[1:]:
        head, _, code = piece.partition("\n")
        match = _HEAD.fullmatch(head)
        if not match or match[1][:2] != path.stem:
            raise WqlibError(f"{path.name} has a line that is no head of a sample: {head}")
        name, kind, about = match.groups()
        if kind == "given":
            given[name] = code
        else:
            yield Sample(name, kind, about or "", given.get(name, ""), code)


@contextlib.contextmanager
def _a_cluster_of_our_own() -> Iterator[None]:
    """Use a local cluster in a folder that goes away, whatever the environment names."""
    ours = {
        "LOCALCLUSTER_LINGER_SECONDS": "60",
        "WQLIB_CONTEXT": "local",
        "WQLIB_NAMESPACE": "wq-checks",
    }
    with tempfile.TemporaryDirectory(prefix="wqlib-checks-") as home:
        before = dict(os.environ)
        os.environ |= ours | {"WQLIB_HOME": home}
        try:
            yield
        finally:
            local.stop()
            os.environ.clear()
            os.environ.update(before)


def _try(context: Any, sample: Sample, folder: Path) -> Outcome:
    """Judge one answer in a process that cannot harm us."""
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_child, args=(theirs, sample, str(folder), dict(os.environ)), daemon=True
    )
    process.start()
    theirs.close()
    try:
        if not ours.poll(SECONDS):
            return Outcome(sample, False, f"no verdict within {SECONDS:g} seconds", judged=False)
        said = ours.recv_bytes().decode()
    except EOFError:
        return Outcome(sample, False, "the process ended without a verdict", judged=False)
    finally:
        process.kill()
        process.join()
        ours.close()
    mark, _, text = said.partition(" ")
    return Outcome(sample, mark == "passed", text, judged=mark in ("passed", "not"))


def _child(pipe: Any, sample: Sample, folder: str, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            said = _judge(sample)
    except BaseException as error:
        said = f"fault {type(error).__name__}: {error}"
    pipe.send_bytes(said.encode())
    os._exit(0)  # whatever the answer has left running


def _judge(sample: Sample) -> str:
    cluster = wqlib.connect()
    names = _prepare(cluster)
    exec(compile(sample.given, "given", "exec"), names)
    with contextlib.suppress(Exception):  # a cell may end in an error; the check comes after it
        exec(compile(sample.code, "answer", "exec"), names)
    verdict = checks.judge(exercises()[sample.exercise], names)
    mark = ("passed" if verdict.passed else "not") if verdict.judged else "fault"
    return f"{mark} {verdict.text}"


def _prepare(cluster: Any) -> dict[str, Any]:
    """Set up what the notebooks' first cells do: Redis, an empty queue, no Jobs."""
    for job in cluster.batch.list_namespaced_job(cluster.namespace).items:
        cluster.delete(f"job/{job.metadata.name}", grace_seconds=0)
    apps = client.AppsV1Api(cluster.api)
    for deployment in apps.list_namespaced_deployment(cluster.namespace).items:
        cluster.delete(f"deployment/{deployment.metadata.name}", grace_seconds=0)
    pods = [pod.name for pod in cluster.pods()]
    for pod in pods:
        if pod != "redis":
            cluster.delete(f"pod/{pod}", grace_seconds=0)
    if "redis" in pods:
        cluster.wait("pod/redis", "ready")
        login = reach_redis(cluster)
        redis.Redis(**login).flushall()
    else:
        login = course.start_redis(cluster)
    queue = wqlib.WorkQueue("job2", worker="notebook", **login)
    return {
        "__name__": "__main__",
        "wqlib": wqlib,
        "cluster": cluster,
        "login": login,
        "client": redis.Redis(**login),
        "queue": queue,
        "time": time,
    }


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except WqlibError as error:
        sys.exit(str(error))
