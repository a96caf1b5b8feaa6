"""What the API itself says: discovery, selectors, pages, patches, watches."""

from __future__ import annotations

from ..script import Script, config_map, job, pod, scenario


def _colours(s: Script) -> None:
    for name, colour, size in (("a", "red", "1"), ("b", "blue", "2"), ("c", "red", "3")):
        labels = {"colour": colour, "size": size, "set": "colours"}
        s.quiet("POST", "configmaps", config_map(name, {"n": size}, labels=labels))
    s.quiet("POST", "configmaps", config_map("d", {"n": "4"}, labels={"set": "colours"}))


@scenario
def discovery(s: Script) -> None:
    """What the server says it has, and in which versions."""
    s.get("/version", show=("major", "minor"))
    s.get("/api", show=("kind", "versions"))
    s.get("/apis/batch")
    s.get("/apis/batch/v1")
    s.get("/apis/apps")
    s.get("/api/v1", show=("kind", "groupVersion", "resources"))
    s.get("/healthz")
    s.get("/livez")
    s.get("/readyz")


@scenario
def discovery_of_groups(s: Script) -> None:
    """The groups beside batch and apps that a work queue needs."""
    s.get("/apis", show=("kind", "apiVersion", "groups"))
    s.get("/apis/apps/v1")
    s.get("/apis/networking.k8s.io/v1")
    s.get("/apis/rbac.authorization.k8s.io/v1")
    s.get("/apis/authorization.k8s.io/v1")


@scenario
def creating_and_replacing(s: Script) -> None:
    """A ConfigMap from its creation to its deletion; a write that changes nothing is none."""
    made = s.post("configmaps", config_map("a", {"n": "1"}, labels={"b": "c"}))
    s.get("configmaps/a")
    s.put("configmaps/a", made)
    s.put("configmaps/a", {**made, "data": {"n": "2"}})
    s.put("configmaps/a", config_map("a", {"without": "version"}))
    s.patch("configmaps/a", {"data": {"without": "version"}})
    s.patch("configmaps/a", {"data": None, "binaryData": {"bytes": "AAEC"}})
    s.delete("configmaps/a")
    s.get("configmaps/a")


@scenario
def generated_names(s: Script) -> None:
    """The server ends the name; the name given wins."""
    s.post("configmaps", {"metadata": {"generateName": "some-"}})
    s.post("configmaps", {"metadata": {"generateName": "some-", "name": "given"}})
    s.get("configmaps", fieldSelector="metadata.name=given")
    s.post("pods", {**pod("x", "true"), "metadata": {"generateName": "a-very-" + "long-" * 11}})


@scenario
def dry_run(s: Script) -> None:
    """What would be, without making it."""
    s.post("configmaps", config_map("a"), dryRun="All")
    s.get("configmaps/a")
    s.post("configmaps", config_map("a", {"n": "1"}))
    s.patch("configmaps/a", {"data": {"n": "2"}}, dryRun="All")
    s.delete("configmaps/a", dryRun="All")
    s.get("configmaps/a")
    s.post("jobs", job("a", "true"), dryRun="All", show=("spec.parallelism", "status"))
    s.post("configmaps", config_map("b"), dryRun="Some")


@scenario
def label_selectors(s: Script) -> None:
    """Each form of a label selector."""
    _colours(s)
    for selector in (
        "colour=red,set=colours",
        "colour==red",
        "colour!=red,set=colours",
        "colour in (red, blue)",
        "colour notin (red),set",
        "!colour,set",
        "colour,size=2",
        "set=colours,size>1",
    ):
        s.get("configmaps", labelSelector=selector, show=("kind", "items.*.metadata.name"))
    s.get("configmaps", labelSelector="colour in red")
    s.get("configmaps", labelSelector="=red")
    s.get("configmaps", labelSelector="bad key=red")


@scenario
def field_selectors(s: Script) -> None:
    """Which fields can be selected by, kind by kind."""
    _colours(s)
    for name in ("x", "y"):
        s.quiet("POST", "pods", pod(name, "sh", "-c", f"test {name} = x"))
        s.until(f"pods/{name}", "status.phase", lambda phase: phase in ("Succeeded", "Failed"))
    names = ("items.*.metadata.name",)
    s.get("configmaps", fieldSelector="metadata.name=b", show=names)
    s.get("configmaps", fieldSelector="metadata.name!=b", labelSelector="set", show=names)
    s.get("configmaps", fieldSelector="metadata.namespace={ns}", labelSelector="set", show=names)
    s.get("configmaps", fieldSelector="data.n=1")
    s.get("pods", fieldSelector="status.phase=Failed", show=names)
    s.get("pods", fieldSelector="status.phase!=Failed,spec.restartPolicy=Never", show=names)
    s.get("pods", fieldSelector="spec.nodeName=", show=names)
    s.get("pods", fieldSelector="spec.hostname=x")
    s.get("jobs", fieldSelector="status.successful=0", show=names)
    s.get("jobs", fieldSelector="status.active=0")
    s.get("events", fieldSelector="involvedObject.name=x,reason=Created", show=("items.*.message",))


