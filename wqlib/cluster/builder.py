"""Build an image for a real cluster, with the tool that belongs to it.

The Kubernetes API cannot build an image, so this runs a command. It is known for kind, minikube
and Docker Desktop; for other clusters, `WQLIB_BUILD_COMMAND` holds it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError
from .statusline import StatusLine

VARIABLE = "WQLIB_BUILD_COMMAND"
SHOWN_LINES = 15


@dataclass(frozen=True)
class CommandBuilder:
    """Builds images with a command; an `ImageBuilder`.

    Attributes:
        context: For which cluster.
        provided: Tells whether somebody else has built the images. Then nothing is done, unless
            WQLIB_BUILD_COMMAND says how. Whether they really are there shows when a pod starts.
    """

    context: str
    provided: Callable[[], bool] = lambda: False

    def build(self, tag: str, folder: Path) -> None:
        """Build the image `tag` from the Dockerfile in `folder`.

        Raises:
            ImageError: If there is no Dockerfile, or the command fails; with its last lines.
        """
        if not (folder / "Dockerfile").is_file():
            raise ImageError(f"There is no Dockerfile in {folder}. Name the folder that has it.")
        if not self._skips():
            _run(command_for(self.context), tag, folder)

    def describe(self) -> str:
        """Say how images are built, without building one.

        Raises:
            ImageError: If nobody said how, or the program for it is missing.
        """
        if self._skips():
            return "by whoever made the class"
        template = command_for(self.context)
        program = shlex.split(template)[0]
        if not shutil.which(program):
            raise ImageError(
                f"Images for the context {self.context!r} are built with `{template}`, but "
                f"the program {program} was not found. Install it, or set {VARIABLE} to another "
                "command."
            )
        return f"with `{template}`"

    def _skips(self) -> bool:
        return not os.environ.get(VARIABLE) and self.provided()


def command_for(context: str) -> str:
    """Return the command that builds an image for this context, with {tag} and {folder} open.

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
        "registry that the cluster can pull from, and use that name in the manifest."
    )


def _run(template: str, tag: str, folder: Path) -> None:
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
    output = None
    with run, StatusLine() as status:
        try:
            while output is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    output = run.communicate(timeout=1)[0]
                status.update(f"the image {tag}: {template}")
        except BaseException:
            run.kill()
            raise
    if run.returncode != 0:
        last = "\n".join(output.strip().splitlines()[-SHOWN_LINES:])
        raise ImageError(
            f"The image {tag} was not built: `{template}` ended with exit code "
            f"{run.returncode}. Its last lines:\n{last}"
        )
