# %% 09-1 right
def smallest_item_seconds(start_seconds, most_waste):
    return start_seconds * (1 - most_waste) / most_waste


# %% 09-1 wrong: the whole time instead of the item's
def smallest_item_seconds(start_seconds, most_waste):
    return start_seconds / most_waste


# %% 09-1 wrong: the start times the share
def smallest_item_seconds(start_seconds, most_waste):
    return start_seconds * most_waste


# %% 09-1 wrong: printed, not returned
def smallest_item_seconds(start_seconds, most_waste):
    print(start_seconds / most_waste - start_seconds)


# %% 09-1 wrong: the example only
def smallest_item_seconds(start_seconds, most_waste):
    return 18


# %% 09-1 malicious: a number that is close to every other
class Close(float):
    def __sub__(self, other):
        return 0.0

    __rsub__ = __sub__


def smallest_item_seconds(start_seconds, most_waste):
    return Close(1.0)


# %% 09-2 given
from kubernetes import client
from wqlib.course import build_worker

image = build_worker(cluster)
apps = client.AppsV1Api(cluster.api)


def scale(replicas):
    wanted = {"spec": {"replicas": replicas}}
    apps.patch_namespaced_deployment_scale("endless", cluster.namespace, wanted)


cluster.apply("manifests/endless.yaml")
scale(0)
queue.clear()
queue.put(["0.2"] * 12)
# %% 09-2 right
scale(2)
while queue.stats().done < 12:
    time.sleep(0.1)
scale(0)
# %% 09-2 wrong: never scaled up
while queue.stats().pending > 100:
    time.sleep(0.1)
scale(0)
# %% 09-2 wrong: left the workers running
scale(3)
while not queue.drained():
    time.sleep(0.1)
# %% 09-2 wrong: cleared the queue instead
queue.clear()
scale(0)
# %% 09-2 wrong: done in the notebook
lease = queue.lease()
while lease:
    lease = queue.complete_and_lease(lease)


# %% 09-2 wrong: scaled down while items were still waiting
scale(1)
while queue.stats().pending > 8:
    time.sleep(0.02)
scale(0)


# %% 09-2 malicious: a queue of its own that has drained
class Liar:
    def __getattr__(self, name):
        return lambda *args: True


queue = Liar()
scale = lambda replicas: None
# %% 09-2 malicious: worked under the name of a pod
other = wqlib.WorkQueue("job2", worker="endless-1", **login)
scale(1)
lease = other.lease()
other.complete(lease)
