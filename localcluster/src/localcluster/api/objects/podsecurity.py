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
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Policy:
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
    for check, level, since, until in _CHECKS:
        asked = policy.rank >= _LEVELS.index(level) and policy.minor >= since
        stronger = policy.level == "restricted" and policy.minor >= until
        problem = check(pod) if asked and not stronger else None
        if problem:
            found.append(problem)
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

    @property
    def is_windows(self) -> bool:
        return (self.spec.get("os") or {}).get("name") == "windows"

    @property
    def has_own_users(self) -> bool:
        return self.spec.get("hostUsers") is False

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


def _app_armor(pod: _Pod) -> _Problem:
    def is_bad(security: Obj) -> bool:
        profile = security.get("appArmorProfile")
        return profile is not None and profile.get("type") not in _PROFILES

    values = sorted({v for v in pod.values("appArmorProfile.type") if v not in _PROFILES})
    setters = [pod.setters(is_bad)] if pod.setters(is_bad) else []
    notes = sorted(
        f"{key}={json.dumps(value)}"
        for key, value in pod.annotations.items()
        if key.startswith(_APPARMOR)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    )
    if notes:
        setters.append(f"annotation{'s' * (len(notes) > 1)}")
    if not setters:
        return None
    listed = [*values, *notes]
    reason = f"forbidden AppArmor profile{'s' * (len(listed) > 1)}"
    who = " and ".join(setters)
    return reason, f"{who} must not set AppArmor profile type to {_quoted(listed)}"


def _capabilities(pod: _Pod) -> _Problem:
    added = {
        name: [c for c in (s.get("capabilities") or {}).get("add") or [] if c not in _CAPABILITIES]
        for name, s in pod.each()
    }
    names = [name for name, bad in added.items() if bad]
    if not names:
        return None
    listed = _sorted(c for bad in added.values() for c in bad)
    detail = f"must not include {listed} in securityContext.capabilities.add"
    return "non-default capabilities", f"{_containers(names)} {detail}"


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


def _proc_mount_baseline(pod: _Pod) -> _Problem:
    return None if pod.has_own_users else _proc_mount(pod)


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
    def is_bad(security: Obj) -> bool:
        profile = security.get("seccompProfile")
        return profile is not None and profile.get("type") not in _PROFILES

    who = pod.setters(is_bad)
    if not who:
        return None
    values = _sorted(v for v in pod.values("seccompProfile.type") if v not in _PROFILES)
    return "seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {values}"


def _seccomp_restricted(pod: _Pod) -> _Problem:
    problem = None if pod.is_windows else _seccomp(pod)
    names = pod.names(lambda security: not security.get("seccompProfile"))
    if problem or pod.is_windows or pod.security.get("seccompProfile") or not names:
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
    if pod.is_windows or not names:
        return None
    detail = f"{_containers(names)} must set securityContext.allowPrivilegeEscalation=false"
    return "allowPrivilegeEscalation != false", detail


def _capabilities_restricted(pod: _Pod) -> _Problem:
    capabilities = {name: security.get("capabilities") or {} for name, security in pod.each()}
    keeping = [n for n, c in capabilities.items() if "ALL" not in (c.get("drop") or [])]
    added = {
        name: [one for one in c.get("add") or [] if one != "NET_BIND_SERVICE"]
        for name, c in capabilities.items()
    }
    adding = [name for name, bad in added.items() if bad]
    faults = []
    if keeping:
        why = 'must set securityContext.capabilities.drop=["ALL"]'
        faults.append(f"{_containers(keeping)} {why}")
    if adding:
        listed = _sorted(one for bad in added.values() for one in bad)
        why = f"must not include {listed} in securityContext.capabilities.add"
        faults.append(f"{_containers(adding)} {why}")
    if pod.is_windows or not faults:
        return None
    return "unrestricted capabilities", "; ".join(faults)


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
    if pod.has_own_users:
        return None
    reason, who = "runAsNonRoot != true", pod.setters(lambda s: s.get("runAsNonRoot") is False)
    if who:
        return reason, f"{who} must not set securityContext.runAsNonRoot=false"
    names = pod.names(lambda security: security.get("runAsNonRoot") is None)
    if pod.security.get("runAsNonRoot") or not names:
        return None
    return reason, f"pod or {_containers(names)} must set securityContext.runAsNonRoot=true"


def _root_user(pod: _Pod) -> _Problem:
    who = pod.setters(lambda security: security.get("runAsUser") == 0)
    if pod.has_own_users or not who:
        return None
    return "runAsUser=0", f"{who} must not set runAsUser=0"


# The checks in the real server's order: of which level, since which minor version, and since which
# a stronger check of the level `restricted` takes its place there.
_CHECKS: tuple[tuple[Callable[[_Pod], _Problem], str, int, int], ...] = (
    (_app_armor, "baseline", 0, _LATEST + 1),
    (_capabilities, "baseline", 0, 22),
    (_host_namespaces, "baseline", 0, _LATEST + 1),
    (_host_paths, "baseline", 0, 0),
    (_host_ports, "baseline", 0, _LATEST + 1),
    (_probe_hosts, "baseline", 34, _LATEST + 1),
    (_privileged, "baseline", 0, _LATEST + 1),
    (_proc_mount_baseline, "baseline", 0, 35),
    (_selinux, "baseline", 0, _LATEST + 1),
    (_seccomp, "baseline", 19, 19),
    (_sysctls, "baseline", 0, _LATEST + 1),
    (_host_process, "baseline", 0, _LATEST + 1),
    (_escalation, "restricted", 8, _LATEST + 1),
    (_capabilities_restricted, "restricted", 22, _LATEST + 1),
    (_proc_mount, "restricted", 35, _LATEST + 1),
    (_volumes, "restricted", 0, _LATEST + 1),
    (_non_root, "restricted", 0, _LATEST + 1),
    (_root_user, "restricted", 23, _LATEST + 1),
    (_seccomp_restricted, "restricted", 19, _LATEST + 1),
)
