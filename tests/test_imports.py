"""Who may import whom: the picture in CONTRIBUTING.md is true, and nothing goes round in a circle.

Every import counts: at the top of a module, inside a function, and for types alone.
"""

from __future__ import annotations

import ast
import graphlib
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = {"wqlib": ROOT / "wqlib", "localcluster": ROOT / "localcluster/src/localcluster"}
# A file that may do what its package may not.
EXCEPTIONS = {
    "wqlib.cluster.local": {"localcluster"},
    "wqlib.redisserver.rediscli": {"queue", "redis", "hiredis"},
}


@cache
def modules() -> dict[str, Path]:
    """Every module of both distributions, by its full name."""
    found = {}
    for name, folder in SOURCES.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([name, *(part for part in parts if part != "__init__")])] = path
    return found


def imported(module: str) -> Iterator[str]:
    """Yield what a module imports, each module by its full name."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = parents[: len(parents) - node.level + 1] if node.level else []
            whole = ".".join([*base, *filter(None, [node.module])])
            for name in node.names:
                inside = f"{whole}.{name.name}"
                yield inside if inside in modules() else whole


def room(module: str) -> str:
    """The package of wqlib in which a module is, or the other distribution; "" for Python's own."""
    first, _, rest = module.partition(".")
    if first == "wqlib":
        return rest.partition(".")[0]
    return "" if first in sys.stdlib_module_names else first


@cache
def picture() -> dict[str, set[str]]:
    """What each room may import, as CONTRIBUTING.md draws it; the rooms from top to bottom."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    [block] = re.findall(r"<!-- rooms -->\s*```text\n(.*?)```", text, re.DOTALL)
    lines = [line for line in block.splitlines() if "->" in line]
    arrows = (line.split("->") for line in lines)
    return {name.strip(): set(names.split()) - {"|"} for name, names in arrows}


def rooms_of_wqlib() -> set[str]:
    return {room(module) for module in modules()} - {""}


def test_the_picture_shows_every_room_and_every_arrow_goes_down() -> None:
    names = list(picture())
    assert set(names) == rooms_of_wqlib()
    for name, may in picture().items():
        above = set(names[: names.index(name) + 1])
        assert not may & above, f"{name} imports what is not below it"


@pytest.mark.parametrize("name", sorted(rooms_of_wqlib()))
def test_a_room_imports_what_the_picture_allows_and_all_of_that(name: str) -> None:
    found = set[str]()
    for module in modules():
        if room(module) == name:
            others = {room(other) for other in imported(module)}
            found |= others - EXCEPTIONS.get(module, set())
    assert found - {name, ""} == picture()[name]


def test_no_circle_of_modules_of_any_size() -> None:
    graph = {one: {other for other in imported(one) if other in modules()} for one in modules()}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def public_names() -> dict[str, set[str]]:
    """What the README lets one import, by module."""
    text = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `(wqlib[.\w]*)` \| (.*?) \|", text, re.MULTILINE)
    return {module: set(re.findall(r"`(\w+)`", names)) for module, names in rows}


def test_the_readme_names_few_names_and_at_most_four_more_modules() -> None:
    import wqlib

    assert public_names()["wqlib"] == set(wqlib.__all__)
    assert len(wqlib.__all__) <= 16
    assert len(public_names()) <= 6


def code_of_notebooks() -> Iterator[tuple[str, str]]:
    notebooks = ROOT / "notebooks"
    for path in [*notebooks.glob("*.ipynb"), *notebooks.glob("solutions/*.ipynb")]:
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                lines = "".join(cell["source"]).splitlines()
                yield (
                    path.name,
                    "\n".join(line for line in lines if not line.startswith(("!", "%"))),
                )
    for path in (*notebooks.glob("worker/*.py"), notebooks / "worker/page/worker.py"):
        yield path.name, path.read_text("utf-8")


def test_notebooks_import_only_public_names() -> None:
    public = public_names()
    for place, code in code_of_notebooks():
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                wanted = [(one.name, "") for one in node.names]
            elif isinstance(node, ast.ImportFrom):
                wanted = [(node.module or "", one.name) for one in node.names]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                wanted = [(node.value.id, node.attr)]
            else:
                continue
            for module, name in wanted:
                if module.partition(".")[0] in ("wqlib", "localcluster"):
                    assert module in public, f"{place}: {module}"
                    assert name in ("", "*") or name in public[module], f"{place}: {module}.{name}"
