# %% 05-1 given
HELLO = """\
apiVersion: batch/v1
kind: Job
metadata:
  name: hello
spec:
  backoffLimit: 2
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: hello
          image: python:3.11-slim
          command: [python, -c, "print('hello from a pod')"]
"""


def written(old="", new="", apply=True):
    assert old in HELLO
    text = HELLO.replace(old, new, 1)
    if apply:
        cluster.apply(text)
    return text


# %% 05-1 right
hello = written()
# %% 05-1 right: in the short form of YAML
hello = """
apiVersion: batch/v1
kind: Job
metadata: {name: hello}
spec:
  template:
    spec:
      containers: [{name: c, image: "python:3", command: [sh, -c, echo Hello]}]
      restartPolicy: OnFailure
  backoffLimit: 2
"""
cluster.apply(hello)
# %% 05-1 right: in a terminal, nothing in the notebook
import subprocess

kubectl = f"kubectl {cluster.kubectl_options} create -f -"
subprocess.run(kubectl, shell=True, input=HELLO.encode(), check=False)
# %% 05-1 right: as a dict, through the official client
import yaml

hello = yaml.safe_load(HELLO)
cluster.batch.create_namespaced_job(cluster.namespace, hello)
# %% 05-1 wrong: nothing
hello = ...
# %% 05-1 wrong: pods of a Job cannot be restarted always
hello = written("Never", "Always")
# %% 05-1 wrong: no restartPolicy
hello = written("      restartPolicy: Never\n")
# %% 05-1 wrong: another apiVersion
hello = written("batch/v1", "v1")
# %% 05-1 wrong: no name
hello = written("metadata:\n  name: hello\n")
# %% 05-1 wrong: another name
hello = written("  name: hello\n", "  name: hallo\n")
# %% 05-1 wrong: a word misspelt
hello = written("image:", "imgae:")
# %% 05-1 wrong: indentation
hello = written("  template:\n    spec:\n", "  template:\n   spec:\n  ")
# %% 05-1 wrong: not applied
hello = written(apply=False)
# %% 05-1 wrong: the command fails
hello = written("print(", "prnt(")
# %% 05-1 wrong: the default backoffLimit
hello = written("  backoffLimit: 2\n")
# %% 05-1 wrong: two pods
hello = written("  backoffLimit: 2\n", "  backoffLimit: 2\n  completions: 2\n")
# %% 05-1 wrong: a Pod
hello = "apiVersion: v1\nkind: Pod\nmetadata: {name: hello}\nspec: {containers: []}\n"
# %% 05-1 malicious: says nothing
hello = written("print('hello from a pod')", "pass")


# %% 05-1 malicious: a text that lies
class Liar(str):
    def __contains__(self, part):
        return True


hello = Liar(HELLO)
# %% 05-2 given
from wqlib.course import broken, job_manifest

broken("05-2", cluster)
job = cluster.last_applied("job/basket")


def again():
    cluster.delete("job/basket", grace_seconds=0)
    cluster.apply(job)


# %% 05-2 right
del job["spec"]["completions"]
again()
# %% 05-2 right: null is as good as nothing
job["spec"]["completions"] = None
again()
# %% 05-2 right: a new manifest
cluster.delete("job/basket")
job = job_manifest(ITEM_SECONDS="0.1", WQLIB_QUEUE="basket")
job["metadata"] = {"name": "basket"}
cluster.apply(job)
# %% 05-2 wrong: as it was
pass
# %% 05-2 wrong: as many completions as items
job["spec"]["completions"] = 3
again()
# %% 05-2 wrong: one completion, so one pod
job["spec"]["completions"] = 1
again()
# %% 05-2 wrong: one pod at a time
del job["spec"]["completions"]
job["spec"]["parallelism"] = 1
again()
# %% 05-2 wrong: deleted
cluster.delete("job/basket", grace_seconds=0)
# %% 05-2 malicious: pods that do nothing, and do it well
del job["spec"]["completions"]
job["spec"]["template"]["spec"]["containers"][0]["command"] = ["true"]
again()
# %% 05-3 given
from wqlib.course import broken, job_manifest

broken("05-3", cluster)
job = cluster.last_applied("job/harvest")
container = job["spec"]["template"]["spec"]["containers"][0]


