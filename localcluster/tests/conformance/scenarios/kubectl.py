"""kubectl's verbs, as a learner types them."""

from __future__ import annotations

from ..script import Script, config_map, job, pod, scenario

_MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  labels: {app: course}
data:
  colour: red
---
apiVersion: batch/v1
kind: Job
metadata:
  name: wq
  labels: {app: course}
spec:
  parallelism: 0
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      containers:
      - {name: c, image: "python:3.11-slim", command: ["true"]}
---
apiVersion: v1
kind: Service
metadata:
  name: redis
  labels: {app: course}
spec:
  ports:
  - {port: 6379, targetPort: 6379}
  selector: {app: redis}
"""
_NAMED = "apiVersion: {}\nkind: {}\nmetadata: {{name: {}}}\n"
_JOB = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: wq
spec:
  KEY: 2
  template:
    spec:
      restartPolicy: POLICY
      containers:
      - {name: c, image: "python:3.11-slim"}
"""


def _pods(s: Script) -> None:
    """Make two pods, one that has ended and one that runs."""
    red = {"labels": {"app": "a", "colour": "red"}, "annotations": {"note": "first"}}
    blue = {"labels": {"app": "b", "colour": "blue"}}
    s.quiet("POST", "pods", pod("a", "echo", "hello", metadata=red))
    s.quiet("POST", "pods", pod("b", "sleep", "300", metadata=blue))
    s.until("pods/a", "status.phase", "Succeeded")
    s.until("pods/b", "status.containerStatuses.0.ready", True)


@scenario
def get_in_all_outputs(s: Script) -> None:
    """Each way in which kubectl prints pods."""
    _pods(s)
    s.kubectl("get pods")
    s.kubectl("get pods -o wide")
    s.kubectl("get pod/a -o yaml")
    s.kubectl("get pods -o json")
    s.kubectl("get pods -o name")
    s.kubectl("get pods -o jsonpath='{.items[*].metadata.name}'")
    s.kubectl("get pod b -o jsonpath='{.status.phase} {.spec.containers[0].image}'")
    s.kubectl("""get pods -o jsonpath='{range .items[*]}{.metadata.name}{"\\n"}{end}'""")
    s.kubectl("get pods -o custom-columns=NAME:.metadata.name,PHASE:.status.phase,NOTHING:.x.y")
    s.kubectl("get pods -o go-template='{{range .items}}{{.metadata.name}} {{end}}'")
    s.kubectl("get pods --show-labels")
    s.kubectl("get pods -L colour,app")
    s.kubectl("get pods --no-headers")
    s.kubectl("get pods --sort-by=.metadata.labels.colour")
    s.kubectl("get pods --sort-by=.metadata.creationTimestamp")
    s.kubectl("get pods --show-kind")
    s.kubectl("get pods -o wide --no-headers --show-labels")


@scenario
def get_by_selectors(s: Script) -> None:
    """Names and selectors, and what is not there."""
    _pods(s)
    s.kubectl("get pods -l colour=red")
    s.kubectl("get pods -l 'colour in (red, blue),app!=b' -o name")
    s.kubectl("get pods --field-selector status.phase=Running")
    s.kubectl("get pods --field-selector status.phase!=Running -o name")
    s.kubectl("get pods --field-selector nonsense=1")
    s.kubectl("get pods -l 'a=b=c'")
    s.kubectl("get pods -l colour=green")
    s.kubectl("get pods a b")
    s.kubectl("get pods a none")
    s.kubectl("get po/a svc/none")
    s.kubectl("get pods --ignore-not-found none")
    s.kubectl("get nonsense")
    s.kubectl("get pods -A --field-selector metadata.namespace={ns}")
    s.kubectl("get pods --chunk-size=1 -o name")
    s.kubectl("get --raw /api/v1/namespaces/{ns}/pods/none")


@scenario
def get_other_kinds(s: Script) -> None:
    """The tables of the other kinds."""
    s.file("course.yaml", _MANIFEST)
    s.kubectl("get all")
    s.kubectl("apply -f course.yaml")
    s.kubectl("create secret generic keys --from-literal=a=b")
    s.kubectl("get configmap settings")
    s.kubectl("get cm settings -o yaml")
    s.kubectl("get secret keys")
    s.kubectl("get jobs -o wide")
    s.kubectl("get svc")
    s.kubectl("get svc -o wide")
    s.until("endpoints/redis", "metadata.name", "redis")
    s.kubectl("get endpoints")
    s.kubectl("get all")
    s.kubectl("get all -l app=course -o name")
    s.kubectl("get configmap,svc -l app=course")
    s.kubectl("get namespace {ns}")
    s.kubectl("get sa default -o name")
    s.kubectl("get job.batch wq")
    s.kubectl("get jobs.v1.batch wq -o name")
    s.kubectl("get events")


