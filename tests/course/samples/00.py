# %% 00-1 given
def talking_pod(name, text):
    container = {"name": "main", "image": "python:3.11-slim", "command": ["echo", text]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }


cluster.apply(talking_pod("hello", "hello from a pod"))
cluster.wait("pod/hello", "succeeded")

# %% 00-1 right: three verbs
cluster.apply(talking_pod("mine", "my first pod"))
cluster.wait("pod/mine", "succeeded")
said = cluster.logs("pod/mine")

# %% 00-1 right: the official client, and a blank around the text
pod = talking_pod("mine", "my first pod")
pod["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "wqlib"}
cluster.core.create_namespaced_pod(cluster.namespace, pod)
cluster.wait("pod/mine", "succeeded")
said = cluster.core.read_namespaced_pod_log("mine", cluster.namespace).strip()

# %% 00-1 right: a manifest of its own
container = {"name": "x", "image": "redis:7", "command": ["sh", "-c", "echo one; echo two"]}
spec = {"restartPolicy": "OnFailure", "containers": [container]}
cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine"}, "spec": spec})
cluster.wait("pod/mine", "succeeded")
said = cluster.logs("pod/mine")

# %% 00-1 wrong: described, not started
mine = talking_pod("mine", "my first pod")
said = "my first pod"

# %% 00-1 wrong: the log of the other pod
cluster.apply(talking_pod("mine", "my first pod"))
cluster.wait("pod/mine", "succeeded")
said = cluster.logs("pod/hello")

# %% 00-1 wrong: a pod of another name
cluster.apply(talking_pod("my-pod", "my first pod"))
cluster.wait("pod/my-pod", "succeeded")
said = cluster.logs("pod/my-pod")

# %% 00-1 wrong: a pod with nothing to say
cluster.apply(talking_pod("mine", ""))
cluster.wait("pod/mine", "succeeded")
said = cluster.logs("pod/mine")

# %% 00-1 wrong: what wait gives, not the log
cluster.apply(talking_pod("mine", "my first pod"))
said = cluster.wait("pod/mine", "succeeded")


# %% 00-1 malicious: a cluster that is none
class NoCluster:
    namespace = "wq-course"

    def logs(self, target):
        return "my first pod"

    def __getattr__(self, name):
        return self


cluster = NoCluster()
said = "my first pod"


# %% 00-1 equivalent: often the log is complete already, and then nothing is missing
# drop: cluster.wait('pod/mine', 'succeeded')

# %% 00-1 equivalent: a text of your choice
# 'my first pod' -> 'my first podx'


# %% 00-2 given
def talking_pod(name, text):
    container = {"name": "main", "image": "python:3.11-slim", "command": ["echo", text]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }


for name in ("hello", "mine"):
    cluster.apply(talking_pod(name, "hello from a pod"))
    cluster.wait(f"pod/{name}", "succeeded")
said = cluster.logs("pod/mine")

# %% 00-2 right: as it is meant
cluster.delete("pod/hello")

# %% 00-2 right: the official client
cluster.core.delete_namespaced_pod("hello", cluster.namespace)
cluster.wait("pod/hello", "deleted")

# %% 00-2 right: whoever has not done the exercise before
cluster.delete("pod/mine")
cluster.delete("pod/hello")
said = ...

# %% 00-2 wrong: nothing done
said = "hello from a pod"

# %% 00-2 wrong: the other one
cluster.delete("pod/mine")

# %% 00-2 wrong: both
cluster.delete("pod/mine")
cluster.delete("pod/hello")

# %% 00-2 wrong: deleted, and applied again
cluster.delete("pod/hello")
cluster.apply(talking_pod("hello", "here I am again"))


# %% 00-2 malicious: a cluster that has no pods
class Empty:
    namespace = "wq-course"

    def __getattr__(self, name):
        return self

    def __call__(self, *args, **options):
        return None


cluster = Empty()
cluster.delete("pod/hello")
