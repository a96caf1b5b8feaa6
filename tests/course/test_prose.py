"""What learners read: spelling, how hard it is to read, and where links lead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from reading import ALL, SOURCES, links, name, prose, texts, words
from spellchecker import SpellChecker

FOLDER = Path(__file__).parent
# Flesch: 60 to 70 is plain English, which pupils of 13 to 15 years read with ease.
EASY_ENOUGH = 65.0
# Words that are right, one a line, sorted; not in the dictionary of the spell checker.
WORDS = (FOLDER / "words.txt").read_text("utf-8").split()
# Every address outside of the course that a notebook links to, sorted.
LINKS = (FOLDER / "links.txt").read_text("utf-8").split()


def syllables(word: str) -> int:
    """About how many syllables an English word has: groups of vowels, without a mute e."""
    groups = len(re.findall(r"[aeiouy]+", word.lower()))
    mute = word.lower().endswith("e") and not word.lower().endswith("le")
    return max(1, groups - mute)


def reading_ease(text: str) -> float:
    """The Flesch reading ease: 206.8 - 1.015 words a sentence - 84.6 syllables a word.

    Flesch, "A new readability yardstick", 1948.
    """
    text = re.sub(r"^#+ .*$|^ *[-*] |[*_]", "", text, flags=re.MULTILINE)
    found = words(text)
    sentences = len(re.findall(r"[.!?](?=[\s\")]|$)|[^.!?:\s](?=\s*\n\s*\n)", text))
    each = sum(map(syllables, found)) / len(found)
    return 206.835 - 1.015 * len(found) / sentences - 84.6 * each


def test_the_measure_tells_easy_from_hard() -> None:
    easy = "A worker takes an item. It does the work. Then it takes the next one."
    hard = (
        "Notwithstanding considerable infrastructural heterogeneity, orchestration "
        "facilities consistently necessitate comprehensive configuration documentation."
    )
    assert reading_ease(easy) > 90
    assert reading_ease(hard) < 0


def test_the_lists_are_sorted_and_hold_nothing_that_is_not_used() -> None:
    assert sorted(set(WORDS), key=str.lower) == WORDS
    assert sorted(set(LINKS)) == LINKS
    used = {target for path in SOURCES for target in links(path) if "://" in target}
    assert sorted(used) == LINKS
    said = {word.lower() for path in ALL for word in _plain_words(path)}
    assert [word for word in WORDS if word.lower() not in said] == []


@pytest.mark.parametrize("path", ALL, ids=name)
class TestProse:
    def test_the_spelling_is_right(self, path: Path) -> None:
        speller = SpellChecker(distance=1)
        speller.word_frequency.load_words(WORDS)
        assert sorted(speller.unknown(_plain_words(path))) == []

    def test_it_is_easy_to_read(self, path: Path) -> None:
        assert reading_ease(prose(path)) >= EASY_ENOUGH

    def test_links_inside_the_course_lead_somewhere(self, path: Path) -> None:
        for target in links(path):
            if "://" not in target:
                assert (path.parent / target.partition("#")[0]).exists(), target

    def test_links_say_what_they_lead_to(self, path: Path) -> None:
        for said in re.findall(r"(?<!!)\[([^\]]+)\]\(", texts(path)):
            assert said.lower() not in ("here", "link", "this", "this page", "click here")


def _plain_words(path: Path) -> list[str]:
    """The words to spell: no code, no addresses, no capitals in the middle."""
    text = re.sub(r"```.*?```|`[^`]*`|<[^>]+>|\]\([^)]*\)", " ", texts(path), flags=re.DOTALL)
    found = re.findall(r"[A-Za-z][A-Za-z'’]*", text)
    found = [re.sub(r"['’]s?$", "", word) for word in found]
    return [word for word in found if len(word) > 1 and not re.search(r"[a-z][A-Z]", word)]


def test_a_misspelt_word_is_found() -> None:
    speller = SpellChecker(distance=1)
    speller.word_frequency.load_words(WORDS)
    assert speller.unknown(["lease", "quue", "worker"]) == {"quue"}
