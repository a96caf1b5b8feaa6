# %% 09-1 given
from pathlib import Path

import yaml
from wqlib.course import build_worker

image = build_worker(cluster)
items = ["0.9", "0.1"] * 3


def a_fixed_share():
    indexed = yaml.safe_load(Path("manifests/indexed.yaml").read_text())
    indexed["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = " ".join(items)
    return [indexed]


def run(manifest):
    cluster.delete("job/three-shares", grace_seconds=0)
    cluster.apply(manifest)
    cluster.wait("job/three-shares", "complete")


shares = a_fixed_share()[0]
shares["metadata"]["name"] = "three-shares"
spec, container = shares["spec"], shares["spec"]["template"]["spec"]["containers"][0]
# %% 09-1 right: updates
spec.update(completions=3, parallelism=3)
container["env"][1] = {"name": "PARTS", "value": "3"}
run(shares)
# %% 09-1 right: from the text of the file
text = Path("manifests/indexed.yaml").read_text()
text = text.replace("name: indexed", "name: three-shares").replace("1 2 3 4", " ".join(items))
text = text.replace("completions: 2", "completions: 3").replace("parallelism: 2", "parallelism: 3")
run(text.replace('value: "2"', 'value: "3"'))
# %% 09-1 right: the items in another order, and a limit for each share
container["env"] = [
    {"name": "ITEMS", "value": " ".join(["0.1"] * 3 + ["0.9"] * 3)},
    {"name": "PARTS", "value": str(3)},
]
spec |= {"completions": 3, "parallelism": 5, "backoffLimit": 1}
run(shares)
# %% 09-1 wrong: nothing was changed
run(shares)
# %% 09-1 wrong: the program still thinks that there are two parts
spec.update(completions=3, parallelism=3)
run(shares)
# %% 09-1 wrong: the third share is given to nobody
container["env"][1]["value"] = "3"
spec["parallelism"] = 3
run(shares)
# %% 09-1 wrong: two at a time
container["env"][1]["value"] = "3"
spec["completions"] = 3
run(shares)
# %% 09-1 wrong: no numbers, so every pod fails
del spec["completionMode"]
container["env"][1]["value"] = "3"
spec.update(completions=3, parallelism=3, backoffLimit=0)
cluster.apply(shares)
# %% 09-1 malicious: pods that only say that they waited
container["command"] = ["python", "-c", "print('waited 0.9 s', 'waited 0.1 s', sep='; ')"]
spec.update(completions=3, parallelism=3)
run(shares)
# %% 09-1 equivalent: no more than three pods are needed
# 3 -> 4 in: spec['parallelism'] = 3

# %% 09-2 given
from wqlib.course import build_worker, job_manifest

image = build_worker(cluster)
for kind in ("replicaset", "deployment"):
    cluster.delete(f"{kind}/uploads")
while any(pod.name.startswith("uploads-") for pod in cluster.pods()):
    time.sleep(0.1)
queue.clear()


def worker(**settings):
    job = job_manifest(**settings)
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["command"] = ["python", "-m", "wqlib.worker", "--task", "wait"]
    return job


template = worker()["spec"]["template"]
head = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "uploads"}}


def change(labels="uploads", policy="Always", **variables):
    template["metadata"]["labels"]["app"] = labels
    template["spec"]["restartPolicy"] = policy
    container = template["spec"]["containers"][0]
    container["env"] += [{"name": name, "value": value} for name, value in variables.items()]
    return {"selector": {"matchLabels": {"app": "uploads"}}, "template": template}


# %% 09-2 right: a ReplicaSet
cluster.apply(head | {"spec": {"replicas": 2} | change(WQLIB_ENDLESS="1")})
# %% 09-2 right: a Deployment from the file
from pathlib import Path

