"""`python -m wqlib.localcluster serve|stop|status|kubelet`."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path

from wqlib.errors import WqlibError
from wqlib.localcluster import lifecycle
from wqlib.localcluster.paths import State


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m wqlib.localcluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the cluster here until Ctrl-C")
    stop = commands.add_parser("stop", help="stop the cluster with all its pods")
    status = commands.add_parser("status", help="say whether the cluster runs")
    for command in (serve, stop, status):
        command.add_argument("--home", type=Path, help="default: WQLIB_HOME, or ~/.wqlib")
    serve.add_argument("--linger", type=float, help="end this many seconds after the last owner")
    serve.add_argument("--ready-fd", type=int, default=-1, help=argparse.SUPPRESS)
    kubelet = commands.add_parser("kubelet", help="join a control plane that runs elsewhere")
    kubelet.add_argument("--kubeconfig", type=Path, required=True, help="an administrator's")
    kubelet.add_argument("--context", help="a context of it; default: the current one")
    kubelet.add_argument("--node-name", default="wqlib-local", help="default: %(default)s")
    kubelet.add_argument("--client-ca-file", type=Path, help="default: the kubeconfig's CA")
    kubelet.add_argument(
        "--schedulable",
        action="store_true",
        help="take pods that do not tolerate the taint wqlib.local/stand-in too: they run as"
        " processes of yours",
    )
    kubelet.add_argument("--home", type=Path, help="default: WQLIB_HOME, or ~/.wqlib")
    for command in (serve, kubelet):
        command.add_argument(
            "--redis-server", type=Path, help="behind the image redis; default: the one on PATH"
        )
        command.add_argument("--redis-cli", type=Path, help="of that image; default: on PATH")
    return parser


def _look_on_path(options: argparse.Namespace) -> None:
    """For who starts it by hand: other programs say what the image redis stands for, or nothing."""
    for name in ("server", "cli"):
        found = shutil.which(f"redis-{name}") or shutil.which(f"valkey-{name}")
        if found and getattr(options, f"redis_{name}") is None:
            setattr(options, f"redis_{name}", Path(found))


def main() -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args()
    if options.command == "serve":
        return _serve(options)
    if options.command == "kubelet":
        return _kubelet(options)
    if options.command == "stop":
        print("stopped" if lifecycle.stop(options.home) else "was not running")
        return 0
    found = lifecycle.status(options.home)
    if found is None:
        print("not running")
        return 1
    print(f"running: pid {found.pid}, {found.server}, {found.pods} pods, since {found.started_at}")
    print(f"export KUBECONFIG={shlex.quote(str(found.kubeconfig))}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    from wqlib.localcluster import serving

    if options.ready_fd < 0:
        _look_on_path(options)
    settings = serving.Settings(
        options.linger, options.ready_fd, options.redis_server, options.redis_cli
    )
    state = State.of(options.home)
    if options.ready_fd < 0:
        print(f"serving; export KUBECONFIG={shlex.quote(str(state.kubeconfig))}", flush=True)
    try:
        serving.serve(state, settings)
    except BlockingIOError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _kubelet(options: argparse.Namespace) -> int:
    from wqlib.localcluster.kubelet import program

    _look_on_path(options)
    settings = program.Settings(
        options.kubeconfig,
        options.node_name,
        options.context,
        options.home,
        options.client_ca_file,
        options.schedulable,
        options.redis_server,
        options.redis_cli,
    )
    program.run(settings)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WqlibError as error:
        sys.exit(str(error))
