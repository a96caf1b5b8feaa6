"""The diff with which the server shows how a spec that may not change was changed.

It is one of the Go structs inside the real server, printed as JSON: all their fields, in their
order. The types here are those that pods are made of; of others, what is set is shown.
"""

from __future__ import annotations

import json
from typing import Any

from ...apimachinery.jsontypes import Obj

# The fields of each struct: `Name=""` with the value of one that is not set (else it is null),
# `Name:Type` a struct that may be missing, `Name>Type` one that never is, `Name*Type` a list.
_STRUCTS = {
    "PodSpec": """Volumes*Volume InitContainers*Container Containers*Container
        EphemeralContainers*EphemeralContainer RestartPolicy TerminationGracePeriodSeconds
        ActiveDeadlineSeconds DNSPolicy NodeSelector ServiceAccountName
        AutomountServiceAccountToken NodeName="" SecurityContext:PodSecurityContext
        ImagePullSecrets*Named Hostname="" Subdomain="" HostnameOverride SetHostnameAsFQDN
        Affinity:Affinity SchedulerName Tolerations*Toleration HostAliases*HostAlias
        PriorityClassName="" Priority PreemptionPolicy DNSConfig:DNSConfig
        ReadinessGates*ReadinessGate RuntimeClassName Overhead EnableServiceLinks
        TopologySpreadConstraints*Spread OS:Named SchedulingGates*Named ResourceClaims
        Resources:Resources SchedulingGroup""",
    "PodSecurityContext": """HostNetwork=false HostPID=false HostIPC=false ShareProcessNamespace
        HostUsers SELinuxOptions WindowsOptions RunAsUser RunAsGroup RunAsNonRoot
        SupplementalGroups SupplementalGroupsPolicy FSGroup FSGroupChangePolicy Sysctls
        SeccompProfile:Profile AppArmorProfile:Profile SELinuxChangePolicy""",
    "Container": """Name Image Command Args WorkingDir="" Ports*Port EnvFrom*EnvFrom Env*Env
        Resources>Resources ResizePolicy RestartPolicy RestartPolicyRules
        VolumeMounts*VolumeMount VolumeDevices LivenessProbe:Probe ReadinessProbe:Probe
        StartupProbe:Probe Lifecycle:Lifecycle TerminationMessagePath TerminationMessagePolicy
        ImagePullPolicy SecurityContext:SecurityContext Stdin=false StdinOnce=false TTY=false""",
    "SecurityContext": """Capabilities:Capabilities Privileged SELinuxOptions WindowsOptions
        RunAsUser RunAsGroup RunAsNonRoot ReadOnlyRootFilesystem AllowPrivilegeEscalation
        ProcMount SeccompProfile:Profile AppArmorProfile:Profile""",
    "Volume": """Name HostPath:HostPath EmptyDir:EmptyDir GCEPersistentDisk AWSElasticBlockStore
        GitRepo Secret:Secret NFS ISCSI Glusterfs PersistentVolumeClaim:Claim RBD Quobyte
        FlexVolume Cinder CephFS Flocker DownwardAPI:DownwardAPI FC AzureFile
        ConfigMap:ConfigMap VsphereVolume AzureDisk PhotonPersistentDisk Projected:Projected
        PortworxVolume ScaleIO StorageOS CSI Ephemeral Image""",
    "VolumeMount": """Name ReadOnly=false RecursiveReadOnly MountPath SubPath=""
        MountPropagation SubPathExpr=\"\"""",
    "Probe": """Exec:Exec HTTPGet:HTTPGet TCPSocket:TCPSocket GRPC:GRPC InitialDelaySeconds=0
        TimeoutSeconds PeriodSeconds SuccessThreshold FailureThreshold
        TerminationGracePeriodSeconds""",
    "EnvSource": """FieldRef:FieldRef ResourceFieldRef:ResourceFieldRef ConfigMapKeyRef:KeyRef
        SecretKeyRef:KeyRef FileKeyRef""",
    "PersistentVolumeClaimSpec": """AccessModes Selector Resources>VolumeResources VolumeName=""
        StorageClassName VolumeMode DataSource DataSourceRef VolumeAttributesClassName""",
    "Affinity": "NodeAffinity PodAffinity PodAntiAffinity",
    "Capabilities": "Add Drop",
    "Claim": "ClaimName ReadOnly=false",
    "ConfigMap": 'Name="" Items*KeyToPath DefaultMode Optional',
    "DNSConfig": "Nameservers Searches Options",
    "DownwardAPI": "Items*DownwardAPIFile DefaultMode",
    "DownwardAPIFile": "Path FieldRef:FieldRef ResourceFieldRef:ResourceFieldRef Mode",
    "EmptyDir": 'Medium="" SizeLimit',
    "Env": 'Name Value="" ValueFrom:EnvSource',
    "EnvFrom": 'Prefix="" ConfigMapRef:Reference SecretRef:Reference',
    "Exec": "Command",
    "FieldRef": "APIVersion FieldPath",
    "GRPC": "Port Service",
    "HTTPGet": 'Path Port Host="" Scheme HTTPHeaders',
    "Handler": "Exec:Exec HTTPGet:HTTPGet TCPSocket:TCPSocket Sleep",
    "HostAlias": "IP Hostnames",
    "HostPath": "Path Type",
    "KeyRef": 'Name="" Key Optional',
    "KeyToPath": "Key Path Mode",
    "Lifecycle": "PostStart:Handler PreStop:Handler StopSignal",
    "Named": "Name",
    "Port": 'Name="" HostPort=0 ContainerPort Protocol HostIP=""',
    "Profile": "Type LocalhostProfile",
    "Projected": "Sources*Projection DefaultMode",
    "Projection": """Secret:ConfigMap DownwardAPI:DownwardAPI ConfigMap:ConfigMap
        ServiceAccountToken ClusterTrustBundle PodCertificate""",
    "ReadinessGate": "ConditionType",
    "Reference": 'Name="" Optional',
    "ResourceFieldRef": 'ContainerName="" Resource Divisor',
    "Resources": "Limits Requests Claims",
    "Secret": "SecretName Items*KeyToPath DefaultMode Optional",
    "Spread": """MaxSkew TopologyKey WhenUnsatisfiable LabelSelector MinDomains
        NodeAffinityPolicy NodeTaintsPolicy MatchLabelKeys""",
    "TCPSocket": 'Port Host=""',
    "Toleration": 'Key="" Operator Value="" Effect="" TolerationSeconds',
    "VolumeResources": "Limits Requests",
}
_STRUCTS["EphemeralContainer"] = _STRUCTS["Container"] + ' TargetContainerName=""'
_HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")


