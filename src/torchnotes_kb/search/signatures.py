"""Which templates a text matches: exactly, with their values, or nearly.

The table's inverted index names the templates that share words with the text; a template is
compiled only if all of its words are there. Nearness weighs words by how few templates have them:
`len` says more than `tensor`.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from torchnotes_kb.index.signatures import template_words
from torchnotes_kb.notes.template import Template
from torchnotes_kb.search.likeness import best_window, likeness
from torchnotes_kb.search.query import plain
from torchnotes_kb.search.spelling import respell

if TYPE_CHECKING:
    from torchnotes_kb.index.signatures import SignatureTable

__all__ = ["SignatureMatch", "SignatureMatcher"]

MAX_TEXT = 20_000
"""Characters that are compared: half of them from the beginning, half from the end."""
NEAR = 0.72
"""Likeness from which an edited, cut or re-wrapped message counts as a near match."""
INFORMATION = 8.0
"""Nats that the shared words must carry: two words that hardly another template has."""
COMPARED = 12
EXACT_TRIED = 48
SLACK = 8
"""Words of captured values that may stand between those of a template, beside as many again."""
TYPE = re.compile(r"^\s*[A-Za-z_][\w.]*(?:Error|Exception|Warning)\s*[:\uff1a]", re.ASCII)


@dataclass(frozen=True)
class SignatureMatch:
    """One template that a text matches."""

    note_id: str
    template: str
    captured: dict[str, str]
    exact: bool
    """The whole template stands in the text."""
    score: float
    """1 for an exact match, else how alike they are, from `NEAR` up."""
    size: int
    """Fixed characters of the template: of two exact matches the longer says more."""


class SignatureMatcher:
    """Matches texts against all templates of one or several indexes. Thread-safe.

    Example:
        >>> from torchnotes_kb.index.signatures import SignatureTable
        >>> table = SignatureTable.from_signatures([("note", "size {a:d} must match {b:d}")])
        >>> SignatureMatcher([table]).match("RuntimeError: size 3 must match 4")[0].captured
        {'a': '3', 'b': '4'}
    """

    def __init__(self, tables: Sequence[SignatureTable]) -> None:
        self._tables = [_Weighed(table) for table in tables]

    def match(self, text: str) -> list[SignatureMatch]:
        """Matches, best first: exact before near, longer before shorter."""
        text = _bounded(plain(text))
        lines = [template_words(TYPE.sub("", line)) for line in text.splitlines()]
        found = [match for table in self._tables for match in table.match(text, lines)]
        return sorted(found, key=lambda m: (not m.exact, -m.score, -m.size, m.note_id, m.template))

    def respell(self, text: str, misspelt: AbstractSet[str]) -> str:
        """The text with these of its tokens put right, as far as templates have what was meant."""
        for table in self._tables:
            text = respell(text, misspelt, table.words)
        return text


class _Weighed:
    """A table whose words know how much they say."""

    def __init__(self, table: SignatureTable) -> None:
        self._table = table
        self._said: dict[str, float] = {}

    @property
    def words(self) -> Mapping[str, Collection[int]]:
        return self._table.postings

    def match(self, text: str, lines: Sequence[list[str]]) -> Iterator[SignatureMatch]:
        shared, held = self._shared(lines)
        sizes, notes = self._table.sizes, self._table.notes
        whole = [number for number, count in shared.items() if count == sizes[number]]
        whole.sort(key=lambda number: (-held[number], number))
        exact = set()
        for number in whole[:EXACT_TRIED]:
            match = self._exact(number, text)
            if match is not None:
                exact.add(match.note_id)
                yield match
        likely = [n for n in held if held[n] >= INFORMATION and notes[n] not in exact]
        likely.sort(key=lambda number: (-held[number], number))
        for number in likely[:COMPARED]:
            match = self._near(number, lines)
            if match is not None:
                yield match

    def _shared(self, lines: Sequence[list[str]]) -> tuple[dict[int, int], dict[int, float]]:
        """By template: how many of its words the text holds, and what they say together."""
        shared: dict[int, int] = defaultdict(int)
        held: dict[int, float] = defaultdict(float)
        for word in dict.fromkeys(word for line in lines for word in line):
            numbers = self._table.postings.get(word, ())
            said = self._information(word) if numbers else 0.0
            for number in numbers:
                shared[number] += 1
                held[number] += said
        return shared, held

    def _information(self, word: str) -> float:
        """Nats that a word carries about which template it is of."""
        said = self._said.get(word)
        if said is None:
            among = len(self._table.postings.get(word, ()))
            said = math.log((len(self._table.texts) + 1) / (among + 0.5))
            if among:
                self._said[word] = said
        return said

    def _exact(self, number: int, text: str) -> SignatureMatch | None:
        template = _compiled(self._table.texts[number])
        captured = template.search(text)
        if captured is None:
            return None
        found = self._table.notes[number], template.text, captured
        return SignatureMatch(*found, exact=True, score=1.0, size=len(template.literal))

    def _near(self, number: int, lines: Sequence[list[str]]) -> SignatureMatch | None:
        literal = _compiled(self._table.texts[number]).literal
        wanted = template_words(literal)
        information = {word: self._information(word) for word in wanted}
        given = [word for line in lines for word in line]
        at, inside = best_window(given, information, 2 * len(wanted) + SLACK)
        if inside < INFORMATION:
            return None
        message = _lines_around(lines, at)
        score = likeness(wanted, given, at, information=self._information, message=message)
        if score < NEAR:
            return None
        found = self._table.notes[number], self._table.texts[number]
        near = min(score, 0.99)
        return SignatureMatch(*found, captured={}, exact=False, score=near, size=len(literal))


def _lines_around(lines: Sequence[list[str]], at: tuple[int, int]) -> list[str]:
    """The words of the lines that a stretch of all words touches."""
    start, end = at
    place = 0
    touched: list[str] = []
    for line in lines:
        if place < end and place + len(line) > start:
            touched += line
        place += len(line)
    return touched


def _bounded(text: str) -> str:
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[: MAX_TEXT // 2]}\n{text[-MAX_TEXT // 2 :]}"


@lru_cache(maxsize=4096)
def _compiled(template: str) -> Template:
    return Template.parse(template)
