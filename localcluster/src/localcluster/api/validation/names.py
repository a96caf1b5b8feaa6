"""Which names Kubernetes allows, and the words in which it refuses the others.

Each `…_faults` returns what is wrong with a name: nothing when it is right.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

import functools
import ipaddress
import re

from ...apimachinery.selectors import NAME_RULE, VALUE_RULE

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"

_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or"
    " '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used"
    f" for validation is '{_SUBDOMAIN}')"
)
_WILDCARD_RULE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which"
    " must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric"
    rf" character (e.g. '*.example.com', regex used for validation is '\*\.{_SUBDOMAIN}')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and"
    " must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex"
    f" used for validation is '{_LABEL}')"
)
_CONFIG_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    " (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is"
    " '[-._a-zA-Z0-9]+')"
)
PORT_RULE = "must be between 1 and 65535, inclusive"
INT_OR_PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or"
    " '93%', regex used for validation is '[0-9]+%')"
)
CIDR_RULE = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
IP_RULE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


@functools.lru_cache(maxsize=4096)
def _faults(text: str, pattern: str, rule: str, most: int) -> list[str]:
    found = [f"must be no more than {most} bytes"] if len(text.encode()) > most else []
    return found if re.fullmatch(pattern, text) else [*found, rule]


def label_faults(name: str) -> list[str]:
    """Return what is wrong with a DNS label, the name of a Namespace, a container or a volume."""
    has_dots = re.fullmatch(_SUBDOMAIN, name) is not None
    return _faults(name, _LABEL, "must not contain dots" if has_dots else _LABEL_RULE, 63)


def subdomain_faults(name: str) -> list[str]:
    """Return what is wrong with a DNS subdomain, the name of almost any object."""
    return _faults(name, _SUBDOMAIN, _SUBDOMAIN_RULE, 253)


def wildcard_faults(name: str) -> list[str]:
    """Return what is wrong with a host such as `*.example.com`."""
    return _faults(name, rf"\*\.{_SUBDOMAIN}", _WILDCARD_RULE, 253)


def segment_faults(name: str) -> list[str]:
    """Return what is wrong with a part of a path, the name of a Role."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{mark}'" for mark in "/%" if mark in name]


def config_key_faults(key: str) -> list[str]:
    """Return what is wrong with a key of a ConfigMap or Secret, which may become a file."""
    found = _faults(key, "[-._a-zA-Z0-9]+", _CONFIG_KEY_RULE, 253)
    if key == "..":
        return [*found, "must not be '..'"]
    if key.startswith(".."):
        return [*found, "must not start with '..'"]
    return [*found, "must not be '.'"] if key == "." else found


@functools.lru_cache(maxsize=4096)
def qualified_name_faults(key: str) -> list[str]:
    """Return what is wrong with the key of a label or annotation, such as `example.com/name`."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        rule = NAME_RULE.replace("name part", "a valid label key", 1)
        return [f"{rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    found = []
    if slash:
        why = subdomain_faults(prefix) if prefix else ["must be non-empty"]
        found = [f"prefix part {one}" for one in why]
    if not name:
        found.append("name part must be non-empty")
    if len(name) > 63:
        found.append("name part must be no more than 63 bytes")
    return found if re.fullmatch(_NAME, name) else [*found, NAME_RULE]


def label_value_faults(value: str) -> list[str]:
    """Return what is wrong with the value of a label."""
    return _faults(value, f"({_NAME})?", VALUE_RULE, 63)


def port_name_faults(name: str) -> list[str]:
    """Return what is wrong with the name of a port."""
    found = ["must be no more than 15 bytes"] if len(name) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", name):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", name):
        found.append("must contain at least one letter (a-z)")
    if "--" in name:
        found.append("must not contain consecutive hyphens")
    if name[:1] == "-" or name[-1:] == "-":
        found.append("must not begin or end with a hyphen")
    return found


def is_port(number: object) -> bool:
    """Tell whether something is the number of a port."""
    return isinstance(number, int) and 0 < number < 65536


def is_ip(text: object, version: int = 0) -> bool:
    """Tell whether a text is an IP address, of version 4 or 6 if one is asked for."""
    try:
        return version in (0, ipaddress.ip_address(str(text)).version)
    except ValueError:
        return False


def network(text: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network that a text such as `10.0.0.0/8` means, or None."""
    if "/" not in str(text):
        return None
    try:
        return ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return None
