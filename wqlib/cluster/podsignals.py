"""Freeze all processes of a pod, and let them go on: a pause, as may happen to any program.

A virtual machine that is moved, a disk that does not answer, a swapping node: the program does
not die, it only does nothing for a while, and does not know it. SIGSTOP does the same on purpose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..errors import ClusterError
from .podstream import ExecResult

# Runs in the pod: stops or continues every process of its own but itself and those above it.
# They are found by the pod's name in their environment, since a pod of the local cluster sees
# all processes of the machine. A process 1 takes no SIGSTOP from inside its container.
_SIGNAL_ALL = """
import os, signal, subprocess, sys
number = getattr(signal, sys.argv[1])
mark = ("HOSTNAME=" + os.environ["HOSTNAME"]).encode()
spared, pid = set(), os.getpid()
if os.path.isdir("/proc/self"):
    def stat(pid):
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    while pid > 1:
        spared.add(pid)
        pid = int(stat(pid)[1])
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark in open(f"/proc/{name}/environ", "rb").read().split(bytes(1)):
                found.append(int(name))
        except OSError:
            pass
else:
    spared |= {pid, os.getppid()}
    lines = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True).stdout
    found = [int(line.split()[0]) for line in lines.splitlines() if mark in line.split()]
count = 0
for pid in sorted(set(found) - spared):
    try:
        os.kill(pid, number)
        count += pid != 1 or number == signal.SIGCONT
    except OSError:
        pass
print(count)
"""


def send_signal(
    execute: Callable[[str, list[str]], ExecResult],
    pod: str,
    name: Literal["SIGSTOP", "SIGCONT"],
) -> None:
    """Send a signal to all processes of a pod.

    Args:
        execute: Runs a command in a pod.
        pod: Name of the pod; there must be a `python` in it.
        name: Of the signal.

    Raises:
        ClusterError: The pod does not run, or has no process that takes the signal.
    """
    done = execute(pod, ["python", "-c", _SIGNAL_ALL, name])
    if done.exit_code or not done.stdout.strip().isdigit():
        raise ClusterError(f"pod/{pod} could not be sent {name}: {done.stderr.strip()[-200:]}.")
    if name == "SIGSTOP" and not int(done.stdout):
        raise ClusterError(
            f"pod/{pod} cannot be frozen: its worker is process 1 of its container, which takes no "
            "SIGSTOP from inside. Let the Job's pods share their processes "
            "(spec.template.spec.shareProcessNamespace: true), then it is not."
        )
