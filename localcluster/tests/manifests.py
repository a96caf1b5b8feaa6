"""A valid manifest of each kind that the cluster serves, with most of what people write in it."""

from __future__ import annotations

import copy
from typing import Any

from localcluster.apimachinery.resources import Resource

APP = {"matchLabels": {"app": "a"}}
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["a"]}]
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "a"}
USER = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "a"}
STORAGE = {"requests": {"storage": "1Gi"}}
TERM = {"labelSelector": APP, "topologyKey": "kubernetes.io/hostname", "namespaces": ["default"]}
EXPRESSION = {"key": "kubernetes.io/os", "operator": "NotIn", "values": ["plan9"]}
NODE_TERM = {"matchExpressions": [EXPRESSION], "matchFields": []}

CONTAINER = {
    "name": "main",
    "image": "python",
    "imagePullPolicy": "IfNotPresent",
    "command": ["sleep"],
    "args": ["2"],
    "workingDir": "/work",
    "ports": [{"name": "web", "containerPort": 8080, "protocol": "TCP"}],
    "env": [
        {"name": "A", "value": "$(B)"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}},
    ],
    "envFrom": [{"prefix": "P_", "configMapRef": {"name": "c", "optional": True}}],
    "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": 1}},
    "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
    "volumeMounts": [
        {"name": "empty", "mountPath": "/empty", "subPath": "part"},
        {"name": "files", "mountPath": "/files", "readOnly": True},
    ],
    "startupProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1},
    "readinessProbe": {"tcpSocket": {"port": "web"}, "initialDelaySeconds": 1},
    "livenessProbe": {
        "httpGet": {"port": 8080, "path": "/", "httpHeaders": [{"name": "A", "value": "a"}]},
        "failureThreshold": 9,
    },
    "lifecycle": {
        "postStart": {"exec": {"command": ["true"]}},
        "preStop": {"sleep": {"seconds": 0}},
    },
    "securityContext": {"runAsNonRoot": False, "capabilities": {"drop": ["ALL"]}},
    "terminationMessagePolicy": "FallbackToLogsOnError",
}
POD = {
    "restartPolicy": "Never",
    "terminationGracePeriodSeconds": 1,
    "activeDeadlineSeconds": 20,
    "initContainers": [
        {"name": "first", "image": "python", "command": ["true"]},
        {"name": "side", "image": "python", "command": ["sleep", "9"], "restartPolicy": "Always"},
    ],
    "containers": [CONTAINER],
    "volumes": [
        {"name": "empty", "emptyDir": {"sizeLimit": "1Mi"}},
        {
            "name": "files",
            "projected": {
                "defaultMode": 420,
                "sources": [
                    {"configMap": {"name": "c", "optional": True}},
                    {"secret": {"name": "s", "items": [{"key": "k", "path": "p/q"}]}},
                    {
                        "downwardAPI": {
                            "items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]
                        }
                    },
                ],
            },
        },
    ],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [NODE_TERM]},
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": NODE_TERM}
            ],
        },
        "podAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": TERM}
            ]
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 100, "podAffinityTerm": TERM}
            ]
        },
    },
    "tolerations": [
        {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 9}
    ],
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": APP,
        }
    ],
    "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["a"]}],
    "dnsConfig": {"nameservers": ["10.0.0.1"], "options": [{"name": "a", "value": "1"}]},
    "securityContext": {"fsGroup": 1, "sysctls": [{"name": "a", "value": "1"}]},
    "readinessGates": [{"conditionType": "a"}],
    "imagePullSecrets": [{"name": "a"}],
}
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {**POD, "restartPolicy": "Always"}}
for unended in ("activeDeadlineSeconds", "readinessGates"):
    TEMPLATE["spec"].pop(unended)
JOB = {
    "parallelism": 2,
    "completions": 2,
    "completionMode": "Indexed",
    "backoffLimitPerIndex": 1,
    "maxFailedIndexes": 1,
    "activeDeadlineSeconds": 20,
    "ttlSecondsAfterFinished": 2,
    "podFailurePolicy": {
        "rules": [
            {
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            },
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]},
            },
        ]
    },
    "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 1}]},
    "template": {"metadata": {"labels": {"app": "a"}}, "spec": POD},
}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": STORAGE, "storageClassName": "a"}
POLICY_PEER = {"podSelector": APP, "namespaceSelector": {"matchExpressions": []}}
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%"}}

