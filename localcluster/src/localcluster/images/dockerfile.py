"""Dockerfiles, as far as a machine without Docker can honour them.

FROM, COPY, WORKDIR, ENV, CMD and ENTRYPOINT are carried out. A RUN that installs packages is
checked: what it would install has to be on this machine already. Everything else is an error
that names the line. https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import fnmatch
import glob
import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..errors import ImageError

_UNDERSTOOD = "FROM, COPY, WORKDIR, ENV, CMD, ENTRYPOINT and a RUN that installs packages"


class Instruction(NamedTuple):
    """One instruction, its continuation lines joined, with the number of its first line."""

    word: str
    rest: str
    line: int


@dataclass
class ImageConfig:
    """What a Dockerfile says: the base, the files, and the settings of the image."""

    base: str
    workdir: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    command: list[str] | None = None
    entrypoint: list[str] | None = None


def parse(text: str) -> list[Instruction]:
    """Split a Dockerfile into its instructions."""
    found: list[Instruction] = []
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        if raw.lstrip().startswith("#") or (pending and not raw.strip()):
            continue
        start = start if pending else number
        if raw.rstrip().endswith("\\"):
            pending += raw.rstrip()[:-1] + " "
            continue
        line = (pending + raw).strip()
        pending = ""
        if line:
            word, _, rest = line.partition(" ")
            found.append(Instruction(word.upper(), rest.strip(), start))
    if pending.strip():
        word, _, rest = pending.strip().partition(" ")
        found.append(Instruction(word.upper(), rest.strip(), start))
    return found


@dataclass
class Builder:
    """Carries out the instructions of one Dockerfile.

    Args:
        dockerfile: The path that error messages name.
        context: The folder that COPY takes files from.
        target: The folder that becomes the image's file tree.
    """

    dockerfile: Path
    context: Path
    target: Path
    config: ImageConfig
    _line: int = 0

    def error(self, what: str) -> ImageError:
        """Return an error that names the line which is carried out now."""
        return ImageError(f"{self.dockerfile}, line {self._line}: {what}")

    def run(self, instructions: list[Instruction]) -> None:
        """Carry out the instructions after FROM."""
        for instruction in instructions:
            self._line = instruction.line
            method = getattr(self, f"_do_{instruction.word.lower()}", None)
            if method is None:
                raise self.error(
                    f"{instruction.word} is not understood by the local cluster. It reads"
                    f" {_UNDERSTOOD}; leave this line out, or build with Docker for a real cluster."
                )
            if not instruction.rest:
                raise self.error(f"{instruction.word} says nothing; complete the line.")
            method(instruction.rest)

    def _do_from(self, rest: str) -> None:
        raise self.error("a second FROM (a multi-stage build) is not understood; use one FROM.")

    def _do_workdir(self, rest: str) -> None:
        path = PurePosixPath(self.config.workdir or "/") / self._expand(rest.strip("\"'"))
        self.config.workdir = str(path)
        self._inside(path).mkdir(parents=True, exist_ok=True)

    def _do_env(self, rest: str) -> None:
        try:
            words = shlex.split(rest)
        except ValueError as error:
            raise self.error(f"ENV cannot be read ({error}); write ENV NAME=value.") from None
        if "=" not in words[0]:
            name, _, value = rest.partition(" ")
            if not value.strip():
                raise self.error(f"ENV {name!r} has no value; write ENV {name}=value.")
            self.config.env[name] = self._expand(value.strip())
            return
        for word in words:
            name, equals, value = word.partition("=")
            if not equals:
                raise self.error(f"ENV {word!r} has no value; write ENV {word}=value.")
            self.config.env[name] = self._expand(value)

    def _do_cmd(self, rest: str) -> None:
        self.config.command = self._command(rest)

    def _do_entrypoint(self, rest: str) -> None:
        self.config.entrypoint = self._command(rest)

    def _command(self, rest: str) -> list[str]:
        """Return the words of the exec form (a JSON list) or of the shell form."""
        if rest.startswith("["):
            try:
                words = json.loads(rest)
            except ValueError:
                words = None
            if not isinstance(words, list) or not all(isinstance(w, str) for w in words):
                raise self.error('write the exec form as JSON: ["program", "argument"].')
            return words
        return ["/bin/sh", "-c", rest]

    def _do_copy(self, rest: str) -> None:
        words = self._copy_words(rest)
        *sources, destination = [self._expand(word) for word in words]
        into = PurePosixPath(self.config.workdir or "/") / destination
        found: list[Path] = []
        for source in sources:
            found += self._sources(source)
        is_folder = destination.endswith("/") or destination in (".", "./")
        if len(found) > 1 and not is_folder and not self._inside(into).is_dir():
            raise self.error(
                f"COPY of several files needs a folder as destination: write {destination}/."
            )
        for path in found:
            goal = into
            if path.is_file() and (is_folder or self._inside(into).is_dir()):
                goal = into / path.name
            self._copy(path, self._inside(goal))

    def _copy_words(self, rest: str) -> list[str]:
        words = self._command(rest) if rest.startswith("[") else shlex.split(rest)
        while words and words[0].startswith("--"):
            option = words.pop(0)
            if not option.startswith(("--chown=", "--chmod=", "--link")):
                raise self.error(f"COPY {option} is not understood; leave the option out.")
        if len(words) < 2:
            raise self.error("COPY needs a source and a destination: COPY worker.py /app/.")
        return words

    def _sources(self, source: str) -> list[Path]:
        relative = PurePosixPath(source.lstrip("/"))
        if ".." in relative.parts:
            raise self.error(
                f"COPY {source} lies outside of the folder {self.context}. Only files inside it"
                " can be copied: move the file there, or build from the folder above."
            )
        if any(mark in source for mark in "*?["):
            found = sorted(self.context.glob(str(relative)))
        else:
            found = [self.context / relative]
        root = self.context.resolve()
        kept = []
        for path in found:
            if not path.exists():
                continue
            if not path.resolve().is_relative_to(root):
                raise self.error(
                    f"COPY {source}: {path} is a link to a place outside of {self.context}."
                    " Put the file itself there."
                )
            if not self._is_ignored(path):
                kept.append(path)
        if not kept:
            raise self.error(
                f"COPY {source}: there is no such file in {self.context}. Check the name, or"
                " make the file first."
            )
        return kept

    def _copy(self, source: Path, goal: Path) -> None:
        if goal == self.target and source.is_file():
            raise self.error("COPY to / needs a file name.")
        if source.is_file():
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, goal)
            return
        for path in sorted(source.rglob("*")):
            if "__pycache__" in path.parts or self._is_ignored(path):
                continue
            inner = goal / path.relative_to(source)
            if path.is_dir():
                inner.mkdir(parents=True, exist_ok=True)
            elif path.resolve().is_relative_to(self.context.resolve()):
                inner.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, inner)
            else:
                raise self.error(
                    f"COPY: {path} is a link to a place outside of {self.context}."
                    " Put the file itself there."
                )

    def _inside(self, path: PurePosixPath) -> Path:
        """Return where a path of the image lies on disk; `..` cannot lead out of it."""
        parts: list[str] = []
        for part in path.parts:
            if part == "..":
                parts = parts[:-1]
            elif part not in ("/", "."):
                parts.append(part)
        return self.target.joinpath(*parts)

    def _is_ignored(self, path: Path) -> bool:
        relative = path.relative_to(self.context).as_posix()
        ignored = False
        for pattern, wanted in load_ignore(self.context):
            pieces = relative.split("/")
            heads = ["/".join(pieces[: i + 1]) for i in range(len(pieces))]
            if any(_matches(head, pattern) for head in heads):
                ignored = wanted
        return ignored

    def _expand(self, text: str) -> str:
        """Replace $NAME and ${NAME} by what ENV set before."""

        def value(found: re.Match[str]) -> str:
            return self.config.env.get(found[1] or found[2], "")

        return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, text)

    def _do_run(self, rest: str) -> None:
        if rest.startswith("["):
            commands = [self._command(rest)]
        else:
            rest = re.sub(r"--mount=\S+\s*", "", rest)
            try:
                commands = [shlex.split(part) for part in re.split(r"&&|;", rest)]
            except ValueError as error:
                raise self.error(f"RUN cannot be read ({error}).") from None
        for words in commands:
            self._check_command(words)

    def _check_command(self, words: list[str]) -> None:
        text = " ".join(words)
        if re.match(r"^(\S*python[\d.]*\s+-m\s+)?pip[\d.]*\s+install\b", text):
            self._check_pip(words[words.index("install") + 1 :])
        elif re.match(r"^apt(-get)?\s+(.*\s)?install\b", text):
            self._check_programs(words[words.index("install") + 1 :])
        elif re.match(r"^(apt(-get)?\s+(.*\s)?(update|clean|upgrade)|rm -rf /var/lib/apt)", text):
            return
        elif words:
            raise self.error(
                f"RUN {text} is not carried out by the local cluster, which only checks that"
                " packages are installed (RUN pip install ..., RUN apt-get install ...). Do the"
                " step outside, and COPY its result."
            )

    def _check_pip(self, words: list[str]) -> None:
        arguments = iter(words)
        for word in arguments:
            if word in ("-r", "--requirement"):
                self._check_requirements_file(next(arguments, ""))
            elif word in ("-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f"):
                next(arguments, "")
            elif not word.startswith("-"):
                self._check_requirement(word)

    def _check_requirements_file(self, name: str) -> None:
        inside = self._inside(PurePosixPath(self.config.workdir or "/") / name)
        if not inside.is_file():
            raise self.error(f"pip's file {name} is not in the image; COPY it before this RUN.")
        for raw in inside.read_text("utf-8").splitlines():
            line = re.sub(r"(^|\s)#.*$", "", raw).strip()
            if line and not line.startswith("-"):
                self._check_requirement(line)

    def _check_requirement(self, requirement: str) -> None:
        wheel = re.match(r"^(?:.*/)?([A-Za-z0-9_.]+)-([^-/]+)-[^/]*\.whl$", requirement)
        if wheel:
            requirement = f"{wheel[1]}=={wheel[2]}"
        found = re.match(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^]]*\])?\s*([^;]*)", requirement)
        if not found or "/" in requirement:
            raise self.error(
                f"pip install {requirement} installs a folder or an address, which is not"
                " carried out. Name an installed package, or COPY the code and import it."
            )
        # Here, because most who import this module build no image, and it is large.
        import importlib.metadata

        name, wanted = found[1], found[3].strip()
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise self.error(
                f"the Python package {name} is not installed here, and the local cluster's pods"
                f" run in this environment. Install it: pip install '{requirement}'"
            ) from None
        if not _satisfies(installed, wanted):
            raise self.error(
                f"the image wants {requirement}, but {name} {installed} is installed here."
                f" Install it: pip install '{requirement}'"
            )

    def _check_programs(self, words: list[str]) -> None:
        for word in words:
            name = word.partition("=")[0]
            if name.startswith("-") or shutil.which(name) or _is_distribution_package(name):
                continue
            raise self.error(
                f"the program {name} is not on this machine, and the local cluster's pods run on"
                f" it directly. Install it with this machine's package manager: {name}"
            )


def _is_distribution_package(name: str) -> bool:
    return any(Path("/var/lib/dpkg/info").glob(f"{glob.escape(name)}*.list"))


def _satisfies(version: str, wanted: str) -> bool:
    if not wanted:
        return True
    try:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet
    except ImportError:  # Without it, that the package is there has to be enough.
        return True
    try:
        return SpecifierSet(wanted).contains(version, prereleases=True)
    except InvalidSpecifier:
        return False


def load_ignore(context: Path) -> list[tuple[str, bool]]:
    """Return the patterns of `.dockerignore`, and whether each ignores or takes back."""
    path = context / ".dockerignore"
    if not path.is_file():
        return []
    patterns = []
    for raw in path.read_text("utf-8").splitlines():
        line = raw.strip()
        if line and not line.startswith("#"):
            wanted = not line.startswith("!")
            patterns.append((line.lstrip("!").strip("/"), wanted))
    return patterns


def _matches(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatch(path, pattern[3:]) or fnmatch.fnmatch(path, pattern)
    return path.count("/") == pattern.count("/") and fnmatch.fnmatch(path, pattern)
