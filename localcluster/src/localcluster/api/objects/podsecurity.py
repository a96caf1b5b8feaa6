"""Pod Security admission: which pods a namespace's labels allow, warn of, or refuse.

The checks are those of the Pod Security Standards. There is no audit log: of the labels for `audit`
only the form is checked.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from ...apimachinery.jsontypes import Obj

PREFIX = "pod-security.kubernetes.io/"
_LEVELS = ("privileged", "baseline", "restricted")
_LATEST = 10_000
_CAPABILITIES = {
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
}
_SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
}
_SELINUX_TYPES = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_PROFILES = ("Localhost", "RuntimeDefault")


class Policy(NamedTuple):
    """A level of the standards and the version of it, as minor number."""

    level: str = "privileged"
    version: str = "latest"

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"

    @property
    def rank(self) -> int:
        return _LEVELS.index(self.level)

    @property
    def minor(self) -> int:
        return _LATEST if self.version == "latest" else int(self.version[3:])


class Violations(list[tuple[str, str]]):
    """What a pod violates: reasons, each with a detail."""

    @property
    def reasons(self) -> str:
        return ", ".join(reason for reason, _ in self)

    def __str__(self) -> str:
        return ", ".join(f"{reason} ({detail})" for reason, detail in self)


def policies(labels: Obj) -> tuple[dict[str, Policy], list[tuple[str, str, str]]]:
    """Return the policies by mode (`enforce`, `audit`, `warn`), and what is wrong with the labels.

    Each fault is the label, its value and the reason.
    """
    found: dict[str, Policy] = {}
    faults = []
    for mode in ("enforce", "audit", "warn"):
        name, number = f"{PREFIX}{mode}", f"{PREFIX}{mode}-version"
        level, version = labels.get(name, "privileged"), labels.get(number, "latest")
        if level not in _LEVELS:
            faults.append((name, level, f"must be one of {', '.join(_LEVELS)}"))
            level = "restricted" if mode == "enforce" else "privileged"
        if version != "latest" and not re.fullmatch(r"v1\.(0|[1-9][0-9]{0,3})", version):
            faults.append((number, version, 'must be "latest" or "v1.x"'))
            version = "latest"
        found[mode] = Policy(level, version)
    enforced = labels.get(f"{PREFIX}enforce")
    if f"{PREFIX}warn" not in labels and enforced in _LEVELS:
        version = found["warn" if f"{PREFIX}warn-version" in labels else "enforce"].version
        found["warn"] = Policy(enforced, version)
    return found, faults


def violations(policy: Policy, template: Obj) -> Violations:
    """Return what a pod, or a pod template, violates of a policy."""
    pod, found = _Pod(template), Violations()
    for check in _CHECKS:
        asked = policy.rank >= _LEVELS.index(check.level) and policy.minor >= check.since
        stronger = policy.level == "restricted" and policy.minor >= check.until
        if asked and not stronger and check.applies(pod):
            problem = check.find(pod)
            found += [problem] if problem else []
    return found


def _quoted(items: Iterable[str]) -> str:
    return ", ".join(json.dumps(item) for item in items)


def _sorted(items: Iterable[str]) -> str:
    return _quoted(sorted(set(items)))


def _containers(names: list[str]) -> str:
    return f"container{'s' * (len(names) > 1)} {_quoted(names)}"


class _Pod:
    """A pod as the checks see it: its parts that may be left out, and its containers."""

    def __init__(self, template: Obj) -> None:
        self.spec: Obj = template.get("spec") or {}
        self.annotations: Obj = (template.get("metadata") or {}).get("annotations") or {}
        self.security: Obj = self.spec.get("securityContext") or {}
        parts = ("initContainers", "containers", "ephemeralContainers")
        self.containers: list[Obj] = [c for part in parts for c in self.spec.get(part) or []]

    def each(self) -> Iterator[tuple[str, Obj]]:
        """Yield the containers' names and security contexts."""
        for container in self.containers:
            yield str(container.get("name")), container.get("securityContext") or {}

    def names(self, is_bad: Callable[[Obj], Any]) -> list[str]:
        """Return the names of the containers whose security context is bad."""
        return [name for name, security in self.each() if is_bad(security)]

    def setters(self, is_bad: Callable[[Obj], Any]) -> str:
        """Return who has a bad security context: the pod, containers or both."""
        names = self.names(is_bad)
        found = ["pod"] * bool(is_bad(self.security)) + [_containers(names)] * bool(names)
        return " and ".join(found)

    def values(self, path: str) -> list[Any]:
        """Return what pod and containers have at a path of two names in the security context."""
        outer, inner = path.split(".")
        contexts = [self.security, *(security for _, security in self.each())]
        return [(c.get(outer) or {}).get(inner) for c in contexts if c.get(outer)]


_Problem = tuple[str, str] | None


