"""What the server refuses about Services, their endpoints, Ingresses and NetworkPolicies."""

from __future__ import annotations

from typing import Any

from ...apimachinery.jsontypes import Obj
from .causes import Causes
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

_PROTOCOLS = ["SCTP", "TCP", "UDP"]
_SERVICE_TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]
_ADDRESS_TYPES = ["FQDN", "IPv4", "IPv6"]
_PATH_TYPES = ["Exact", "ImplementationSpecific", "Prefix"]
_NOT_IN_A_PATH = ("//", "/./", "/../", "%2f", "%2F")
_INGRESS_CLASS = "kubernetes.io/ingress.class"
_MOST_ENDPOINTS, _MOST_ADDRESSES = 1000, 100


def validate_service(obj: Obj, causes: Causes) -> None:
    """Complain about a Service."""
    spec = obj["spec"]
    if spec["type"] not in _SERVICE_TYPES:
        causes.unsupported("spec.type", spec["type"], _SERVICE_TYPES)
    if not spec.get("ports") and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        causes.required("spec.ports")
    for i, port in enumerate(spec.get("ports") or []):
        at, number, target = f"spec.ports[{i}]", port.get("port"), port.get("targetPort")
        _port_name(port, spec["ports"][:i], len(spec["ports"]), at, causes)
        if not is_port(number):
            causes.invalid(f"{at}.port", number or 0, PORT_RULE)
        if port.get("protocol") not in _PROTOCOLS:
            causes.unsupported(f"{at}.protocol", port["protocol"], _PROTOCOLS)
        if isinstance(target, int) and not is_port(target):
            causes.invalid(f"{at}.targetPort", target, PORT_RULE)
        elif isinstance(target, str):
            causes.faults(f"{at}.targetPort", target, port_name_faults(target))
    affinity = spec.get("sessionAffinity")
    causes.one_of("spec.sessionAffinity", affinity, ["ClientIP", "None"])
    for name in ("externalTrafficPolicy", "internalTrafficPolicy"):
        causes.one_of(f"spec.{name}", spec.get(name), ["Cluster", "Local"])
    for i, family in enumerate(spec.get("ipFamilies") or []):
        if family == "IPv6":
            causes.invalid(f"spec.ipFamilies[{i}]", family, "not configured on this cluster")
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        causes.invalid("spec.ipFamilyPolicy", "RequireDualStack", why)
    if spec["type"] == "ExternalName":
        if spec.get("externalName"):
            host = spec["externalName"].rstrip(".")
            causes.faults("spec.externalName", host, subdomain_faults(host))
        else:
            causes.required("spec.externalName")
    for i, ip in enumerate(spec.get("externalIPs") or []):
        if not is_ip(ip):
            causes.invalid(f"spec.externalIPs[{i}]", ip, IP_RULE)


def _port_name(port: Obj, others: list[Obj], count: int, at: str, causes: Causes) -> None:
    name = port.get("name")
    if not name:
        if count > 1:
            causes.required(f"{at}.name")
        return
    causes.faults(f"{at}.name", name, label_faults(name))
    if name in {other.get("name") for other in others}:
        causes.duplicate(f"{at}.name", name)


def validate_endpoints(obj: Obj, causes: Causes) -> None:
    """Complain about an Endpoints."""
    for i, subset in enumerate(obj.get("subsets") or []):
        at, ports = f"subsets[{i}]", subset.get("ports") or []
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            causes.required(at, "must specify `addresses` or `notReadyAddresses`")
        for part in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(part) or []):
                if not is_ip(address.get("ip")):
                    causes.invalid(f"{at}.{part}[{j}].ip", address.get("ip"), IP_RULE)
        for j, port in enumerate(ports):
            where = f"{at}.ports[{j}]"
            if port.get("name"):
                causes.faults(f"{where}.name", port["name"], label_faults(port["name"]))
            elif len(ports) > 1:
                causes.required(f"{where}.name")
            if not is_port(port.get("port")):
                causes.invalid(f"{where}.port", port.get("port") or 0, PORT_RULE)
            causes.one_of(f"{where}.protocol", port.get("protocol"), _PROTOCOLS)


