"""Signals to all processes of a pod: a pause, and a crash, as may happen to any program.

A virtual machine that is moved, a disk that does not answer, a swapping node: the program does
not die, it only does nothing for a while, and does not know it. SIGSTOP does the same on purpose.
SIGKILL is what the kernel sends when memory runs out: the program ends at once, without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..errors import ClusterError
from .podstream import ExecResult

# Runs in the pod: signals every process of its own but itself and those above it.
# They are found by the pod's name in their environment, since a pod of the local cluster sees
# all processes of the machine. A process 1 takes no SIGSTOP or SIGKILL from inside its container.
# With a SIGKILL the container ends, and all in it: so this answers first, and ends at once.
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
found = sorted(set(found) - spared)
print(sum(pid != 1 or number == signal.SIGCONT for pid in found), flush=True)
for pid in found:
    try:
        os.kill(pid, number)
    except OSError:
        pass
os._exit(0)
"""


def send_signal(
    execute: Callable[[str, list[str]], ExecResult],
    pod: str,
    name: Literal["SIGSTOP", "SIGCONT", "SIGKILL"],
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
    if not done.stdout.strip().isdigit():
        raise ClusterError(f"pod/{pod} could not be sent {name}: {done.stderr.strip()[-200:]}.")
    if name != "SIGCONT" and not int(done.stdout):
        raise ClusterError(
            f"pod/{pod} could not be sent {name}: its worker is process 1 of its container, which "
            f"takes no {name} from inside. Let the Job's pods share their processes: "
            "spec.template.spec.shareProcessNamespace: true."
        )
