"""What the server refuses about Services, their endpoints, Ingresses and NetworkPolicies."""

from __future__ import annotations

from typing import Any

from ...apimachinery.jsontypes import Obj
from .metadata import validate_selector
from .names import (
    CIDR_RULE,
    IP_RULE,
    PORT_RULE,
    is_ip,
    is_port,
    label_faults,
    network,
    port_name_faults,
    subdomain_faults,
    wildcard_faults,
)
from .part import Part, repeated

_NOT_IN_A_PATH = ("//", "/./", "/../", "%2f", "%2F")
_INGRESS_CLASS = "kubernetes.io/ingress.class"
_MOST_ENDPOINTS, _MOST_ADDRESSES = 1000, 100


def _ip(part: Part, name: str) -> None:
    if not is_ip(part[name]):
        part.invalid(name, IP_RULE)


def _host(part: Part, name: str) -> None:
    part.check(name, wildcard_faults if "*" in (part[name] or "") else subdomain_faults)


def validate_service(obj: Part) -> None:
    """Complain about a Service."""
    spec = obj.part("spec")
    external, ports = spec["type"] == "ExternalName", spec.each("ports")
    spec.choose("type", always=True)
    if not ports and not external and spec["clusterIP"] != "None":
        spec.required("ports")
    for port, again in repeated(ports, "name"):
        port.check("name", label_faults, required=len(ports) > 1)
        if port["name"] and again:
            port.duplicate("name")
        port.port("port")
        port.choose("protocol", always=True)
        port.port("targetPort", optional=True)
    for name in ("sessionAffinity", "externalTrafficPolicy", "internalTrafficPolicy"):
        spec.choose(name)
    for family in spec.each("ipFamilies"):
        if family.value == "IPv6":
            family.invalid("", "not configured on this cluster")
    if spec["ipFamilyPolicy"] == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        spec.invalid("ipFamilyPolicy", why)
    if external and spec["externalName"]:
        host = spec["externalName"].rstrip(".")
        spec.causes.faults("spec.externalName", host, subdomain_faults(host))
    elif external:
        spec.required("externalName")
    for ip in spec.each("externalIPs"):
        _ip(ip, "")


def validate_service_update(old: Obj, new: Part) -> None:
    """Complain about another cluster IP."""
    was, now = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
    if was and was != now:
        new.invalid("spec.clusterIPs[0]", "may not change once set", [now])


def validate_endpoints(obj: Part) -> None:
    """Complain about an Endpoints."""
    for subset in obj.each("subsets"):
        ports = subset.each("ports")
        if not subset["addresses"] and not subset["notReadyAddresses"]:
            subset.required("", "must specify `addresses` or `notReadyAddresses`")
        for address in subset.each("addresses", "notReadyAddresses"):
            _ip(address, "ip")
        for port in ports:
            port.check("name", label_faults, required=len(ports) > 1)
            port.port("port")
            port.choose("protocol")


def validate_endpoint_slice(obj: Part) -> None:
    """Complain about an EndpointSlice."""
    kind, endpoints = obj["addressType"], obj.each("endpoints")
    obj.require("addressType")
    obj.choose("addressType")
    if len(endpoints) > _MOST_ENDPOINTS:
        obj.causes.too_many("endpoints", len(endpoints), _MOST_ENDPOINTS)
    for endpoint in endpoints:
        addresses = endpoint.each("addresses")
        endpoint.require("addresses", why="must contain at least 1 address")
        if len(addresses) > _MOST_ADDRESSES:
            obj.causes.too_many(endpoint.at("addresses"), len(addresses), _MOST_ADDRESSES)
        for address in addresses:
            if kind == "FQDN":
                obj.causes.faults(address.path, address.value, subdomain_faults(address.value))
            elif kind in ("IPv4", "IPv6") and not is_ip(address.value, int(kind[-1])):
                address.invalid("", f"must be a valid {kind} address")
    for port, again in repeated(obj.each("ports"), "name"):
        port.check("name", label_faults)
        if again:
            port.duplicate("name")
        port.choose("protocol")


def validate_ingress(obj: Part) -> None:
    """Complain about an Ingress."""
    spec = obj.part("spec")
    spec.check("ingressClassName", subdomain_faults)
    for tls in spec.each("tls"):
        for host in tls.each("hosts"):
            _host(host, "")
    if not spec["rules"] and spec["defaultBackend"] is None:
        why = "either `defaultBackend` or `rules` must be specified"
        spec.invalid("", why, spec["rules"])
    if spec["defaultBackend"] is not None:
        _backend(spec.part("defaultBackend"))
    for rule in spec.each("rules"):
        if is_ip(rule["host"]):
            rule.invalid("host", "must be a DNS name, not an IP address")
        _host(rule, "host")
        if rule["http"] is not None:
            rule.part("http").require("paths")
            for path in rule.part("http").each("paths"):
                _http_path(path)