# What each kind has beside its `apiVersion`, `kind` and `metadata`.
_PARTS: dict[str, dict[str, Any]] = {
    "Binding": {"target": {"kind": "Node", "name": "worker-1"}},
    "ConfigMap": {"data": {"a": "b", "c.d": "e\n"}, "binaryData": {"f": "YQ=="}},
    "Endpoints": {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]},
    "Event": {
        "involvedObject": {"kind": "Pod", "namespace": "NAMESPACE", "name": "a"},
        "reason": "A",
        "message": "a",
        "type": "Normal",
        "count": 1,
        "source": {"component": "a"},
        "firstTimestamp": "2020-01-01T00:00:00Z",
    },
    "Namespace": {"spec": {"finalizers": ["kubernetes"]}},
    "Node": {
        "spec": {"unschedulable": True, "taints": [{"key": "a", "effect": "NoExecute"}]},
    },
    "Pod": {"spec": POD},
    "LimitRange": {"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}},
    "PersistentVolume": {
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": "/nowhere", "type": "Directory"},
        }
    },
    "PersistentVolumeClaim": {"spec": CLAIM},
    "ReplicationController": {
        "spec": {"replicas": 1, "selector": {"app": "a"}, "template": TEMPLATE}
    },
    "ResourceQuota": {"spec": {"hard": {"pods": "100", "cpu": "99"}, "scopes": ["NotTerminating"]}},
    "Secret": {"type": "Opaque", "data": {"a": "YQ=="}, "stringData": {"b": "c"}},
    "ServiceAccount": {"secrets": [{"name": "a"}], "imagePullSecrets": [{"name": "a"}]},
    "Service": {
        "spec": {
            "selector": {"app": "a"},
            "type": "NodePort",
            "sessionAffinity": "ClientIP",
            "ports": [{"name": "web", "port": 80, "targetPort": "web", "appProtocol": "http"}],
        }
    },
    "Deployment": {
        "spec": {
            "replicas": 1,
            "selector": APP,
            "template": TEMPLATE,
            "minReadySeconds": 1,
            "revisionHistoryLimit": 1,
            "progressDeadlineSeconds": 9,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        }
    },
    "ReplicaSet": {"spec": {"replicas": 1, "selector": APP, "template": TEMPLATE}},
    "DaemonSet": {"spec": {"selector": APP, "template": TEMPLATE, "updateStrategy": ROLLING}},
    "StatefulSet": {
        "spec": {
            "serviceName": "a",
            "selector": APP,
            "template": TEMPLATE,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": CLAIM}],
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
        }
    },
    "Job": {"spec": JOB},
    "CronJob": {
        "spec": {
            "schedule": "*/1 * * * *",
            "timeZone": "Etc/UTC",
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 100,
            "jobTemplate": {"spec": JOB},
        }
    },
    "Ingress": {
        "spec": {
            "ingressClassName": "a",
            "tls": [{"hosts": ["a.example"], "secretName": "a"}],
            "rules": [
                {
                    "host": "a.example",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "a", "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ],
        }
    },
    "IPAddress": {"spec": {"parentRef": {"resource": "services", "namespace": "a", "name": "a"}}},
    "NetworkPolicy": {
        "spec": {
            "podSelector": APP,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [POLICY_PEER], "ports": [{"port": 80, "endPort": 90}]}],
            "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}],
        }
    },
    "ServiceCIDR": {"spec": {"cidrs": ["10.9.0.0/24"]}},
    "PodDisruptionBudget": {"spec": {"minAvailable": 1, "selector": APP}},
    "ClusterRole": {"rules": RULES, "aggregationRule": {"clusterRoleSelectors": [APP]}},
    "ClusterRoleBinding": {"roleRef": ROLE, "subjects": [USER]},
    "Role": {"rules": RULES},
    "RoleBinding": {"roleRef": ROLE, "subjects": [USER]},
    "PriorityClass": {"value": 1, "preemptionPolicy": "Never", "description": "a"},
    "Lease": {
        "spec": {
            "holderIdentity": "a",
            "leaseDurationSeconds": 9,
            "renewTime": "2020-01-01T00:00:00.000000Z",
        }
    },
    "EndpointSlice": {
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
        "ports": [{"name": "web", "port": 80}],
    },
}
_NAMES = {"IPAddress": "10.96.{}.{}"}


def valid(resource: Resource, namespace: str, number: int) -> dict[str, Any]:
    """Return a manifest that the API accepts, with a name of its own."""
    form = _NAMES.get(resource.kind, "fuzz-{}-{}")
    metadata = {
        "name": form.format(*divmod(number, 250)),
        "labels": {"app": "a", "fuzz": "yes"},
        "annotations": {"example.com/a": "b"},
        **({"namespace": namespace} if resource.namespaced else {}),
    }
    if resource.kind == "Binding":
        metadata["name"] = "bound"
    head = {"apiVersion": resource.group_version, "kind": resource.kind, "metadata": metadata}
    made = {**head, **copy.deepcopy(_PARTS[resource.kind])}
    if resource.kind == "Event":
        made["involvedObject"]["namespace"] = namespace
    return made
