"""Runs scenarios on a cluster, several at a time, and keeps or compares what came back."""

from __future__ import annotations

import importlib
import pkgutil
import secrets
import shutil
import tempfile
import threading
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import declared, scenarios
from .cluster import Cluster, kubectl_version
from .compare import Comparison, Difference, leaves
from .normalise import Normaliser
from .script import SCENARIOS, Scenario, Script, pod

RECORDED = Path(__file__).parent / "recorded"
AT_ONCE = 4


def all_scenarios() -> dict[str, Scenario]:
    """Return every scenario by its name."""
    for module in pkgutil.iter_modules(scenarios.__path__):
        importlib.import_module(f"{scenarios.__name__}.{module.name}")
    return SCENARIOS


def recorded_scenarios() -> dict[str, Scenario]:
    """Return those that a real cluster has played, by their names."""
    return {name: one for name, one in all_scenarios().items() if Recording.file(name).exists()}


def play(scenario: Scenario, cluster: Cluster) -> list[dict[str, Any]]:
    """Run one scenario in a namespace of its own, which is deleted afterwards."""
    ns = f"conformance-{secrets.token_hex(4)}"
    facts = {**cluster.facts, ns: "<ns>"}
    folder = Path(tempfile.mkdtemp(prefix="conformance-"))
    normaliser = Normaliser(facts, keep_owners=scenario.keep_owners)
    script = Script(cluster, ns, normaliser, folder, cluster.patience)
    labels = {"made-by": "wqlib-conformance"}
    try:
        body = {"metadata": {"name": ns, "labels": labels}}
        script.quiet("POST", "/api/v1/namespaces", body)
        # A pod can be made once its account is there.
        script.until_made("pods?dryRun=All", pod("first", automountServiceAccountToken=True))
        scenario.play(script)
    finally:
        cluster.request("DELETE", f"/api/v1/namespaces/{ns}")
        shutil.rmtree(folder)
    return script.steps


@dataclass(frozen=True)
class Recording:
    """What a cluster answered to one scenario, as its file keeps it.

    Attributes:
        source: What that cluster was: its parts, and who built it.
        kubernetes: Its version.
        kubectl: The version of the kubectl that spoke to it, as "1.32".
    """

    about: str
    source: str
    kubernetes: str
    kubectl: str
    steps: list[dict[str, Any]]

    @property
    def needs_kubectl(self) -> bool:
        """Tell whether a step is a kubectl command."""
        return any(step["step"].startswith("kubectl ") for step in self.steps)

    @staticmethod
    def file(name: str) -> Path:
        return RECORDED / f"{name}.yaml"

    @classmethod
    def load(cls, name: str) -> Recording:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return cls(**yaml.load(cls.file(name).read_text(), loader))

    def save(self, name: str) -> None:
        text = yaml.dump(vars(self), Dumper=_Dumper, sort_keys=False, width=10**6)
        self.file(name).write_text(text)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and repeats what occurs twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


