"""The page "Fine Parallel Processing Using a Work Queue", typed line by line as it stands there.

https://kubernetes.io/docs/tasks/job/fine-parallel-processing-work-queue/

kubectl is the real one, in a real terminal where the page asks for one, and what it prints is what
the page prints, but for names, times and ids. What a learner changes, the page says to change: the
image's name, and the sleep that stands for the work. The page's `rediswq.py` is that of wqlib,
which the Dockerfile copies along; it wants hiredis too.

With `WQLIB_CONTEXT` it runs on that cluster, in a namespace that is deleted afterwards. The image
of the workers is built there as in `make test-cluster` (see `WQLIB_BUILD_COMMAND`). A cluster that
cannot pull `redis` is told by `WQLIB_PAGE_REDIS` which image it has, for example `redis:7`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import secrets
import select
import shlex
import shutil
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client.exceptions import ApiException

from wqlib.cluster import Cluster, builder, connect
from wqlib.course.bundle import bundle
from wqlib.errors import ImageError

CONTEXT = os.environ.get("WQLIB_CONTEXT")
REDIS = os.environ.get("WQLIB_PAGE_REDIS", "redis")
IMAGE = "job-wq-2:page"
# The local cluster has no DNS: redis-cli is told the Service's address, and shows it.
PROMPT = r"redis:6379> $" if CONTEXT else r"(redis|127\.[\d.]+):\d+> $"
FRUIT = "apple banana cherry date fig grape lemon melon orange".split()

REDIS_POD = f"""
apiVersion: v1
kind: Pod
metadata:
  name: redis-master
  labels: {{app: redis}}
spec:
  containers:
  - name: master
    image: {REDIS}
    env:
    - {{name: MASTER, value: "true"}}
    ports:
    - containerPort: 6379
"""
REDIS_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: redis}
spec:
  ports:
  - port: 6379
    targetPort: 6379
  selector: {app: redis}
"""
DOCKERFILE = """
FROM python:3.11-slim
WORKDIR /app
RUN python -m pip install --no-cache-dir redis hiredis
COPY wqlib wqlib
COPY worker.py rediswq.py ./
CMD ["python", "worker.py"]
"""
JOB = f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: job-wq-2}}
spec:
  parallelism: 2
  template:
    metadata: {{name: job-wq-2}}
    spec:
      containers:
      - name: c
        image: {IMAGE}
      restartPolicy: OnFailure
"""

# What a terminal is told about colours, the cursor and the like.
CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()=>][0-9A-Za-z]?|\x07")
CURSOR_WANTED = b"\x1b[6n"


class Terminal:
    """A program in a terminal of its own: what a learner types, and what appears."""

    def __init__(self, command: list[str], **options: object) -> None:
        self._screen, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, start_new_session=True, **options
        )
        os.close(inside)
        self._shown = b""

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def press_enter(self) -> None:
        self.type("\r")

    def _read(self) -> bool:
        """Take in what has appeared; returns whether it was anything."""
        if not select.select([self._screen], [], [], 0.2)[0]:
            return False
        try:
            data = os.read(self._screen, 1 << 16)
        except OSError:  # Linux says so when the program has ended.
            data = b""
        if CURSOR_WANTED in data:
            self.type("\x1b[24;1R")
        self._shown += data
        return bool(data)

    def expect(self, pattern: str, seconds: float = 60) -> str:
        """Wait until the pattern appears; returns what was shown up to its end, and forgets it."""
        deadline = time.monotonic() + seconds
        while True:
            shown = CONTROL.sub(b"", self._shown).decode(errors="replace")
            if found := re.search(pattern, shown):
                self._shown = shown[found.end() :].encode()
                return shown[: found.end()]
            assert time.monotonic() < deadline, f"{pattern!r} does not appear in {shown!r}"
            if not self._read() and self.process.poll() is not None:
                raise AssertionError(f"the program ended without {pattern!r}: {shown!r}")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._screen)


class Learner:
    """Somebody with a folder, kubectl and a kubeconfig whose context is the page's."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "KUBECONFIG": str(folder / "kubeconfig"),
            "TERM": "xterm",
        }
        view = ["kubectl", *shlex.split(cluster.kubectl_options)]
        view += ["config", "view", "--raw", "--minify", "--flatten"]
        (folder / "kubeconfig").touch(0o600)
        with (folder / "kubeconfig").open("w") as file:
            subprocess.run(view, check=True, stdout=file)
        self.run(f"kubectl config set-context --current --namespace={cluster.namespace}")

    def run(self, line: str) -> str:
        """Type a line into a shell; returns what it prints."""
        done = subprocess.run(
            line,
            shell=True,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=310,
        )
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def terminal(self, line: str) -> Iterator[Terminal]:
        """Type a line into a terminal, and stay there."""
        terminal = Terminal(["/bin/sh", "-c", f"exec {line}"], cwd=self.folder, env=self.env)
        try:
            yield terminal
        finally:
            terminal.close()


