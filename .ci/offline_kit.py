"""Pack everything that a room without a network needs into one archive in build/.

    python .ci/offline_kit.py [--platform linux-x86_64 macos-arm64 ...] [--python 3.12 ...]

The kit is the project as committed, with wheels/ beside it: where that folder is, the Makefile
installs from it alone. Without options the wheels are for this platform and this Python.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import itertools
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "redis-server.lock")
# Linux wheels for every glibc from 2.17 to 2.28 (Debian 10, Ubuntu 18.10, RHEL 8); macOS from 11.
GLIBC = [f"manylinux_2_{minor}" for minor in range(28, 16, -1)] + ["manylinux2014"]
TAGS = {
    "linux-x86_64": [f"{tag}_x86_64" for tag in [*GLIBC, "manylinux2010", "manylinux1"]],
    "linux-aarch64": [f"{tag}_aarch64" for tag in GLIBC],
    "macos-arm64": ["macosx_14_0_arm64"],
    "macos-x86_64": ["macosx_14_0_x86_64"],
}
START_HERE = """\
Parallel work on Kubernetes, by doing: the whole course, for a room without a network
=====================================================================================

You need {pythons} (with venv), and make, on {platforms}.

  make lab         opens your own copy of the course, my-course/, in JupyterLab
  make demo        the whole story in the terminal: 60 items, 3 pods, one of them killed
  make notebooks   runs the notebooks as a test

The first of them sets up .venv from wheels/, with no network; that takes a minute or two. If
python3 is another Python than that, name the right one: make lab PYTHON=python{first}

Is all of it there?   sha256sum --quiet -c SHA256SUMS      (macOS: shasum -a 256 -c SHA256SUMS)

To read:              README.md, notebooks/INSTRUCTORS.md (for teachers)
{extras}
Made from commit {commit}.
"""


def name_of_this_platform() -> str:
    system = {"Linux": "linux", "Darwin": "macos"}.get(platform.system(), platform.system())
    return f"{system}-{platform.machine()}"


def environments(target: str, python: str) -> list[dict[str, str]]:
    """What a marker may ask, for the first and for a late patch release of a Python."""
    system, machine = target.split("-", 1)
    linux = system == "linux"
    return [
        {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_system": "Linux" if linux else "Darwin",
            "python_full_version": f"{python}.{patch}",
            "python_version": python,
            "sys_platform": "linux" if linux else "darwin",
        }
        for patch in (30, 0)
    ]


def wanted(lock: str, environment: dict[str, str]) -> list[str]:
    """The requirements of a lock file, each with its hashes, that count in an environment.

    pip reads markers for the Python that it runs on, even when it downloads for another one.
    """
    blocks = re.findall(r"^(?![ #])\S.*(?:\n +.*)*", lock, re.M)
    chosen = []
    for block in blocks:
        first, *hashes = [line.rstrip("\\ ") for line in block.splitlines()]
        requirement, _, marker = first.partition(" ; ")
        if not marker or Marker(marker).evaluate(environment):
            pins = [line for line in hashes if line.strip().startswith("--hash")]
            chosen.append(" \\\n".join([requirement, *pins]))
    return chosen


def pip(*arguments: str) -> None:
    """Run pip: this Python's, or, where uv made .venv, one that uv fetches."""
    here = importlib.util.find_spec("pip")
    command = [sys.executable, "-m", "pip"] if here else ["uv", "tool", "run", "pip"]
    options = ["--disable-pip-version-check", "-q"]
    if subprocess.run([*command, *arguments, *options], cwd=ROOT).returncode:
        sys.exit("pip could not fetch every wheel; it says above which. Is there a network?")


def fetch_wheels(folder: Path, target: str, python: str) -> None:
    """Download what the lock files want on a platform, and what builds the project itself."""
    options = ["--dest", str(folder), "--only-binary=:all:", "--python-version"]
    tags = list(itertools.chain.from_iterable(("--platform", tag) for tag in TAGS[target]))
    done: set[str] = set()
    for environment in environments(target, python):
        lines = set[str]()
        for lock in LOCKS:
            lines |= set(wanted((ROOT / lock).read_text(), environment))
        if new := sorted(lines - done):
            with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
                file.write("\n".join(new) + "\n")
                file.flush()
                version = environment["python_full_version"]
                pip(
                    *("download", "--no-deps", "--require-hashes", "-r", file.name),
                    *(*options, version, *tags),
                )
        done |= lines
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    pip("download", *build, "editables", *options, python, *tags)


