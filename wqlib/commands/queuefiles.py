"""`wqlib queue export` and `import`: a queue as a file, and back."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from ..errors import EXIT_OK
from ..queue import WorkQueue, export
from ..queue.export import BadQueueFile
from ..shown import shown
from .queuewords import counted
from .terminal import remark


def export_queue(queue: WorkQueue, options: argparse.Namespace) -> int:
    with _output(options.output) as output:
        numbers = queue.export(output)
    told = ", ".join(f"{number:,} {state}" for state, number in numbers.items())
    remark(f"Exported {counted(sum(numbers.values()), 'item')} of {shown(queue.name)}: {told}.")
    return EXIT_OK


def import_queue(queue: WorkQueue, options: argparse.Namespace) -> int:
    reader = export.read_plain if options.lines else export.read
    digest = hashlib.sha256(repr((options.lines, options.dead)).encode())
    with _input(options.file) as file:
        start = file.tell()
        try:
            found = Counter(entry.state for entry in reader(_lines(file, digest)))
        except BadQueueFile as error:
            hint = "" if options.lines else " (A file with one item per line needs --lines.)"
            raise BadQueueFile(f"Nothing was put. {error}{hint}") from None
        file.seek(start)
        wanted = (x.item for x in reader(_lines(file)) if options.dead or x.state != "dead")
        put = queue.put(
            wanted,
            resume=f"import {digest.hexdigest()}" if options.once else "",
        )
    print(f"{counted(put, 'item')} put into {shown(queue.name)}.")
    left_out = 0 if options.dead else found["dead"]
    if put < found.total() - left_out:
        remark(f"{counted(found.total() - left_out - put, 'item')} already imported.")
    if left_out:
        remark(f"{counted(left_out, 'dead item')} skipped. With --dead they go in too.")
    return EXIT_OK


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """Open standard output, or a file that is there only once all is written."""
    if path is None:
        yield sys.stdout
        return
    if path.exists() and not path.is_file():  # a pipe, say
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    scratch = path.with_name(f".{path.name}.part")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            yield file
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


@contextlib.contextmanager
def _input(path: Path) -> Iterator[BinaryIO]:
    """Open a file that can be read twice: a copy, if it is standard input or a pipe."""
    with contextlib.ExitStack() as stack:
        if str(path) == "-":
            file: BinaryIO = sys.stdin.buffer
        else:
            file = stack.enter_context(path.open("rb"))
        if not file.seekable():
            copy = stack.enter_context(tempfile.TemporaryFile())
            while piece := file.read(2**20):
                copy.write(piece)
            copy.seek(0)
            file = copy
        yield file


def _lines(file: BinaryIO, digest: Any = None) -> Iterator[bytes]:
    """Yield the lines of a file; of one that is too long only so much that this can be told.

    Args:
        file: The file.
        digest: A hash of `hashlib`, which gets all that is read.
    """
    while line := file.readline(export.MAX_LINE_BYTES + 1):
        if digest:
            digest.update(line)
        yield line
