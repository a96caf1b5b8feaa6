"""The command `wqlib`: doctor, cluster, course, demo, check, worker, queue, watch and more.

Each command loads what it needs only when it runs, so `wqlib worker` starts fast and needs
no Kubernetes client.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from ..errors import EXIT_ERROR, EXIT_OK
from .terminal import run_command

IDLE_SECONDS = 8 * 3600
# Commands with a command line of their own: the module that holds it, and what they are for.
_MODULES = {
    "class": (".classroom", "a class of learners on one shared cluster"),
    "course": (".course", "your own copy of the notebooks"),
    "demo": (".demo", "run a Job, kill a pod, lose nothing"),
    "worker": ("..worker", "work on a queue, as a pod does"),
    "queue": (".queue", "look at a queue and repair it"),
    "watch": (".watch", "watch each lease of each pod, live"),
    "metrics": (".metrics", "a queue's metrics for Prometheus"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The command line without the program's name; None: that of this process.

    Returns:
        The exit code, as `run_command` says.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that knows no ✓ gets its number
        sys.stdout.reconfigure(errors="backslashreplace")
    return run_command(lambda: _run(given))


def _run(given: list[str]) -> int:
    if given and given[0] in _MODULES:
        module = importlib.import_module(_MODULES[given[0]][0], __package__)
        return int(module.main(given[1:]))
    options = _parser().parse_args(given)
    return int(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wqlib",
        description="A crash-safe work queue on Redis, and a course about it on Kubernetes.",
    )
    parser.add_argument("--version", action="version", version=f"wqlib {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    doctor = commands.add_parser("doctor", help="test whether everything works here")
    doctor.add_argument("checks", nargs="*", metavar="CHECK", help="run only these (default: all)")
    doctor.add_argument(
        "--context",
        help="a real cluster: a context of your kubeconfig (default: WQLIB_CONTEXT, or else "
        "the local cluster)",
    )
    doctor.set_defaults(run=_doctor)

    cluster = commands.add_parser("cluster", help="start, stop or inspect the local cluster")
    cluster.add_argument("action", choices=["start", "stop", "status"])
    cluster.add_argument(
        "--nodes",
        type=int,
        help="start: the number of nodes, if it is not running yet (default: 3)",
    )
    cluster.set_defaults(run=_cluster)

    for name, (_, about) in _MODULES.items():
        commands.add_parser(name, help=f"{about} (wqlib {name} --help)", add_help=False)

    replay = commands.add_parser("replay", help="replay a recorded run in the terminal")
    replay.add_argument(
        "file",
        help="a file from History.save, or a run of the course: clean, killed or scaled",
    )
    replay.add_argument(
        "--speed",
        type=float,
        default=0.0,
        help="how many times as fast as the run was (0: at once)",
    )
    replay.add_argument(
        "--lanes", action="store_true", help="draw it like `wqlib watch`, not line by line"
    )
    replay.set_defaults(run=_replay)

    check = commands.add_parser("check", help="see how far you are in the course")
    check.add_argument(
        "which",
        nargs="*",
        metavar="EXERCISE",
        help="only these exercises (06-1) or notebooks (05)",
    )
    check.set_defaults(run=_check)

    bundle = commands.add_parser("bundle", help="copy what a worker needs next to its Dockerfile")
    bundle.add_argument("folder", type=Path, help="the folder with the Dockerfile")
    bundle.set_defaults(run=_bundle)
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from ..course import doctor

    checks = doctor.run(
        options.checks or None,
        context=options.context,
        report=lambda check: print(check, flush=True),
        leave_as_found=True,
    )
    failed = sum(not check.ok for check in checks)
    if failed:
        print(f"{failed} of {len(checks)} checks failed. Fix the first, then run this again.")
    return EXIT_ERROR if failed else EXIT_OK


def _cluster(options: argparse.Namespace) -> int:
    from ..cluster import LOCAL, NODES, connect, local

    found = local.status()
    if options.action == "stop":
        stopped = local.stop()
        print("The local cluster has stopped." if stopped else "The local cluster was not running.")
    elif options.action == "status":
        if found is None:
            print("The local cluster is not running.")
        else:
            size = f"{found.nodes} nodes and {found.pods} pods"
            print(f"The local cluster is running at {found.server}, with {size}.")
            print(f"For kubectl: export KUBECONFIG={shlex.quote(str(found.kubeconfig))}")
    else:
        # Nobody uses it when this command has ended, so it must wait longer than usual.
        os.environ.setdefault("LOCALCLUSTER_LINGER_SECONDS", str(IDLE_SECONDS))
        nodes = NODES if options.nodes is None else options.nodes
        with connect(LOCAL, nodes=nodes) as cluster:
            path = cluster.kubeconfig
        if found is None:
            print(
                "The local cluster is running, until `wqlib cluster stop` or 8 hours without use."
            )
        elif options.nodes in (None, found.nodes):
            print("The local cluster was already running, and stops after its last use.")
        else:
            print(f"The local cluster was already running, with {found.nodes} live node(s).")
            print(f"For {options.nodes} nodes: wqlib cluster stop, then start it again.")
        print(
            "It is a stand-in for Kubernetes: pods are ordinary processes of yours, not containers,"
        )
        print("and not isolated. All differences: localcluster/docs/localcluster.md.")
        print(f"For kubectl: export KUBECONFIG={shlex.quote(str(path))}")
    return EXIT_OK


def _replay(options: argparse.Namespace) -> int:
    from . import replay, watch

    player = watch if options.lanes else replay
    player.play(options.file, options.speed)
    return EXIT_OK


def _check(options: argparse.Namespace) -> int:
    from ..course import checks

    for notebook in options.which or [None]:
        checks.progress(notebook)
    return EXIT_OK


def _bundle(options: argparse.Namespace) -> int:
    from ..course.bundle import bundle

    names = bundle(options.folder)
    print(f"{options.folder / 'wqlib'}: {', '.join(names)}")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
