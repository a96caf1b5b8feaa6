"""What a user of Redis' ACL must be allowed, by what it does with a queue, and nothing more."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .link import _source

SCRIPTS = (
    "lease", "give_back", "renew", "put", "requeue_dead", "drop_dead", "adopt", "snapshot", "item",
    "export", "clear",
)  # fmt: skip

# By what somebody does: the scripts that it runs, and the commands that it sends besides.
ROLES: dict[str, tuple[Sequence[str], str]] = {
    "worker": (("lease", "renew", "give_back", "snapshot"), "blmove"),
    "filler": (("put",), ""),
    "watcher": (
        ("snapshot", "item", "export"),
        "lrange hgetall hmget xrange xread multi exec",
    ),
    "owner": (SCRIPTS, "blmove lrange hgetall hmget hkeys xrange xread multi exec"),
}

# What is needed besides, by how Redis is run or used.
MODES = {
    "sentinel": "role",
    "cluster": "asking cluster|slots",
    "replicas": "wait expire",  # of `WorkQueue(replicas=1)`
}

_UNUSED = {"put": {"zcard"}}  # what a script includes, but calls only when a lease has ended
_ALWAYS = "evalsha eval type exists hget"
_CALLED = re.compile(rb"\bcall\('([A-Z]+)'")


def commands_of(script: str) -> set[str]:
    """Return the commands that a script calls, in small letters."""
    found = {name.decode().lower() for name in _CALLED.findall(_source(script))}
    return found - _UNUSED.get(script, set())


def acl(queue: str, role: str, *modes: str) -> str:
    """Return the rules of an ACL user with the rights that a role needs, and no others.

    For `ACL SETUSER name on >password RULES` in redis-cli, or `user name on >password RULES` in
    an ACL file. It begins with all rights taken away, but for passwords. A database other than
    0 needs `+select` besides.

    Args:
        queue: Name of the queue.
        role: "worker" (leases, completes, renews, releases, fails, looks), "filler" (puts),
            "watcher" (looks, reads results and events, exports) or "owner" (all of it, also
            `clear`, `requeue_dead`, `drop_dead` and `adopt`).
        modes: What it is used with: "sentinel", "cluster", "replicas".

    Raises:
        ValueError: There is no such role or mode.

    Example:
        >>> acl("job2", "filler").split()[:4]
        ['resetkeys', 'resetchannels', '-@all', '~job2']
    """
    if unknown := {role} - ROLES.keys() | set(modes) - MODES.keys():
        raise ValueError(
            f"There is no {', '.join(sorted(unknown))} here: the roles are {', '.join(ROLES)}, "
            f"and the modes {', '.join(MODES)}."
        )
    scripts, besides = ROLES[role]
    commands = set(f"{_ALWAYS} {besides}".split()).union(*map(commands_of, scripts))
    commands.update(*(MODES[mode].split() for mode in modes))
    pattern = re.sub(r"([*?\[\]\\])", r"\\\1", queue)  # Redis' globs
    pattern = re.sub(r"[\0-\x20\x7f]", "?", pattern)  # a rule cannot hold them
    patterns = [pattern, f"{{{pattern}}}:*"]
    if role == "owner":  # for `adopt`
        patterns += [f"{pattern}:processing", f"{pattern}:leased_by_session:*"]
    keys = (_quoted(f"~{key}") for key in patterns)
    allowed = (f"+{command}" for command in sorted(commands))
    return " ".join(["resetkeys", "resetchannels", "-@all", *keys, *allowed])


def _quoted(word: str) -> str:
    """Return a word as redis-cli and ACL files read it."""
    if re.fullmatch(r"[^\s\"'\\]+", word):
        return word
    return '"' + re.sub(r"([\"\\])", r"\\\1", word) + '"'
