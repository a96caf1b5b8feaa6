"""What Redis says instead of a result: does it pass by waiting, and what can be done about it?

`RULES` knows every error of Redis and Valkey that the queue's calls can meet; one that it does not
know lasts. Redis' own lists are in its `src/server.c` (`shared.*err`), `cluster.c` and `script.c`.
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

    WAIT = "it passes: ask again, over the same connection"
    LOOK = "it passes: look again where the primary is, and ask there"
    LASTS = "it lasts: tell the caller at once"


WAIT, LOOK, LASTS = Verdict


class Rule(NamedTuple):
    """A kind of refusal.

    Attributes:
        sign: What it begins with, as a regular expression.
        verdict: What to do.
        why: What is the matter, a clause about "it", which is Redis; `{said}` is what it said.
        todo: What the reader can do, a sentence.
        error: What the caller gets.
        stops_filling: It lasts for whoever fills the queue: to wait would only hide it there.
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
        "Wait until it has, or give patience_seconds more.",
    ),
    Rule(
        "BUSY ",
        WAIT,
        "a script or module that somebody runs keeps it busy",
        "Find out whose it is; SCRIPT KILL ends a script that has not written yet.",
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
        "it cannot save its data, and takes no changes until it can",
        "Look at its log and its disk, which may be full; it goes on after the next save.",
    ),
    Rule(
        "TRYAGAIN|ASK ",
        WAIT,
        "the queue's slot is moving to another node of the Redis Cluster",
        "Wait for its end: CLUSTER NODES shows it, CLUSTER SETSLOT ends one that hangs.",
    ),
    Rule(
        "NOSCRIPT",
        WAIT,
        "it forgets scripts as fast as they come",
        "Find out who calls SCRIPT FLUSH.",
    ),
    Rule(
        "ERR max number of clients",
        LOOK,
        "it has as many clients as it takes",
        "Raise maxclients, or start fewer workers.",
    ),
    # -- not here
    Rule(
        "READONLY|UNBLOCKED|REDIRECT|(ERR )?WAIT cannot be used with replica",
        LOOK,
        "it is a replica, and takes no changes",
        "Name the primary, or the sentinels that know it (redis+sentinel://), or end the failover.",
    ),
    Rule(
        "MASTERDOWN|NOMASTERLINK",
        LOOK,
        "it is a replica that has lost its primary",
        "Name the primary, or bring it back.",
    ),
    Rule(
        "NOREPLICAS",
        LOOK,
        "too few replicas follow it (min-replicas-to-write)",
        "Bring its replicas back, or lower that setting.",
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
        "the nodes of the Redis Cluster do not agree who has the queue's slot",
        "CLUSTER NODES, asked at each of them, shows what each believes.",
    ),
    Rule(
        "INPROG|.*[Ff]ail(ing |ed |)over",
        LOOK,
        "it fails over to a replica",
        "Wait for the end of the failover, or give patience_seconds more.",
    ),
    Rule(
        "WAITED",
        LOOK,
        "it is done, but fewer replicas than wanted have it so far",
        "Look at its replicas (INFO replication), or ask for fewer: replicas=...",
        NotReplicated,
    ),
    # -- never
    Rule(
        "WRONGTYPE",
        LASTS,
        "a key with the queue's name is there already, and it is not a list",
        "Choose another name, or remove that key if nobody needs it.",
        WrongKeyType,
    ),
    Rule(
        "NOPERM|(ERR )?(ACL failure|The user executing the script)",
        LASTS,
        "this user lacks a right that the queue needs ({said})",
        "`wqlib queue acl NAME` prints the rules of Redis' ACL that are enough.",
    ),
    Rule(
        "DENIED",
        LASTS,
        "it is in protected mode, and takes connections of its own machine alone",
        "Give it a password (requirepass), and us the same, or bind it to an address.",
    ),
    Rule(
        "ERR unknown command .(EVAL|EVALSHA)\\b",
        LASTS,
        "EVALSHA or EVAL is switched off there, and the queue is made of scripts",
        "Switch both on for this user: rename-command and ACLs can switch them off.",
    ),
    Rule(
        "ERR (unknown|wrong number|syntax error)|NOPROTO",
        LASTS,
        "it does not know what the queue needs ({said})",
        "The queue needs Redis 6.2 or newer, or Valkey, with no command renamed.",
        QueueError,
    ),
    Rule(
        "CROSSSLOT",
        LASTS,
        "it takes the queue's keys for keys of several slots ({said})",
        "Does a proxy stand before it that ignores {...} in keys? Ask Redis itself.",
    ),
    Rule(
        "(ERR )?(SELECT is not allowed|DB index|invalid DB)",
        LASTS,
        "it has no database of that number",
        "Name another one; a Redis Cluster has database 0 alone.",
    ),
    Rule(
        "(ERR )?[Pp]rotocol [Ee]rror|Bad response",
        LASTS,
        "what answers there does not speak as Redis does",
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
            f"{here} wants a password",
            f", and none was given. Give it by {source}{form}.",
        )
    elif "without any password" in said or "no password is set" in said:
        begins, ends = (
            f"{here} has no password",
            (f", but one was given, by {source}. Take it away there, or give Redis one."),
        )
    return Trouble(LASTS, said, begins, ends, is_login=True)