@dataclass
class Score:
    """What the comparison of some scenarios came to.

    Attributes:
        failures: Differences that nobody declared.
        known: Those that somebody did.
        broken: What stopped a scenario before its end, by its name.
        lost: The recorded leaves of those.
    """

    identical: int = 0
    failures: list[Difference] = field(default_factory=list)
    known: dict[declared.Declaration, list[Difference]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    scenarios: int = 0

    def add(self, other: Score) -> None:
        """Add what another one counted."""
        self.identical += other.identical
        self.failures += other.failures
        self.broken |= other.broken
        self.lost += other.lost
        self.scenarios += other.scenarios
        for declaration, differences in other.known.items():
            self.known.setdefault(declaration, []).extend(differences)

    @property
    def share(self) -> float:
        """The share of identical leaves, outside declared gaps."""
        return self.identical / max(self._asked, 1)

    @property
    def _asked(self) -> int:
        wrong = self.count("conflict", known=False) + self.count("gap", known=False)
        return self.identical + wrong + self.lost

    def count(self, kind: str, *, known: bool) -> int:
        """Count the differences of one kind, the declared or the others."""
        among = [d for ds in self.known.values() for d in ds] if known else self.failures
        return sum(difference.kind == kind for difference in among)

    def __str__(self) -> str:
        undeclared = self.count("gap", known=False)
        conflicts = self.count("conflict", known=False)
        return (
            f"conformance: identical leaves {self.identical}/{self._asked}, conflicts {conflicts},"
            f" declared gaps {self.count('gap', known=True)},"
            f" other moments {self.count('conflict', known=True)}\n"
            f"{self.scenarios} scenarios, {len(self.broken)} of them not played to their end;"
            f" undeclared: {undeclared} gaps, {self.count('extra', known=False)} extras;"
            f" declared extras {self.count('extra', known=True)}"
        )


def judge(
    scenario: Scenario,
    recording: Recording,
    steps: list[dict[str, Any]],
    declarations: list[declared.Declaration],
) -> Score:
    """Compare what came back with what was recorded."""
    comparison = Comparison(scenario.name, scenario.identities)
    recorded = recording.steps
    if recording.kubectl != kubectl_version():
        recorded, steps = _without_texts(recorded), _without_texts(steps)
    comparison.steps(recorded, steps)
    failures, known = declared.split(comparison.differences, declarations)
    for one in (d for d in declarations if d.kind == "either"):
        # A moment that was the recorded one this time is declared all the same.
        if any(one.allows(*leaf) for leaf in comparison.identical):
            known.setdefault(one, [])
    return Score(len(comparison.identical), failures, known, scenarios=1)


def _without_texts(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Another kubectl words things in another way: exit codes and objects are left."""
    return [{k: v for k, v in step.items() if k not in ("stdout", "stderr")} for step in steps]


def _stopped(name: str, why: str) -> Score:
    lost = 0
    if Recording.file(name).exists():
        lost = sum(1 for _ in leaves("", Recording.load(name).steps))
    return Score(broken={name: why}, lost=lost, scenarios=1)


@contextmanager
def playing(
    chosen: Iterable[Scenario], cluster: Cluster, at_once: int = AT_ONCE
) -> Iterator[dict[str, Future[list[dict[str, Any]]]]]:
    """Play scenarios in the background; yields the future steps of each."""
    turn = threading.Lock()

    def play_alone(scenario: Scenario, others: list[Future[Any]]) -> list[dict[str, Any]]:
        wait(others)
        with turn:
            return play(scenario, cluster)

    with ThreadPoolExecutor(at_once) as pool:
        chosen = sorted(chosen, key=lambda one: one.alone)
        futures: dict[str, Future[list[dict[str, Any]]]] = {}
        for one in chosen:
            if one.alone:
                others = [futures[name] for name in futures if not SCENARIOS[name].alone]
                futures[one.name] = pool.submit(play_alone, one, others)
            else:
                futures[one.name] = pool.submit(play, one, cluster)
        try:
            yield futures
        finally:
            pool.shutdown(cancel_futures=True)


def compare(
    chosen: list[Scenario],
    cluster: Cluster,
    declarations: list[declared.Declaration],
    at_once: int = AT_ONCE,
) -> Score:
    """Play scenarios and compare each with its recording."""
    total = Score()
    with playing(chosen, cluster, at_once) as futures:
        for one in chosen:
            try:
                steps = futures[one.name].result()
                total.add(judge(one, Recording.load(one.name), steps, declarations))
            except Exception:
                total.add(_stopped(one.name, traceback.format_exc()))
    return total


def record(
    chosen: list[Scenario], cluster: Cluster, at_once: int = AT_ONCE, built_from: str = ""
) -> dict[str, str]:
    """Play scenarios and keep what came back; returns what went wrong, by scenario.

    Args:
        built_from: Whose build the cluster is, if not upstream's own, for the recording's head.
    """
    broken, kubectl = {}, kubectl_version()
    source = cluster.parts + (f"; built from {built_from}" if built_from else "")
    with playing(chosen, cluster, at_once) as futures:
        for one in chosen:
            try:
                steps = futures[one.name].result()
            except Exception:
                broken[one.name] = traceback.format_exc()
            else:
                Recording(one.about, source, cluster.version, kubectl, steps).save(one.name)
    return broken
