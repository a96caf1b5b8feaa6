"""A Kubernetes for one machine: `python -m localcluster start|stop|status|kill-node|serve|…`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from . import lifecycle
from .errors import ClusterError
from .images import programs
from .images.programs import ProgramImage
from .paths import State

EXIT_OK, EXIT_ERROR, EXIT_INTERRUPTED = 0, 1, 130
IDLE_SECONDS = 8 * 3600


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="start the cluster, unless it runs")
    kill = commands.add_parser("kill-node", help="cut a node's power: what runs on it is killed")
    stop = commands.add_parser("stop", help="stop the cluster with all its pods")
    status = commands.add_parser("status", help="say whether the cluster runs")
    serve = commands.add_parser("serve", help="run the cluster here until Ctrl-C")
    kubelet = commands.add_parser("kubelet", help="join a control plane that runs elsewhere")
    for command in (start, kill, stop, status, serve, kubelet):
        command.add_argument(
            "--home", type=Path, help="default: LOCALCLUSTER_HOME, or ~/.localcluster"
        )
    for command in (start, serve):
        command.add_argument(
            "--linger", type=float, help="end this many seconds after the last use (start: 8 hours)"
        )
        command.add_argument(
            "--namespace", default="default", help="of the kubeconfig; default: %(default)s"
        )
        command.add_argument(
            "--nodes", type=int, help="how many a cluster that starts now gets; default: 1"
        )
    for command in (start, serve, kubelet):
        command.add_argument(
            "--image",
            type=_image,
            action="append",
            default=[],
            metavar="NAME=PROGRAM",
            help="an image that runs a program of this machine, as in web=/usr/sbin/nginx",
        )
    kill.add_argument("name", help="such as worker-2")
    serve.add_argument("--ready-fd", type=int, default=-1, help=argparse.SUPPRESS)
    kubelet.add_argument("--kubeconfig", type=Path, required=True, help="an administrator's")
    kubelet.add_argument("--context", help="a context of it; default: the current one")
    kubelet.add_argument("--node-name", default="localcluster", help="default: %(default)s")
    kubelet.add_argument("--client-ca-file", type=Path, help="default: the kubeconfig's CA")
    kubelet.add_argument(
        "--schedulable",
        action="store_true",
        help="take pods that do not tolerate the taint localcluster/stand-in too: they run as"
        " processes of yours",
    )
    return parser


def _image(text: str) -> tuple[str, ProgramImage]:
    name, _, program = text.partition("=")
    if not name or not Path(program).expanduser().is_file():
        raise argparse.ArgumentTypeError(f"{text!r}: give a name and a program that is there")
    return name, ProgramImage.of(Path(program).expanduser())


def main() -> int:
    """Run the command; return the exit code."""
    options = _parser().parse_args()
    try:
        return _COMMANDS[options.command](options)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _start(options: argparse.Namespace) -> int:
    # Nobody uses it when this command has ended, so it must wait longer than usual.
    os.environ.setdefault("LOCALCLUSTER_LINGER_SECONDS", str(IDLE_SECONDS))
    path = lifecycle.ensure(
        options.home,
        namespace=options.namespace,
        images=dict(options.image),
        nodes=1 if options.nodes is None else options.nodes,
        linger_seconds=options.linger,
    )
    found = lifecycle.status(options.home)
    if options.nodes is not None and found and found.nodes != options.nodes:
        print(
            f"It was running already, with {found.nodes} live node(s). For {options.nodes}, stop it"
            " first: python -m localcluster stop",
            file=sys.stderr,
        )
    print(f"export KUBECONFIG={shlex.quote(str(path))}")
    return EXIT_OK


def _kill_node(options: argparse.Namespace) -> int:
    lifecycle.kill_node(options.name, options.home)
    print(f"node/{options.name} lost power")
    return EXIT_OK


def _stop(options: argparse.Namespace) -> int:
    print("stopped" if lifecycle.stop(options.home) else "was not running")
    return EXIT_OK


def _status(options: argparse.Namespace) -> int:
    found = lifecycle.status(options.home)
    if found is None:
        print("not running")
        return EXIT_ERROR
    size = f"{found.nodes} live node(s), {found.pods} running pod(s)"
    print(f"running: pid {found.pid}, {found.server}, {size}, since {found.started_at}")
    print(f"export KUBECONFIG={shlex.quote(str(found.kubeconfig))}")
    return EXIT_OK


def _serve(options: argparse.Namespace) -> int:
    from . import serving

    nodes = 1 if options.nodes is None else options.nodes
    lifecycle.check_nodes(nodes)
    state = State.of(options.home)
    programs.register(state.create(), dict(options.image))
    if options.ready_fd < 0:
        print(f"serving; export KUBECONFIG={shlex.quote(str(state.kubeconfig))}", flush=True)
    try:
        serving.serve(state, options.namespace, nodes, options.linger, options.ready_fd)
    except BlockingIOError as error:
        print(error, file=sys.stderr)
        return EXIT_ERROR
    return EXIT_OK


def _kubelet(options: argparse.Namespace) -> int:
    from .kubelet import standalone

    programs.register(State.of(options.home).create(), dict(options.image))
    standalone.run(
        standalone.Settings(
            options.kubeconfig,
            options.node_name,
            options.context,
            options.home,
            options.client_ca_file,
            options.schedulable,
        )
    )
    return EXIT_OK


_COMMANDS = {
    "start": _start,
    "kill-node": _kill_node,
    "stop": _stop,
    "status": _status,
    "serve": _serve,
    "kubelet": _kubelet,
}

if __name__ == "__main__":
    sys.exit(main())
