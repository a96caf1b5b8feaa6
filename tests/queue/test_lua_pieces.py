"""What the head of a piece of Lua says that it takes, changes and gives is what its text does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LUA = Path(__file__).parents[2] / "wqlib" / "queue" / "lua"
PIECES = {name.decode() for path in LUA.glob("*.lua")
          for name in re.findall(rb"^ *--include (\w+)$", path.read_bytes(), re.M)}  # fmt: skip
# Of Lua and of Redis.
KNOWN = set(
    "and break do else elseif end false for function if in local nil not or repeat return then"
    " true until while KEYS ARGV cjson ipairs math pcall redis string table tonumber unpack".split()
)


def said(name: str, word: str) -> set[str]:
    """The names in the part of a head that begins with `word`: each line begins with some."""
    head = (LUA / f"{name}.lua").read_text().split("]]")[0]
    part = re.search(rf"^  {word}( +.*\n(?:   +.*\n)*)", head, re.MULTILINE)
    if not part or "nothing but" in part[1]:
        return set()
    firsts = [re.split(r"  +", line.strip())[0] for line in part[1].splitlines()]
    return {one for first in firsts for one in first.split(", ")}


class Text:
    """The names that a piece declares, assigns and uses.

    Attributes:
        given: Locals at its end that were not there before.
        changed: What it assigns and did not declare.
        taken: What it uses and did not declare.
    """

    def __init__(self, name: str) -> None:
        text = re.sub(r"--\[\[.*?\]\]|--[^\n]*", "", (LUA / f"{name}.lua").read_text(), flags=re.S)
        text = re.sub(r"'[^'\n]*'", "''", text)
        while (rest := re.sub(r"(\{.*?)\b\w+ = ", r"\1", text)) != text:  # keys of tables
            text = rest
        declared = set(re.findall(r"\bfunction (\w+)", text))
        for names in re.findall(r"\blocal ((?:\w+,?\s*)+)|\bfor ([\w, ]+) (?:=|in)", text):
            declared |= set(re.findall(r"\w+", " ".join(names))) - {"function"}
        for names in re.findall(r"\bfunction ?\w*\(([^)]*)\)", text):
            declared |= set(re.findall(r"\w+", names))
        used = set(re.findall(r"(?<![\w.:'])[A-Za-z_]\w*", text)) - KNOWN
        self.given = set(re.findall(r"^local (?:function )?(\w+)", text, re.MULTILINE))
        self.changed = set(re.findall(r"^ *(\w+)(?:\[[^\]]*\])? = ", text, re.MULTILINE)) - declared
        self.taken = used - declared


COMMON = {
    name
    for names in re.findall(r"^local ([\w, \n]+?) *=", (LUA / "common.lua").read_text(), re.M)
    for name in re.findall(r"\w+", names)
}


def test_the_pieces_are_known() -> None:
    assert {"before", "close", "common", "end_lease"} == PIECES
    assert {"list", "last_call", "VERSION", "call", "pending", "entry", "ended"} <= COMMON


@pytest.mark.parametrize("name", sorted(PIECES - {"common"}))
def test_the_head_of_a_piece_says_what_it_takes_changes_and_gives(name: str) -> None:
    text = Text(name)
    assert said(name, "TAKES") == text.taken - COMMON
    assert said(name, "CHANGES") == text.changed
    assert said(name, "GIVES") >= text.given


@pytest.mark.parametrize("path", sorted(LUA.glob("*.lua")), ids=lambda path: path.stem)
def test_a_script_uses_only_what_it_declares_or_includes(path: Path) -> None:
    includes = set(re.findall(r"^ *--include (\w+)$", path.read_text(), re.M))
    given = set().union(*(said(piece, "GIVES") for piece in includes))
    if path.stem not in PIECES:
        assert Text(path.stem).taken <= given | COMMON
    for piece in includes:  # what a piece takes is there
        assert said(piece, "TAKES") <= given | set(re.findall(r"\blocal (\w+)", path.read_text()))