def validate_new_ingress(obj: Part) -> None:
    """Complain about an Ingress whose two ways to name its class differ."""
    older = obj.part("metadata").part("annotations")[_INGRESS_CLASS]
    if older is not None and obj.part("spec")["ingressClassName"] not in (None, older):
        why = "must match `ingressClassName` when both are specified"
        obj.invalid(f"annotations.{_INGRESS_CLASS}", why, older)


def _http_path(given: Part) -> None:
    kind, path = given["pathType"], given["path"] or ""
    if not kind:
        given.required("pathType", "pathType must be specified")
    elif kind not in given.kind.part("pathType").enum:
        given.choose("pathType")
    elif not path.startswith("/") and (path or kind != "ImplementationSpecific"):
        given.invalid("path", "must be an absolute path", path)
    if kind in ("Exact", "Prefix"):
        for mark in _NOT_IN_A_PATH:
            if mark in path:
                given.invalid("path", f"must not contain '{mark}'")
        for end in ("/..", "/."):
            if path.endswith(end):
                given.invalid("path", f"cannot end with '{end}'")
    _backend(given.part("backend"))


def _backend(backend: Part) -> None:
    service, port = backend.part("service"), backend.part("service").part("port")
    if backend["service"] is None and backend["resource"] is None:
        backend.invalid("", "resource or service backend is required", "")
    elif backend["service"] is not None and backend["resource"] is not None:
        backend.invalid("", "cannot set both resource and service backends", "")
    elif backend["resource"] is not None:
        backend.part("resource").require("kind", "name")
    else:
        service.check("name", label_faults, required=True)
        if port["name"] and port["number"]:
            backend.invalid("", "cannot set both port name & port number", "")
        elif port["name"]:
            port.check("name", port_name_faults)
        elif port["number"]:
            port.port("number")
        else:
            backend.required("", "port name or number is required")


def validate_network_policy(obj: Part) -> None:
    """Complain about a NetworkPolicy."""
    spec, known = obj.part("spec"), ["Ingress", "Egress"]
    validate_selector(spec.part("podSelector"))
    for way, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.each(way):
            for port in rule.each("ports"):
                _policy_port(port)
            for peer in rule.each(peers):
                _peer(peer)
    if len(spec["policyTypes"]) > len(known):
        spec.invalid("policyTypes", "may not specify more than two policyTypes")
        return
    for kind in spec.each("policyTypes"):
        kind.choose("", known, always=True)


def _policy_port(given: Part) -> None:
    given.choose("protocol")
    given.port("port", optional=True)
    port, last = given["port"], given["endPort"]
    if last is None:
        return
    if port is None:
        given.invalid("endPort", "may not be specified when `port` is not specified")
    elif isinstance(port, str):
        given.invalid("endPort", "may not be specified when `port` is non-numeric")
    elif last < port:
        given.invalid("endPort", "must be greater than or equal to `port`")
    elif not is_port(last):
        given.invalid("endPort", PORT_RULE)


def _peer(peer: Part) -> None:
    chosen = [n for n in ("podSelector", "namespaceSelector") if peer[n] is not None]
    for name in chosen:
        validate_selector(peer.part(name))
    if peer["ipBlock"] is not None:
        _ip_block(peer.part("ipBlock"))
        if chosen:
            peer.forbidden("", "may not specify both ipBlock and another peer")
    elif not chosen:
        peer.required("", "must specify a peer")


def _ip_block(block: Part) -> None:
    whole = network(block["cidr"])
    block.require("cidr")
    if block["cidr"] and whole is None:
        block.invalid("cidr", CIDR_RULE)
    for one in block.each("except"):
        part: Any = network(one.value)
        if part is None:
            one.invalid("", CIDR_RULE)
        elif whole and (part.version != whole.version or part == whole
                        or not part.subnet_of(whole)):  # fmt: skip
            one.invalid("", "must be a strict subset of `cidr`")


def validate_ip_address(obj: Part) -> None:
    """Complain about an IPAddress, which belongs to what its `parentRef` names."""
    spec = obj.part("spec")
    if spec["parentRef"] is None:
        spec.required("parentRef")
    else:
        spec.part("parentRef").require("resource", "name")


def validate_service_cidr(obj: Part) -> None:
    """Complain about a ServiceCIDR."""
    spec = obj.part("spec")
    spec.require("cidrs", why="at least one CIDR required")
    if len(spec["cidrs"] or []) > 2:
        spec.invalid("cidrs", "may only hold up to 2 values")
    for one in spec.each("cidrs"):
        if network(one.value) is None:
            one.invalid("", CIDR_RULE)
