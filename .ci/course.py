"""Make the learner's notebooks from the solution notebooks.

    python .ci/course.py [05 ...]     execute the solutions, make the learner's, execute those
    python .ci/course.py --check      only say whether the learner's are as they would be made

In a solution notebook, a code cell tagged `exercise` holds the answer:

    # Choose a lease time.
    lease_seconds = 20  # blank: ...
    def double(number):
        # solution:
        return 2 * number
        # :solution

The learner's notebook has `lease_seconds = ...`, and in place of what is marked as solution a
comment that says where the code goes. The answer is shown there in the collapsed hints below
the check. Outputs are kept without what differs from run to run.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from wqlib.course.checks import record

COURSE = Path(__file__).parent.parent / "notebooks"
SOLUTIONS = COURSE / "solutions"
_SOLUTION = re.compile(r"^( *)# solution:\n(?:.*\n)*?\1# :solution(?:\n|\Z)", re.MULTILINE)
_BLANK = re.compile(r"^( *\w+ = ).*?  # blank: (.*)$", re.MULTILINE)
_MARKS = re.compile(r"^ *# :?solution:?(?:\n|\Z)|  # blank: .*$", re.MULTILINE)
_SUMMARY = "<details><summary>Solution</summary>\n"


class BadSource(Exception):
    """A solution notebook is not as it should be."""


def learners(source: NotebookNode) -> NotebookNode:
    """Make a learner's notebook, with no outputs yet, from a solution notebook.

    Raises:
        BadSource: An exercise lacks its solution or its hints.
    """
    made = copy.deepcopy(source)
    answer = ""
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:  # links out of the folder: it is one level higher
            cell.source = cell.source.replace("](../../", "](../")
        if "exercise" in cell.metadata.get("tags", []):
            if answer:
                raise BadSource(f"No hints with a solution follow this answer:\n{answer}")
            answer = shown_answer(cell.source)
            cell.source = blank(cell.source)
        elif answer and cell.cell_type == "markdown":
            if cell.source.count(_SUMMARY) != 1:
                raise BadSource(f"The hints below this answer have no solution:\n{answer}")
            code = f"{_SUMMARY}\n```python\n{answer}\n```\n"
            cell.source, answer = cell.source.replace(_SUMMARY, code), ""
    if answer:
        raise BadSource(f"No hints with a solution follow this answer:\n{answer}")
    return made


def blank(source: str) -> str:
    """The cell of an exercise without its answer."""

    def here(match: re.Match[str]) -> str:
        return f"{match[1]}{'...  ' if match[1] else ''}# your code here\n"

    left = _BLANK.sub(r"\1\2", _SOLUTION.sub(here, source)).rstrip("\n")
    if left == source:
        raise BadSource(f"An exercise has no part that is marked as its solution:\n{source}")
    return left


def shown_answer(source: str) -> str:
    """The cell of an exercise with its answer, and without the marks."""
    return _MARKS.sub("", source).rstrip("\n")


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run a notebook from its first cell to its last, in its folder."""
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the times of the clock
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = output.text.replace(os.environ["WQLIB_HOME"], "~/.wqlib")
    nbformat.validate(notebook)


def same(one: NotebookNode, other: NotebookNode) -> bool:
    """Do two notebooks have the same cells, whatever their outputs?"""
    return [(x.id, x.cell_type, x.source, x.metadata) for x in one.cells] == [
        (x.id, x.cell_type, x.source, x.metadata) for x in other.cells
    ]


def drifted() -> list[str]:
    """The names of learner's notebooks that are not as they would be made now."""
    names = {path.name for folder in (COURSE, SOLUTIONS) for path in folder.glob("*.ipynb")}
    return [name for name in sorted(names) if not _is_made(name)]


def _is_made(name: str) -> bool:
    try:
        source = nbformat.read(SOLUTIONS / name, as_version=4)
        return same(learners(source), nbformat.read(COURSE / name, as_version=4))
    except FileNotFoundError:
        return False


def make(path: Path) -> None:
    """Execute a solution notebook, make the learner's, and execute that."""
    source = nbformat.read(path, as_version=4)
    made = learners(source)
    execute(source, SOLUTIONS)
    nbformat.write(source, path)
    record.path().unlink(missing_ok=True)  # a learner has solved nothing yet
    execute(made, COURSE)
    nbformat.write(made, COURSE / path.name)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("numbers", nargs="*", metavar="NN", help="only these notebooks")
    parser.add_argument("--check", action="store_true", help="say what differs, change nothing")
    options = parser.parse_args()
    if options.check:
        for name in drifted():
            print(f"notebooks/{name} is not as made from its solution: run `make course`")
        return 1 if drifted() else 0
    # In a local cluster and with a record of their own: those of an open JupyterLab stay.
    with tempfile.TemporaryDirectory(prefix="wqlib-course-") as home:
        os.environ |= {"WQLIB_HOME": home, "LOCALCLUSTER_LINGER_SECONDS": "5"}
        for path in sorted(SOLUTIONS.glob("*.ipynb")):
            if not options.numbers or path.name[:2] in options.numbers:
                print(path.name, flush=True)
                make(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
