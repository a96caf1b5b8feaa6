"""The small programs that stand for `pip`, `redis-server` and `redis-cli` in pods; their Python."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import site
import sys
from pathlib import Path

from wqlib.localcluster.images import podsite

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# An interpreter without a global lock has packages of its own.
_LIB = f"python{_VERSION}{'t' * sys.abiflags.count('t')}"
_BASE: str = sys._base_executable  # type: ignore[attr-defined]
# Some programs that make environments (uv) put no pip into them.
_PIP = """\
python -c 'import pip' 2>/dev/null || python -m ensurepip >/dev/null 2>&1 || {
    echo "There is no pip in the local cluster's Python. Install it there: uv pip install pip" >&2
    exit 1
}
exec python -m pip "$@"
"""

# What comes last wins in Redis, so the pod's own address is all that it listens on.
_SERVER = """\
case "$1" in --version|-v|--help|-h|--test-memory) exec {program} "$@";; esac
exec {program} "$@" --bind "${{WQLIB_POD_IP:-127.0.0.1}}" \
${{WQLIB_PORT_6379:+--port "$WQLIB_PORT_6379"}} --daemonize no
"""

# In a pod `redis-cli -h redis` means the Service of that name, and no host means the pod itself.
# The last -h and -p win, so they are added behind the options, before the command begins.
_CLI = """\
host='' port='' direct='' option='' options=0
for word do
    case $option in
        -h) host=$word option='';;
        -p) port=$word option='';;
        -u|-s) direct=yes option='';;
        -[atridnDX]|--user|--pass|--sni|--cacert|--cacertdir|--cert|--key|--tls-ciphers|\\
        --tls-ciphersuites|--pattern|--quoted-pattern|--count|--cursor|--eval|--rdb|\\
        --functions-rdb|--pipe-timeout|--intrinsic-latency|--lru-test|--memkeys-samples|\\
        --show-pushes) option='';;
        *) case $word in -*) option=$word;; *) break;; esac;;
    esac
    options=$((options + 1))
done
[ -n "${WQLIB_POD_IP:-}" ] || direct=yes
asked_host=$host asked_port=$port ports=''
: "${port:=6379}"
case $host in
    ''|localhost|127.0.0.1)
        host=${WQLIB_POD_IP:-}
        [ "$port" != 6379 ] || port=${WQLIB_PORT_6379:-6379};;
    *)
        name=${host%.}; name=${name%.svc.cluster.local}; name=${name%.svc}
        case $name in *.*) ;; *) name=$name.${WQLIB_NAMESPACE:-default};; esac
        if [ -r "${WQLIB_NAMES:-}" ]; then
            while read -r known address moved; do
                if [ "$known" = "$name" ]; then host=$address ports=$moved; break; fi
            done <"$WQLIB_NAMES"
        fi
        for pair in $ports; do
            case $pair in "$port="*) port=${pair#*=}; break;; esac
        done;;
esac
if [ -z "$direct" ] && [ "$host $port" != "$asked_host ${asked_port:-6379}" ]; then
    count=$# at=0
    for word do
        [ "$at" -ne "$options" ] || set -- "$@" -h "$host" -p "$port"
        set -- "$@" "$word"
        at=$((at + 1))
    done
    [ "$count" -ne "$options" ] || set -- "$@" -h "$host" -p "$port"
    shift "$count"
fi
exec {program} "$@"
"""


def write_python(folder: Path, shared: Path) -> None:
    """Write `pip` for Python images into `folder`, and what all their environments share."""
    for path in (folder, shared):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("pip", "pip3", f"pip{_VERSION}"):
        _write_program(folder / name, _PIP)
    home = Path(_BASE).parent
    here = [*site.getsitepackages(), site.getusersitepackages()]
    files = {
        "sitecustomize.py": Path(podsite.__file__).read_text("utf-8"),
        "pyvenv.cfg": f"home = {home}\ninclude-system-site-packages = false\n",
        "here.pth": "".join(
            f"import site; site.addsitedir({path!a})\n" for path in here if path in sys.path
        ),
    }
    for name, text in files.items():
        _write(shared / name, text, 0o600)


def private_python(folder: Path, shared: Path) -> dict[str, Path]:
    """Make the Python of one container, unless it is there; returns its programs.

    It is a virtual environment that sees all that is installed here, too. What the container
    installs goes into `folder`, comes first, and is gone with it. Most pods never install
    anything, so it consists of as little as can be.
    https://docs.python.org/3/library/venv.html
    """
    names = ("python", "python3", f"python{_VERSION}")
    if not (folder / "pyvenv.cfg").is_symlink():
        for inside in ("bin", "lib", f"lib/{_LIB}", f"lib/{_LIB}/site-packages"):
            os.makedirs(f"{folder}/{inside}", exist_ok=True)
        links = {f"bin/{name}": _BASE for name in names}
        for name in (f"lib/{_LIB}/site-packages/here.pth", "pyvenv.cfg"):
            links[name] = f"{shared}/{os.path.basename(name)}"
        for name, target in links.items():
            with contextlib.suppress(FileExistsError):
                os.symlink(target, f"{folder}/{name}")
    return {name: folder / "bin" / name for name in names}


def write_redis(folder: Path, server: Path, cli: Path | None) -> None:
    """Write the programs of the image `redis`.

    They run what they stand for under the name that it has here, never under that of the file
    behind a link: many a program decides by its name what it is.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    program = shlex.quote(str(server.absolute()))
    _write_program(folder / "redis-server", _SERVER.format(program=program))
    if cli is None:
        (folder / "redis-cli").unlink(missing_ok=True)
    else:
        program = shlex.quote(str(cli.absolute()))
        if cli.suffix == ".py":  # -P: what lies beside the script is none of its modules
            program = f"python3 -P {program}"
        text = _CLI.replace("{program}", program)
        _write_program(folder / "redis-cli", text)


def _write_program(path: Path, script: str) -> None:
    _write(path, f"#!/bin/sh\n{script}", 0o700)


def _write(path: Path, text: str, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.write_bytes(os.fsencode(text))
    draft.chmod(mode)
    draft.replace(path)
