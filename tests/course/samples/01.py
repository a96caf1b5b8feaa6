# %% 01-1 right
def stands_behind(service, pod):
    selector = service["spec"]["selector"]
    labels = pod["metadata"].get("labels", {})
    return all(labels.get(name) == value for name, value in selector.items())


# %% 01-1 right
def stands_behind(service, pod):
    return service["spec"]["selector"].items() <= pod["metadata"].get("labels", {}).items()


# %% 01-1 wrong: equal is too much to ask
def stands_behind(service, pod):
    return service["spec"]["selector"] == pod["metadata"].get("labels", {})


# %% 01-1 wrong: any pair is enough
def stands_behind(service, pod):
    labels = pod["metadata"].get("labels", {})
    return any(labels.get(name) == value for name, value in service["spec"]["selector"].items())


# %% 01-1 wrong: names only, not values
def stands_behind(service, pod):
    return set(service["spec"]["selector"]) <= set(pod["metadata"].get("labels", {}))


# %% 01-1 wrong: the other way round
def stands_behind(service, pod):
    return pod["metadata"].get("labels", {}).items() <= service["spec"]["selector"].items()


# %% 01-1 wrong: one label only, the one that is known
def stands_behind(service, pod):
    labels = pod["metadata"].get("labels", {})
    return labels.get("app") == service["spec"]["selector"]["app"]


# %% 01-1 wrong: a text
def stands_behind(service, pod):
    return "True"


# %% 01-1 malicious: an answer that is equal to everything
class Both:
    def __eq__(self, other):
        return True

    def __bool__(self):
        return True


def stands_behind(service, pod):
    return Both()


# %% 01-1 malicious: it never comes back
def stands_behind(service, pod):
    while True:
        pass


# %% 01-2 given
import copy
from pathlib import Path

import yaml

manifests = Path("manifests/redis.yaml").read_text()
service, pod, policy = yaml.safe_load_all(manifests)
store = copy.deepcopy(service)
cluster.delete("service/store")  # that of the sample before

# %% 01-2 right
store["metadata"]["name"] = "store"
store["spec"]["ports"] = [{"port": 7000, "targetPort": 6379}]
cluster.apply(store)

# %% 01-2 wrong: changed, not applied
store["metadata"]["name"] = "store"
store["spec"]["ports"][0]["port"] = 7000

# %% 01-2 wrong: only the name
store["metadata"]["name"] = "store"
cluster.apply(store)

# %% 01-2 wrong: the targetPort left out, so it is 7000 too
store["metadata"]["name"] = "store"
store["spec"]["ports"] = [{"port": 7000}]
cluster.apply(store)

# %% 01-2 wrong: the selector renamed with it
store["metadata"]["name"] = "store"
store["spec"] = {"selector": {"app": "store"}, "ports": [{"port": 7000, "targetPort": 6379}]}
cluster.apply(store)

# %% 01-2 wrong: the two ports exchanged
store["metadata"]["name"] = "store"
store["spec"]["ports"] = [{"port": 6379, "targetPort": 7000}]
cluster.apply(store)


# %% 01-2 malicious: a cluster that says yes to everything
class Yes:
    namespace = "wq-course"

    def __getattr__(self, name):
        return self

    def __call__(self, *args, **options):
        return self


cluster = Yes()
cluster.apply(store)

# %% 01-2 malicious: a program behind the service that is no Redis
talker = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "talker", "labels": {"app": "talker"}},
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "python:3.11-slim",
                "command": ["python", "-m", "http.server", "7001"],
                "ports": [{"containerPort": 7001}],
            }
        ]
    },
}
store["metadata"]["name"] = "store"
store["spec"] = {"selector": {"app": "talker"}, "ports": [{"port": 7000, "targetPort": 7001}]}
cluster.apply([talker, store])

# %% 01-3 right
client.set("word", "remember me")
service_stays = True
word_stays = False
cluster.delete("pod/redis")
cluster.apply("manifests/redis.yaml")
cluster.wait("pod/redis", "ready")

# %% 01-3 wrong: answered, not done
client.set("word", "remember me")
service_stays = True
word_stays = False

# %% 01-3 wrong: deleted, and waited for somebody to bring it back
client.set("word", "remember me")
service_stays = True
word_stays = False
cluster.delete("pod/redis")

# %% 01-3 wrong: applied without deleting, which changes nothing
client.set("word", "remember me")
service_stays = True
word_stays = False
cluster.apply("manifests/redis.yaml")
cluster.wait("pod/redis", "ready")

# %% 01-3 wrong: believes that Redis remembers
client.set("word", "remember me")
service_stays = True
word_stays = True
cluster.delete("pod/redis")
cluster.apply("manifests/redis.yaml")
cluster.wait("pod/redis", "ready")

# %% 01-3 wrong: believes that the service goes with the pod
client.set("word", "remember me")
service_stays = False
word_stays = False
cluster.delete("pod/redis")
cluster.apply("manifests/redis.yaml")
cluster.wait("pod/redis", "ready")

# %% 01-3 malicious: the word taken away by hand
client.set("word", "remember me")
client.flushall()
service_stays = True
word_stays = False


# %% 01-3 malicious: answers that are true and false
class Maybe(int):
    def __eq__(self, other):
        return True


client.set("word", "remember me")
service_stays = Maybe(1)
word_stays = Maybe(0)
cluster.delete("pod/redis")
cluster.apply("manifests/redis.yaml")
cluster.wait("pod/redis", "ready")