def spec_diff(kind: str, old: Obj, new: Obj) -> str:
    """Return how a spec was changed, as it stands after the message that it may not be."""
    import difflib  # only for a refusal

    was, now = (json.dumps(_struct(one, kind), indent=1).split("\n") for one in (old, new))
    lines = list(difflib.unified_diff(was, now, n=3, lineterm=""))[2:]
    return "".join(f"\n{line}" for line in lines) + "\n"


def _struct(value: Obj, kind: str) -> Obj:
    if kind == "PodSpec":
        host = {name: value[name] for name in _HOST_FIELDS if name in value}
        value = {**value, "securityContext": {**(value.get("securityContext") or {}), **host}}
    given = {name.lower(): one for name, one in value.items()}
    return dict(_field(one, given) for one in _STRUCTS[kind].split())


def _field(text: str, given: Obj) -> tuple[str, Any]:
    """Return a field's name and its value, from the values by their names in small letters."""
    for mark in "=:>*":
        name, found, rest = text.partition(mark)
        if not found:
            continue
        value = given.get(name.lower())
        if mark == "=":
            return name, json.loads(rest) if value is None else value
        if mark == "*":
            return name, [_struct(one, rest) for one in value] if value else None
        return name, _struct(value or {}, rest) if value is not None or mark == ">" else None
    return text, _capitalised(given.get(text.lower()))


def _capitalised(value: Any) -> Any:
    """Return a value of a type that is not known: a map as it is, a struct under Go's names."""
    if isinstance(value, list):
        return [_capitalised(one) for one in value]
    if not isinstance(value, dict) or all(isinstance(one, str) for one in value.values()):
        return dict(sorted(value.items())) if isinstance(value, dict) else value
    return {name[0].upper() + name[1:]: _capitalised(one) for name, one in value.items()}