def validate_endpoint_slice(obj: Obj, causes: Causes) -> None:
    """Complain about an EndpointSlice."""
    kind, endpoints = obj.get("addressType"), obj.get("endpoints") or []
    if not kind:
        causes.required("addressType")
    else:
        causes.one_of("addressType", kind, _ADDRESS_TYPES)
    if len(endpoints) > _MOST_ENDPOINTS:
        causes.too_many("endpoints", len(endpoints), _MOST_ENDPOINTS)
    for i, endpoint in enumerate(endpoints):
        at, addresses = f"endpoints[{i}].addresses", endpoint.get("addresses") or []
        if not addresses:
            causes.required(at, "must contain at least 1 address")
        elif len(addresses) > _MOST_ADDRESSES:
            causes.too_many(at, len(addresses), _MOST_ADDRESSES)
        for j, address in enumerate(addresses):
            if kind == "FQDN":
                causes.faults(f"{at}[{j}]", address, subdomain_faults(address))
            elif kind in _ADDRESS_TYPES and not is_ip(address, int(kind[-1])):
                causes.invalid(f"{at}[{j}]", address, f"must be a valid {kind} address")
    ports = obj.get("ports") or []
    for i, port in enumerate(ports):
        name = port.get("name") or ""
        if name:
            causes.faults(f"ports[{i}].name", name, label_faults(name))
        if name in {other.get("name") or "" for other in ports[:i]}:
            causes.duplicate(f"ports[{i}].name", name)
        causes.one_of(f"ports[{i}].protocol", port.get("protocol"), _PROTOCOLS)


def validate_ingress(obj: Obj, causes: Causes) -> None:
    """Complain about an Ingress."""
    spec = obj["spec"]
    rules, default, name = spec.get("rules"), spec.get("defaultBackend"), "ingressClassName"
    if spec.get(name):
        causes.faults(f"spec.{name}", spec[name], subdomain_faults(spec[name]))
    for i, tls in enumerate(spec.get("tls") or []):
        for j, host in enumerate(tls.get("hosts") or []):
            faults = wildcard_faults if "*" in host else subdomain_faults
            causes.faults(f"spec.tls[{i}].hosts[{j}]", host, faults(host))
    if not rules and default is None:
        causes.invalid("spec", rules, "either `defaultBackend` or `rules` must be specified")
    if default is not None:
        _backend(default, "spec.defaultBackend", causes)
    for i, rule in enumerate(rules or []):
        at, host = f"spec.rules[{i}]", rule.get("host") or ""
        if is_ip(host):
            causes.invalid(f"{at}.host", host, "must be a DNS name, not an IP address")
        if host:
            faults = wildcard_faults if "*" in host else subdomain_faults
            causes.faults(f"{at}.host", host, faults(host))
        if rule.get("http") is None:
            continue
        if not rule["http"].get("paths"):
            causes.required(f"{at}.http.paths")
        for j, path in enumerate(rule["http"].get("paths") or []):
            _http_path(path, f"{at}.http.paths[{j}]", causes)


def validate_new_ingress(obj: Obj, causes: Causes) -> None:
    """Complain about an Ingress whose two ways to name its class differ."""
    older = (obj["metadata"].get("annotations") or {}).get(_INGRESS_CLASS)
    if older is not None and obj["spec"].get("ingressClassName") not in (None, older):
        why = "must match `ingressClassName` when both are specified"
        causes.invalid(f"annotations.{_INGRESS_CLASS}", older, why)


def _http_path(given: Obj, at: str, causes: Causes) -> None:
    kind, path = given.get("pathType"), given.get("path") or ""
    if not kind:
        causes.required(f"{at}.pathType", "pathType must be specified")
    elif kind not in _PATH_TYPES:
        causes.unsupported(f"{at}.pathType", kind, _PATH_TYPES)
    elif not path.startswith("/") and (path or kind != "ImplementationSpecific"):
        causes.invalid(f"{at}.path", path, "must be an absolute path")
    if kind in ("Exact", "Prefix"):
        for mark in _NOT_IN_A_PATH:
            if mark in path:
                causes.invalid(f"{at}.path", path, f"must not contain '{mark}'")
        for end in ("/..", "/."):
            if path.endswith(end):
                causes.invalid(f"{at}.path", path, f"cannot end with '{end}'")
    _backend(given.get("backend") or {}, f"{at}.backend", causes)


