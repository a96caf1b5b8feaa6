"""The options of redis-py that mean something for a queue: behind `?` in a URL, and as arguments.

An option that means nothing here is refused: it is never taken and not obeyed.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from redis.connection import SSLConnection

from ..errors import QueueError

Login = str | tuple[str, str]
Password = str | Callable[[], Login]


@dataclass(frozen=True, slots=True)
class PasswordFile:
    """A password that lies in a file, as Kubernetes mounts a Secret. Called, it reads it anew."""

    path: str

    def __call__(self) -> str:
        try:
            with open(self.path, encoding="utf-8", newline="") as file:
                password = file.read().rstrip("\r\n")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise QueueError(
                f"Cannot read the password of Redis from {self.path}: {why}."
            ) from None
        if not password:
            raise QueueError(f"Cannot read the password of Redis from {self.path}: it is empty.")
        return password


def _yes_or_no(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    return known[text.lower()]


def _seconds(text: str | float) -> float:
    if not 0 < (seconds := float(text)) < float("inf"):
        raise ValueError
    return seconds


def _verify_mode(text: str) -> str:
    return {"none": "none", "optional": "optional", "required": "required"}[text]


def _flags(text: str) -> list[ssl.VerifyFlags]:
    return [ssl.VerifyFlags[name.strip()] for name in text.strip("[]").split(",")]


# The options, each with what reads it in a URL: for all connections, for TCP, for TLS, and the
# fields of an Address.
_ALL: dict[str, Callable[[str], Any]] = {
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
    "ssl_exclude_verify_flags": _flags,
    "ssl_include_verify_flags": _flags,
    "ssl_keyfile": str,
    "ssl_min_version": int,
    "ssl_password": str,
}
for _name in {*_TLS}.difference(SSLConnection.__init__.__code__.co_varnames):
    del _TLS[_name]  # this version of redis-py is too old for it
_LOGIN: dict[str, Callable[[str], Any]] = {
    "db": int,
    "password": str,
    "password_file": PasswordFile,
    "username": str,
}
_SENTINEL: dict[str, Callable[[str], Any]] = {"sentinel_password": str, "sentinel_username": str}

_NOT_IN_A_URL = "socket_keepalive_options"

# The arguments of redis-py that are fields of an Address, and why a queue does without others.
_FIELDS = {name: name for name in ("host", "port", "db", "username", "password")} | {
    "ssl": "tls",
    "unix_socket_path": "host",
    "credential_provider": "password",
}
_RETRIES = "the queue retries its calls itself, for as long as its patience lasts"
_POOL = "the queue makes its own connections, one or a few"
_WITHOUT = {
    "decode_responses": "items are bytes, as in the page's own client; use item.decode()",
    "retry": _RETRIES,
    "retry_on_error": _RETRIES,
    "retry_on_timeout": _RETRIES,
    "connection_pool": _POOL,
    "max_connections": _POOL,
    "single_connection_client": _POOL,
}


def of_url(query: str, scheme: str) -> dict[str, Any]:
    """Read the options that stand behind `?`.

    Raises:
        ValueError: One is unknown, means nothing with that scheme, or has a wrong value. The
            message does not repeat a value, which may be a secret.
    """
    known = _LOGIN | _ALL
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
                f"The URL of Redis has the option {name[:40]!r}, which has no meaning for a queue "
                f"with {scheme}://. Use one of these: {', '.join(known)}."
            )
        if name in found:
            raise ValueError(f"The URL of Redis has the option {name} twice.")
        try:
            found[name] = known[name](value)
        except (ValueError, KeyError):
            raise ValueError(f"The URL of Redis has a wrong value for the option {name}.") from None
    return found


def of_arguments(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return arguments of redis-py's client as fields of an Address, and as its options.

    Raises:
        TypeError: One means nothing for a queue.
        ValueError: A timeout makes no sense.
    """
    fields: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in given.items():
        if name == "ssl_cert_reqs":  # None says: none
            options[name] = value
        elif value is None or (name in _WITHOUT and not value):
            continue
        elif name in _FIELDS:
            fields[_FIELDS[name]] = getattr(value, "get_credentials", value)
        elif name in ("socket_timeout", "socket_connect_timeout"):
            try:
                options[name] = _seconds(value)
            except (TypeError, ValueError):
                raise ValueError(f"The argument {name} must be above 0, in seconds.") from None
        elif name in _ALL or name in _TCP or name in _TLS or name == _NOT_IN_A_URL:
            options[name] = value
        else:
            why = _WITHOUT.get(name, "it has no meaning for a queue")
            raise TypeError(f"Omit the argument {name}: {why}.")
    return fields, options


def for_connection(options: Mapping[str, Any], *, tcp: bool, tls: bool) -> dict[str, Any]:
    """Return those of the options that such a connection of redis-py's takes."""
    unfit = {"health_check_interval"}  # a broken connection is noticed, and replaced, anyway
    if not tcp:
        unfit |= {*_TCP, _NOT_IN_A_URL}
    if not tls:
        unfit |= {*_TLS}
    return {name: value for name, value in options.items() if name not in unfit}
