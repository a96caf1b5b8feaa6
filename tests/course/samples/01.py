# %% 01-1 given
import yaml

cluster.delete("service/store")  # that of the sample before

# %% 01-1 right: as it is meant
manifest = """
apiVersion: v1
kind: Service
metadata:
  name: store
spec:
  selector: {app: redis}
  ports:
    - {port: 7000, targetPort: 6379}
"""
cluster.apply(yaml.safe_load(manifest))

# %% 01-1 right: a copy of the other Service
from pathlib import Path

text = Path("manifests/redis-bare.yaml").read_text()
store = yaml.safe_load(text.split("---\n")[1])
store["metadata"]["name"] = "store"
store["spec"]["ports"][0]["port"] = 7000
cluster.apply(store)

# %% 01-1 right: with the official client, and a second port
port, other = {"name": "a", "port": 7000}, {"name": "b", "port": 6379}
cluster.core.create_namespaced_service(
    cluster.namespace,
    {
        "metadata": {"name": "store", "labels": {"app.kubernetes.io/managed-by": "wqlib"}},
        "spec": {"selector": {"app": "redis"}, "ports": [{**port, "targetPort": 6379}, other]},
    },
)

# %% 01-1 wrong: written, not applied
manifest = """
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {selector: {app: redis}, ports: [{port: 7000, targetPort: 6379}]}
"""

# %% 01-1 wrong: only the name
manifest = """
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {selector: {app: redis}, ports: [{port: 6379}]}
"""
cluster.apply(yaml.safe_load(manifest))

# %% 01-1 wrong: no targetPort, so it is 7000 too
manifest = """
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {selector: {app: redis}, ports: [{port: 7000}]}
"""
cluster.apply(yaml.safe_load(manifest))

# %% 01-1 wrong: the selector renamed with it
manifest = """
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {selector: {app: store}, ports: [{port: 7000, targetPort: 6379}]}
"""
cluster.apply(yaml.safe_load(manifest))

# %% 01-1 wrong: no selector
manifest = """
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {ports: [{port: 7000, targetPort: 6379}]}
"""
cluster.apply(yaml.safe_load(manifest))

# %% 01-1 wrong: the two ports swapped
manifest = """
apiVersion: v1
kind: Service
metadata: {name: store}
spec: {selector: {app: redis}, ports: [{port: 6379, targetPort: 7000}]}
"""
cluster.apply(yaml.safe_load(manifest))


# %% 01-1 malicious: a cluster that says yes to everything
class Yes:
    namespace = "wq-course"

    def __getattr__(self, name):
        return self

    def __call__(self, *args, **options):
        return self


cluster = Yes()
cluster.apply({})

# %% 01-1 malicious: a program behind the Service that is no Redis
container = {
    "name": "main",
    "image": "python:3.11-slim",
    "command": ["python", "-m", "http.server", "6379"],
    "ports": [{"containerPort": 6379}],
}
talker = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "talker", "labels": {"app": "talker"}},
    "spec": {"containers": [container]},
}
store = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "store"},
    "spec": {"selector": {"app": "talker"}, "ports": [{"port": 7000, "targetPort": 6379}]},
}
cluster.apply([talker, store])

# %% 01-2 given
import copy
from base64 import b64encode
from pathlib import Path

import yaml
from wqlib.course import broken

broken("01-2", cluster)
service, pod, policy = yaml.safe_load_all(Path("manifests/redis.yaml").read_text())

# %% 01-2 right: deleted, and applied as it should be
cluster.delete("pod/redis")
cluster.apply("manifests/redis.yaml")

# %% 01-2 right: the key that is missing, with the same password
password = b64encode(cluster.secret("redis").encode()).decode()
cluster.core.patch_namespaced_secret("redis", cluster.namespace, {"data": {"pass": password}})

# %% 01-2 right: through the library's own set-up
wqlib.course.start_redis(cluster)

# %% 01-2 right: a bare Redis, which needs no password at all
cluster.delete("pod/redis")
cluster.apply("manifests/redis-bare.yaml")

# %% 01-2 wrong: nothing done
password = cluster.secret("redis")

# %% 01-2 wrong: deleted, and waited for somebody to bring it back
cluster.delete("pod/redis")

# %% 01-2 wrong: applied without deleting, which is refused
cluster.apply("manifests/redis.yaml")

# %% 01-2 wrong: the missing key, with another password
cluster.core.patch_namespaced_secret("redis", cluster.namespace, {"data": {"pass": "c2VjcmV0"}})

# %% 01-2 wrong: another wrong key
mine = copy.deepcopy(pod)
reference = mine["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]
reference["key"] = "Password"
cluster.delete("pod/redis")
cluster.apply(mine)

# %% 01-2 wrong: the labels forgotten, so that the Service does not find it
mine = copy.deepcopy(pod)
del mine["metadata"]["labels"]
cluster.delete("pod/redis")
cluster.apply(mine)

# %% 01-2 malicious: a pod of that name that is ready, and no Redis
mine = copy.deepcopy(pod)
container = mine["spec"]["containers"][0]
container["image"] = "python:3.11-slim"
container["command"] = ["python", "-m", "http.server", "6379"]
cluster.delete("pod/redis")
cluster.apply(mine)

# %% 01-3 given
import yaml
from wqlib.course import broken

broken("01-3", cluster)
queue = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "queue"},
    "spec": {"selector": {"app": "redis"}, "ports": [{"port": 6379}]},
}

# %% 01-3 right: a patch
change = {"spec": {"selector": {"tier": None}}}
patched = cluster.core.patch_namespaced_service("queue", cluster.namespace, change)

# %% 01-3 right: the whole Service anew
cluster.delete("service/queue")
cluster.apply(queue)

# %% 01-3 right: the label, on the pod
change = {"metadata": {"labels": {"tier": "backend"}}}
cluster.core.patch_namespaced_pod("redis", cluster.namespace, change)

# %% 01-3 right: another label that both have
queue["spec"]["selector"] = {"app.kubernetes.io/managed-by": "wqlib", "app": "redis"}
cluster.delete("service/queue")
cluster.apply(queue)

# %% 01-3 wrong: nothing done
change = {"spec": {"selector": {"tier": None}}}

# %% 01-3 wrong: another value that the pod does not have
change = {"spec": {"selector": {"tier": "redis"}}}
cluster.core.patch_namespaced_service("queue", cluster.namespace, change)

# %% 01-3 wrong: no selector at all
cluster.core.patch_namespaced_service(
    "queue", cluster.namespace, [{"op": "remove", "path": "/spec/selector"}]
)

# %% 01-3 wrong: the other pair removed
change = {"spec": {"selector": {"app": None}}}
cluster.core.patch_namespaced_service("queue", cluster.namespace, change)

# %% 01-3 wrong: the right Service under another name
cluster.delete("service/queue")
queue["metadata"]["name"] = "queues"
cluster.apply(queue)

# %% 01-3 wrong: another port of the pod
cluster.delete("service/queue")
queue["spec"]["ports"] = [{"port": 6379, "targetPort": 80}]
cluster.apply(queue)

# %% 01-3 malicious: another pod behind it
container = {
    "name": "main",
    "image": "python:3.11-slim",
    "command": ["python", "-m", "http.server", "6379"],
    "ports": [{"containerPort": 6379}],
}
labels = {"app": "redis", "tier": "backend"}
talker = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "talker", "labels": labels},
    "spec": {"containers": [container]},
}
cluster.apply(talker)
