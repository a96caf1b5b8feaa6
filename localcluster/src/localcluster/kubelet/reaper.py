"""The process that starts all programs of pods, and lets none of them outlive the daemon.

It runs beside the daemon, which tells it over a socket what to start and what to signal, and
hears from it which programs have ended. It is the parent of them all, so there is no moment at
which the daemon's death could leave one behind: when the socket ends, however the daemon died,
it kills what is left. At last it removes the link by which pods knew the state folder, if there
was one.

On Linux it is also the `subreaper` of all that pods start: a process whose parent ended becomes
its child, even one that called `setsid` or forked twice. Which container it belongs to is told by
a mark in its environment. Elsewhere there is no such thing, and a process that leaves its group
can outlive its pod; docs/pods.md says so.
https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html

Standard library only, and started with `python -I -S`, so it is small.
"""

import contextlib
import errno
import fcntl
import marshal
import os
import select
import signal
import socket
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
_RECHECK_SECONDS = 1.0
_UMASK = 0o022  # of all programs, as runc sets it
# How runc ends when the kernel refuses the program.
_CANNOT_EXECUTE = 255

# A program, its words, its environment, its folder, and its terminal, if it has one.
Request = tuple[bytes, list[bytes], dict[bytes, bytes], bytes, bytes]


def become_subreaper() -> None:
    """Become the parent of orphans, where the system can do that."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> list[int]:
    """Return all children, adopted ones too; nothing where the system does not say."""
    found: list[int] = []
    with (
        contextlib.suppress(OSError),
        open(f"/proc/self/task/{os.getpid()}/children", "rb") as file,
    ):
        found += map(int, file.read().split())
    return found


def mark_of(pid: int, name: bytes) -> bytes | None:
    """Return the mark of a process; empty when it has none, None when it is gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return None
    for variable in environment.split(b"\0"):
        if variable.startswith(name + b"="):
            return variable.partition(b"=")[2]
    return b""


def execute(
    program: bytes,
    argv: list[bytes],
    env: dict[bytes, bytes],
    cwd: bytes,
    tty: bytes,
    fds: list[int],
) -> int:
    """Start the program in a session of its own; return its number.

    What the kernel refuses is told on the program's own standard error, as runc does.

    Args:
        tty: The path of the terminal that becomes the session's.

    Raises:
        OSError: There is no room for another process.
    """
    actions: list[tuple[object, ...]] = [
        (os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(fds)
    ]
    if tty:
        actions.insert(0, (os.POSIX_SPAWN_OPEN, 0, tty, os.O_RDWR, 0))
    os.chdir(cwd)
    try:
        return os.posix_spawn(
            program,
            argv,
            env,
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
        )
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENOMEM):
            raise
        why = os.strerror(error.errno or 0).lower()
    finally:
        os.chdir("/")
    pid = os.fork()
    if pid == 0:
        os.write(fds[2], b"exec %s: %s\n" % (program, why.encode()))
        os._exit(_CANNOT_EXECUTE)
    return pid