@scenario
def describe_pods(s: Script) -> None:
    """What describe tells of a pod that has ended, and of one that waits."""
    resources = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}
    env = [{"name": "A", "value": "1"}]
    container = {"resources": resources, "env": env, "ports": [{"containerPort": 80}]}
    labels = {"labels": {"app": "a", "b": "c"}, "annotations": {"note": "x"}}
    s.quiet("POST", "pods", pod("a", "sh", "-c", "exit 3", metadata=labels, container=container))
    s.until("pods/a", "status.phase", "Failed")
    about = "involvedObject.name=a,reason=Started"
    s.until(f"events?fieldSelector={about}", "items", lambda items: len(items) == 1)
    s.kubectl("describe pod a")
    s.quiet("POST", "pods", pod("b", "true", nodeSelector={"no": "such"}))
    s.until("pods/b", "status.conditions.0.reason", "Unschedulable")
    s.kubectl("describe pod b --show-events=false")
    s.kubectl("describe pod none")
    s.kubectl("describe pods -l app=none")


@scenario
def describe_other_kinds(s: Script) -> None:
    """What describe tells of the rest."""
    s.file("course.yaml", _MANIFEST)
    s.kubectl("apply -f course.yaml")
    s.until("endpoints/redis", "metadata.name", "redis")
    s.kubectl("describe configmap settings")
    s.kubectl("describe job wq")
    s.kubectl("describe service redis")
    s.kubectl("create secret generic keys --from-literal=a=b")
    s.kubectl("describe secret keys")
    s.kubectl("describe endpoints redis")
    s.kubectl("describe namespace {ns}")


@scenario
def apply_on_the_client(s: Script) -> None:
    """Created, unchanged, configured; and what an apply takes away."""
    s.file("course.yaml", _MANIFEST)
    s.kubectl("apply -f course.yaml")
    s.kubectl("apply -f course.yaml")
    s.file("course.yaml", _MANIFEST.replace("colour: red", "size: big"))
    s.kubectl("diff -f course.yaml")
    s.kubectl("apply -f course.yaml --dry-run=server")
    s.kubectl("apply -f course.yaml")
    s.kubectl("get cm settings -o yaml")
    s.kubectl("diff -f course.yaml")
    s.kubectl("apply view-last-applied cm settings")
    s.kubectl("replace -f -", stdin=_NAMED.format("v1", "ConfigMap", "settings"))
    s.kubectl("delete -f course.yaml")
    s.kubectl("delete -f course.yaml --ignore-not-found")


@scenario
def apply_of_what_is_wrong(s: Script) -> None:
    """Misspelt, impossible, unknown, not YAML."""
    s.kubectl("apply -f -", stdin=_JOB.replace("KEY", "paralelism").replace("POLICY", "Never"))
    s.kubectl("apply -f -", stdin=_JOB.replace("KEY", "parallelism").replace("POLICY", "Always"))
    s.kubectl("apply -f -", stdin=_NAMED.format("v1", "Nonsense", "a"))
    s.kubectl("apply -f -", stdin="kind: [")
    s.kubectl("apply -f -", stdin="kind: ConfigMap\nmetadata: {name: a}\n")
    s.kubectl("apply -f none.yaml")
    s.kubectl("apply -f -", stdin=_NAMED.format("v1", "ConfigMap", "a") + "data: 3\n")
    wrong = _JOB.replace("KEY: 2", "parallelism: two").replace("POLICY", "Never")
    s.kubectl("apply -f -", stdin=wrong)
    s.kubectl("create -f -", stdin=_NAMED.format("v1", "ConfigMap", ""))
    s.kubectl("create -f -", stdin="{not: json}")


@scenario(keep_owners=True)
def apply_on_the_server(s: Script) -> None:
    """kubectl apply --server-side, and its conflicts."""
    text = _NAMED.format("v1", "ConfigMap", "a") + "data: {n: 'N'}\n"
    s.kubectl("apply --server-side -f -", stdin=text.replace("N'", "1'"))
    s.kubectl("apply --server-side -f -", stdin=text.replace("N'", "1'"))
    s.kubectl("apply --server-side --field-manager=other -f -", stdin=text.replace("N'", "2'"))
    force = "apply --server-side --field-manager=other --force-conflicts -f -"
    s.kubectl(force, stdin=text.replace("N'", "2'"))
    s.kubectl("get cm a -o yaml --show-managed-fields")