def _profile(pod: _Pod, name: str) -> tuple[str, list[str]]:
    """Return who sets a forbidden profile in a field of the security context, and which ones."""

    def is_bad(security: Obj) -> bool:
        return security.get(name) is not None and security[name].get("type") not in _PROFILES

    values = {value for value in pod.values(f"{name}.type") if value not in _PROFILES}
    return pod.setters(is_bad), sorted(values)


def _app_armor(pod: _Pod) -> _Problem:
    who, values = _profile(pod, "appArmorProfile")
    notes = sorted(
        f"{key}={json.dumps(value)}"
        for key, value in pod.annotations.items()
        if key.startswith(_APPARMOR)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    )
    noted = [f"annotation{'s' * (len(notes) > 1)}"] if notes else []
    who = " and ".join([who] * bool(who) + noted)
    listed = [*values, *notes]
    reason = f"forbidden AppArmor profile{'s' * (len(listed) > 1)}"
    text = f"{who} must not set AppArmor profile type to {_quoted(listed)}"
    return (reason, text) if who else None


def _added(pod: _Pod, allowed: Iterable[str]) -> str:
    """Return what is wrong with the capabilities that containers add."""
    added = {
        name: [c for c in (s.get("capabilities") or {}).get("add") or [] if c not in allowed]
        for name, s in pod.each()
    }
    names = [name for name, bad in added.items() if bad]
    listed = _sorted(c for bad in added.values() for c in bad)
    detail = f"must not include {listed} in securityContext.capabilities.add"
    return f"{_containers(names)} {detail}" if names else ""


def _capabilities(pod: _Pod) -> _Problem:
    fault = _added(pod, _CAPABILITIES)
    return ("non-default capabilities", fault) if fault else None


def _host_namespaces(pod: _Pod) -> _Problem:
    found = [f"{n}=true" for n in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(n)]
    return ("host namespaces", ", ".join(found)) if found else None


def _host_paths(pod: _Pod) -> _Problem:
    names = [v["name"] for v in pod.spec.get("volumes") or [] if v.get("hostPath") is not None]
    return (
        ("hostPath volumes", f"volume{'s' * (len(names) > 1)} {_quoted(names)}") if names else None
    )


def _uses(reason: str, what: str, found: dict[str, list[str]], quoted: bool) -> _Problem:
    """Return the problem that containers use something that they must not."""
    names = [name for name, used in found.items() if used]
    if not names:
        return None
    items = sorted({item for used in found.values() for item in used})
    listed = _quoted(items) if quoted else ", ".join(items)
    verb = "uses" if len(names) == 1 else "use"
    return reason, f"{_containers(names)} {verb} {what}{'s' * (len(items) > 1)} {listed}"


def _host_ports(pod: _Pod) -> _Problem:
    found = {
        c["name"]: [str(p["hostPort"]) for p in c.get("ports") or [] if p.get("hostPort")]
        for c in pod.containers
    }
    return _uses("hostPort", "hostPort", found, False)


def _probe_hosts(pod: _Pod) -> _Problem:
    found = {}
    for container in pod.containers:
        hooks = container.get("lifecycle") or {}
        handlers = [container.get(f"{n}Probe") for n in ("liveness", "readiness", "startup")]
        handlers += [hooks.get("postStart"), hooks.get("preStop")]
        calls = [(h or {}).get(kind) or {} for h in handlers for kind in ("httpGet", "tcpSocket")]
        found[container["name"]] = [call["host"] for call in calls if call.get("host")]
    return _uses("probe or lifecycle host", "probe or lifecycle host", found, True)


def _privileged(pod: _Pod) -> _Problem:
    names = pod.names(lambda security: security.get("privileged"))
    detail = f"{_containers(names)} must not set securityContext.privileged=true"
    return ("privileged", detail) if names else None


def _proc_mount(pod: _Pod) -> _Problem:
    found = {n: s["procMount"] for n, s in pod.each() if s.get("procMount", "Default") != "Default"}
    if not found:
        return None
    detail = f"must not set securityContext.procMount to {_sorted(found.values())}"
    return "procMount", f"{_containers(list(found))} {detail}"


def _selinux(pod: _Pod) -> _Problem:
    def is_bad(security: Obj) -> bool:
        given = security.get("seLinuxOptions") or {}
        forbidden = given.get("user") or given.get("role")
        return bool(forbidden) or given.get("type", "") not in _SELINUX_TYPES

    who = pod.setters(is_bad)
    if not who:
        return None
    types = {v or "" for v in pod.values("seLinuxOptions.type")} - set(_SELINUX_TYPES)
    faults = [f"type{'s' * (len(types) > 1)} {_sorted(types)}"] if types else []
    for name in ("user", "role"):
        if any(pod.values(f"seLinuxOptions.{name}")):
            faults.append(f"{name} may not be set")
    text = "; ".join(faults)
    return "seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {text}"


