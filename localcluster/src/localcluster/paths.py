"""Where the local cluster keeps its files: one state folder, for nobody else to read."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .errors import ClusterError

# What means itself to every shell, and in PATH.
PLAIN = re.compile(r"[\w./@+-]+", re.ASCII)


def plain_link(home: Path) -> Path | None:
    """Make a link to `home` that scripts can hold as text; None if its own path is plain enough.

    The paths of an image are replaced by their place inside shell scripts, where a blank or a
    quote would mean something. Who calls this removes the link, and the folder that it is in.

    Raises:
        ClusterError: There is no place for it.
    """
    if PLAIN.fullmatch(str(home)):
        return None
    import tempfile  # not for every start: with what it needs it takes 2 ms

    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if PLAIN.fullmatch(folder) and os.access(folder, os.W_OK | os.X_OK):
            link = Path(tempfile.mkdtemp(prefix="localcluster-", dir=folder)) / "home"
            link.symlink_to(home)
            return link
    raise ClusterError(
        f"The path {home} holds a character that shells read as something else, and no temporary"
        " folder can take a link to it. Set LOCALCLUSTER_HOME to a folder without blanks and"
        " quotes in its path."
    )


class State(NamedTuple):
    """The state folder, `<home>/cluster`, and the names of what lies in it."""

    root: Path

    @classmethod
    def of(cls, home: Path | None = None) -> State:
        """Return the state of `home`, of `LOCALCLUSTER_HOME`, or of `~/.localcluster`."""
        if home is None:
            home = Path(os.environ.get("LOCALCLUSTER_HOME") or "~/.localcluster")
        return cls(Path(os.path.abspath(home.expanduser())) / "cluster")

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def info(self) -> Path:
        """What the running daemon says about itself, as JSON."""
        return self.root / "daemon.json"

    @property
    def log(self) -> Path:
        return self.root / "daemon.log"

    @property
    def start_lock(self) -> Path:
        """Held while somebody starts the daemon, and by the daemon while it decides to end."""
        return self.root / "start.lock"

    @property
    def daemon_lock(self) -> Path:
        """Held by the daemon as long as it lives."""
        return self.root / "daemon.lock"

    @property
    def reaper_lock(self) -> Path:
        """Held by the reaper until the last process of a pod is gone."""
        return self.root / "reaper.lock"

    @property
    def owners(self) -> Path:
        """One locked file for each process that wants the cluster to live."""
        return self.root / "owners"

    @property
    def pods(self) -> Path:
        """One folder for each pod, named by its uid."""
        return self.root / "pods"

    @property
    def images(self) -> Path:
        """The images that were built, and those that stand for programs of this machine."""
        return self.root / "images"

    def create(self) -> State:
        """Make the folders, closed to everybody else."""
        self.root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.mkdir(mode=0o700, exist_ok=True)
        self.root.chmod(0o700)
        for folder in (self.owners, self.pods, self.images):
            folder.mkdir(mode=0o700, exist_ok=True)
        return self


@contextlib.contextmanager
def explained_disk_errors(state: State) -> Iterator[None]:
    """Turn what a disk refuses into an error that says what to do.

    Raises:
        ClusterError: The folder cannot be written to, or the disk is full.
    """
    try:
        yield
    except OSError as error:
        home = state.root.parent
        place = Path(error.filename2 or error.filename or home)
        if home.exists() and not place.is_relative_to(home):
            raise  # it is about another file, such as one to copy into an image
        raise ClusterError(
            f"The local cluster cannot keep its state in {state.root}: {error.strerror or error}."
            " Make room or change the folder's permissions; or set LOCALCLUSTER_HOME to another"
            " folder."
        ) from error