@scenario
def patch_label_annotate(s: Script) -> None:
    """Small changes, and those that change nothing."""
    s.quiet("POST", "configmaps", config_map("a", {"n": "1"}))
    s.kubectl('patch cm a -p \'{"data":{"n":"2"}}\'')
    s.kubectl('patch cm a --type merge -p \'{"data":{"m":"3"}}\'')
    replace = '[{"op":"replace","path":"/data/n","value":"4"}]'
    s.kubectl(f"patch cm a --type json -p '{replace}'")
    wrong = '[{"op":"remove","path":"/data/none"}]'
    s.kubectl(f"patch cm a --type json -p '{wrong}'")
    s.kubectl("patch cm none -p '{}'")
    s.kubectl("patch cm a -p 'nonsense'")
    s.kubectl("label cm a colour=red")
    s.kubectl("label cm a colour=red")
    s.kubectl("label cm a colour=blue")
    s.kubectl("label cm a colour=blue --overwrite")
    s.kubectl("label cm a 'colour=not a value' --overwrite")
    s.kubectl("label cm a colour-")
    s.kubectl("label cm a colour-")
    s.kubectl("annotate cm a note='some words'")
    s.kubectl("annotate cm a note=others")
    s.kubectl("annotate cm a note-")
    s.kubectl("get cm a -o yaml")
    s.kubectl("label cm -l none=none a=b")


@scenario
def explain(s: Script) -> None:
    """The fields of a kind, and what each is."""
    s.kubectl("explain job.spec.nonsense")
    s.kubectl("explain nonsense")
    s.kubectl("explain job.spec.parallelism")
    s.kubectl("explain configmap.data")
    s.kubectl("explain pod.spec.restartPolicy")


@scenario
def create_of_all_kinds(s: Script) -> None:
    """kubectl create, kind by kind, and what it cannot create."""
    s.file("file.txt", "content\n")
    s.kubectl("create configmap a --from-literal=n=1 --from-literal=m=2")
    s.kubectl("create configmap b --from-file=file.txt")
    s.kubectl("create configmap a")
    s.kubectl("create secret generic s --from-literal=password=s3cret")
    s.kubectl("create job j --image=python:3.11-slim -- true")
    s.kubectl("create service clusterip svc --tcp=80:8080")
    s.kubectl("create serviceaccount worker")
    s.kubectl("create deployment d --image=python:3.11-slim --replicas=0")
    s.kubectl("create role r --verb=get,list --resource=pods")
    s.kubectl("create rolebinding rb --role=r --serviceaccount={ns}:worker")
    s.kubectl("create namespace {ns}")
    s.kubectl("create quota q --hard=pods=2 --dry-run=client -o name")
    s.kubectl("create job k --image=python:3.11-slim --dry-run=client -o yaml")
    s.kubectl("create job k --image=python:3.11-slim --dry-run=server")
    s.kubectl("create -f file.txt")
    s.kubectl("create configmap NotAName")
    s.kubectl("get cm b -o yaml")
    s.kubectl("get secret s -o jsonpath={.data.password}")
    s.kubectl("get job j -o jsonpath='{.spec.template.spec.containers}'")
    s.kubectl("get service svc -o jsonpath={.spec.ports}")
    s.kubectl("get deployment d")


@scenario
def run_a_pod(s: Script) -> None:
    """kubectl run, in its common forms."""
    image = "--image=python:3.11-slim"
    s.kubectl(f"run a {image} --restart=Never -- echo hello")
    s.until("pods/a", "status.phase", "Succeeded")
    s.kubectl("logs a")
    s.get("pods/a", show=("metadata.labels", "spec.containers.0.args", "spec.restartPolicy"))
    s.kubectl(f"run a {image} --restart=Never -- echo hello")
    s.kubectl(f"run b {image} --command --env=A=1 --labels=x=y --port=80 -- sleep 60")
    s.get("pods/b", show=("metadata.labels", "spec.containers.0.command", "spec.restartPolicy"))
    s.kubectl(f"run c {image} --dry-run=client -o name")
    s.kubectl(f"run Wrong_Name {image}")
    s.kubectl("delete pod b --force --grace-period=0")


@scenario
def run_and_stay(s: Script) -> None:
    """kubectl run -i: the pod's output comes here, and its exit code."""
    image = "--image=python:3.11-slim --restart=Never"
    s.kubectl(f"run a {image} -i --rm --quiet -- sh -c 'cat; echo over'", stdin="typed\n")
    s.until("pods/a", "gone")
    s.kubectl(f"run b {image} -i --quiet -- sh -c 'read x; exit 3'", stdin="typed\n")


