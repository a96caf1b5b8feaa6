"""The proxy that leads to an API server: none if that is on this machine, as with kubectl.

The client and its WebSockets would each read the environment, by rules of their own. So the
rules of Go, hence of kubectl, are applied here once, and both are told what came out:
https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from kubernetes import client

from ..errors import ClusterError

IN_THE_KUBECONFIG = "proxy-url of the kubeconfig"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        host, port: Where it is.
        login: `user:password` for it, or "".
        named_by: The variable that names it, or `IN_THE_KUBECONFIG`.
    """

    host: str
    port: int
    login: str = field(repr=False)
    named_by: str

    @property
    def address(self) -> str:
        """Its address, without the login."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def load_configuration(load: Callable[..., Any], *source: Any, **options: Any) -> Any:
    """Load a Configuration of the client, and tell it its proxy; its `via` is that, or None.

    Args:
        load: A function of `kubernetes.config`; `source` and `options` are its arguments.
    """
    settings: Any = client.Configuration()
    settings.proxy = None
    load(*source, client_configuration=settings, **options)
    if settings.proxy:
        via: Proxy | None = _parse(str(settings.proxy), IN_THE_KUBECONFIG)
    else:
        via = from_environment(settings.host, os.environ)
    settings.via, settings.proxy_headers = via, None
    if via is None:
        # A client of WebSockets that is told of no proxy at all looks into the environment.
        settings.proxy, settings.no_proxy = "http://127.0.0.1:9", "*"
        return settings
    settings.proxy, settings.no_proxy = f"http://{via.address}", "none.invalid"
    if via.login:
        login = base64.b64encode(via.login.encode()).decode()
        settings.proxy_headers = {"proxy-authorization": f"Basic {login}"}
    return settings


def from_environment(server: str, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that the environment names for a server, or None.

    Raises:
        ClusterError: If it is one that cannot be used.
    """
    at = urlsplit(server)
    port = at.port or (443 if at.scheme == "https" else 80)
    name = f"{at.scheme}_proxy"
    named_by = next((x for x in (name.upper(), name) if environment.get(x)), "")
    exceptions = environment.get("NO_PROXY") or environment.get("no_proxy", "")
    if not named_by or _bypasses_proxy(at.hostname or "", port, exceptions):
        return None
    return _parse(environment[named_by], named_by)


def _parse(url: str, named_by: str) -> Proxy:
    url = url.strip()
    with contextlib.suppress(ValueError):
        at = urlsplit(url if "://" in url else f"http://{url}")
        more = at.path.strip("/") + at.query + at.fragment
        if at.scheme == "http" and at.hostname and not more:
            login = unquote(at.netloc.rpartition("@")[0])
            return Proxy(at.hostname, at.port or 80, login, named_by)
    # The URL may hold a password: it is not repeated here.
    raise ClusterError(
        f"The cluster is behind a proxy, named by {named_by}, that cannot be used here: it must be "
        "an HTTP proxy, written as http://host:port or http://user:password@host:port, with "
        "# / ? @ : % in the password percent-encoded."
    )


def _bypasses_proxy(host: str, port: int, exceptions: str) -> bool:
    """Tell whether a host is on this machine, or among those of NO_PROXY."""
    ip = _ip(host)
    if host == "localhost" or (ip and ip.is_loopback):
        return True
    for entry in exceptions.lower().split(","):
        entry = entry.strip()
        if entry == "*":
            return True
        with contextlib.suppress(ValueError):
            if ip and ip in ipaddress.ip_network(entry.strip("[]"), strict=False):
                return True
        name, wanted_port = entry, ""
        if ":" in entry and not _ip(entry):
            name, _, wanted_port = entry.rpartition(":")
        name = name.strip("[]").removeprefix("*")
        if not name or wanted_port not in ("", str(port)):
            continue
        if ip:
            found = _ip(name) == ip
        else:
            found = host == name or host.endswith(name if name[0] == "." else f".{name}")
        if found:
            return True
    return False


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(text.strip("[]"))
    return None
