"""Count the words of a text corpus: the source of Python's own library, comments and all."""

import json
import re
import sysconfig
from collections import Counter
from itertools import pairwise
from pathlib import Path

DATA = Path(__file__).parent / "data"  # it becomes part of the image


def items():
    """Copy the 40 largest modules to the data folder; an item is the name of one."""
    DATA.mkdir(exist_ok=True)
    modules = Path(sysconfig.get_path("stdlib")).glob("*.py")
    for module in sorted(modules, key=lambda path: -path.stat().st_size)[:40]:
        (DATA / module.name).write_bytes(module.read_bytes())
    return sorted(path.name for path in DATA.iterdir())


def process(item):
    """Count the words of one text, and the pairs of words that stand side by side."""
    words = re.findall(r"[a-z]+", (DATA / item.decode()).read_text("utf-8").lower())
    counts = Counter(words) + Counter(" ".join(pair) for pair in pairwise(words))
    return json.dumps(dict(counts.most_common(2000)))


def combine(results):
    """Add the counts up; the five most frequent pairs."""
    total = Counter()
    for result in results:
        total.update(json.loads(result))
    pairs = [(count, word) for word, count in total.items() if " " in word]
    return ", ".join(f"{word!r} {count}" for count, word in sorted(pairs, reverse=True)[:5])