def _seccomp(pod: _Pod) -> _Problem:
    who, values = _profile(pod, "seccompProfile")
    why = f"must not set securityContext.seccompProfile.type to {_quoted(values)}"
    return ("seccompProfile", f"{who} {why}") if who else None


def _seccomp_restricted(pod: _Pod) -> _Problem:
    names = pod.names(lambda security: not security.get("seccompProfile"))
    problem = _seccomp(pod)
    if problem or pod.security.get("seccompProfile") or not names:
        return problem
    why = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return "seccompProfile", f"pod or {_containers(names)} {why}"


def _sysctls(pod: _Pod) -> _Problem:
    given = [one["name"] for one in pod.security.get("sysctls") or []]
    bad = [name for name in given if name not in _SYSCTLS]
    return ("forbidden sysctls", ", ".join(bad)) if bad else None


def _host_process(pod: _Pod) -> _Problem:
    who = pod.setters(lambda security: (security.get("windowsOptions") or {}).get("hostProcess"))
    detail = f"{who} must not set securityContext.windowsOptions.hostProcess=true"
    return ("hostProcess", detail) if who else None


def _escalation(pod: _Pod) -> _Problem:
    names = pod.names(lambda security: security.get("allowPrivilegeEscalation") is not False)
    detail = f"{_containers(names)} must set securityContext.allowPrivilegeEscalation=false"
    return ("allowPrivilegeEscalation != false", detail) if names else None


def _capabilities_restricted(pod: _Pod) -> _Problem:
    keeping = pod.names(lambda s: "ALL" not in ((s.get("capabilities") or {}).get("drop") or []))
    why = 'must set securityContext.capabilities.drop=["ALL"]'
    faults = [f"{_containers(keeping)} {why}"] if keeping else []
    added = _added(pod, ["NET_BIND_SERVICE"])
    faults += [added] if added else []
    return ("unrestricted capabilities", "; ".join(faults)) if faults else None


def _volumes(pod: _Pod) -> _Problem:
    found = {}
    for volume in pod.spec.get("volumes") or []:
        kinds = [kind for kind in volume if kind != "name" and volume[kind] is not None]
        if not _VOLUMES & set(kinds):
            found[volume["name"]] = kinds[0] if kinds else "unknown"
    if not found:
        return None
    many, types = len(found) > 1, set(found.values())
    what = f"restricted volume type{'s' * (len(types) > 1)} {_sorted(types)}"
    detail = f"volume{'s' * many} {_quoted(found)} {'use' if many else 'uses'} {what}"
    return "restricted volume types", detail


def _non_root(pod: _Pod) -> _Problem:
    reason, who = "runAsNonRoot != true", pod.setters(lambda s: s.get("runAsNonRoot") is False)
    if who:
        return reason, f"{who} must not set securityContext.runAsNonRoot=false"
    names = pod.names(lambda security: security.get("runAsNonRoot") is None)
    if pod.security.get("runAsNonRoot") or not names:
        return None
    return reason, f"pod or {_containers(names)} must set securityContext.runAsNonRoot=true"


def _root_user(pod: _Pod) -> _Problem:
    who = pod.setters(lambda security: security.get("runAsUser") == 0)
    return ("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def _always(_pod: _Pod) -> bool:
    return True


def _not_windows(pod: _Pod) -> bool:
    return (pod.spec.get("os") or {}).get("name") != "windows"


def _host_users(pod: _Pod) -> bool:
    return pod.spec.get("hostUsers") is not False


class _Check(NamedTuple):
    """A check of a level of the standards.

    Args:
        since: The first minor version that has it.
        until: The first minor version in which a stronger check of the level `restricted` takes
            its place there.
        applies: Tells which pods it looks at.
    """

    find: Callable[[_Pod], _Problem]
    level: str = "baseline"
    since: int = 0
    until: int = _LATEST + 1
    applies: Callable[[_Pod], bool] = _always


# The checks in the real server's order.
_CHECKS = (
    _Check(_app_armor),
    _Check(_capabilities, until=22),
    _Check(_host_namespaces),
    _Check(_host_paths, until=0),
    _Check(_host_ports),
    _Check(_probe_hosts, since=34),
    _Check(_privileged),
    _Check(_proc_mount, until=35, applies=_host_users),
    _Check(_selinux),
    _Check(_seccomp, since=19, until=19),
    _Check(_sysctls),
    _Check(_host_process),
    _Check(_escalation, "restricted", 8, applies=_not_windows),
    _Check(_capabilities_restricted, "restricted", 22, applies=_not_windows),
    _Check(_proc_mount, "restricted", 35),
    _Check(_volumes, "restricted"),
    _Check(_non_root, "restricted", applies=_host_users),
    _Check(_root_user, "restricted", 23, applies=_host_users),
    _Check(_seccomp_restricted, "restricted", 19, applies=_not_windows),
)
