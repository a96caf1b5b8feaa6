"""A redis-server of this machine as an image: a program that must hear where its pod lives."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from localcluster import ProgramImage

_SERVER = """\
exec {} "$@" --bind "$LOCALCLUSTER_POD_IP" \
    ${{LOCALCLUSTER_PORT_6379:+--port "$LOCALCLUSTER_PORT_6379"}}
"""
_ENTRYPOINT = 'case "$1" in -*|*.conf) set -- redis-server "$@";; esac\nexec "$@"\n'
_CLI = 'exec {} -h "$LOCALCLUSTER_POD_IP" -p "${{LOCALCLUSTER_PORT_6379:-6379}}" "$@"\n'


def find_redis() -> Path | None:
    """Return a server of which the client is there, too."""
    for name in ("redis", "valkey"):
        if (server := shutil.which(f"{name}-server")) and shutil.which(f"{name}-cli"):
            return Path(server)
    return None


def redis_image(server: Path) -> ProgramImage:
    """Return the image `redis`, with the client that lies beside the server."""
    client = shutil.which(server.name.replace("-server", "-cli")) or "redis-cli"
    scripts = {
        "docker-entrypoint.sh": _ENTRYPOINT,
        "redis-server": _SERVER.format(shlex.quote(str(server))),
        "redis-cli": _CLI.format(shlex.quote(client)),
    }
    return ProgramImage(scripts, ["redis-server"], "/data", [6379], ["docker-entrypoint.sh"])
