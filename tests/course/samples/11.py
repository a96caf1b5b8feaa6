# %% 11-1 given
import tempfile
from pathlib import Path

from wqlib.course import bundle

project = Path(tempfile.mkdtemp(prefix="capstone-"))
(project / "task.py").write_text("def process(item):\n    return item.decode().upper()\n")
(project / "worker.py").write_text(
    "import sys\n\nfrom task import process\nfrom wqlib.worker import run\n\n"
    'if __name__ == "__main__":\n    sys.exit(run(process))\n'
)
files = bundle(project)
pieces = [f"piece {number}" for number in range(12)]


def process(item):
    return item.decode().upper()


def build(text):
    (project / "Dockerfile").write_text(text)
    cluster.build_image("capstone:1", project)
    return text


FROM = "FROM python:3.11-slim\n"
PIP = 'RUN pip install --no-cache-dir "redis>=6.4,<9" "hiredis>=3.2,<4"\n'
# %% 11-1 right
dockerfile = build(f'{FROM}{PIP}WORKDIR /app\nCOPY . .\nCMD ["python", "worker.py"]\n')
# %% 11-1 right
dockerfile = build(f"{FROM}WORKDIR /srv\n{PIP}COPY . .\nCMD python worker.py\n")
# %% 11-1 right
dockerfile = build(
    f"{FROM}{PIP}WORKDIR /app\nCOPY wqlib wqlib\nCOPY task.py worker.py ./\n"
    'ENTRYPOINT ["python", "worker.py"]\n'
)
# %% 11-1 wrong: the task is not copied
dockerfile = build(
    f'{FROM}{PIP}WORKDIR /app\nCOPY wqlib wqlib\nCOPY worker.py .\nCMD ["python", "worker.py"]\n'
)
# %% 11-1 wrong: runs the task, not the worker
dockerfile = build(f'{FROM}{PIP}WORKDIR /app\nCOPY . .\nCMD ["python", "task.py"]\n')
# %% 11-1 wrong: written, and never built
dockerfile = f'{FROM}{PIP}WORKDIR /app\nCOPY . .\nCMD ["python", "worker.py"]\n'
# %% 11-1 wrong: an image of an older task
(project / "task.py").write_text("def process(item):\n    return item.decode().lower()\n")
dockerfile = build(f'{FROM}{PIP}WORKDIR /app\nCOPY . .\nCMD ["python", "worker.py"]\n')
# %% 11-1 malicious: does nothing, and does it well
dockerfile = build(f'{FROM}CMD ["python", "-c", "print(0)"]\n')


# %% 11-1 equivalent: which versions and base images there are, only a registry knows
# line: FROM python:3.11-slimx
# %% 11-1 equivalent: the version installed here fits both
# line: RUN pip install --no-cache-dir "redis>=6.4,<9" "hiredis>=3.2,<5"
# %% 11-1 equivalent: another folder will do
# no line: WORKDIR /app
# %% 11-1 equivalent: the same
# line: WORKDIR /appx


# %% 11-2 given
import tempfile
from pathlib import Path

from wqlib.course import bundle

project = Path(tempfile.mkdtemp(prefix="capstone-"))
(project / "worker.py").write_text(
    "import sys\n\nfrom wqlib.worker import run\n\n\ndef process(item):\n"
    '    return item.decode().upper()\n\n\nif __name__ == "__main__":\n    sys.exit(run(process))\n'
)
files = bundle(project)
(project / "Dockerfile").write_text(
    'FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\nCMD ["python", "worker.py"]\n'
)
cluster.build_image("capstone:1", project)
pieces = [f"piece {number}" for number in range(12)]


def process(item):
    return item.decode().upper()


GOOD = """
apiVersion: batch/v1
kind: Job
metadata: {name: capstone}
spec:
  parallelism: 4
  backoffLimit: 10
  template:
    metadata: {labels: {redis-client: "true"}}
    spec:
      restartPolicy: OnFailure
      containers:
        - name: worker
          image: capstone:1
          env:
            - {name: WQLIB_QUEUE, value: capstone}
            - {name: WQLIB_LEASE_SECONDS, value: "3"}
            - {name: REDIS_PASSWORD, valueFrom: {secretKeyRef: {name: redis, key: password}}}
"""
# %% 11-2 right
job_yaml = GOOD
# %% 11-2 right
job_yaml = GOOD.replace("backoffLimit: 10", "backoffLimit: 100").replace('"3"', '"3.0"')
# %% 11-2 right
import json

import yaml