def again():
    cluster.delete("job/harvest", grace_seconds=0)
    cluster.apply(job)


# %% 05-3 right
del container["command"]
again()
# %% 05-3 right: the shell stays
container["command"] = ["sh", "-c", "exec python worker.py"]
again()
# %% 05-3 right: a new manifest
cluster.delete("job/harvest")
job = job_manifest(ITEM_SECONDS="0.1", WQLIB_QUEUE="harvest")
job["metadata"] = {"name": "harvest"}
cluster.apply(job)
# %% 05-3 wrong: as it was
pass
# %% 05-3 wrong: Never makes new pods in place of new containers, which fail too
job["spec"]["template"]["spec"]["restartPolicy"] = "Never"
again()
time.sleep(2)
# %% 05-3 wrong: the exit code is hidden
container["command"] = ["sh", "-c", "python worker.py; true"]
again()
# %% 05-3 wrong: one pod at a time
del container["command"]
job["spec"]["parallelism"] = 1
again()
# %% 05-3 wrong: deleted
cluster.delete("job/harvest", grace_seconds=0)
# %% 05-3 malicious: pods that do nothing, and do it well
container["command"] = ["true"]
again()
# %% 05-4 given
from wqlib.course import broken, job_manifest

broken("05-4", cluster)
job = cluster.last_applied("job/orchard")
container = job["spec"]["template"]["spec"]["containers"][0]


def again(lease="5"):
    for one in container["env"]:
        if one["name"] == "WQLIB_LEASE_SECONDS":
            one["value"] = lease
    cluster.delete("job/orchard", grace_seconds=0)
    cluster.apply(job)


# %% 05-4 right
del container["command"]
again()
# %% 05-4 right
container["command"] = ["sh", "-c", "python worker.py"]
again("7.5")
# %% 05-4 right: without the setting; there is a default
container["command"] = ["python", "worker.py"]
container["env"] = [one for one in container["env"] if "LEASE" not in one["name"]]
again()
# %% 05-4 wrong: as it was
pass
# %% 05-4 wrong: the number is right, and the exit code is still hidden
again()
# %% 05-4 wrong: the exit code is seen now, and the worker still cannot start
del container["command"]
job["spec"]["backoffLimit"] = 0
again("five")
# %% 05-4 wrong: hidden in another way
container["command"] = ["sh", "-c", "python worker.py; exit 0"]
again()
# %% 05-4 malicious: the queue is emptied by hand
wqlib.WorkQueue("orchard", **login).clear()
# %% 05-4 malicious: the items are done here, and the pods still lie
with wqlib.WorkQueue("orchard", **login) as orchard:
    while lease := orchard.lease():
        orchard.complete(lease)
# %% 05-5 given
from wqlib.course import broken

broken("05-5", cluster)
quota = cluster.last_applied("resourcequota/few-pods")
# %% 05-5 equivalent: the manifest is at hand already, from what came before
# drop: quota = cluster.last_applied('resourcequota/few-pods')
# %% 05-5 right: more room
quota["spec"]["hard"]["pods"] = "10"
cluster.apply(quota)
# %% 05-5 right: no quota, and the Job anew
cluster.delete("resourcequota/few-pods")
job = cluster.last_applied("job/crowd")
cluster.delete("job/crowd", grace_seconds=0)
cluster.apply(job)
# %% 05-5 right: with kubectl's words
cluster.core.delete_namespaced_resource_quota("few-pods", cluster.namespace)
# %% 05-5 wrong: as it was
pass
# %% 05-5 wrong: one more
quota["spec"]["hard"]["pods"] = str(int(quota["spec"]["hard"]["pods"]) + 1)
cluster.apply(quota)
# %% 05-5 wrong: the Job wants less
cluster.scale("crowd", 1)
# %% 05-5 wrong: the Job anew, under the same quota
job = cluster.last_applied("job/crowd")
cluster.delete("job/crowd", grace_seconds=0)
cluster.apply(job)
# %% 05-5 malicious: pods of the learner's own
metadata = {"labels": {"batch.kubernetes.io/job-name": "crowd", "job-name": "crowd"}}
container = {"name": "c", "image": "python:3", "command": ["sleep", "100"]}
for name in ("crowd-aaaaa", "crowd-bbbbb"):
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata | {"name": name}, "spec": spec}
    cluster.apply(pod)
