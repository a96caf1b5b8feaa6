"""Try the checks on answers: right ones must pass, wrong and malicious ones must not.

    make check-exercises [ARGS="06-1"]               samples and mutants
    make check-exercises ARGS="05 --no-mutants"      the samples only
    make check-exercises ARGS="--table"              what each exercise touches

The samples of notebook NN are the cells of `samples/NN.py`, each with a line above it::

    # %% 06-1 given                          what the notebook has at that point
    # %% 06-1 right
    # %% 06-1 wrong: shorter than the pause  what learners do, and why it is wrong
    # %% 06-1 malicious: equal to everything
    # %% 06-1 equivalent: half a second more to wait changes nothing
    # 1 -> 2 in: time.sleep(1)

`given` may set up a fault with `broken("06-1", cluster)`.

The solution in the solution notebook must pass too. Mutants are made from it (`mutants.py`), and
at least 90 % of them must be refused; those that mean the same as the solution are listed under
`equivalent` with a reason, each by what this prints of it, or by the part before " in: ".

Each answer is run in a process of its own, as a cell of a notebook would be, on a local cluster
that ends afterwards. A few notebooks are judged at a time, each in its own namespace.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import json
import multiprocessing
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import mutants
import reading
import redis
from kubernetes import client

import wqlib
from wqlib import course
from wqlib.cluster import local
from wqlib.course import checks
from wqlib.course.checks import exercises
from wqlib.course.checks.answers import Answers
from wqlib.course.checks.exercise import Exercise, faults
from wqlib.course.verbs import reach_redis
from wqlib.errors import WqlibError

SAMPLES = Path(__file__).parent / "samples"
SECONDS = 120.0
AT_A_TIME = 3
LEAST = {"right": 3, "wrong": 3, "malicious": 1}
MOST_MUTANTS = 40, 12  # an exercise; and one whose check looks at the cluster
LEAST_REFUSED = 0.9
_APIS = ("apps_v1", "batch_v1", "core_v1", "version")
_HEAD = re.compile(r"# %% (\d\d-\d+) (given|right|wrong|malicious|equivalent)(?:: (.+))?")
_CHECKED = re.compile(r"""check\(["'](\d\d-\d+)""")
exercises()  # imported here once, and not by each process that judges
_PREPARED = {"cluster", "login", "client", "queue"}


@dataclass(frozen=True)
class Sample:
    """A sample answer.

    Attributes:
        exercise: The exercise's id.
        kind: "right", "wrong" or "malicious"; "solution" or "mutant" if it is from the notebook.
        about: What is wrong with it, in a few words.
        given: Code that comes before, which makes what the notebook has at that point.
        code: The answer, as a learner would type it.
        bare: Neither the answer nor its check needs Redis or the cluster.
    """

    exercise: str
    kind: str
    about: str
    given: str
    code: str
    bare: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a check said of a sample.

    Attributes:
        sample: The answer.
        passed: Whether the check took it.
        text: What the check said, or why there was no verdict.
        judged: False if there was no verdict.
        uses: What the check looked at: "redis", "cluster", or both.
        seconds: How long it took.
    """

    sample: Sample
    passed: bool
    text: str
    judged: bool = True
    uses: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def as_it_should_be(self) -> bool:
        """Right answers pass, all others do not; and there was a verdict."""
        if self.sample.kind == "mutant":
            return not self.passed
        return self.judged and self.passed == (self.sample.kind in ("right", "solution"))


@dataclass(frozen=True)
class Share:
    """How many mutants of an exercise's solution its check refused.

    Attributes:
        exercise: The exercise's id.
        solution: What the check said of the solution.
        refused: Those that it refused.
        survived: Those that it took, and that are not equivalent.
        equivalent: How many it took that mean the same as the solution.
        unknown: What the sample file lists as equivalent, and is no mutant.
    """

    exercise: str
    solution: Outcome
    refused: tuple[Outcome, ...] = ()
    survived: tuple[Outcome, ...] = ()
    equivalent: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def enough(self) -> bool:
        """The solution passes, and few mutants do."""
        judged = len(self.refused) + len(self.survived)
        return (
            self.solution.as_it_should_be
            and not self.unknown
            and len(self.refused) >= LEAST_REFUSED * judged
        )


def samples(which: Sequence[str] = ()) -> list[Sample]:
    """Return the sample answers.

    Args:
        which: Of these notebooks ("05") or exercises ("06-1"); none: all.

    Raises:
        WqlibError: There is no such exercise, or a sample file has a line that is no head.
    """
    wanted, known = _chosen(which), exercises()
    found = [one for path in sorted(SAMPLES.glob("*.py")) for one in _read(path)]
    for one in found:
        if one.exercise not in known:
            raise WqlibError(f"There are samples for {one.exercise}, which is no exercise.")
    ids = {one.id for one in wanted}
    return [one for one in found if one.exercise in ids and one.kind in LEAST]


def missing(which: Sequence[str] = ()) -> list[str]:
    """Return which exercises have too few sample answers, in words."""
    kinds = Counter((one.exercise, one.kind) for one in samples(which))
    return [
        f"{exercise.id} has {kinds[exercise.id, kind]} {kind} sample answers, and needs {least}"
        for exercise in _chosen(which)
        for kind, least in LEAST.items()
        if kinds[exercise.id, kind] < least
    ]


def _chosen(which: Sequence[str]) -> list[Exercise]:
    known = exercises()
    for name in which:
        if not any(name in (one.id, one.notebook) for one in known.values()):
            there = ", ".join(known)
            raise WqlibError(f"There is no exercise or notebook {name!r}. There are: {there}.")
    return [one for one in known.values() if not which or {one.id, one.notebook} & set(which)]


def run(
    which: Sequence[str] = (),
    report: Callable[[Outcome], None] = lambda outcome: None,
    brief: bool = False,
) -> list[Outcome]:
    """Judge the sample answers.

    Args:
        which: Of these notebooks or exercises; none: all.
        report: Called with each outcome as it is known.
        brief: Of an exercise whose check looks at a real thing, only one answer of each kind.
    """
    chosen = samples(which)

    def judge(lane: _Lane, notebook: str) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for sample in chosen:
            if sample.exercise.startswith(f"{notebook}-"):
                before = [one for one in outcomes if one.sample.exercise == sample.exercise]
                uses = {use for one in before for use in one.uses}
                kinds = {one.sample.kind for one in before}
                if not (brief and uses and sample.kind in kinds):
                    bare = "right" in kinds and not uses and not _prepared(sample)
                    outcomes.append(lane.judge(replace(sample, bare=bare)))
                    report(outcomes[-1])
        return outcomes

    return _by_notebook(judge, (one.exercise for one in chosen))


def run_mutants(
    which: Sequence[str] = (),
    report: Callable[[Share], None] = lambda share: None,
    most: tuple[int, int] = MOST_MUTANTS,
) -> list[Share]:
    """Judge the solutions, and mutants of them.

    Args:
        which: Of these notebooks or exercises; none: all.
        report: Called with what was found for each exercise as it is known.
        most: How many mutants an exercise gets, and how many if its check looks at the cluster.
    """
    chosen = _chosen(which)
    cells = _solution_cells()

    def judge(lane: _Lane, notebook: str) -> list[Share]:
        shares = []
        for exercise in chosen:
            if exercise.notebook == notebook:
                cell = cells.get(exercise.id, "")
                shares.append(_share(lane, exercise.id, cell, most))
                report(shares[-1])
        return shares

    return _by_notebook(judge, (one.id for one in chosen))


def _share(lane: _Lane, name: str, cell: str, most: tuple[int, int]) -> Share:
    found = [one for one in _read(SAMPLES / f"{name[:2]}.py") if one.exercise == name]
    given = next((one.given for one in found if one.given), "")
    same = [line for one in found if one.kind == "equivalent" for line in one.code.splitlines()]
    same = [line.removeprefix("# ").strip() for line in same if line.strip()]
    code = mutants.answer(cell)
    right = lane.judge(Sample(name, "solution", "", given, code))
    bare = not right.uses and not _prepared(right.sample)
    everyone = mutants.mutants(cell)
    unknown = [line for line in same if not any(_is_meant(line, one) for one in everyone)]
    if not right.as_it_should_be:
        return Share(name, right, unknown=tuple(unknown))
    refused, survived, equivalent = [], [], 0
    for mutant in everyone[: most["cluster" in right.uses]]:
        sample = Sample(name, "mutant", mutant.about, given, mutant.code, bare)
        outcome = lane.judge(sample, max(6.0, 4 * right.seconds))
        if outcome.as_it_should_be:
            refused.append(outcome)
        elif any(_is_meant(line, mutant) for line in same):
            equivalent += 1
        else:
            survived.append(outcome)
    return Share(name, right, tuple(refused), tuple(survived), equivalent, tuple(unknown))


def _is_meant(line: str, mutant: mutants.Mutant) -> bool:
    return mutant.about == line or mutant.about.startswith(f"{line} in: ")


def _prepared(sample: Sample) -> bool:
    """Say whether an answer names something that `_prepare` makes."""
    nodes = ast.walk(ast.parse(f"{sample.given}\n{sample.code}"))
    return any(isinstance(node, ast.Name) and node.id in _PREPARED for node in nodes)


def _solution_cells() -> dict[str, str]:
    """Return the cell of each exercise in the solution notebooks, by its id."""
    found: dict[str, str] = {}
    for path in reading.SOURCES:
        answers: list[str] = []
        for cell in reading.cells(path, "code"):
            if "exercise" in cell["tags"]:
                answers.append(cell["source"])
            elif checked := _CHECKED.search(cell["source"]):
                found[checked[1]] = "\n\n\n".join(answers)
                answers = []
    return found


def main(arguments: Sequence[str] = ()) -> int:
    """Do what `make check-exercises` does.

    Returns:
        The exit code: 1 if a check misjudged an answer, or takes too many mutants.
    """
    parser = argparse.ArgumentParser(description="Try the checks of the exercises.")
    parser.add_argument("which", nargs="*", help='notebooks ("05") or exercises ("05-1"); all')
    parser.add_argument("--no-mutants", action="store_true", help="only the samples")
    parser.add_argument("--no-samples", action="store_true", help="only the mutants")
    parser.add_argument("--table", action="store_true", help="only what each exercise touches")
    options, began = parser.parse_args(arguments), time.monotonic()
    lacks = missing(options.which)
    for line in lacks:
        print(f"FAIL {line}")
    good = not lacks
    if not options.table and not options.no_samples:
        good = _report_samples(options.which) and good
    if options.table or not options.no_mutants:
        shares = run_mutants(options.which, _say_share, (0, 0) if options.table else MOST_MUTANTS)
        good = all(one.enough for one in shares) and good
        _report_shares(shares)
        print(table(shares))
    print(f"({time.monotonic() - began:.0f} s)")
    return 0 if good else 1


def _report_samples(which: Sequence[str]) -> bool:
    def say(outcome: Outcome) -> None:
        one, ok = outcome.sample, outcome.as_it_should_be
        about = f": {one.about}" if one.about else ""
        lines = [f"{'ok  ' if ok else 'FAIL'} {one.exercise} {one.kind}{about}"]
        if not ok:
            lines.append(f"     the check said {'✓' if outcome.passed else '✗'} {outcome.text}")
        print(*lines, sep="\n", flush=True)

    outcomes = run(which, say)
    misjudged = sum(not one.as_it_should_be for one in outcomes)
    kinds = Counter(one.sample.kind for one in outcomes)
    print(
        f"exercises={len({one.sample.exercise for one in outcomes})} "
        + " ".join(f"{kind}={kinds[kind]}" for kind in LEAST)
        + f" misjudged={misjudged}"
    )
    return not misjudged


def _say_share(share: Share) -> None:
    lines, judged = [], len(share.refused) + len(share.survived)
    if not share.solution.as_it_should_be:
        lines.append(f"FAIL {share.exercise} its solution does not pass: {share.solution.text}")
    elif judged:
        mark, refused = "ok  " if share.enough else "FAIL", len(share.refused)
        lines.append(
            f"{mark} {share.exercise} refuses {refused} of {judged} mutants "
            f"({refused / judged:.0%}; {share.equivalent} equivalent)"
        )
    lines += [f"     it takes {one.sample.about}" for one in share.survived]
    lines += [f"     no mutant is like this: {line}" for line in share.unknown]
    lines += [
        f"     no verdict on {one.sample.about}: {one.text}"
        for one in share.refused
        if not one.judged and not one.text.startswith("no verdict")
    ]
    if lines:
        print(*lines, sep="\n", flush=True)


def _report_shares(shares: Sequence[Share]) -> None:
    refused = sum(len(one.refused) for one in shares)
    judged = refused + sum(len(one.survived) for one in shares)
    if judged:
        print(
            f"mutants={judged} refused={refused} ({refused / judged:.1%}) "
            f"equivalent={sum(one.equivalent for one in shares)}"
        )


def table(shares: Sequence[Share]) -> str:
    """Return which exercises touch Redis and the cluster, and which are break-and-fix."""
    known, lines, real, fixed = exercises(), [], 0, 0
    for share in shares:
        uses = share.solution.uses
        broken = share.exercise in faults
        marks = [("redis", "redis" in uses), ("cluster", "cluster" in uses), ("fix", broken)]
        touched = " ".join(f"{name if there else '·':8}" for name, there in marks)
        lines.append(f"{share.exercise}  {touched} {known[share.exercise].title}")
        real += bool(uses)
        fixed += broken
    lines.append(f"{real} of {len(shares)} touch a real thing; {fixed} are break-and-fix.")
    return "\n".join(lines)


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
            if kind == "equivalent" and not about:
                raise WqlibError(f"{path.name} does not say why this means the same: {head}")
            yield Sample(name, kind, about or "", given.get(name, ""), code)


def _by_notebook(judge: Callable[[_Lane, str], list[Any]], ids: Iterable[str]) -> list[Any]:
    """Judge some notebooks at a time, each in a namespace of its own."""
    context = multiprocessing.get_context("forkserver")
    # The client imports its APIs only when they are used: over a second for each answer.
    apis = [f"kubernetes.client.api.{name}_api" for name in _APIS]
    context.set_forkserver_preload(["selftest", *apis])
    notebooks = list(dict.fromkeys(name[:2] for name in ids))
    with a_cluster_of_our_own() as cluster, ThreadPoolExecutor(AT_A_TIME) as pool:
        lanes = [_Lane(context, cluster.core, notebook) for notebook in notebooks]
        found = pool.map(judge, lanes, notebooks)
        return [one for part in found for one in part]


@contextlib.contextmanager
def a_cluster_of_our_own() -> Iterator[Any]:
    """Use a local cluster in a folder that goes away, whatever the environment names."""
    path = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    ours = {
        "LOCALCLUSTER_LINGER_SECONDS": "60",
        "PYTHONPATH": os.pathsep.join(path),  # without it the fork server finds no `selftest`
        "WQLIB_CONTEXT": "local",
    }
    with tempfile.TemporaryDirectory(prefix="wqlib-checks-") as home:
        before = dict(os.environ)
        os.environ |= ours | {"WQLIB_HOME": home}
        try:
            with wqlib.connect(namespace="wq-checks") as cluster:
                yield cluster
        finally:
            local.stop()
            os.environ.clear()
            os.environ.update(before)


class _Lane:
    """Judges answers one after the other, each in a process that cannot harm us."""

    _starting = threading.Lock()

    def __init__(self, context: Any, core: Any, notebook: str) -> None:
        self._context, self._core = context, core
        self._folder = course.folder()
        self._namespace, self._number = f"wq-checks-{notebook}", 0

    def judge(self, sample: Sample, seconds: float = SECONDS) -> Outcome:
        """Judge an answer; if its exercise breaks something, its namespace goes with it."""
        began, namespace = time.monotonic(), f"{self._namespace}-{self._number}"
        environment = os.environ | {"WQLIB_NAMESPACE": namespace}
        arguments = (sample, str(self._folder), environment)
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_child, args=(theirs, *arguments), daemon=True)
        with self._starting:
            process.start()
        theirs.close()
        outcome = Outcome(sample, False, "the process ended without a verdict", judged=False)
        try:
            if ours.poll(seconds):
                outcome = replace(outcome, **json.loads(ours.recv_bytes()))
            else:
                outcome = replace(outcome, text=f"no verdict within {seconds:g} seconds")
        except EOFError:
            pass
        finally:
            with self._starting:
                process.kill()
                process.join()
            ours.close()
            if sample.exercise in faults:
                self._core.delete_namespace(namespace)
                self._number += 1
        return replace(outcome, uses=tuple(outcome.uses), seconds=time.monotonic() - began)


class _Watched(Answers):
    """Notes what a check looks at."""

    uses: ClassVar[set[str]] = set()
    _for_redis = False

    @property
    def cluster(self) -> Any:
        if not self._for_redis:
            self.uses.add("cluster")
        return super().cluster

    @property
    def login(self) -> dict[str, Any]:
        self.uses.add("redis")
        self._for_redis = True
        try:
            return super().login
        finally:
            self._for_redis = False


def _child(pipe: Any, sample: Sample, folder: str, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            said = _judge(sample)
    except BaseException as error:
        said = {"text": f"{type(error).__name__}: {error}"}
    pipe.send_bytes(json.dumps(said).encode())
    os._exit(0)  # whatever the answer has left running


def _judge(sample: Sample) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__", "wqlib": wqlib, "time": time}
    if not sample.bare:
        names |= _prepare(wqlib.connect())
    exec(compile(sample.given, "given", "exec"), names)
    with contextlib.suppress(Exception):  # a cell may end in an error; the check comes after it
        exec(compile(sample.code, "answer", "exec"), names)
    checks.Answers = _Watched  # type: ignore[misc]
    random.seed(sample.code)  # the same verdict each time
    verdict = checks.judge(exercises()[sample.exercise], names)
    uses = sorted(_Watched.uses)
    return {"passed": verdict.passed, "text": verdict.text, "judged": verdict.judged, "uses": uses}


def _prepare(cluster: Any) -> dict[str, Any]:
    """Set up what the notebooks' first cells do: Redis, an empty queue, nobody else at work."""
    apps, here = client.AppsV1Api(cluster.api), cluster.namespace
    for kind, found in {
        "job": cluster.batch.list_namespaced_job(here),
        "deployment": apps.list_namespaced_deployment(here),
        "replicaset": apps.list_namespaced_replica_set(here),
        "pod": cluster.core.list_namespaced_pod(here),
    }.items():
        for one in found.items:
            if one.metadata.name != "redis":
                cluster.delete(f"{kind}/{one.metadata.name}", grace_seconds=0)
    while len(pods := [pod.name for pod in cluster.pods()]) > pods.count("redis"):
        time.sleep(0.05)  # until then a worker of the answer before might take an item
    if "redis" in pods:
        cluster.wait("pod/redis", "ready")
        login = reach_redis(cluster)
        redis.Redis(**login).flushall()
    else:
        login = course.start_redis(cluster)
    queue = wqlib.WorkQueue("job2", worker="notebook", **login)
    return {
        "cluster": cluster,
        "login": login,
        "client": redis.Redis(**login),
        "queue": queue,
    }


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except WqlibError as error:
        sys.exit(str(error))