def save_images(folder: Path) -> str:
    """Save the images that a real cluster needs, where there are containers on this machine.

    Returns:
        What to tell the reader.
    """
    tool = next((name for name in ("docker", "podman") if answers(name, "info")), None)
    if tool is None:
        return "Container images:     none, since neither docker nor podman answered"
    redis = re.search(r"image: (\S+)", (ROOT / "notebooks/manifests/redis.yaml").read_text())
    worker = re.search(r"image: (\S+)", (ROOT / "notebooks/manifests/job.yaml").read_text())
    base = re.search(r"^FROM (\S+)", (ROOT / "notebooks/worker/Dockerfile").read_text(), re.M)
    assert redis
    assert worker
    assert base
    folder.mkdir()
    with tempfile.TemporaryDirectory() as copy:
        context = shutil.copytree(ROOT / "notebooks/worker", Path(copy) / "worker")
        run(sys.executable, "-m", "wqlib.commands.cli", "bundle", str(context))
        for image in (redis[1], base[1]):
            if not answers(tool, "image", "inspect", image):
                run(tool, "pull", "-q", image)
        run(tool, "build", "-q", "-t", worker[1], str(context))
    for image in (redis[1], base[1], worker[1]):
        file = folder / (re.sub(r"\W+", "-", image) + ".tar")
        run(tool, "save", "-o", str(file), image)
    return (
        "Container images:     images/, for a real cluster whose nodes are like the machine that\n"
        f"                      made this kit ({platform.machine()}), such as\n"
        "                      for file in images/*.tar; do kind load image-archive $file; done"
    )


def answers(*command: str) -> bool:
    found = shutil.which(command[0])
    return bool(found) and not subprocess.run(command, capture_output=True).returncode


def run(*command: str) -> None:
    if subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode:
        sys.exit(f"This failed, and says above why: {' '.join(command)}")


def git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    if done.returncode:
        sys.exit(f"A kit is made from a clone with git, and git says: {done.stderr.decode()}")
    return done.stdout


def write_sums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    lines = [f"{digest(path)}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make(platforms: list[str], pythons: list[str], build: Path) -> Path:
    """Make the kit.

    Returns:
        The archive.
    """
    commit = git("rev-parse", "HEAD").decode().strip()
    if git("status", "--porcelain", "--untracked-files=no"):
        print("The kit holds what is committed; changes since then are not in it.", flush=True)
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as scratch:
        kit = Path(scratch) / "wqlib-course"
        kit.mkdir()
        source = Path(scratch) / "source.tar"
        source.write_bytes(git("archive", "HEAD"))
        with tarfile.open(source) as archive:
            archive.extractall(kit, filter="tar")
        wheels = kit / "wheels"
        wheels.mkdir()
        for target, python in itertools.product(platforms, pythons):
            print(f"wheels for {target}, Python {python}", flush=True)
            fetch_wheels(wheels, target, python)
        names = " or ".join(f"Python {python}" for python in pythons)
        systems = " or ".join(platforms)
        (wheels / "FOR.txt").write_text(f"These wheels are for {names} on {systems}.\n")
        extras = []
        for name, what in (("site", "The course as pages: "), ("slides", "Slides:              ")):
            if (built := ROOT / "build" / name / "index.html").exists():
                shutil.copytree(built.parent, kit / "build" / name)
                extras.append(f"{what} build/{name}/index.html")
            else:
                extras.append(f"{what} none, since `make {name}` had not been run")
        extras.append(save_images(kit / "images"))
        text = START_HERE.format(
            pythons=names,
            first=pythons[0],
            platforms=systems,
            extras="\n".join(extras),
            commit=commit,
        )
        (kit / "START-HERE.txt").write_text(text)
        write_sums(kit)
        result = build / f"{kit.name}-offline.tar.gz"
        with tarfile.open(result, "w:gz", compresslevel=1) as archive:
            archive.add(kit, kit.name)
    result.with_name(f"{result.name}.sha256").write_text(f"{digest(result)}  {result.name}\n")
    return result


def main() -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser = argparse.ArgumentParser(description="Pack the course for a room without a network.")
    parser.add_argument(
        "--platform", nargs="+", choices=TAGS, default=[name_of_this_platform()], metavar="NAME",
        help=f"whose wheels to pack: {', '.join(TAGS)} (this one)",
    )  # fmt: skip
    parser.add_argument(
        "--python", nargs="+", default=[here], metavar="VERSION", help=f"such as 3.12 ({here})"
    )
    options = parser.parse_args()
    if wrong := [x for x in options.python if not re.fullmatch(r"3\.\d+", x)]:
        parser.error(f"--python {wrong[0]} is no version such as 3.12")
    if options.platform[0] not in TAGS:
        parser.error(f"there is no list of wheels for {options.platform[0]}; name a --platform")
    archive = make(options.platform, options.python, ROOT / "build")
    print(f"{archive.relative_to(ROOT)}: {archive.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