class Reaper:
    """All programs that run, and the orphans of those that did.

    Args:
        daemon: The socket to the daemon.
        mark: The name of the variable that holds a mark.
    """

    def __init__(self, daemon: socket.socket, mark: bytes) -> None:
        self.daemon = daemon
        self.mark = mark
        self.marks: dict[int, bytes] = {}
        self._suspects: set[int] = set()

    def run(self) -> None:
        """Do what the daemon asks for until it is gone, then kill what is left."""
        woken, wake = os.pipe()
        for fd in (woken, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        for fd in (woken, self.daemon.fileno()):
            poll.register(fd, select.POLLIN)
        while True:
            ready = dict(poll.poll(_RECHECK_SECONDS * 1000 if self._suspects else None))
            if self.daemon.fileno() in ready and not self._serve():
                break
            if woken in ready:
                with contextlib.suppress(BlockingIOError):
                    while os.read(woken, 4096):
                        pass
            if woken in ready or not ready:
                self._reap()
                self._end_orphans()
        self._kill_all()

    def _serve(self) -> bool:
        """Carry out one request; return False when the daemon is gone."""
        try:
            head, fds, _, _ = socket.recv_fds(self.daemon, 4, 3)
            body, left = b"", int.from_bytes(head, "little")
            while left and (part := self.daemon.recv(left)):
                body, left = body + part, left - len(part)
        except ConnectionError:
            return False
        if left or not head:
            return False
        request = marshal.loads(body)
        if fds:
            self._start(fds, request)
        else:
            self._signal(*request)
        return True

    def _start(self, fds: list[int], request: Request) -> None:
        for fd in fds:
            os.set_inheritable(fd, False)
        try:
            pid = execute(*request, fds)
        except OSError as error:
            self._tell(b"! %d\n" % (error.errno or 0))
            return
        finally:
            for fd in fds:
                os.close(fd)
        self.marks[pid] = request[2].get(self.mark, b"")
        self._tell(b"+ %d\n" % pid)

    def _signal(self, pid: int, number: int, group: bool) -> None:
        """Signal a program or its group, unless it is over: its number may be another's then."""
        if pid in self.marks:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                (os.killpg if group else os.kill)(pid, number)

    def _tell(self, line: bytes) -> None:
        with contextlib.suppress(OSError):  # that it is gone will be read next
            self.daemon.sendall(line)

    def _reap(self) -> None:
        """Take in all children that have ended, and kill what they left in their groups."""
        with contextlib.suppress(ChildProcessError):
            while pid := self._next_ended():
                pid, status = os.waitpid(pid, os.WNOHANG)
                if not pid:
                    return
                if self.marks.pop(pid, None) is not None:
                    if not hasattr(os, "waitid"):
                        _kill(os.killpg, pid)
                    code = os.waitstatus_to_exitcode(status)
                    self._tell(b"- %d %d\n" % (pid, code if code >= 0 else 128 - code))

    def _next_ended(self) -> int:
        """Kill the group of a child that has ended, and return its number; 0 if there is none."""
        if not hasattr(os, "waitid"):
            return -1
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        # The zombie still keeps the number of its group from being used again.
        if found and found.si_pid in self.marks:
            _kill(os.killpg, found.si_pid)
        return found.si_pid if found else 0

    def _end_orphans(self) -> None:
        """End each adopted process whose container is over."""
        suspects, alive = set(), set(self.marks.values())
        for pid in children():
            if pid in self.marks:
                continue
            mark = mark_of(pid, self.mark)
            if mark in alive and mark:
                continue
            if mark or pid in self._suspects:
                # It dies soon, and the signal that says so brings us here again. Its own
                # children become ours, and come next.
                _kill(os.kill, pid)
            else:
                # It hides its mark, or is becoming another program just now.
                suspects.add(pid)
        self._suspects = suspects

    def _kill_all(self) -> None:
        """Kill all programs and what descends from them, and wait until they are gone."""
        groups = set(self.marks)
        for _ in range(1000):
            groups = {pid for pid in groups if _kill(os.killpg, pid) or pid in self.marks}
            orphans = [pid for pid in children() if _kill(os.kill, pid)]
            self._reap()
            if not groups and not orphans:
                return
            time.sleep(0.005)


def _kill(how, pid: int) -> bool:  # type: ignore[no-untyped-def]
    """Send SIGKILL; return whether there was anybody to get it."""
    try:
        how(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # macOS says the second of a group whose processes are all zombies.
        return False
    return True


def main() -> None:
    """Serve the daemon at the other end of standard input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.umask(_UMASK)
    lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    become_subreaper()
    daemon = socket.socket(fileno=0)
    daemon.sendall(b"r")
    Reaper(daemon, sys.argv[2].encode()).run()
    for link in sys.argv[3:]:
        with contextlib.suppress(OSError):
            os.unlink(link)
            os.rmdir(os.path.dirname(link))


if __name__ == "__main__":
    main()