@scenario
def pages(s: Script) -> None:
    """A list in pages of two, and a page that is too old to go on from."""
    _colours(s)
    show = ("metadata.remainingItemCount", "metadata.continue", "items.*.metadata.name")
    first = s.get("configmaps", limit=3, labelSelector="set", show=show)
    s.get("configmaps", limit=2, fieldSelector="metadata.name!=e", show=show[2:])
    token = first["metadata"]["continue"]
    s.get("configmaps", limit=3, labelSelector="set", **{"continue": token}, show=show[2:])
    s.get("configmaps", **{"continue": "nonsense"})
    s.get("configmaps", limit="two")


@scenario
def three_patches(s: Script) -> None:
    """The same changes as merge patch, strategic merge patch and JSON patch."""
    first = {"name": "A", "value": "1"}
    s.post("pods", pod("p", "sleep", "60", container={"env": [first]}), show=("spec.containers",))
    s.patch("pods/p", {"metadata": {"labels": {"a": "b", "c": "d"}}}, show=("metadata.labels",))
    s.patch("pods/p", {"metadata": {"labels": {"a": None}}}, show=("metadata.labels",))
    annotate = [{"op": "add", "path": "/metadata/annotations", "value": {"x/y": "1"}}]
    s.patch("pods/p", annotate, "json", show=("metadata.annotations",))
    replace = [
        {"op": "test", "path": "/metadata/annotations/x~1y", "value": "1"},
        {"op": "copy", "from": "/metadata/annotations/x~1y", "path": "/metadata/annotations/z"},
        {"op": "move", "from": "/metadata/annotations/z", "path": "/metadata/annotations/w"},
        {"op": "replace", "path": "/metadata/annotations/x~1y", "value": "2"},
    ]
    s.patch("pods/p", replace, "json", show=("metadata.annotations",))
    s.patch("pods/p", [{"op": "test", "path": "/metadata/name", "value": "q"}], "json")
    s.patch("pods/p", [{"op": "remove", "path": "/metadata/nothing"}], "json")
    s.patch("pods/p", b"[{]", "json")
    image = {"spec": {"containers": [{"name": "main", "image": "python:3.11"}]}}
    s.patch("pods/p", image, "strategic", show=("spec.containers",))
    s.patch("pods/p", {"spec": {"restartPolicy": "Always"}}, "strategic")
    s.patch("pods/p", {"metadata": {"name": "q"}})
    s.patch("pods/p", b"a: b", "merge")
    s.send("PATCH", "pods/p", {}, headers={"Content-Type": "application/json"})


@scenario
def strategic_lists(s: Script) -> None:
    """Strategic merge knows the key of each list."""
    two = [{"name": "one", "image": "x:1"}, {"name": "two", "image": "x:1"}]
    deployment = {
        "metadata": {"name": "d"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "d"}},
            "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {"containers": two, "tolerations": [{"key": "a", "operator": "Exists"}]},
            },
        },
    }
    s.quiet("POST", "deployments", deployment)
    at, show = "deployments/d", ("spec.template.spec.containers", "spec.template.spec.tolerations")

    def patch(spec: object) -> None:
        s.patch(at, {"spec": {"template": {"spec": spec}}}, "strategic", show=show)

    patch({"containers": [{"name": "two", "image": "x:2"}]})
    patch({"containers": [{"name": "three", "image": "x:3"}]})
    patch({"containers": [{"name": "one", "$patch": "delete"}]})
    patch({"tolerations": [{"key": "b", "operator": "Exists"}]})
    patch({"containers": [{"name": "two", "env": [{"name": "A", "value": "1"}]}]})
    patch({"containers": [{"name": "two", "env": [{"name": "B", "value": "2"}]}]})
    ports = [{"containerPort": 80}, {"containerPort": 81, "name": "b"}]
    patch({"containers": [{"name": "two", "ports": ports}]})
    patch({"$setElementOrder/containers": [{"name": "three"}, {"name": "two"}]})


@scenario(keep_owners=True)
def server_side_apply(s: Script) -> None:
    """Who owns a field; what another may not change unless it insists."""

    def apply(data: dict[str, str], who: str, **query: str) -> None:
        s.patch("configmaps/a", config_map("a", data), "apply", fieldManager=who, **query)

    apply({"n": "1", "m": "1"}, "ann")
    apply({"n": "1", "m": "1"}, "ann")
    apply({"n": "2"}, "bob")
    apply({"n": "2"}, "bob", force="true")
    apply({"m": "1"}, "ann")
    apply({"o": "1"}, "ann")
    s.patch("configmaps/a", {"data": {"n": "3"}}, fieldManager="cat")
    apply({"n": "2"}, "bob")
    s.patch("configmaps/a", config_map("a"), "apply")
    s.patch("configmaps/b", config_map("a"), "apply", fieldManager="ann")


