"""Where the primary is, by the word of the sentinels that watch it.

They are asked before each connection, and no answer is remembered: a primary that was replaced
may live on, or come back, and believe for seconds that it still is one, and what is written
there is lost. So the one that was believed is also listened to, for news of a failover.
"""

from __future__ import annotations

import select
from typing import Any

import hiredis
import redis

from ..errors import RedisRefused
from .address import Address, place
from .tls import explain_tls
from .wire import Refusal, Wire, packed

_PATIENCE_SECONDS = 2.0  # with one sentinel
# What a sentinel says as soon as it believes in a new primary: it led the failover, or heard of it.
_NEWS = "+switch-master", "+promoted-slave", "+failover-state-reconf-slaves"


class NoPrimary(ConnectionError):
    """Too few sentinels answer, or they know no primary at the moment."""


class Sentinels:
    """The sentinels of an address.

    Args:
        address: Where they are.
        timeout_seconds: How long to wait for one of them at most.
    """

    def __init__(self, address: Address, timeout_seconds: float) -> None:
        self._address = address
        self._timeout_seconds = min(timeout_seconds, _PATIENCE_SECONDS)
        self._places = list(address.sentinels)  # those that answered last come first
        self._heard: Wire | None = None  # brings news, and then its end

    def primary(self) -> tuple[str, int]:
        """Ask the sentinels until more than half have answered, and return (host, port).

        A sentinel may be late to hear of a failover, like one that was down during it. So the
        answer with the newest configuration counts.

        Raises:
            NoPrimary: There is none now, or nobody tells.
            RedisRefused: The sentinels do not know that name, or refuse the login.
        """
        self.close()
        best = -1, "", 0
        names = 0
        ignorant: list[str] = []
        silent: dict[tuple[str, int], str] = {}
        lasting: list[str] = []
        for host, port in list(self._places):
            try:
                wire, answer = self._ask(host, port)
            except (Refusal, hiredis.HiredisError, redis.exceptions.RedisError, OSError) as error:
                silent[host, port] = str(error)
                if told := explain_tls(error, place(host, port)) or _login_refused(str(error)):
                    lasting.append(told)
                continue
            if not answer:
                ignorant.append(place(host, port))
            names += bool(answer)
            if answer and answer > best:
                self.close()
                best, self._heard = answer, wire
            else:
                wire.close()
            if 2 * max(names, len(ignorant)) > len(self._places):
                break
        self._places.sort(key=silent.__contains__)
        if names:
            return best[1:]
        service = self._address.service
        if ignorant and len(silent) < len(self._places) / 2:
            raise RedisRefused(
                f"The sentinels at {', '.join(ignorant)} know no primary named {service!r}. In "
                "the URL, use the name after `sentinel monitor` in their configuration."
            )
        if lasting and len(lasting) == len(silent):
            raise RedisRefused(lasting[0])
        told = "; ".join(f"{place(*where)}: {why.rstrip('.')}" for where, why in silent.items())
        raise NoPrimary(f"no sentinel names the primary of {service} ({told})")

    def news(self) -> int | None:
        """Return the file descriptor that is readable when the primary may have changed."""
        return self._heard.fileno() if self._heard else None

    def have_news(self) -> bool:
        """May the primary have changed since it was named?"""
        if not self._heard:
            return False
        poll = select.poll()
        poll.register(self._heard.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Listen no longer."""
        if self._heard:
            self._heard.close()
        self._heard = None

    def _ask(self, host: str, port: int) -> tuple[Wire, tuple[int, str, int] | None]:
        """Ask one sentinel.

        Returns:
            The connection, which brings news from now on; (epoch of the sentinel's
            configuration, host, port), or None if it does not know the name.
        """
        service = self._address.service
        wire = Wire(self._address.sentinel_connection(host, port, self._timeout_seconds))
        try:
            wire.send(
                packed("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
                + packed("SENTINEL", "MASTER", service)
                + packed("SUBSCRIBE", *_NEWS)
            )
            found, details, subscribed = wire.read(), wire.read(), wire.read()
            if isinstance(found, Refusal):
                raise found
            # An ACL may forbid the details, and the news: both are of use, but not needed.
            if not isinstance(subscribed, Refusal):
                for _ in _NEWS[1:]:
                    wire.read()
        except BaseException:
            wire.close()
            raise
        if not found:
            return wire, None
        known: dict[bytes, Any] = {}
        if isinstance(details, list):
            known = dict(zip(details[::2], details[1::2], strict=True))
        return wire, (int(known.get(b"config-epoch", 0)), found[0].decode(), int(found[1]))


def check_primary(wire: Wire) -> None:
    """Ask a node itself whether it is a primary.

    Raises:
        Refusal: It is not, or it does not say.
        OSError: The connection broke.
    """
    wire.send(packed("ROLE"))
    role = wire.read()
    if isinstance(role, Refusal):
        raise role
    if role[0] != b"master":
        raise Refusal("READONLY The sentinels name a node that is a replica.")


def _login_refused(said: str) -> str:
    if not said.startswith(("NOAUTH", "WRONGPASS", "NOPERM")):
        return ""
    return (
        f"The sentinels refused the login ({said.rstrip('.')}). Give their password in the URL: "
        "?sentinel_password=..., and &sentinel_username=... if they have their own user."
    )