@pytest.fixture(scope="module")
def learner(home: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Learner]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH")
    if CONTEXT:
        try:
            builder.command_for(CONTEXT)
        except ImageError as error:
            pytest.skip(str(error))
    with connect(namespace=f"wq-page-{secrets.token_hex(3)}") as cluster:
        folder = tmp_path_factory.mktemp("page")
        try:
            yield Learner(cluster, folder)
        finally:
            cluster.core.delete_namespace(cluster.namespace)
            with contextlib.suppress(ApiException):
                _wait_gone(cluster)


def _wait_gone(cluster: Cluster) -> None:
    """Wait until the namespace is not found any more."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        cluster.core.read_namespace(cluster.namespace)
        time.sleep(0.1)


@pytest.mark.timeout(400)
def test_the_page_works_as_it_is_printed(learner: Learner) -> None:
    start_redis(learner)
    fill_the_queue(learner)
    create_the_image(learner)
    run_the_job(learner)


def start_redis(learner: Learner) -> None:
    (learner.folder / "redis-pod.yaml").write_text(REDIS_POD)
    (learner.folder / "redis-service.yaml").write_text(REDIS_SERVICE)
    assert learner.run("kubectl apply -f redis-pod.yaml") == "pod/redis-master created\n"
    assert learner.run("kubectl apply -f redis-service.yaml") == "service/redis created\n"
    # The page leaves this to the time that a reader takes.
    started = has_started(learner.cluster, "redis-master")
    assert started, f"{REDIS!r} cannot be pulled here. Name another image: WQLIB_PAGE_REDIS=redis:7"
    ready = "kubectl wait --for=condition=Ready --timeout=90s pod/redis-master"
    assert learner.run(ready) == "pod/redis-master condition met\n"


def has_started(cluster: Cluster, name: str, seconds: float = 90) -> bool:
    """Wait until a pod runs; False at once when its image cannot be had."""
    deadline = time.monotonic() + seconds
    while True:
        pod = next(one for one in cluster.pods() if one.name == name)
        if pod.phase != "Pending" or pod.reason == "ImagePullBackOff":
            return pod.phase != "Pending"
        assert time.monotonic() < deadline, cluster.describe(f"pod/{name}")
        time.sleep(0.1)


def fill_the_queue(learner: Learner) -> None:
    command = f'kubectl run -i --tty temp --image {REDIS} --command "/bin/sh"'
    with learner.terminal(command) as terminal:
        terminal.expect("If you don't see a command prompt, try pressing enter.|[#$] $")
        terminal.press_enter()
        terminal.expect("[#$] $")
        terminal.type("redis-cli -h redis\r")
        terminal.expect(PROMPT)
        for number, fruit in enumerate(FRUIT, 1):
            terminal.type(f'rpush job2 "{fruit}"\r')
            assert f"\n(integer) {number}\r\n" in terminal.expect(rf"\(integer\)(.|\s)*{PROMPT}")
        terminal.type("lrange job2 0 -1\r")
        shown = terminal.expect(rf"9\) (.|\s)*{PROMPT}")
        printed = [f'{number}) "{fruit}"' for number, fruit in enumerate(FRUIT, 1)]
        assert [line for line in shown.splitlines() if re.match(r"\d\) ", line)] == printed
        terminal.type("exit\r")
        terminal.expect("[#$] $")
        terminal.type("exit\r")
        terminal.expect("Session ended, resume using 'kubectl attach temp")
        assert terminal.process.wait(30) == 0
    assert learner.run("kubectl delete pod temp --now") == ('pod "temp" deleted\n')


def create_the_image(learner: Learner) -> None:
    folder = learner.folder
    worker = (Path(__file__).parents[2] / "notebooks/worker/page/worker.py").read_text()
    assert worker.count("time.sleep(10)") == 1
    (folder / "worker.py").write_text(worker.replace("time.sleep(10)", "time.sleep(1)"))
    (folder / "rediswq.py").write_text("from wqlib.rediswq import *\n")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    bundle(folder)
    learner.cluster.build_image(IMAGE, folder)


def run_the_job(learner: Learner) -> None:
    (learner.folder / "job.yaml").write_text(JOB)
    assert learner.run("kubectl apply -f ./job.yaml") == "job.batch/job-wq-2 created\n"
    pods = started_pods(learner)
    check_description(learner.run("kubectl describe jobs/job-wq-2"), learner, pods)
    wait = "kubectl wait --for=condition=complete --timeout=300s job/job-wq-2"
    assert learner.run(wait) == "job.batch/job-wq-2 condition met\n"
    assert re.search(
        r"^Pods Statuses: +0 (Active|Running)( \(0 Ready\))? / 2 Succeeded / 0 Failed$",
        learner.run("kubectl describe jobs/job-wq-2"),
        re.MULTILINE,
    )
    check_logs([learner.run(f"kubectl logs pods/{pod}") for pod in pods])


def started_pods(learner: Learner) -> list[str]:
    """Wait a bit, as the page says: until both pods run; returns their names."""
    deadline = time.monotonic() + 60
    while True:
        pods = learner.cluster.pods(job="job-wq-2")
        if len(pods) == 2 and all(pod.phase != "Pending" for pod in pods):
            return sorted(pod.name for pod in pods)
        assert time.monotonic() < deadline, pods
        time.sleep(0.05)


def check_description(text: str, learner: Learner, pods: list[str]) -> None:
    """The page's lines, each with its value; those that are new in later versions may be there."""
    uid = learner.cluster.batch.read_namespaced_job("job-wq-2", learner.cluster.namespace)
    uid = f"controller-uid={uid.metadata.uid}"
    head, events = text.split("Events:\n")
    for line in (
        "Name: job-wq-2",
        f"Namespace: {learner.cluster.namespace}",
        f"Selector: (batch.kubernetes.io/)?{uid}",
        f"Labels: (.*\n +)*?{uid}\n(.*\n)*? +job-name=job-wq-2",
        "Annotations: <none>",
        "Parallelism: 2",
        "Completions: <unset>",
        r"Start Time: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}",
        r"Pods Statuses: 2 (Active|Running)( \(\d Ready\))? / 0 Succeeded / 0 Failed",
        f"Pod Template:\n  Labels: (.*\n +)*?{uid}\n(.*\n)*? +job-name=job-wq-2",
        f"  Containers:\n   c:\n    Image: {IMAGE}\n    Port: <none>",
        "    Environment: <none>",
        "    Mounts: <none>",
        "  Volumes: <none>",
    ):
        pattern = "^" + re.sub(r"(?<=:) ", " +", line) + "$"
        assert re.search(pattern, head, re.MULTILINE), f"{line!r} is not in:\n{head}"
    created = re.findall(
        r"^ +Normal +SuccessfulCreate +\S+ +job-controller +Created pod: (\S+)$",
        events,
        re.MULTILINE,
    )
    assert sorted(created) == pods


def check_logs(logs: list[str]) -> None:
    """Each pod tells its session and its items; between them they did each fruit once."""
    done: list[str] = []
    for log in logs:
        lines = log.splitlines()
        assert re.fullmatch(r"Worker with sessionID: job-wq-2-\S+", lines[0])
        assert lines[1] == "Initial queue state: empty=False"
        assert lines[-1] == "Queue empty, exiting"
        between = [line for line in lines[2:-1] if line != "Waiting for work"]
        done += [line.removeprefix("Working on ") for line in between]
    assert sorted(done) == FRUIT
    assert max(log.count("Working on") for log in logs) > 1
