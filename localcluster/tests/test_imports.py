"""Which modules of the package import which: no circle, and nothing of those that use it."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import localcluster

_PACKAGE = Path(localcluster.__file__).parent
_FOREIGN = {"wqlib", "redis"}
# What the kubelet's own server consists of.
_KUBELET_SERVER = {"authorization", "portforward", "remotecommand", "server", "websocket"}


def _modules(package: Path) -> dict[str, Path]:
    """Return the files of a package by the names of their modules."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(name: str, path: Path) -> Iterator[str]:
    """Yield what a module imports, wherever the import stands: names, with those after `from`."""
    package = name if path.stem == "__init__" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _graph(package: Path) -> dict[str, set[str]]:
    """Return which modules of a package each of them imports."""
    modules = _modules(package)
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for imported in _imports(name, path):
            # `from .locks import lock_file` means the module, `from . import locks` too.
            target = imported if imported in modules else imported.rpartition(".")[0]
            if target in modules and target != name:
                graph[name].add(target)
    return graph


def _circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circle, in order; none when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert _circle(_graph(_PACKAGE)) == []


def test_no_folders_import_each_other_in_a_circle() -> None:
    graph = _graph(_PACKAGE)
    parents = {name.rpartition(".")[0] for name in graph}
    # A folder without folders in it stands for its modules.
    folders = {one for one in parents if not any(other.startswith(f"{one}.") for other in parents)}
    of = {name: name if (up := name.rpartition(".")[0]) not in folders else up for name in graph}
    joined: dict[str, set[str]] = {}
    for name, imported in graph.items():
        joined.setdefault(of[name], set()).update({of[one] for one in imported} - {of[name]})
    assert _circle(joined) == []


def test_controllers_and_kubelets_know_the_api_by_its_protocol_alone() -> None:
    found = {
        f"{name} imports {imported}"
        for name, path in _modules(_PACKAGE).items()
        if name.split(".")[1:2] in (["controllers"], ["kubelet"], ["kubeproxy"])
        for imported in _imports(name, path)
        if imported.startswith(("localcluster.api.", "localcluster.store"))
    }
    assert found == set()


def test_no_module_imports_the_course_or_redis() -> None:
    found = {
        f"{name} imports {imported}"
        for name, path in _modules(_PACKAGE).items()
        for imported in _imports(name, path)
        if imported.partition(".")[0] in _FOREIGN
    }
    assert found == set()


def test_http_stops_at_the_door() -> None:
    found = {
        name
        for name, path in _modules(_PACKAGE).items()
        if any(imported.partition(".")[0] == "tornado" for imported in _imports(name, path))
    }
    at_doors = {
        name
        for name in found
        if name.startswith("localcluster.api.http.")
        or name.removeprefix("localcluster.kubelet.") in _KUBELET_SERVER
    }
    assert at_doors
    assert found - at_doors <= {"localcluster.daemon"}  # It starts and stops the servers.


def test_a_circle_behind_type_checking_or_inside_a_function_is_found(tmp_path: Path) -> None:
    package = tmp_path / "sample"
    (package / "inner").mkdir(parents=True)
    for path, text in (
        ("__init__.py", ""),
        ("a.py", "from .inner import b\n"),
        ("inner/__init__.py", ""),
        ("inner/b.py", "if TYPE_CHECKING:\n    from ..c import C\n"),
        ("c.py", "def load() -> None:\n    from sample.a import A\n"),
    ):
        (package / path).write_text(text, "utf-8")
    assert set(_circle(_graph(package))) == {"sample.a", "sample.inner.b", "sample.c"}
