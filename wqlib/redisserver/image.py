"""The programs of the image `redis` on the local cluster, where a pod is a process.

They run what they stand for under the name that it has here, never under that of the file behind
a link: many a program decides by its name what it is.
"""

from __future__ import annotations

import shlex
from pathlib import Path

NAMES = ("redis", "valkey/valkey", "bitnami/redis")  # the images, with whatever tag
COMMAND, FOLDER, PORT = "redis-server", "/data", 6379

# What comes last wins in Redis, so the pod's own address is all that it listens on.
_SERVER = """\
case "$1" in --version|-v|--help|-h|--test-memory) exec {program} "$@";; esac
exec {program} "$@" --bind "${{LOCALCLUSTER_POD_IP:-127.0.0.1}}" \
${{LOCALCLUSTER_PORT_6379:+--port "$LOCALCLUSTER_PORT_6379"}} --daemonize no
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


def scripts(server: Path, cli: Path) -> dict[str, str]:
    """Return the shell scripts that stand for a server and a client, by the names in the image.

    Args:
        server: Path of the server's binary, as `find` returns it.
        cli: Path of its client; a Python script, if there is no other.
    """
    client = shlex.quote(str(cli.absolute()))
    if cli.suffix == ".py":  # -P: what lies beside the script is none of its modules
        client = f"python3 -P {client}"
    return {
        "redis-server": _SERVER.format(program=shlex.quote(str(server.absolute()))),
        "redis-cli": _CLI.replace("{program}", client),
    }
