"""What Redis answers instead of a result: is it temporary, and what can be done about it?

`RULES` knows every error of Redis and Valkey that the queue's calls can meet; one that it does not
know is permanent. Redis's own lists are in its `src/server.c` (`shared.*err`), `cluster.c` and
`script.c`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import hiredis
import redis

from ..errors import NotReplicated, QueueError, RedisRefused, RedisUnreachable, WrongKeyType
from .address import Address, PasswordUnavailable
from .sentinels import NoPrimary
from .tls import explain_tls
from .wire import Refusal

TROUBLES = (Refusal, hiredis.HiredisError, redis.exceptions.RedisError, OSError, UnicodeError)


class Verdict(Enum):
    """What to do about a refusal."""

    WAIT = "temporary: retry on the same connection"
    LOOK = "temporary: find the primary again, and ask there"
    LASTS = "permanent: tell the caller at once"


WAIT, LOOK, LASTS = Verdict


class Rule(NamedTuple):
    """A kind of refusal.

    Attributes:
        sign: What it begins with, as a regular expression.
        verdict: What to do.
        why: What is the matter, a clause about "it", which is Redis; `{said}` is what it said.
        todo: What the reader can do, a sentence.
        error: What the caller gets.
        stops_filling: It is permanent for a producer: waiting would only hide it there.
    """

    sign: str
    verdict: Verdict
    why: str
    todo: str
    error: type[QueueError] = RedisRefused
    stops_filling: bool = False


RULES = (
    # -- not now
    Rule(
        "LOADING",
        WAIT,
        "it is still loading its data",
        "Wait until it has finished, or raise patience_seconds.",
    ),
    Rule(
        "BUSY ",
        WAIT,
        "a script or module keeps it busy",
        "Find out who runs it; SCRIPT KILL ends a script that has not written yet.",
    ),
    Rule(
        "OOM",
        WAIT,
        "it has reached its memory limit, and the call changed nothing",
        "Raise maxmemory, free memory, or let workers finish some items.",
        stops_filling=True,
    ),
    Rule(
        "MISCONF",
        WAIT,
        "it cannot save its data, and accepts no writes until it can",
        "Check its log and its disk, which may be full; it recovers after the next save.",
    ),
    Rule(
        "TRYAGAIN|ASK ",
        WAIT,
        "the queue's slot is moving to another node of the Redis Cluster",
        "Wait until it has moved: CLUSTER NODES shows it, CLUSTER SETSLOT ends a move that hangs.",
    ),
    Rule(
        "NOSCRIPT",
        WAIT,
        "it forgets scripts as fast as they are loaded",
        "Find out who calls SCRIPT FLUSH.",
    ),
    Rule(
        "ERR max number of clients",
        LOOK,
        "it has as many clients as it allows",
        "Raise maxclients, or start fewer workers.",
    ),
    # -- not here
    Rule(
        "READONLY|UNBLOCKED|REDIRECT|(ERR )?WAIT cannot be used with replica",
        LOOK,
        "it is a replica, and accepts no writes",
        "Name the primary, or the sentinels that know it (redis+sentinel://), or end the failover.",
    ),
    Rule(
        "MASTERDOWN|NOMASTERLINK",
        LOOK,
        "it is a replica that has lost its primary",
        "Name the primary, or restart it.",
    ),
    Rule(
        "NOREPLICAS",
        LOOK,
        "too few replicas follow it (min-replicas-to-write)",
        "Restart its replicas, or lower that setting.",
    ),
    Rule(
        "CLUSTERDOWN",
        LOOK,
        "the Redis Cluster is down, or no node of it has the queue's slot",
        "CLUSTER INFO and CLUSTER NODES say what is missing.",
    ),
    Rule(
        "MOVED",
        LOOK,
        "the nodes of the Redis Cluster disagree about which has the queue's slot",
        "CLUSTER NODES, run on each of them, shows what it believes.",
    ),
    Rule(
        "INPROG|.*[Ff]ail(ing |ed |)over",
        LOOK,
        "it is failing over to a replica",
        "Wait for the failover to end, or raise patience_seconds.",
    ),
    Rule(
        "WAITED",
        LOOK,
        "it is done, but too few replicas have it so far",
        "Check its replicas (INFO replication), or ask for fewer: replicas=...",
        NotReplicated,
    ),
    # -- never
    Rule(
        "WRONGTYPE",
        LASTS,
        "a key with the queue's name exists already, and it is not a list",
        "Choose another name, or remove that key if nobody needs it.",
        WrongKeyType,
    ),
    Rule(
        "NOPERM|(ERR )?(ACL failure|The user executing the script)",
        LASTS,
        "this user lacks a permission that the queue needs ({said})",
        "`wqlib queue acl NAME` prints the ACL rules that are enough.",
    ),
    Rule(
        "DENIED",
        LASTS,
        "it is in protected mode, and accepts connections only from its own machine",
        "Set a password (requirepass) and use it here, or bind Redis to an address.",
    ),
    Rule(
        "ERR unknown command .(EVAL|EVALSHA)\\b",
        LASTS,
        "EVALSHA or EVAL is disabled there, and the queue consists of scripts",
        "Enable both for this user: rename-command and ACLs can disable them.",
    ),
    Rule(
        "ERR (unknown|wrong number|syntax error)|NOPROTO",
        LASTS,
        "it does not support what the queue needs ({said})",
        "The queue needs Redis 6.2 or newer, or Valkey, with no command renamed.",
        QueueError,
    ),
    Rule(
        "CROSSSLOT",
        LASTS,
        "it assigns the queue's keys to several slots ({said})",
        "Is a proxy in front of it that ignores {...} in keys? Connect to Redis directly.",
    ),
    Rule(
        "(ERR )?(SELECT is not allowed|DB index|invalid DB)",
        LASTS,
        "it has no database with that number",
        "Name another one; a Redis Cluster has only database 0.",
    ),
    Rule(
        "(ERR )?[Pp]rotocol [Ee]rror|Bad response",
        LASTS,
        "what answers there does not speak the Redis protocol",
        "Are host and port right, and is it TLS (rediss://)?",
    ),
    Rule("", LASTS, "{said}", "This is Redis' own message.", QueueError),
)

# Why there is no connection, or no longer.
_AWAY = (
    ("refused|No such file", "nothing listens there"),
    ("not known|nodename|resolution|getaddrinfo|No address|idna", "its host name is unknown"),
    ("[Tt]imed? ?out|no reply in time", "it does not answer"),
    ("reset|[Cc]onnection closed|broke|Broken pipe", "the connection broke"),
    ("unreachable|No route", "there is no route to it"),
)
_LOGIN = re.compile(r"NOAUTH|WRONGPASS|ERR (invalid password|AUTH |Client sent AUTH)")
# Redis 6.2 puts the error of a command in a script behind this; 7.0 and newer put a tail after it.
_HEAD = re.compile(r"(ERR Error running script .*?: @user_script: \d+|EXECABORT .* of): -?")
_TAIL = re.compile(
    r"\.? script: (\w+, )?on @user_script:\d+\.$|,? with args beginning with:.*", re.S
)


@dataclass(frozen=True)
class Trouble:
    """Why a call did not succeed.

    Attributes:
        verdict: What to do.
        why: The cause, for a log.
        begins, ends: The two halves of the message: between them goes how long it lasted.
        kind: What the caller gets.
        stops_filling: As in `Rule`.
        is_login: It is the login that was refused.
    """

    verdict: Verdict
    why: str
    begins: str
    ends: str
    kind: type[QueueError] = RedisRefused
    stops_filling: bool = False
    is_login: bool = False

    def error(self, seconds: float | None = None) -> QueueError:
        """Return it as an error that says what happened, why, and what to do.

        Args:
            seconds: How long it went on; None: not worth telling.
        """
        time = "" if seconds is None else f" for {seconds:g} s"
        return self.kind(f"{self.begins}{time}{self.ends}")


def diagnose(error: Exception, address: Address, where: str) -> Trouble:
    """Return what is wrong.

    Args:
        error: What Redis answered, a `Refusal`, or why there is no connection.
        address: How to log in.
        where: The node that was asked.
    """
    text = str(error)
    here = f"Redis at {where}"
    if told := explain_tls(error, where):
        return Trouble(LASTS, told, told, "")
    if isinstance(error, redis.exceptions.AuthenticationError) or (
        isinstance(error, Refusal) and _LOGIN.match(text)
    ):
        return _login_refused(_TAIL.sub("", text), address, here)
    if isinstance(error, (Refusal, hiredis.ProtocolError, redis.exceptions.InvalidResponse)):
        # What redis-py tells of an answer while it connects begins with "ERR " before the code.
        said = _TAIL.sub("", re.sub(r"^ERR (?=[A-Z]{3,} )", "", _HEAD.sub("", text)))
        rule = next(rule for rule in RULES if re.match(rule.sign, said))
        why = rule.why.format(said=said)
        did = "did not confirm" if rule.error is NotReplicated else "refused"
        begins = f"{here} {did} the call"
        return Trouble(
            rule.verdict, why, begins, f": {why}. {rule.todo}", rule.error, rule.stops_filling
        )
    why = next((words for signs, words in _AWAY if re.search(signs, text)), text)
    if isinstance(error, (PasswordUnavailable, NoPrimary)):
        why = text
    if "Permission denied" in text:
        return Trouble(LASTS, why, f"{here} cannot be reached: {why}", "")
    return Trouble(
        LOOK,
        why,
        f"{here} did not answer",
        f" ({why}). Is it running, and are host and port right?",
        RedisUnreachable,
    )


def _login_refused(said: str, address: Address, here: str) -> Trouble:
    """Return which login Redis got, as it wants another one."""
    source = address.login_from
    begins, ends = (
        f"{here} refused the login",
        (f" ({said.rstrip('.')}). The password came from {source}: put the right one there."),
    )
    if not address.password:
        form = ", as in redis://:password@host:6379/0" if "URL" in source else ""
        begins, ends = (
            f"{here} requires a password",
            f", and none was given. Set it in {source}{form}.",
        )
    elif "without any password" in said or "no password is set" in said:
        begins, ends = (
            f"{here} has no password",
            (f", but one was given, by {source}. Remove it there, or set one in Redis."),
        )
    return Trouble(LASTS, said, begins, ends, is_login=True)