job_yaml = json.dumps(yaml.safe_load(GOOD))
# %% 11-2 wrong: completions
job_yaml = GOOD.replace("parallelism: 4", "parallelism: 4\n  completions: 4")
# %% 11-2 wrong: one pod at a time
job_yaml = GOOD.replace("parallelism: 4", "parallelism: 1")
# %% 11-2 wrong: no restart policy
job_yaml = GOOD.replace("restartPolicy: OnFailure", "terminationGracePeriodSeconds: 30")
# %% 11-2 wrong: Never
job_yaml = GOOD.replace("OnFailure", "Never")
# %% 11-2 wrong: a number as the value of a variable
job_yaml = GOOD.replace('"3"', "3")
# %% 11-2 wrong: another key of the Secret
job_yaml = GOOD.replace("key: password", "key: pass")
# %% 11-2 wrong: not YAML
job_yaml = GOOD.replace("kind: Job", "kind: [Job")
# %% 11-2 wrong: the password in the open
job_yaml = GOOD.replace("valueFrom: {secretKeyRef: {name: redis, key: password}}", "value: secret")


# %% 11-2 malicious: a text that lies
class Text(str):
    def strip(self):
        return "yes"


job_yaml = Text("")


# %% 11-3 given
import tempfile
import threading
import time
from pathlib import Path

from wqlib import WorkQueue
from wqlib.course import bundle

project = Path(tempfile.mkdtemp(prefix="capstone-"))
(project / "worker.py").write_text(
    "import sys\nimport time\n\nfrom wqlib.worker import run\n\n\ndef process(item):\n"
    "    time.sleep(0.1)\n    return item.decode().upper()\n\n\n"
    'if __name__ == "__main__":\n    sys.exit(run(process))\n'
)
files = bundle(project)
(project / "Dockerfile").write_text(
    'FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\nCMD ["python", "worker.py"]\n'
)
cluster.build_image("capstone:1", project)
queue = WorkQueue("capstone", worker="notebook", **login)
queue.clear()
cluster.delete("job/capstone", grace_seconds=0)
pieces = [f"piece {number}" for number in range(40)]
job_yaml = """
apiVersion: batch/v1
kind: Job
metadata: {name: capstone}
spec:
  parallelism: 4
  backoffLimit: 10
  template:
    metadata: {labels: {redis-client: "true"}}
    spec:
      restartPolicy: OnFailure
      containers:
        - name: worker
          image: capstone:1
          env:
            - {name: WQLIB_QUEUE, value: capstone}
            - {name: WQLIB_LEASE_SECONDS, value: "1"}
            - {name: REDIS_PASSWORD, valueFrom: {secretKeyRef: {name: redis, key: password}}}
"""


def process(item):
    return item.decode().upper()


crashed = []


def crash_one():
    while not (leases := queue.snapshot().leases):
        time.sleep(0.02)
    cluster.crash_pod(leases[0].id.partition("@")[2])


def killer(done, pause_seconds=0.2):
    time.sleep(pause_seconds)
    crash_one()


# %% 11-3 right
queue.put(pieces)
cluster.apply(job_yaml)
crash_one()
cluster.wait("job/capstone", "complete")
# %% 11-3 right
cluster.apply(job_yaml)
queue.put(pieces)
thread = threading.Thread(target=killer, args=[None])
thread.start()
cluster.wait("job/capstone", "complete")
thread.join()
# %% 11-3 right
queue.put(pieces)
cluster.apply(job_yaml)
for _ in range(2):
    crash_one()
    time.sleep(0.5)
cluster.wait("job/capstone", "complete")
# %% 11-3 wrong: no pod died
queue.put(pieces)
cluster.apply(job_yaml)
cluster.wait("job/capstone", "complete")
# %% 11-3 wrong: not all items
queue.put(pieces[1:])
cluster.apply(job_yaml)
crash_one()
cluster.wait("job/capstone", "complete")
# %% 11-3 wrong: twice as many
queue.put(pieces + pieces)
cluster.apply(job_yaml)
crash_one()
cluster.wait("job/capstone", "complete")
# %% 11-3 wrong: did not wait
queue.put(pieces)
cluster.apply(job_yaml)
# %% 11-3 malicious: done by the notebook itself
queue.put(pieces)
lease = queue.lease()
queue.release(lease)
while lease := queue.lease():
    queue.complete(lease, process(lease.item))


# %% 11-3 equivalent: the wait does not fail
# no try
# %% 11-3 equivalent: the default is long enough
# no timeout_seconds= in: cluster.wait('job/capstone', 'complete', timeout_seconds=120)