@scenario
def watch_by_selector(s: Script) -> None:
    """An object that begins to match is ADDED, and one that ends to is DELETED."""
    with s.watching(
        "configmaps",
        lambda events: len(events) == 5,
        ("metadata.name", "metadata.labels", "data"),
        labelSelector="colour=red",
    ):
        s.quiet("POST", "configmaps", config_map("a", labels={"colour": "red"}))
        s.quiet("POST", "configmaps", config_map("b", labels={"colour": "blue"}))
        s.quiet("PATCH", "configmaps/a", {"data": {"n": "1"}})
        s.quiet("PATCH", "configmaps/a", {"metadata": {"labels": {"colour": "blue"}}})
        s.quiet("PATCH", "configmaps/b", {"metadata": {"labels": {"colour": "red"}}})
        s.quiet("DELETE", "configmaps/b")


@scenario
def watch_from_long_ago(s: Script) -> None:
    """A watch can begin with what is there; versions that make no sense are refused."""
    s.quiet("POST", "configmaps", config_map("a", {"n": "1"}))
    where = "/api/v1/namespaces/{ns}/configmaps?watch=true&timeoutSeconds=1"
    s.get(where + "&fieldSelector=metadata.name=a")
    s.get(where + "&resourceVersion=nonsense")
    s.get("configmaps", resourceVersion="nonsense")
    s.get("configmaps", resourceVersion="999999999999")
    s.get("configmaps", resourceVersionMatch="Exact")


@scenario
def tables(s: Script) -> None:
    """What kubectl asks for instead of objects: rows and columns."""
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    s.quiet("POST", "configmaps", config_map("a", {"n": "1", "m": "2"}))
    s.quiet("POST", "jobs", job("j", "true", parallelism=0))
    s.quiet("POST", "pods", pod("p", "true"))
    s.until("pods/p", "status.phase", "Succeeded")
    columns = tuple(f"columnDefinitions.*.{field}" for field in ("name", "type", "priority"))
    show = ("kind", "apiVersion", *columns)
    for plural in (
        "configmaps",
        "jobs",
        "pods",
        "services",
        "secrets",
        "deployments",
        "replicasets",
        "events",
        "endpoints",
        "serviceaccounts",
        "networkpolicies",
    ):
        s.get(plural, headers={"Accept": accept}, show=show)
    s.get("/api/v1/nodes", headers={"Accept": accept}, show=show)
    s.get("/api/v1/namespaces", headers={"Accept": accept}, show=show)
    s.get("jobs/j", headers={"Accept": accept}, show=("kind", "rows.*.cells.0", "rows.*.object"))
    s.get("pods/p", headers={"Accept": accept}, includeObject="None", show=("rows.*.object",))
    s.get("pods/p", headers={"Accept": accept}, show=("rows.*.conditions",))
    s.get("pods/nothing", headers={"Accept": accept})


@scenario
def may_i(s: Script) -> None:
    """Access reviews of one who may do everything."""
    review = {"resource": "pods", "verb": "create", "namespace": "{ns}"}
    spec = {"spec": {"resourceAttributes": review}}
    where = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    s.post(where, spec, show=("kind", "spec", "status.allowed"))
    s.kubectl("auth can-i create jobs")
    s.kubectl("auth can-i '*' '*'")
    s.kubectl("auth can-i get pods --subresource=log")


@scenario
def deleting_many(s: Script) -> None:
    """A collection is deleted by selector."""
    _colours(s)
    names = ("items.*.metadata.name",)
    s.delete("configmaps", labelSelector="colour=red", show=("kind",))
    s.get("configmaps", labelSelector="set", show=names)
    s.delete("configmaps", fieldSelector="metadata.name=d", show=("kind",))
    s.get("configmaps", labelSelector="set", show=names)
    s.delete("services", show=("kind", "code"))


@scenario
def finalizers(s: Script) -> None:
    """What has a finalizer stays, marked, until nobody wants it any more."""
    s.post("configmaps", config_map("a", finalizers=["example.com/keep"]))
    s.delete("configmaps/a")
    s.get("configmaps/a")
    s.delete("configmaps/a", show=("kind", "metadata.name", "status"))
    s.patch("configmaps/a", {"metadata": {"finalizers": ["example.com/keep", "example.com/more"]}})
    s.patch("configmaps/a", {"metadata": {"finalizers": None}})
    s.get("configmaps/a")
    s.post("configmaps", config_map("b", finalizers=["nonsense"]))