@scenario
def delete_and_wait(s: Script) -> None:
    """kubectl delete and kubectl wait."""
    for name in ("a", "b", "c"):
        made = pod(name, "sleep", "60", metadata={"labels": {"x": name, "all": "yes"}})
        s.quiet("POST", "pods", made)
    s.kubectl("wait --for=condition=Ready pod -l all=yes --timeout=60s")
    s.kubectl("wait --for=jsonpath='{.status.phase}'=Running pod/a --timeout=10s")
    s.kubectl("wait --for=condition=Ready pod/none --timeout=1s")
    s.kubectl("wait --for=delete pod/a --timeout=3s")
    s.kubectl("delete pod a --now")
    s.kubectl("delete pods -l x=b --grace-period=1")
    s.kubectl("delete pod c --grace-period=0 --force")
    s.kubectl("delete pod c")
    s.kubectl("delete pod none --ignore-not-found")
    s.kubectl("wait --for=delete pod/a --timeout=30s")
    s.kubectl("delete cm -l none=none")
    s.kubectl("delete nonsense a")
    s.quiet("POST", "configmaps", config_map("x"))
    s.kubectl("delete cm x --dry-run=server")
    s.kubectl("delete cm/x --wait=false")
    s.kubectl("delete pods")


@scenario
def copying(s: Script) -> None:
    """kubectl cp, both ways."""
    s.file("sent.txt", "one\ntwo\n")
    s.quiet("POST", "pods", pod("a", "sleep", "60"))
    s.until("pods/a", "status.containerStatuses.0.ready", True)
    s.kubectl("cp sent.txt a:/tmp/{ns}.txt")
    s.kubectl("exec a -- cat /tmp/{ns}.txt")
    s.kubectl("cp a:/tmp/{ns}.txt got.txt")
    s.kubectl("create configmap got --from-file=got.txt")
    s.kubectl("get cm got -o jsonpath={.data}")
    s.kubectl("exec a -- rm /tmp/{ns}.txt")


@scenario
def what_a_cluster_can_do(s: Script) -> None:
    """Its kinds and versions, as kubectl tells them; and what no metrics server can."""
    s.kubectl("api-resources --api-group=batch")
    s.kubectl("api-resources --api-group=apps")
    s.kubectl("api-resources --api-group=batch -o name")
    s.kubectl("api-resources --namespaced=true --verbs=list --api-group= -o name")
    s.kubectl("api-versions")
    s.kubectl("top pods")
    s.kubectl("top nodes")
    s.kubectl("get pods.metrics.k8s.io")
    s.kubectl("auth can-i list pods -A")


@scenario
def events_as_kubectl_tells_them(s: Script) -> None:
    """kubectl get events and kubectl events."""
    s.quiet("POST", "jobs", job("j", "true"))
    s.until("jobs/j", "status.succeeded", 1)
    about = "involvedObject.kind=Job"
    s.until(f"events?fieldSelector={about}", "items", lambda items: len(items) == 2)
    s.kubectl(f"get events --field-selector {about} --sort-by=.reason")
    s.kubectl(f"get events --field-selector {about} -o wide", sort=True)
    s.kubectl("events --for job/j", sort=True)
    s.kubectl("events --types=Warning")
    s.kubectl("get events --field-selector reason=None")


@scenario
def a_redis_pod_and_its_service(s: Script) -> None:
    """The page's own beginning: Redis, a Service before it, and a queue of fruit."""
    redis = {"image": "redis:7", "ports": [{"containerPort": 6379}]}
    labels = {"labels": {"app": "redis"}}
    made = pod("redis-master", metadata=labels, container=redis, restartPolicy="Always")
    s.post("pods", made, show=("spec.containers", "metadata.labels"))
    ports = [{"port": 6379, "targetPort": 6379}]
    spec = {"selector": {"app": "redis"}, "ports": ports}
    s.post("services", {"metadata": {"name": "redis"}, "spec": spec}, show=("spec.ports",))
    s.kubectl("wait --for=condition=Ready pod/redis-master --timeout=60s")
    s.until("endpoints/redis", "subsets.0.addresses")
    s.kubectl("get endpoints redis -o jsonpath='{.subsets[0].ports[0].port}'")
    s.kubectl("get pods,svc")
    s.kubectl("exec redis-master -- redis-cli rpush job2 apple banana cherry")
    s.kubectl("exec redis-master -- redis-cli lrange job2 0 -1")
    script = "env | grep -E '^(REDIS_SERVICE_(HOST|PORT)|REDIS_PORT_6379_TCP(_PROTO|_PORT)?)='"
    s.quiet("POST", "pods", pod("env", "sh", "-c", f"{script} | sort"))
    s.until("pods/env", "status.phase", "Succeeded")
    s.kubectl("logs env")
