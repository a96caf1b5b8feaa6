"""The small programs that stand for `python`, `redis-server` and `redis-cli` in pods."""

from __future__ import annotations

import secrets
import shlex
import shutil
import sys
from pathlib import Path

from wqlib.localcluster.images import podsite

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


def write_python(folder: Path, site: Path) -> None:
    """Write the programs of Python images, and the folder that comes first on their path."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("python", "python3", version):
        _write_program(folder / name, f'exec {shlex.quote(sys.executable)} "$@"\n')
    site.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(site / "sitecustomize.py", Path(podsite.__file__).read_text("utf-8"), 0o600)


def write_redis(folder: Path, server: Path, cli: Path | None) -> None:
    """Write the programs of the image `redis`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    program = shlex.quote(str(server.resolve() if server.is_symlink() else server.absolute()))
    _write_program(folder / "redis-server", _SERVER.format(program=program))
    if cli is None:
        beside = server.with_name("redis-cli")
        found = str(beside) if beside.exists() else shutil.which("redis-cli")
        cli = Path(found) if found else None
    if cli is not None:
        text = _CLI.replace("{program}", shlex.quote(str(cli.absolute())))
        _write_program(folder / "redis-cli", text)


def _write_program(path: Path, script: str) -> None:
    _write(path, f"#!/bin/sh\n{script}", 0o700)


def _write(path: Path, text: str, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.write_text(text, "utf-8")
    draft.chmod(mode)
    draft.replace(path)
