"""What the project says about itself in several places says the same."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import localcluster
import wqlib

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {
    "redis": "redis-py",
    "kubernetes": "python-kubernetes",
    "matplotlib": "matplotlib-base",
    "prometheus-client": "prometheus_client",
}


def project(folder: str = ".") -> dict:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]


def requirements() -> dict[str, str]:
    """Every package that both need, with its bounds, but for those of the site."""
    wanted = dict[str, str]()
    for folder in ("localcluster", "."):
        extras = project(folder)["optional-dependencies"]
        lines = [lines for extra, lines in extras.items() if extra != "site"]
        found = split([*project(folder)["dependencies"], *itertools.chain.from_iterable(lines)])
        assert {name: bounds for name, bounds in found.items() if name in wanted} == {
            name: wanted[name] for name in found if name in wanted
        }
        wanted |= found
    del wanted["localcluster"]  # it is here
    return wanted


def requirements_of_the_site() -> dict[str, str]:
    return split(project()["optional-dependencies"]["site"])


def split(lines: list[str]) -> dict[str, str]:
    """Names and bounds of lines such as `redis>=6.4,<9`."""
    matches = [re.match(r"([\w.-]+)(.*)", line) for line in lines]
    return {match[1]: match[2] for match in matches if match}


def numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def test_pyproject_and_environment_yml_hold_the_same_packages_and_bounds() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    lines = [x for x in environment["dependencies"] if isinstance(x, str)]
    lines += environment["dependencies"][-1]["pip"]
    conda = split(lines)
    expected = {CONDA_NAMES.get(name, name): bounds for name, bounds in requirements().items()}
    expected |= {"python": project()["requires-python"], "pip": "", "redis-server": ">=6.2"}
    assert conda == expected


def test_every_requirement_has_a_lower_and_an_upper_bound() -> None:
    for name, bounds in (requirements() | requirements_of_the_site()).items():
        assert re.fullmatch(r">=[\d.]+,<[\d.]+", bounds), f"{name}{bounds}"


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [("requirements.lock", requirements), ("site.lock", requirements_of_the_site)],
)
def test_the_lock_file_holds_every_requirement_within_its_bounds(
    lock: str, wanted: Callable[[], dict[str, str]]
) -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / lock).read_text(), re.M))
    for name, bounds in wanted().items():
        low, high = (numbers(bound) for bound in bounds.split(","))
        assert low <= numbers(locked[name]) < high


def test_the_lock_files_agree() -> None:
    """Both are installed into one environment."""
    course, site = (
        set(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / lock).read_text(), re.M))
        for lock in ("requirements.lock", "site.lock")
    )
    names = {name for name, _ in course} & {name for name, _ in site}
    assert {pin for pin in site if pin[0] in names} <= course


def test_the_worker_image_installs_what_pyproject_says() -> None:
    run = re.search(
        r"^RUN pip install .*$", (ROOT / "notebooks/worker/Dockerfile").read_text(), re.M
    )
    assert re.findall(r'"([^"]+)"', run[0]) == project()["dependencies"]


def test_the_readme_gives_a_reason_for_every_dependency() -> None:
    table = (ROOT / "README.md").read_text().split("## Dependencies")[1]
    for name in requirements() | requirements_of_the_site():
        assert f"`{name}`" in table, f"{name} is missing in the README's table"


def test_versions_agree() -> None:
    assert project()["version"] == wqlib.__version__
    assert project("localcluster")["version"] == localcluster.__version__
    assert f"## {wqlib.__version__} " in (ROOT / "CHANGELOG.md").read_text()


def test_the_documents_of_the_site_link_to_nothing_that_it_does_not_have() -> None:
    conf = (ROOT / "site" / "conf.py").read_text("utf-8")
    patterns = re.findall(r'^    "([^"]+\.(?:md|ipynb))",$', conf, re.MULTILINE)
    pages = {path for pattern in patterns for path in ROOT.glob(pattern)}
    folders = {ROOT / name for name in re.findall(r'^    "([^"]+)": "site/', conf, re.MULTILINE)}
    documents = [page for page in pages if page.suffix == ".md"]
    assert documents
    assert folders
    for page in documents:
        for target in re.findall(r"\]\(([^)#:]+(?:\.md|/))(?=[)#])", page.read_text("utf-8")):
            assert (page.parent / target).resolve() in pages | folders, f"{page.name}: {target}"
