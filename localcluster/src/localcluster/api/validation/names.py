"""Which names Kubernetes allows, and the words in which it refuses the others.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

import re

DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_DNS_1035_LABEL = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")

SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or"
    " '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used"
    r" for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
DNS_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and"
    " must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex"
    " used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
DNS_1035_RULE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an"
    " alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or"
    " 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def is_subdomain(name: str) -> bool:
    """Tell whether `name` is safe and legal as the name of any object."""
    return len(name) <= 253 and bool(_SUBDOMAIN.fullmatch(name))


def is_dns_label(name: str) -> bool:
    """Tell whether `name` may be the name of a namespace, a container or a volume."""
    return len(name) <= 63 and bool(DNS_LABEL.fullmatch(name))


def is_dns_1035_label(name: str) -> bool:
    """Tell whether `name` may be the name of a Service."""
    return len(name) <= 63 and bool(_DNS_1035_LABEL.fullmatch(name))


def is_config_key(name: str) -> bool:
    """Tell whether `name` is good as a key of a ConfigMap or Secret, and so as a file's name."""
    known = re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", name)
    return bool(known) and name != "." and not name.startswith("..")
