"""The programs of the image `redis` on the local cluster, where a pod is a process.

They run what they stand for under the name that it has here, never under that of the file behind
a link: many a program decides by its name what it is.
"""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

NAMES = ("redis", "valkey/valkey", "bitnami/redis")  # the images, with whatever tag
ENTRYPOINT, COMMAND, FOLDER, PORT = "docker-entrypoint.sh", "redis-server", "/data", 6379

# As in the official image: options alone, or a file of settings, are for the server.
_ENTRYPOINT = """\
case "$1" in -*|*.conf) set -- redis-server "$@";; esac
umask 077
exec "$@"
"""

_DIR = '^[[:blank:]]*dir[[:blank:]]+"?/data/?"?[[:blank:]]*$'
# What comes last wins in Redis, so the pod's own address is all that it listens on. The port is
# the one that stands for the wanted one here, and the image's folder, in a file of settings too.
_SERVER = """\
case "$1" in --version|-v|--help|-h|--test-memory) exec {program} "$@";; esac
port='' option=''
case "$1" in
    ''|-*) ;;
    *)  port=$(sed -n 's/^[[:blank:]]*port[[:blank:]]*\\([0-9]*\\).*/\\1/p' "$1" | tail -n 1)
        if grep -Eq '{dir}' "$1"; then
            file=${{TMPDIR:-/tmp}}/redis-$$.conf
            grep -Ev '{dir}' "$1" >"$file"; shift
            set -- "$file" --dir "$PWD" "$@"
        fi;;
esac
for word do
    [ "$option" != --port ] || port=$word
    [ "$word" != --sentinel ] || : "${{port:=26379}}"
    option=$word
done
moved=''
case "${{port:=6379}}" in
    *[!0-9]*) ;;
    *) eval "moved=\\${{LOCALCLUSTER_PORT_$port:-}}";;
esac
exec {program} "$@" --bind "${{LOCALCLUSTER_POD_IP:-127.0.0.1}}" \
${{moved:+--port "$moved"}} --daemonize no
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
        {valued}) option='';;
        *) case $word in -*) option=$word;; *) break;; esac;;
    esac
    options=$((options + 1))
done
[ -n "${LOCALCLUSTER_POD_IP:-}" ] || direct=yes
asked_host=$host asked_port=$port ports=''
: "${port:=6379}"
case $host in
    ''|localhost|127.0.0.1)
        host=${LOCALCLUSTER_POD_IP:-}
        [ "$port" != 6379 ] || port=${LOCALCLUSTER_PORT_6379:-6379};;
    *)
        name=${host%.}; name=${name%.svc.cluster.local}; name=${name%.svc}
        case $name in *.*) ;; *) name=$name.${LOCALCLUSTER_NAMESPACE:-default};; esac
        if [ -r "${LOCALCLUSTER_NAMES:-}" ]; then
            while read -r known address moved; do
                if [ "$known" = "$name" ]; then host=$address ports=$moved; break; fi
            done <"$LOCALCLUSTER_NAMES"
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


_TLS = "--sni|--cacert|--cacertdir|--cert|--key|--tls-ciphers|--tls-ciphersuites"
# The options of each client that have a value.
_VALUED = {
    "cli": "-[atridnDX]|--user|--pass|--pattern|--quoted-pattern|--count|--cursor|--eval|--rdb|"
    "--functions-rdb|--pipe-timeout|--intrinsic-latency|--lru-test|--memkeys-samples|"
    f"--show-pushes|{_TLS}",
    "benchmark": f"-[acndkrPt]|--user|--dbnum|--threads|--precision|--seed|{_TLS}",
}


def scripts(server: Path, cli: Path) -> dict[str, str]:
    """Return the shell scripts that stand for the image's programs, by their names in the image.

    Args:
        server: Path of the server's binary, as `find` returns it.
        cli: Path of its client; a Python script, if there is no other.
    """
    client = _quoted(cli)
    if cli.suffix == ".py":  # -P: what lies beside the script is none of its modules
        client = f"python3 -P {client}"
    found = {
        ENTRYPOINT: _ENTRYPOINT,
        COMMAND: _SERVER.format(program=_quoted(server), dir=_DIR),
        "redis-cli": _client("cli", client),
        "redis-sentinel": 'exec redis-server "$@" --sentinel\n',
    }
    for tool in ("benchmark", "check-aof", "check-rdb"):
        path = shutil.which(re.sub("server$", tool, server.name), path=server.parent)
        if path and path != str(server):
            program = _quoted(Path(path))
            is_client = tool in _VALUED
            found[f"redis-{tool}"] = (
                _client(tool, program) if is_client else f'exec {program} "$@"\n'
            )
    # The images of Valkey know their programs by both names.
    return found | {name.replace("redis-", "valkey-"): text for name, text in found.items()}


def _client(tool: str, program: str) -> str:
    return _CLI.replace("{valued}", _VALUED[tool]).replace("{program}", program)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path.absolute()))