def _backend(backend: Obj, at: str, causes: Causes) -> None:
    service, resource = backend.get("service"), backend.get("resource")
    if service is None and resource is None:
        causes.invalid(at, "", "resource or service backend is required")
    elif service is not None and resource is not None:
        causes.invalid(at, "", "cannot set both resource and service backends")
    elif resource is not None:
        for name in ("kind", "name"):
            if not resource.get(name):
                causes.required(f"{at}.resource.{name}")
    elif service is not None:
        port, name = service.get("port") or {}, service.get("name")
        if not name:
            causes.required(f"{at}.service.name")
        else:
            causes.faults(f"{at}.service.name", name, label_faults(name))
        if port.get("name") and port.get("number"):
            causes.invalid(at, "", "cannot set both port name & port number")
        elif port.get("name"):
            faults = port_name_faults(port["name"])
            causes.faults(f"{at}.service.port.name", port["name"], faults)
        elif not port.get("number"):
            causes.required(at, "port name or number is required")
        elif not is_port(port["number"]):
            causes.invalid(f"{at}.service.port.number", port["number"], PORT_RULE)


def validate_network_policy(obj: Obj, causes: Causes) -> None:
    """Complain about a NetworkPolicy."""
    spec, known = obj["spec"], ["Ingress", "Egress"]
    validate_selector(spec.get("podSelector"), "spec.podSelector", causes)
    for way, peers in (("ingress", "from"), ("egress", "to")):
        for i, rule in enumerate(spec.get(way) or []):
            at = f"spec.{way}[{i}]"
            for j, port in enumerate(rule.get("ports") or []):
                _policy_port(port, f"{at}.ports[{j}]", causes)
            for j, peer in enumerate(rule.get(peers) or []):
                _peer(peer, f"{at}.{peers}[{j}]", causes)
    types = spec["policyTypes"]
    if len(types) > len(known):
        causes.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for i, kind in enumerate(types):
        if kind not in known:
            causes.unsupported(f"spec.policyTypes[{i}]", kind, known)


def _policy_port(given: Obj, at: str, causes: Causes) -> None:
    causes.one_of(f"{at}.protocol", given.get("protocol"), _PROTOCOLS)
    port, last = given.get("port"), given.get("endPort")
    if isinstance(port, str):
        causes.faults(f"{at}.port", port, port_name_faults(port))
    elif port is not None and not is_port(port):
        causes.invalid(f"{at}.port", port, PORT_RULE)
    if last is None:
        return
    why = ""
    if port is None:
        why = "may not be specified when `port` is not specified"
    elif isinstance(port, str):
        why = "may not be specified when `port` is non-numeric"
    elif last < port:
        why = "must be greater than or equal to `port`"
    if why:
        causes.invalid(f"{at}.endPort", last, why)
    elif not is_port(last):
        causes.invalid(f"{at}.endPort", last, PORT_RULE)


def _peer(peer: Obj, at: str, causes: Causes) -> None:
    block, selectors = peer.get("ipBlock"), ("podSelector", "namespaceSelector")
    chosen = [name for name in selectors if peer.get(name) is not None]
    for name in chosen:
        validate_selector(peer[name], f"{at}.{name}", causes)
    if block is not None:
        _ip_block(block, f"{at}.ipBlock", causes)
        if chosen:
            causes.forbidden(at, "may not specify both ipBlock and another peer")
    elif not chosen:
        causes.required(at, "must specify a peer")


def _ip_block(block: Obj, at: str, causes: Causes) -> None:
    whole = network(block.get("cidr"))
    if not block.get("cidr"):
        causes.required(f"{at}.cidr")
    elif whole is None:
        causes.invalid(f"{at}.cidr", block["cidr"], CIDR_RULE)
    for i, text in enumerate(block.get("except") or []):
        part: Any = network(text)
        if part is None:
            causes.invalid(f"{at}.except[{i}]", text, CIDR_RULE)
        elif whole and (part.version != whole.version or part == whole
                        or not part.subnet_of(whole)):  # fmt: skip
            causes.invalid(f"{at}.except[{i}]", text, "must be a strict subset of `cidr`")


def validate_ip_address(obj: Obj, causes: Causes) -> None:
    """Complain about an IPAddress, which belongs to what its `parentRef` names."""
    parent = (obj.get("spec") or {}).get("parentRef")
    if parent is None:
        causes.required("spec.parentRef")
        return
    for name in ("resource", "name"):
        if not parent.get(name):
            causes.required(f"spec.parentRef.{name}")


def validate_service_cidr(obj: Obj, causes: Causes) -> None:
    """Complain about a ServiceCIDR."""
    given = (obj.get("spec") or {}).get("cidrs") or []
    if not given:
        causes.required("spec.cidrs", "at least one CIDR required")
    elif len(given) > 2:
        causes.invalid("spec.cidrs", given, "may only hold up to 2 values")
    for i, text in enumerate(given):
        if network(text) is None:
            causes.invalid(f"spec.cidrs[{i}]", text, CIDR_RULE)
