"""Where Redis is, and how to log in: URLs, the environment, and the connection made of them.

The options behind `?` in a URL are redis-py's. A URL is obeyed whole or refused: an option that
means nothing here is an error, since a program that obeys it would use another database, say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast
from urllib.parse import unquote

from redis.backoff import NoBackoff
from redis.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.retry import Retry

from ..errors import QueueError
from .options import Password, PasswordFile, for_connection, of_arguments, of_url
from .tls import check_files

_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_SENTINEL_PORT = 26379
_FORMS = (
    "Write redis://:password@host:6379/0 (rediss:// for TLS), unix:///path/to/socket or "
    "redis+sentinel://:password@host:26379,host:26379/name-of-the-primary, with # / ? @ : [ ] % "
    "in the password percent-encoded: %23 stands for #."
)
_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([^][:\s,]*))(?::([0-9]*))?")


class PasswordUnavailable(OSError):
    """The function that gives the password failed. It may work later."""


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

    def __post_init__(self) -> None:
        for name in ("host", "username"):
            value = getattr(self, name)
            if not isinstance(value, str) and (value is not None or name == "host"):
                raise TypeError(f"The {name} of Redis must be text, not {type(value).__name__}.")
        if "\0" in self.host or re.match(r"(?!/).*(://|[@\s])", self.host):
            # It may hold a password, so it is not repeated.
            raise ValueError("The host of Redis must be a name or an address. Pass a URL as url=.")
        if not (isinstance(self.password, str | None) or callable(self.password)):
            raise TypeError(
                "The password of Redis must be text, or a function that returns it, not "
                f"{type(self.password).__name__}."
            )
        for name, least, most in (("port", 1, 65535), ("db", 0, 2**31)):
            try:
                number = int(getattr(self, name))
            except (TypeError, ValueError):
                number = -1
            if not least <= number <= most:
                raise ValueError(f"The {name} of Redis must be a number from {least} to {most}.")
            object.__setattr__(self, name, number)

    def override(self, **given: Any) -> Address:
        """Return the same address with what is given in its place.

        Args:
            given: Arguments of redis-py's client. None stands for what is not given.

        Raises:
            TypeError: An argument that means nothing here.
            ValueError: One that makes no sense.
        """
        fields, options = of_arguments(given)
        if "password" in fields:
            fields["login_from"] = "password=..."
        if "host" in fields or "port" in fields:
            if self.service or self.host.startswith("/"):
                fields.setdefault("host", Address().host)
            fields |= {"service": "", "sentinels": ()}
        return replace(self, **fields, options={**self.options, **options})

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
                f"the password function raised {type(error).__name__}"
            ) from error
        match login:
            case (str(user), str(password)):
                return user, password
            case (str(password),):
                return self.username, password
            case str(password):
                return self.username, password
        raise TypeError(
            "The password function must return text, or a pair "
            f"(user, password) of texts, not {type(login).__name__}."
        )

    def _connection(
        self, host: str, port: int, timeout_seconds: float, **login: Any
    ) -> AbstractConnection:
        is_tcp = not host.startswith("/")
        options = {
            "socket_connect_timeout": timeout_seconds,
            **for_connection(self.options, tcp=is_tcp, tls=is_tcp and self.tls),
            **login,
            "socket_timeout": timeout_seconds,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        connection: AbstractConnection
        if not is_tcp:
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
            raise _no_url("it has a # or @ where none is allowed")
        user, _, password = login.partition(":")
        found = _server(scheme, hosts, slash + path)
        found |= {"username": unquote(user) or None, "password": unquote(password) or None}
        found |= {"tls": scheme.startswith("rediss"), "login_from": "the URL"}
        for name, value in of_url(query, scheme).items():
            if found.get(name, value) not in (None, value):
                raise ValueError(f"The URL of Redis gives {name} twice.")
            found[name] = value
        if file := found.pop("password_file", None):
            if found["password"]:
                raise ValueError("The URL of Redis has a password, and password_file too.")
            found["password"], found["login_from"] = file, f"the file {file.path}"
        options = {name: found.pop(name) for name in list(found) if name not in cls.__slots__}
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
                    "The variable REDIS_SERVICE_PORT is not a port number. Set it to a number such "
                    "as 6379, or say where Redis is in WQLIB_REDIS_URL."
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


def _server(scheme: str, hosts: str, path: str) -> dict[str, Any]:
    """Read what stands between the login and the options of a URL."""
    if scheme == "unix":
        if hosts or len(path) < 2:
            raise _no_url("unix:// is followed by no absolute path")
        return {"host": unquote(path)}
    found: dict[str, Any] = {}
    names = [unquote(part) for part in path.split("/") if part]
    if scheme.endswith("+sentinel"):
        if not names or not all(hosts.split(",")):
            raise _no_url("it lacks the sentinels, or the name of the primary")
        found["sentinels"] = tuple(_place(one, _SENTINEL_PORT) for one in hosts.split(","))
        found["service"] = names.pop(0)
    else:
        host, found["port"] = _place(hosts, Address().port)
        found["host"] = host or Address().host
    if names:
        if len(names) > 1 or not re.fullmatch("[0-9]{1,9}", names[0]):
            raise _no_url("what follows the port is not a database number")
        found["db"] = int(names[0])
    return found


def _place(text: str, default_port: int) -> tuple[str, int]:
    """Read `host`, `host:port`, `[::1]` or `[::1]:port`."""
    if not (found := _PLACE.fullmatch(text)):
        raise _no_url("its host or port is malformed")
    port = int(found[3] or default_port)
    if not 0 < port < 65536:
        raise _no_url("its port is not a number from 1 to 65535")
    return unquote(found[1] or found[2]), port
