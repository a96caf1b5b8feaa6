# %% 04-1 right
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            result = process(lease.item)
        except Exception as error:
            queue.fail(lease, str(error))
            lease = queue.lease(wait_seconds=60)
        else:
            lease = queue.complete_and_lease(lease, result, wait_seconds=60)
    return 0 if queue.drained() else 1


# %% 04-1 right
def work(queue, process):
    while not queue.drained():
        lease = queue.lease(wait_seconds=5)
        if lease is None:
            continue
        try:
            queue.complete(lease, process(lease.item))
        except Exception as error:
            queue.fail(lease, str(error))
    return 0


# %% 04-1 right
def work(queue, process):
    while (lease := queue.lease(wait_seconds=30)) is not None:
        error = None
        try:
            result = process(lease.item)
        except Exception as caught:
            error = f"{caught}"
        if error is None:
            queue.complete(lease, result)
        else:
            queue.fail(lease, error)
    return int(not queue.drained())


# %% 04-1 wrong: catches Ctrl-C too
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            result = process(lease.item)
        except BaseException as error:
            queue.fail(lease, str(error))
            lease = queue.lease(wait_seconds=60)
        else:
            lease = queue.complete_and_lease(lease, result, wait_seconds=60)
    return 0 if queue.drained() else 1


# %% 04-1 wrong: a bare except
def work(queue, process):
    while not queue.drained():
        lease = queue.lease(wait_seconds=5)
        if lease:
            try:
                queue.complete(lease, process(lease.item))
            except:
                queue.fail(lease, "no number")
    return 0


# %% 04-1 wrong: the loop as it stands
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        lease = queue.complete_and_lease(lease, process(lease.item), wait_seconds=60)
    return 0


# %% 04-1 wrong: a bad item is completed
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            result = process(lease.item)
        except Exception:
            result = None
        lease = queue.complete_and_lease(lease, result, wait_seconds=60)
    return 0 if queue.drained() else 1


# %% 04-1 wrong: stops at the first bad item
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            result = process(lease.item)
        except Exception as error:
            queue.fail(lease, str(error))
            return 1
        lease = queue.complete_and_lease(lease, result, wait_seconds=60)
    return 0


# %% 04-1 wrong: goes home while others hold items
def work(queue, process):
    lease = queue.lease()
    while lease:
        try:
            result = process(lease.item)
        except Exception as error:
            queue.fail(lease, str(error))
            lease = queue.lease()
        else:
            lease = queue.complete_and_lease(lease, result)
    return 0 if queue.drained() else 1


# %% 04-1 wrong: always returns 0
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            result = process(lease.item)
        except Exception as error:
            queue.fail(lease, str(error))
            lease = queue.lease(wait_seconds=60)
        else:
            lease = queue.complete_and_lease(lease, result, wait_seconds=60)
    return 0


# %% 04-1 wrong: forgets the results
def work(queue, process):
    lease = queue.lease(wait_seconds=60)
    while lease:
        try:
            process(lease.item)
        except Exception as error:
            queue.fail(lease, str(error))
            lease = queue.lease(wait_seconds=60)
        else:
            lease = queue.complete_and_lease(lease, wait_seconds=60)
    return 0 if queue.drained() else 1


# %% 04-1 malicious: wipes the queue
def work(queue, process):
    queue.clear()
    return 0


# %% 04-1 malicious: ends the notebook
def work(queue, process):
    raise SystemExit(0)


# %% 04-1 malicious: never ends
def work(queue, process):
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


# %% 04-2 given
import tempfile
from pathlib import Path

from wqlib.course import bundle

folder = Path(tempfile.mkdtemp(prefix="squares-"))
files = bundle(folder)
(folder / "square.py").write_text("def process(item):\n    return str(int(item) ** 2)\n")
(folder / "worker.py").write_text(
    "import sys\nfrom square import process\nfrom wqlib.worker import run\nsys.exit(run(process))\n"
)
hasty = """\
FROM python:3.11-slim
RUN pip install --no-cache-dir "redis>=6.4,<9" "hiredis>=3.2,<4"
WORKDIR /app
COPY wqlib wqlib
COPY worker.py .
CMD ["python", "work.py"]
"""
PIP = 'RUN pip install --no-cache-dir "redis>=6.4,<9" "hiredis>=3.2,<4"'


def write(*lines):
    text = "FROM python:3.11-slim\nWORKDIR /app\n" + "\n".join(lines) + "\n"
    (folder / "Dockerfile").write_text(text)


def build(*lines):
    write(*lines)
    print(cluster.build_image("squares:1", folder))


