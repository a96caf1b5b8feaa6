"""Where Redis is, and how to log in. This module is pure but for the environment that it reads."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is, and how to log in.

    Attributes:
        host: Name or address.
        port: TCP port.
        password: Password, or None.
        username: User of Redis' ACL, or None for the default user.
        db: Number of the database.
        tls: Speak TLS.
        login_from: Where the password came from, or may be put if there is none.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    password: str | None = None
    username: str | None = None
    db: int = 0
    tls: bool = False
    login_from: str = field(default="password=...", compare=False)

    def __repr__(self) -> str:
        return f"<Redis at {self}>"

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def override(self, **given: Any) -> Address:
        """Return the same address with what is given (what is not None) in its place."""
        if given.get("password") is not None:
            given["login_from"] = "password=..."
        return replace(self, **{k: v for k, v in given.items() if v is not None})

    @classmethod
    def from_url(cls, url: str) -> Address:
        """Read `redis://[user:password@]host[:port][/db]`; `rediss://` means TLS.

        Raises:
            ValueError: If it is no such URL.
        """
        default, why = cls(), "it begins with neither redis:// nor rediss://"
        try:
            parts = urlsplit(url)
            if parts.scheme not in ("redis", "rediss"):
                raise ValueError
            why = "its port is not a number up to 65535"
            port = parts.port or default.port
            why = "what follows the port is not the number of a database"
            path = parts.path.strip("/")
            if "@" in parts.query or parts.fragment or (path and not path.isdecimal()):
                raise ValueError
            return cls(
                host=parts.hostname or default.host,
                port=port,
                password=unquote(parts.password) if parts.password else None,
                username=unquote(parts.username) if parts.username else None,
                db=int(path or 0),
                tls=parts.scheme == "rediss",
                login_from="the URL",
            )
        except ValueError:
            # URL and error may hold the password, or a part of it: they are not repeated here.
            raise ValueError(
                f"This is not the URL of a Redis server: {why}. Write "
                "redis://:password@host:6379/0, with # / ? @ : [ ] % of the password "
                "percent-encoded: %23 stands for #."
            ) from None

    @classmethod
    def from_environment(cls, url: str | None = None) -> Address:
        """Read what a pod is given.

        A URL wins: `url`, or else `WQLIB_REDIS_URL`; otherwise it is `REDIS_SERVICE_HOST` and
        `REDIS_SERVICE_PORT`, which Kubernetes sets for a Service named `redis`, and without
        them 127.0.0.1:6379. What has no password gets `REDIS_PASSWORD` and, if it names no user,
        `REDIS_USERNAME`. (`REDIS_PORT` is not read: for a Service of that name Kubernetes puts
        `tcp://...` there.)

        Args:
            url: What a command line names.

        Raises:
            ValueError: If a variable or the URL makes no sense.
        """
        get, default = os.environ.get, cls()
        if named := url or get("WQLIB_REDIS_URL"):
            found = cls.from_url(named)
            if found.password:
                return found if url else replace(found, login_from="WQLIB_REDIS_URL")
        else:
            port = get("REDIS_SERVICE_PORT") or str(default.port)
            if not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(
                    "The variable REDIS_SERVICE_PORT does not hold the number of a port. Set it to "
                    "that number alone, as in 6379, or say where Redis is in WQLIB_REDIS_URL."
                )
            found = cls(host=get("REDIS_SERVICE_HOST") or default.host, port=int(port))
        return replace(
            found,
            password=get("REDIS_PASSWORD") or None,
            username=found.username or get("REDIS_USERNAME") or None,
            login_from="REDIS_PASSWORD",
        )
