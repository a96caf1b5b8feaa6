"""Where Redis is, and how to log in: URLs, the environment, and the connection made of them.

The options behind `?` in a URL are redis-py's. A URL is obeyed whole or refused: an option that
means nothing here is an error, since a program that obeys it would use another database, say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from redis.backoff import NoBackoff
from redis.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.retry import Retry

from ..errors import QueueError
from .tls import check_files

Login = str | tuple[str, str]
Password = str | Callable[[], Login]

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_SENTINEL_PORT = 26379
_FORMS = (
    "Write redis://:password@host:6379/0 (rediss:// for TLS), unix:///path/to/socket or "
    "redis+sentinel://:password@host:26379,host:26379/name-of-the-primary, with # / ? @ : [ ] % "
    "of the password percent-encoded: %23 stands for #."
)
_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([^][:\s/]*))(?::([0-9]*))?")


class PasswordUnavailable(OSError):
    """The function that gives the password failed. It may work later."""


@dataclass(frozen=True, slots=True)
class PasswordFile:
    """A password that lies in a file, as Kubernetes mounts a Secret. Called, it reads it anew."""

    path: str

    def __call__(self) -> str:
        try:
            with open(self.path, encoding="utf-8") as file:
                password = file.read().rstrip("\r\n")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise QueueError(
                f"The password of Redis cannot be read from the file {self.path}: {why}."
            ) from None
        if not password:
            raise QueueError(f"The password of Redis cannot be read from {self.path}: it is empty.")
        return password


def _yes_or_no(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return known[text.lower()]


def _seconds(text: str) -> float:
    if not 0 < (seconds := float(text)) < float("inf"):
        raise ValueError
    return seconds


def _verify_mode(text: str) -> str:
    return {"none": "none", "optional": "optional", "required": "required"}[text]


# What may stand behind `?` in a URL, and how it is read there.
_LOGIN: dict[str, Callable[[str], Any]] = {
    "db": int,
    "username": str,
    "password": str,
    "password_file": PasswordFile,
}
_SOCKET: dict[str, Callable[[str], Any]] = {
    "client_name": str,
    "health_check_interval": float,
    "socket_connect_timeout": _seconds,
    "socket_timeout": _seconds,
}
_TCP: dict[str, Callable[[str], Any]] = {"socket_keepalive": _yes_or_no}
_TLS: dict[str, Callable[[str], Any]] = {
    "ssl_ca_certs": str,
    "ssl_ca_data": str,
    "ssl_ca_path": str,
    "ssl_cert_reqs": _verify_mode,
    "ssl_certfile": str,
    "ssl_check_hostname": _yes_or_no,
    "ssl_ciphers": str,
    "ssl_keyfile": str,
    "ssl_min_version": int,
    "ssl_password": str,
}
_SENTINEL: dict[str, Callable[[str], Any]] = {"sentinel_username": str, "sentinel_password": str}


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is, and how to log in.

    Attributes:
        host: Name or address; or the path of a Unix socket, which begins with "/".
        port: TCP port.
        password: Password; or a function without arguments that returns it, or a pair (user,
            password), and is asked at each connection; or None.
        username: User of Redis' ACL, or None for the default user.
        db: Number of the database.
        tls: Speak TLS.
        service: The name under which `sentinels` know the primary.
        sentinels: (host, port) of the sentinels that tell where the primary is; `host` and
            `port` mean nothing then.
        sentinel_username, sentinel_password: How to log in there; by default as the default
            user, by the password of Redis, which its sentinels have to know anyway.
        options: Arguments of redis-py's connections (`socket_...`, `ssl_...`, `client_name`).
        login_from: Where the password came from, or may be put if there is none.
    """

    host: str = "127.0.0.1"
    port: int = 6379
    password: Password | None = None
    username: str | None = None
    db: int = 0
    tls: bool = False
    service: str = ""
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_username: str | None = None
    sentinel_password: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    login_from: str = field(default="password=...", compare=False)

    def __repr__(self) -> str:
        return f"<Redis at {self}>"

    def __str__(self) -> str:
        if self.service:
            return f"{self.service} of {', '.join(place(*some) for some in self.sentinels)}"
        return place(self.host, self.port)

    @property
    def rotates(self) -> bool:
        """May the password be another one at the next connection?"""
        return callable(self.password)

    @property
    def timeout_seconds(self) -> float:
        """How long to wait for one reply, in seconds."""
        return float(self.options.get("socket_timeout") or 10.0)

    def override(self, **given: Any) -> Address:
        """Return the same address with what is given (what is not None) in its place."""
        given = {k: v for k, v in given.items() if v is not None}
        if "password" in given:
            given["login_from"] = "password=..."
        if "host" in given or "port" in given:
            given |= {"service": "", "sentinels": ()}
        return replace(self, **given)

    def connection(
        self, timeout_seconds: float, host: str | None = None, port: int | None = None
    ) -> AbstractConnection:
        """Return a connection of redis-py's, not yet open, with the credentials of this moment.

        Args:
            timeout_seconds: How long to wait for one reply, or for the connection.
            host, port: A node other than the address's own; a `host` that begins with "/" is the
                path of a Unix socket.

        Raises:
            QueueError: A file that an option names cannot be used.
            PasswordUnavailable: The function that gives the password failed.
        """
        username, password = self._login()
        return self._connection(
            host or self.host,
            self.port if port is None else port,
            timeout_seconds,
            db=self.db,
            username=username,
            password=password,
        )

    def sentinel_connection(
        self, host: str, port: int, timeout_seconds: float
    ) -> AbstractConnection:
        """Return a connection to a sentinel, not yet open; otherwise as `connection`."""
        # AUTH with a user's name is taken by a sentinel that has no password, too.
        password = self.sentinel_password or self._login()[1]
        username = (self.sentinel_username or "default") if password else None
        return self._connection(host, port, timeout_seconds, username=username, password=password)

    def _login(self) -> tuple[str | None, str | None]:
        """Return user and password of this moment."""
        if not callable(self.password):
            return self.username, self.password
        try:
            login = self.password()
        except QueueError:
            raise
        except Exception as error:  # its text may hold a secret
            raise PasswordUnavailable(
                f"the function that gives the password raised {type(error).__name__}"
            ) from error
        given = (self.username, login) if isinstance(login, str) else login
        if not isinstance(given, tuple) or not all(isinstance(x, str) for x in given[-1:]):
            raise TypeError(
                "The function that gives the password must return it as text, or a pair "
                f"(user, password) of texts, not {type(login).__name__}."
            )
        return given if len(given) == 2 else (self.username, *given)

    def _connection(
        self, host: str, port: int, timeout_seconds: float, **login: Any
    ) -> AbstractConnection:
        kinds = [_SOCKET] if host.startswith("/") else [_SOCKET, _TCP, *[_TLS] * self.tls]
        options = {k: v for k, v in self.options.items() if any(k in kind for kind in kinds)}
        options.pop("health_check_interval", None)  # a broken connection is noticed anyway
        options = {
            "socket_connect_timeout": timeout_seconds,
            **options,
            **login,
            "socket_timeout": timeout_seconds,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        connection: AbstractConnection
        if host.startswith("/"):
            connection = cast("Any", UnixDomainSocketConnection)(path=host, **options)
        elif self.tls:
            check_files(options)
            connection = SSLConnection(host=host, port=port, **options)
        else:
            connection = Connection(host=host, port=port, **options)
        # No CLIENT SETINFO, which managed servers forbid; the names depend on redis-py's version.
        vars(connection).update(driver_info=None, lib_name=None, lib_version=None)
        return connection

    @classmethod
    def from_url(cls, url: str) -> Address:
        """Read a URL, with redis-py's options behind `?`.

        `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS,
        `unix://[user:password@]/path/to/socket`, and for sentinels
        `redis+sentinel://[user:password@]host[:port],host[:port]/name-of-the-primary[/db]` or
        `rediss+sentinel://`.

        Raises:
            ValueError: If it is no such URL, or has an option that means nothing here.
        """
        # No message repeats a value, or the URL: it may hold the password, or a part of it.
        scheme, _, rest = url.strip().partition("://")
        if scheme not in _SCHEMES:
            raise _no_url(f"it begins with none of {', '.join(f'{some}://' for some in _SCHEMES)}")
        before, _, query = rest.partition("?")
        netloc, slash, path = before.partition("/")
        login, _, hosts = netloc.rpartition("@")
        if "#" in rest or "@" in path or "@" in query:
            raise _no_url("a # or @ stands where none can be")
        user, _, secret = login.partition(":")
        found: dict[str, Any] = {"tls": scheme.startswith("rediss"), "login_from": "the URL"}
        found |= {"username": unquote(user) or None, "password": unquote(secret) or None}
        names = [unquote(part) for part in path.strip("/").split("/") if part]
        if scheme == "unix":
            if hosts or not names:
                raise _no_url("unix:// is followed by no absolute path")
            found["host"], names = unquote(slash + path), []
        elif scheme.endswith("+sentinel"):
            if not names or not all(hosts.split(",")):
                raise _no_url("the sentinels, or the name of the primary, are missing")
            found["sentinels"] = tuple(_place(one, _SENTINEL_PORT) for one in hosts.split(","))
            found["service"] = names.pop(0)
        else:
            host, found["port"] = _place(hosts, cls().port)
            found["host"] = host or cls().host
        if names:
            if len(names) > 1 or not re.fullmatch("[0-9]{1,9}", names[0]):
                raise _no_url("what follows the port is not the number of a database")
            found["db"] = int(names[0])
        for name, value in _options(query, scheme).items():
            if found.get(name, value) not in (None, value):
                raise ValueError(f"The URL of Redis gives {name} twice.")
            found[name] = value
        if file := found.pop("password_file", None):
            found["password"], found["login_from"] = file, f"the file {file.path}"
        known = cls.__slots__
        options = {name: found.pop(name) for name in list(found) if name not in known}
        return cls(**found, options=options)

    @classmethod
    def from_environment(cls, url: str | None = None) -> Address:
        """Read what a pod is given.

        A URL wins: `url`, or else `WQLIB_REDIS_URL`; otherwise it is `REDIS_SERVICE_HOST` and
        `REDIS_SERVICE_PORT`, which Kubernetes sets for a Service named `redis`, and without
        them 127.0.0.1:6379. What has no password gets `REDIS_PASSWORD`, or what the file
        `REDIS_PASSWORD_FILE` holds at each connection, and, if it names no user,
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
                is_ours = not url and found.login_from == "the URL"
                return replace(found, login_from="WQLIB_REDIS_URL") if is_ours else found
        else:
            port = get("REDIS_SERVICE_PORT") or str(default.port)
            if not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(
                    "The variable REDIS_SERVICE_PORT does not hold the number of a port. Set it to "
                    "that number alone, as in 6379, or say where Redis is in WQLIB_REDIS_URL."
                )
            found = cls(host=get("REDIS_SERVICE_HOST") or default.host, port=int(port))
        password: Password | None = get("REDIS_PASSWORD") or None
        source = "REDIS_PASSWORD"
        if path := get("REDIS_PASSWORD_FILE"):
            if password:
                raise ValueError("Set REDIS_PASSWORD or REDIS_PASSWORD_FILE, not both.")
            password, source = PasswordFile(path), f"the file {path}"
        return replace(
            found,
            password=password,
            username=found.username or get("REDIS_USERNAME") or None,
            login_from=source,
        )


def place(host: str, port: int) -> str:
    """Return where a server is, for people: `host:port`, `[::1]:port`, or the path of a socket."""
    if host.startswith("/"):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _no_url(why: str) -> ValueError:
    return ValueError(f"This is not the URL of a Redis server: {why}. {_FORMS}")


def _place(text: str, default_port: int) -> tuple[str, int]:
    """Read `host`, `host:port`, `[::1]` or `[::1]:port`."""
    if not (found := _PLACE.fullmatch(text)):
        raise _no_url("its host or port is written wrongly")
    port = int(found[3] or default_port)
    if not 0 < port < 65536:
        raise _no_url("its port is not a number from 1 to 65535")
    return unquote(found[1] or found[2]), port


def _options(query: str, scheme: str) -> dict[str, Any]:
    """Read what stands behind `?` in a URL."""
    known = _LOGIN | _SOCKET
    if scheme != "unix":
        known = known | _TCP
    if scheme.startswith("rediss"):
        known = known | _TLS
    if scheme.endswith("+sentinel"):
        known = known | _SENTINEL
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise ValueError(
                f"The URL of Redis has the option {name[:40]!r}, which means nothing for a queue "
                f"with {scheme}://. There are: {', '.join(known)}."
            )
        if name in found:
            raise ValueError(f"The URL of Redis gives {name} twice.")
        try:
            found[name] = known[name](value)
        except (ValueError, KeyError):
            raise ValueError(f"The URL of Redis has a wrong value for the option {name}.") from None
    return found