text = Path("manifests/endless.yaml").read_text()
cluster.apply(
    text.replace("name: endless", "name: uploads").replace("app: endless", "app: uploads")
)
# %% 09-2 right: scaled later, with a label of its own, by an option
template["metadata"]["labels"] = {"role": "resizer", "redis-client": "true"}
template["spec"]["restartPolicy"] = "Always"
template["spec"]["containers"][0]["command"].append("--endless")
spec = {"selector": {"matchLabels": {"role": "resizer"}}, "template": template}
cluster.apply(head | {"kind": "Deployment", "spec": spec})
cluster.apply(head | {"kind": "Deployment", "spec": {"replicas": 2} | spec})
# %% 09-2 wrong: exits when the queue has drained
cluster.apply(head | {"spec": {"replicas": 2} | change()})
# %% 09-2 wrong: one worker
cluster.apply(head | {"spec": change(WQLIB_ENDLESS="1")})
# %% 09-2 wrong: a Job
cluster.apply(worker(parallelism=2) | {"metadata": {"name": "uploads"}})
# %% 09-2 wrong: works for another queue
cluster.apply(head | {"spec": {"replicas": 2} | change(WQLIB_ENDLESS="1", WQLIB_QUEUE="jobs")})
# %% 09-2 wrong: three
cluster.apply(head | {"spec": {"replicas": 3} | change(WQLIB_ENDLESS="1")})
# %% 09-2 malicious: two pods that look like its own
cluster.apply(head | {"spec": {"replicas": 0} | change(WQLIB_ENDLESS="1")})
for number in "ab":
    pod = {"metadata": {"name": f"uploads-{number}"}, "spec": template["spec"]}
    cluster.apply({"apiVersion": "v1", "kind": "Pod"} | pod)

# %% 09-3 given
from pathlib import Path

from kubernetes import client
from wqlib.course import build_worker

image = build_worker(cluster)
apps = client.AppsV1Api(cluster.api)


def scale(replicas):
    wanted = {"spec": {"replicas": replicas}}
    apps.patch_namespaced_deployment_scale("endless", cluster.namespace, wanted)


# At nought from the start: a pod that is stopped while it starts takes all of its grace.
text = Path("manifests/endless.yaml").read_text()
cluster.apply(text.replace("replicas: 2", "replicas: 0"))
queue.put(["0.2"] * 12)
# %% 09-3 right: two workers, by what is done
scale(2)
while queue.stats().done < 12:
    time.sleep(0.1)
scale(0)
# %% 09-3 right: the whole Deployment is patched, one worker
apps.patch_namespaced_deployment("endless", cluster.namespace, {"spec": {"replicas": 1}})
while queue.stats().pending or queue.stats().leased:
    time.sleep(0.2)
apps.patch_namespaced_deployment("endless", cluster.namespace, {"spec": {"replicas": 0}})
# %% 09-3 right: scaled up step by step, and down the same way
for number in (1, 2, 4):
    scale(number)
while not queue.drained():
    time.sleep(0.1)
for number in (1, 0):
    scale(number)
# %% 09-3 wrong: never scaled up
while queue.stats().pending > 100:
    time.sleep(0.1)
scale(0)
# %% 09-3 wrong: left the workers running
scale(3)
while not queue.drained():
    time.sleep(0.1)
# %% 09-3 wrong: cleared the queue instead
queue.clear()
scale(0)
# %% 09-3 wrong: done in the notebook
lease = queue.lease()
while lease:
    lease = queue.complete_and_lease(lease)


# %% 09-3 wrong: scaled down while items were still waiting
scale(1)
while queue.stats().pending > 8:
    time.sleep(0.02)
scale(0)


# %% 09-3 malicious: a queue of its own that has drained
class Liar:
    def __getattr__(self, name):
        return lambda *args: True


queue = Liar()
scale = lambda replicas: None
# %% 09-3 malicious: worked under the name of a pod
other = wqlib.WorkQueue("job2", worker="endless-1", **login)
scale(1)
lease = other.lease()
other.complete(lease)
# %% 09-3 equivalent: any number of pods will do
# 3 -> 4
# 3 -> 2
