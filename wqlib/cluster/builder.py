"""Build an image for a real cluster, with the tool that belongs to it.

There is no way in the Kubernetes API to build an image, so this runs a command. Which one
is known for kind, minikube and Docker Desktop; for others `WQLIB_BUILD_COMMAND` says it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ImageError
from . import namespaces
from .notice import Notice

VARIABLE = "WQLIB_BUILD_COMMAND"
SHOWN_LINES = 15


@dataclass(frozen=True)
class Images:
    """Images for the pods of a real cluster, in one of its namespaces."""

    api: Any
    namespace: str
    context: str

    def build(self, tag: str, folder: Path) -> None:
        """Build an image, unless somebody else provides those of the namespace; see `build`."""
        build(self.context, tag, folder, provided=self._are_provided())

    def how(self) -> str:
        """Say how images are built; see `check`."""
        return check(self.context, provided=self._are_provided())

    def _are_provided(self) -> bool:
        return namespaces.images_are_there(self.api, self.namespace)


def command_for(context: str) -> str:
    """The command that builds an image for this context, with {tag} and {folder} open.

    Raises:
        ImageError: If nobody said how.
    """
    if named := os.environ.get(VARIABLE):
        return named
    if context.startswith("kind-"):
        name = shlex.quote(context.removeprefix("kind-"))
        build = "docker build -t {tag} {folder}"
        return f"{build} && kind load docker-image {{tag}} --name {name}"
    if context == "minikube":
        return "minikube image build -t {tag} {folder}"
    if context == "docker-desktop":
        return "docker build -t {tag} {folder}"
    raise ImageError(
        f"wqlib does not know how images get into the cluster of the context {context!r}. Set "
        f"{VARIABLE} to a command with {{tag}} and {{folder}} in it; or push the image to a "
        "registry that the cluster can pull from, and name it there in the manifest."
    )


def check(context: str, *, provided: bool = False) -> str:
    """See whether images can be built for this context, without building one.

    Args:
        context: Which.
        provided: Somebody else built them, so they need not be built.

    Returns:
        The command.

    Raises:
        ImageError: If nobody said how, or the program for it is missing.
    """
    if provided and not os.environ.get(VARIABLE):
        return "by whoever made the class"
    template = command_for(context)
    program = shlex.split(template)[0]
    if not shutil.which(program):
        raise ImageError(
            f"Images for the context {context!r} are built with `{template}`, but there is no "
            f"program {program} here. Install it, or set {VARIABLE} to another command."
        )
    return f"with `{template}`"


def build(context: str, tag: str, folder: str | Path, *, provided: bool = False) -> str:
    """Build the image `tag` from the Dockerfile in `folder`.

    Args:
        context: For which cluster.
        tag: Its name.
        folder: What it is made from.
        provided: Somebody else built it already, so nothing is done, unless WQLIB_BUILD_COMMAND
            says how. Whether the image really is there shows when a pod starts.

    Returns:
        The tag.

    Raises:
        ImageError: If there is no Dockerfile, or the command fails; with its last lines.
    """
    folder = Path(folder).expanduser()
    if not (folder / "Dockerfile").is_file():
        raise ImageError(f"There is no Dockerfile in {folder}. Name the folder that has it.")
    if provided and not os.environ.get(VARIABLE):
        return tag
    template = command_for(context)
    command = template.replace("{tag}", shlex.quote(tag))
    command = command.replace("{folder}", shlex.quote(str(folder.resolve())))
    run = subprocess.Popen(
        command,
        shell=True,  # the command is the learner's own, and may chain two with &&
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    said = None
    with run, Notice() as notice:
        try:
            while said is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    said = run.communicate(timeout=1)[0]
                notice.tell(f"the image {tag}: {template}")
        except BaseException:
            run.kill()
            raise
    if run.returncode != 0:
        last = "\n".join(said.strip().splitlines()[-SHOWN_LINES:])
        raise ImageError(
            f"The image {tag} was not built: `{template}` ended with exit code "
            f"{run.returncode}. Its last lines:\n{last}"
        )
    return tag
