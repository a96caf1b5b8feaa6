"""Objects that only lie there: namespaces, secrets, services, roles, budgets."""

from __future__ import annotations

from ..script import Script, config_map, pod, scenario


@scenario
def namespaces(s: Script) -> None:
    """A namespace takes all that is in it along."""
    name = "{ns}-second"
    at = f"/api/v1/namespaces/{name}"
    s.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": {"a": "b"}}})
    s.get(at)
    s.until(f"{at}/serviceaccounts/default", "metadata.name", "default")
    s.get(f"{at}/serviceaccounts/default", show=("kind", "metadata.name", "metadata.namespace"))
    s.post(f"{at}/configmaps", config_map("a"))
    s.patch(at, {"metadata": {"labels": {"c": "d"}}}, show=("metadata.labels",))
    s.delete(at, show=("kind", "metadata.name", "status"))
    s.until(at, "gone")
    s.get(at)
    s.get(f"{at}/configmaps/a")
    s.post("/api/v1/namespaces", {"metadata": {"name": "Wrong"}})


@scenario
def a_namespace_that_ends(s: Script) -> None:
    """While a namespace ends, nothing new can be made in it."""
    name = "{ns}-ending"
    at = f"/api/v1/namespaces/{name}"
    s.quiet("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    kept = config_map("kept", finalizers=["example.com/keep"])
    s.quiet("POST", f"{at}/configmaps", kept)
    s.quiet("DELETE", at)
    s.until(f"{at}/configmaps/kept", "metadata.deletionTimestamp")
    s.get(at, show=("status.phase", "spec.finalizers"))
    s.post(f"{at}/configmaps", config_map("late"))
    s.quiet("PATCH", f"{at}/configmaps/kept", {"metadata": {"finalizers": None}})
    s.until(at, "gone")
    s.get(at)


@scenario
def secrets(s: Script) -> None:
    """stringData becomes data; what is immutable stays as it is."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    s.post("secrets", {**secret, "stringData": {"password": "s3cret"}, "data": {"user": "bWU="}})
    s.patch("secrets/a", {"stringData": {"password": "new"}})
    s.get("secrets/a")
    s.patch("secrets/a", {"type": "other"})
    s.patch("secrets/a", {"immutable": True})
    s.patch("secrets/a", {"data": {"user": "eW91"}})
    s.patch("secrets/a", {"immutable": False})
    s.patch("secrets/a", {"metadata": {"labels": {"still": "possible"}}})
    secret["metadata"] = {"name": "b"}
    s.post("secrets", {**secret, "data": {"user": "not base64!"}})
    s.post("secrets", {**secret, "type": "kubernetes.io/basic-auth", "stringData": {"x": "y"}})
    s.post("configmaps", {**config_map("a", {"n": "1"}), "immutable": True})
    s.patch("configmaps/a", {"data": {"n": "2"}})
    s.get("configmaps/a")


@scenario
def services(s: Script) -> None:
    """What a Service is given, and what cannot be changed of it."""

    def service(name: str, **spec: object) -> dict[str, object]:
        ports = [{"port": 6379, "targetPort": 6379}]
        made = {"selector": {"app": "redis"}, "ports": ports, **spec}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": made}

    s.post("services", service("redis"))
    s.get("services/redis")
    s.post("services", service("headless", clusterIP="None"))
    s.post("services", service("node-port", type="NodePort"))
    s.post("services", service("named", ports=[{"port": 80, "targetPort": "http", "name": "web"}]))
    s.post("services", {**service("elsewhere"), "spec": {"type": "ExternalName"}})
    outside = {"type": "ExternalName", "externalName": "example.com"}
    s.post("services", {**service("elsewhere"), "spec": outside})
    s.patch("services/redis", {"spec": {"selector": {"app": "other"}}}, show=("spec.selector",))
    s.patch("services/redis", {"spec": {"clusterIP": "10.1.2.3"}}, show=())
    ports = {"spec": {"ports": [{"port": 6380, "name": "b"}]}}
    s.patch("services/headless", ports, "strategic", show=("spec.ports",))
    s.delete("services/redis")
    s.get("services/redis")


@scenario
def endpoints(s: Script) -> None:
    """The Pods behind a Service: those that are ready, and those that are not."""
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    s.quiet("POST", "services", {"metadata": {"name": "web"}, "spec": spec})
    s.until("endpoints/web", "metadata.name", "web")
    s.get("endpoints/web")
    probe = {"exec": {"command": ["cat", "ready"]}, "periodSeconds": 1}
    container = {"readinessProbe": probe, "workingDir": "/tmp"}
    command = ("sh", "-c", "rm -f ready; sleep 3; touch ready; sleep 60")
    labels = {"labels": {"app": "web"}}
    s.quiet("POST", "pods", pod("slow", *command, metadata=labels, container=container))
    s.until("endpoints/web", "subsets.0.notReadyAddresses")
    s.get("endpoints/web", show=("subsets",))
    s.until("endpoints/web", "subsets.0.addresses")
    s.get("endpoints/web", show=("subsets",))
    s.patch("pods/slow", {"metadata": {"labels": {"app": "none"}}}, show=("metadata.labels",))
    s.until(
        "endpoints/web",
        "metadata",
        lambda _: s.quiet("GET", "endpoints/web").get("subsets") is None,
    )
    s.get("endpoints/web", show=("subsets",))
    s.delete("services/web", show=("status",))
    s.until("endpoints/web", "gone")


@scenario
def roles(s: Script) -> None:
    """Roles and bindings are stored as they are written."""
    rules = [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list"]}]
    s.post("roles", {"metadata": {"name": "reader"}, "rules": rules})
    s.post("roles", {"metadata": {"name": "empty"}, "rules": [{"verbs": []}]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    account = {"kind": "ServiceAccount", "name": "default", "namespace": "{ns}"}
    binding = {"metadata": {"name": "reads"}, "roleRef": reference, "subjects": [account]}
    s.post("rolebindings", binding)
    s.patch("rolebindings/reads", {"roleRef": {"name": "other"}})
    s.post(
        "serviceaccounts", {"metadata": {"name": "worker"}, "automountServiceAccountToken": False}
    )
    s.kubectl("get role,rolebinding -o name")
    s.kubectl("describe role reader")
    s.kubectl("describe rolebinding reads")


@scenario
def network_policies(s: Script) -> None:
    """A policy is stored as it is written."""
    selector = {"podSelector": {"matchLabels": {"app": "redis"}}}
    come = [{"from": [{"podSelector": {"matchLabels": {"job": "wq"}}}], "ports": [{"port": 6379}]}]
    spec = {**selector, "ingress": come}
    policy = {"metadata": {"name": "redis"}, "spec": spec}
    s.post("networkpolicies", policy)
    s.post("networkpolicies", {"metadata": {"name": "deny"}, "spec": {"podSelector": {}}})
    s.get("networkpolicies/redis")
    s.kubectl("get networkpolicy")
    s.kubectl("describe networkpolicy redis")
    wrong = {"podSelector": {}, "policyTypes": ["Sideways"]}
    s.post("networkpolicies", {"metadata": {"name": "wrong"}, "spec": wrong})
    s.delete("networkpolicies/redis")


@scenario
def events_of_ones_own(s: Script) -> None:
    """Anybody may write an event about an object of the namespace."""
    about = {"kind": "Pod", "namespace": "{ns}", "name": "p", "apiVersion": "v1"}
    event = {
        "metadata": {"name": "mine"},
        "involvedObject": about,
        "reason": "Noticed",
        "message": "It is so.",
        "type": "Normal",
        "source": {"component": "me"},
        "count": 3,
        "firstTimestamp": "2024-01-01T00:00:00Z",
        "lastTimestamp": "2024-01-01T00:00:10Z",
    }
    s.post("events", event)
    s.get("events/mine")
    s.kubectl("get events --field-selector reason=Noticed")
    s.kubectl("get events -o custom-columns=A:.reason,B:.count,C:.involvedObject.name")
    elsewhere = {**event, "metadata": {"name": "b"}, "involvedObject": {**about, "namespace": "x"}}
    s.post("events", elsewhere)


@scenario
def owners(s: Script) -> None:
    """What an owner takes along when it goes, and what it leaves behind."""

    def owned_by(owner: dict, name: str, **more: object) -> dict:
        reference = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            **more,
        }
        return config_map(name, ownerReferences=[reference])

    owner = s.quiet("POST", "configmaps", config_map("owner"))
    s.post("configmaps", owned_by(owner, "child"))
    s.delete("configmaps/owner", {"propagationPolicy": "Background"})
    s.until("configmaps/child", "gone")
    s.get("configmaps/child")

    owner = s.quiet("POST", "configmaps", config_map("careful"))
    held = owned_by(owner, "held", blockOwnerDeletion=True)
    held["metadata"]["finalizers"] = ["example.com/keep"]
    s.quiet("POST", "configmaps", held)
    s.delete("configmaps/careful", {"propagationPolicy": "Foreground"})
    s.until("configmaps/held", "metadata.deletionTimestamp")
    s.get("configmaps/careful", show=("metadata.finalizers", "metadata.deletionTimestamp"))
    s.quiet("PATCH", "configmaps/held", {"metadata": {"finalizers": None}})
    s.until("configmaps/careful", "gone")

    owner = s.quiet("POST", "configmaps", config_map("parting"))
    s.quiet("POST", "configmaps", owned_by(owner, "orphan"))
    s.delete("configmaps/parting", {"propagationPolicy": "Orphan"})
    s.until("configmaps/parting", "gone")
    s.get("configmaps/orphan")

    owner["metadata"]["uid"] = "0c5a9f2e-0000-4000-8000-000000000000"
    s.quiet("POST", "configmaps", owned_by(owner, "lost"))
    s.until("configmaps/lost", "gone")
    s.delete("configmaps/orphan", {"propagationPolicy": "Sometimes"})
    wrong = config_map("wrong", ownerReferences=[{"kind": "ConfigMap", "name": "x"}])
    s.post("configmaps", wrong)
