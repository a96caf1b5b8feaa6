"""Record, replay, or check a cluster: `python -m tests.conformance replay`."""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from . import declared
from .cluster import Cluster, kubectl_version
from .local import local_cluster
from .run import AT_ONCE, Recording, Score, all_scenarios, compare, record, recorded_scenarios
from .script import Scenario


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit code is 0 if nothing differed."""
    options = _parser().parse_args(arguments)
    everything = all_scenarios()
    chosen = [s for s in everything.values() if fnmatch.fnmatch(s.name, options.only)]
    if options.command == "list":
        print("\n".join(f"{s.name:40} {s.about}" for s in chosen))
        return 0
    chosen = _playable(chosen, options.command)
    with _cluster(options) as cluster:
        if options.command == "record":
            broken = record(chosen, cluster, options.at_once, options.built_from)
            print("\n".join(f"{name}\n{why}" for name, why in broken.items()))
            print(f"recorded {len(chosen) - len(broken)} scenarios from {cluster.version}")
            return bool(broken)
        if options.command == "run":
            _tell_versions(chosen, cluster)
        known = [] if options.command == "run" else declared.load()
        print(f"{len(declared.not_yet_recorded())} scenarios are not yet recorded: they stay out")
        score = compare(chosen, cluster, known, options.at_once)
    whole = len(chosen) == len(recorded_scenarios())
    unused = [d for d in known if d not in score.known] if whole else []
    report(score, unused)
    return bool(score.failures or score.broken or unused)


def _playable(chosen: list[Scenario], command: str) -> list[Scenario]:
    """Leave out what this machine cannot play, and say so."""
    recorded = [s for s in chosen if Recording.file(s.name).exists()]
    if command == "record" or not recorded:
        return chosen
    kubectl = kubectl_version()
    if kubectl and kubectl != (then := Recording.load(recorded[0].name).kubectl):
        print(f"kubectl is {kubectl} here and was {then} when it was recorded: its texts stay out")
    if kubectl:
        return recorded
    print("kubectl is not on PATH: scenarios that need it stay out")
    return [s for s in recorded if not Recording.load(s.name).needs_kubectl]


def _tell_versions(chosen: list[Scenario], cluster: Cluster) -> None:
    for then in {Recording.load(s.name).kubernetes for s in chosen} - {cluster.version}:
        print(f"This cluster is {cluster.version}, and {then} was recorded: their versions differ")


def report(score: Score, unused: Sequence[declared.Declaration] = ()) -> None:
    """Print what differed, and the score."""
    for difference in score.failures:
        print(difference)
    for name, why in score.broken.items():
        print(f"{name} did not come to its end\n{why}")
    for declaration in unused:
        print(f"declared in {declared.FILE.name}, but nothing differs so: {declaration.where}")
    print(score)


@contextmanager
def _cluster(options: argparse.Namespace) -> Iterator[Cluster]:
    if options.command == "replay":
        with local_cluster() as cluster:
            yield cluster
    else:
        named = options.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
        with tempfile.TemporaryDirectory() as folder:
            yield _connect(Path(named).expanduser(), Path(folder), options.context)


def _connect(kubeconfig: Path, folder: Path, context: str | None) -> Cluster:
    try:
        return Cluster(kubeconfig, folder, context)
    except (ConfigException, HTTPError) as error:
        sys.exit(f"No cluster answers by {kubeconfig}: {error}. Start it, or name another one.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    told = {
        "list": "name the scenarios",
        "record": "keep what a real cluster answers",
        "run": "compare a real cluster with the recording",
        "replay": "compare a local cluster of its own with the recording",
    }
    for name, about in told.items():
        command = commands.add_parser(name, help=about)
        command.add_argument("--only", default="*", help="scenarios whose names match")
        command.add_argument("--at-once", type=int, default=AT_ONCE, help="default %(default)s")
        if name in ("record", "run"):
            command.add_argument("--kubeconfig", help="default: KUBECONFIG, or ~/.kube/config")
            command.add_argument("--context", help="default: the current one")
        if name == "record":
            told_by = "whose build the cluster is, if not upstream's, for the recording's head"
            command.add_argument("--built-from", default="", help=told_by)
    return parser


if __name__ == "__main__":
    sys.exit(main())
