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
    "queue": (".queue", "look at a queue and mend it"),
    "watch": (".watch", "see each lease of each pod, live"),
    "metrics": (".metrics", "a queue's numbers for Prometheus"),
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

    doctor = commands.add_parser("doctor", help="find out whether everything works here")
    doctor.add_argument("checks", nargs="*", metavar="CHECK", help="only these (default: all)")
    doctor.add_argument(
        "--context",
        help="a real cluster: a context of your kubeconfig (default: WQLIB_CONTEXT, or else "
        "the local cluster)",
    )
    doctor.set_defaults(run=_doctor)

    cluster = commands.add_parser("cluster", help="start, stop or look at the local cluster")
    cluster.add_argument("action", choices=["start", "stop", "status"])
    cluster.add_argument(
        "--nodes", type=int, help="start: how many it gets, if it does not run yet (default: 3)"
    )
    cluster.set_defaults(run=_cluster)

    for name, (_, about) in _MODULES.items():
        commands.add_parser(name, help=f"{about} (wqlib {name} --help)", add_help=False)

    replay = commands.add_parser("replay", help="tell a recorded run in the terminal")
    replay.add_argument(
        "file", help="what History.save wrote, or a run of the course's: clean, killed or scaled"
    )
    replay.add_argument(
        "--speed", type=float, default=0.0, help="times as fast as it was (0: at once)"
    )
    replay.add_argument(
        "--lanes", action="store_true", help="draw it as `wqlib watch` does, not line by line"
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

    bundle = commands.add_parser("bundle", help="put what a worker needs beside its Dockerfile")
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
        print("The local cluster has ended." if stopped else "The local cluster did not run.")
    elif options.action == "status":
        if found is None:
            print("The local cluster does not run.")
        else:
            size = f"{found.nodes} nodes and {found.pods} pods"
            print(f"The local cluster runs at {found.server}, with {size}.")
            print(f"For kubectl: export KUBECONFIG={shlex.quote(str(found.kubeconfig))}")
    else:
        # Nobody uses it when this command has ended, so it must wait longer than usual.
        os.environ.setdefault("LOCALCLUSTER_LINGER_SECONDS", str(IDLE_SECONDS))
        nodes = NODES if options.nodes is None else options.nodes
        with connect(LOCAL, nodes=nodes) as cluster:
            path = cluster.kubeconfig
        if found is None:
            print("The local cluster runs, until `wqlib cluster stop` or 8 hours without use.")
        elif options.nodes in (None, found.nodes):
            print("The local cluster was running already, and ends after its last use.")
        else:
            print(f"The local cluster was running already, with {found.nodes} live node(s).")
            print(f"For {options.nodes} of them: wqlib cluster stop, and start it again.")
        print("It stands in for Kubernetes: pods are processes of yours, not containers, and not")
        print("isolated. What else it is not: localcluster/docs/localcluster.md.")
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