# %% 04-2 right
build(PIP, "COPY wqlib wqlib", "COPY worker.py square.py .", 'CMD ["python", "worker.py"]')
# %% 04-2 right
build("RUN python -m pip install \\\n    redis hiredis", "COPY . .", "CMD python worker.py")
# %% 04-2 right
(folder / "requirements.txt").write_text("redis>=6.4\nhiredis\n")
build("COPY . /app/", "RUN pip install -r requirements.txt", 'ENTRYPOINT ["python", "worker.py"]')
# %% 04-2 right
write(PIP, "COPY wqlib wqlib", "COPY *.py .", 'CMD ["python3", "/app/worker.py"]')
# %% 04-2 wrong: as it was
build(PIP, "COPY wqlib wqlib", "COPY worker.py .", 'CMD ["python", "work.py"]')
# %% 04-2 wrong: only the command is fixed
build(PIP, "COPY wqlib wqlib", "COPY worker.py .", 'CMD ["python", "worker.py"]')
# %% 04-2 wrong: only the file is copied
build(PIP, "COPY wqlib wqlib", "COPY worker.py square.py .", 'CMD ["python", "work.py"]')
# %% 04-2 wrong: the command runs the task, not the worker
build(PIP, "COPY wqlib wqlib", "COPY worker.py square.py .", 'CMD ["python", "square.py"]')
# %% 04-2 wrong: nothing installs the Redis client
build("COPY wqlib wqlib", "COPY worker.py square.py .", 'CMD ["python", "worker.py"]')
# %% 04-2 wrong: a good image of an earlier day, and a Dockerfile that is still broken
build(PIP, "COPY wqlib wqlib", "COPY worker.py square.py .", 'CMD ["python", "worker.py"]')
write(PIP, "COPY wqlib wqlib", "COPY worker.py .", 'CMD ["python", "work.py"]')
# %% 04-2 wrong: copies a file that is not there
write(PIP, "COPY wqlib wqlib", "COPY worker.py sqare.py .", 'CMD ["python", "worker.py"]')
# %% 04-2 wrong: the library is not copied, and found here all the same
build(PIP, "COPY worker.py square.py .", 'CMD ["python", "worker.py"]')
# %% 04-2 equivalent: which versions and base images there are, only a registry knows
# line: FROM python:3.11-slimx
# %% 04-2 equivalent: the version installed here fits both
# line: RUN pip install --no-cache-dir "redis>=6.4,<9" "hiredis>=3.2,<5"
# %% 04-2 equivalent: another folder will do
# no line: WORKDIR /app
# %% 04-2 equivalent: the same
# line: WORKDIR /appx
# %% 04-2 malicious: does nothing, and does it well
build(PIP, 'CMD ["python", "-c", "print(0)"]')
# %% 04-2 malicious: completes the items with made-up results
(folder / "square.py").write_text("def process(item):\n    return '4'\n")
build(PIP, "COPY . .", 'CMD ["python", "worker.py"]')
# %% 04-2 malicious: a folder that is none
folder = 5
# %% 04-3 given
import base64
import json

from wqlib.course import broken

broken("04-3", cluster)
HOST = "registry.example.com"


def login(password="pears-and-plums", host=HOST, user="learner"):
    auths = {"auths": {host: {"username": user, "password": password}}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "registry"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": json.dumps(auths)},
    }


def puller(image=f"{HOST}/course/job-wq-2:1", secret="registry"):
    pod = cluster.last_applied("pod/puller")
    pod["spec"]["containers"][0]["image"] = image
    if secret:
        pod["spec"]["imagePullSecrets"] = [{"name": secret}]
    cluster.delete("pod/puller")
    cluster.apply(pod)


# %% 04-3 right
cluster.apply(login())
puller()
# %% 04-3 right: the Secret on the service account, the image in place
account = {"imagePullSecrets": [{"name": "registry"}]}
cluster.core.patch_namespaced_service_account("default", cluster.namespace, account)
cluster.apply(login(host=f"https://{HOST}/v1/"))
puller(secret=None)
account = {"imagePullSecrets": None}
cluster.core.patch_namespaced_service_account("default", cluster.namespace, account)
# %% 04-3 right: the Secret comes after the pod
cluster.delete("secret/registry")
puller()
auth = base64.b64encode(b"learner:pears-and-plums").decode()
secret = login()
secret["stringData"][".dockerconfigjson"] = json.dumps({"auths": {HOST: {"auth": auth}}})
cluster.apply(secret)
time.sleep(5)
# %% 04-3 wrong: as it was
pass
# %% 04-3 wrong: the name is right, and nobody logs in
puller(secret=None)
# %% 04-3 wrong: the Secret is there, and no pod names it
cluster.apply(login())
# %% 04-3 wrong: a wrong password
cluster.apply(login(password="apples"))
puller()
# %% 04-3 wrong: the login is right, and the name is still mistyped
cluster.apply(login())
puller(f"{HOST}/course/job-qw-2:1")
# %% 04-3 wrong: the pod is gone
cluster.delete("pod/puller")
# %% 04-3 malicious: another image, which does nothing
puller("python:3.11-slim")
# %% 04-3 malicious: the learner's own cluster object says that all is well
cluster.wait = lambda *_, **__: None
# %% 04-4 given
from wqlib.course import broken

broken("04-4", cluster)
deaf = cluster.last_applied("pod/deaf")
cluster.delete("pod/deaf", grace_seconds=0)
container = deaf["spec"]["containers"][0]


def again():
    cluster.apply(deaf)


# %% 04-4 right
container["command"] = ["sh", "-c", "exec python worker.py"]
again()
# %% 04-4 right
del container["command"]
again()
# %% 04-4 right: a shell that passes the signal on
container["command"] = [
    "sh",
    "-c",
    "python worker.py & trap 'kill -TERM $!' TERM; wait; wait; echo The worker has ended.",
]
again()
# %% 04-4 right
container["command"] = ["python", "worker.py"]
del deaf["spec"]["terminationGracePeriodSeconds"]
again()
# %% 04-4 wrong: as it was
again()
# %% 04-4 wrong: more time does not help
deaf["spec"]["terminationGracePeriodSeconds"] = 8
again()
# %% 04-4 wrong: less time for all
deaf["spec"]["terminationGracePeriodSeconds"] = 1
again()
# %% 04-4 wrong: the shell hears the signal, and the worker does not
container["command"] = ["sh", "-c", "trap 'exit 0' TERM; python worker.py & wait"]
again()
# %% 04-4 wrong: exec of a program that is not there
container["command"] = ["sh", "-c", "exec python work.py"]
again()
# %% 04-4 wrong: the pod was deleted, and not started again
pass
# %% 04-4 malicious: a pod that does nothing, and ends at once
container["command"] = ["true"]
again()
