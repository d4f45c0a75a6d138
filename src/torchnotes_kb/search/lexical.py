"""Words of a query into clauses for BM25: synonyms at less weight, misspelt words forgiven."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torchnotes_kb.index.terms import Clause, Field, TermIndex
from torchnotes_kb.index.tokens import has_chinese, query_tokens

__all__ = ["LexicalQuery", "QueryWord", "stop_words"]

DATA = Path(__file__).parent / "data"
WEIGHTS = {Field.TITLE: 1.2, Field.SIGNATURE: 0.8, Field.TEXT: 1.0, Field.CODE: 0.5}
"""Fixed by MRR on the dev split (docs/search.md)."""
SYNONYM = 0.3
TYPO = 0.5
"""Part of its information that a misspelt word keeps."""
MOST_WORDS = 48
"""The rarest of them; a pasted log has thousands."""
TYPO_FROM, TWO_EDITS_FROM = 5, 8
"""Letters; shorter words have too many neighbours."""


@dataclass(frozen=True)
class QueryWord:
    """One word of a query and how much it says."""

    token: str
    information: float
    """Inverse document frequency, as in BM25."""
    known: bool
    """Whether any note has it."""
    edits: int = 0
    """Slips that are forgiven: above 0 where no note has the word, and some has one so near."""


@dataclass(frozen=True)
class LexicalQuery:
    """What a query asks of one or several lexical indexes."""

    words: tuple[QueryWord, ...]
    synonyms: tuple[str, ...] = ()
    """Tokens of what the words are called elsewhere or in the other language."""

    @classmethod
    def of(cls, text: str, indexes: Sequence[TermIndex], *, notes: int) -> LexicalQuery:
        """The words of `text` that say something, the rarest known ones first.

        How much a word says is counted over all the notes that are searched: in an index of its
        own a page of the user's would make every word common.
        """
        tokens = [token for token in dict.fromkeys(query_tokens(text)) if token not in stop_words()]
        known = {
            token: min(sum(terms.document_frequency(token) for terms in indexes), notes)
            for token in tokens
        }
        tokens.sort(key=lambda token: (known[token] == 0, known[token]))
        return cls(
            tuple(
                QueryWord(
                    token,
                    _information(known[token], notes),
                    known=known[token] > 0,
                    edits=0 if known[token] else _edits(token, indexes),
                )
                for token in tokens[:MOST_WORDS]
            ),
            _synonyms_of(text, tokens[:MOST_WORDS]),
        )

    @property
    def information(self) -> float:
        """Of all words together."""
        return sum(word.information for word in self.words)

    @property
    def unknown(self) -> float:
        """Share of the words that no note has, nor one like them."""
        strange = sum(not word.known and not word.edits for word in self.words)
        return strange / max(1, len(self.words))

    def clauses(self) -> list[Clause]:
        """What to ask of the index."""
        words = [clause for word in self.words for clause in _clauses(word)]
        return words + [c for token in self.synonyms for c in _everywhere(token, SYNONYM)]

    def coverage(self, terms: TermIndex, limit: int) -> list[tuple[int, float]]:
        """Rows of notes, and the share of the query's information that their words carry, 0 to 1.

        BM25 counts a word that stands there often several times over; this counts it once.
        """
        wanted = [
            (word.token, word.edits, word.information * (TYPO if word.edits else 1.0))
            for word in self.words
            if word.known or word.edits
        ]
        whole = self.information or 1.0
        return [(row, weight / whole) for row, weight in terms.covering(wanted, limit)]


def _clauses(word: QueryWord) -> Iterator[Clause]:
    if word.known:
        yield from _everywhere(word.token, 1.0)
    elif word.edits:
        for field in (Field.TITLE, Field.SIGNATURE, Field.TEXT):
            weight = TYPO * word.information * WEIGHTS[field]
            yield Clause(field, word.token, weight, edits=word.edits)


def _edits(token: str, indexes: Sequence[TermIndex]) -> int:
    """How many slips a word of some note is away; 0: too many, or it is no word."""
    plain = token.isascii() and not any(char.isdigit() for char in token)
    if not plain or len(token) < TYPO_FROM:
        return 0
    edits = 2 if len(token) >= TWO_EDITS_FROM else 1
    return edits if any(terms.covering([(token, edits, 1.0)], 1) for terms in indexes) else 0


def _everywhere(token: str, weight: float) -> Iterator[Clause]:
    return (Clause(field, token, weight * factor) for field, factor in WEIGHTS.items())


def _information(frequency: int, notes: int) -> float:
    return math.log(1 + (notes - frequency + 0.5) / (frequency + 0.5))


def _synonyms_of(text: str, tokens: Sequence[str]) -> tuple[str, ...]:
    """What else the words may be called; a Chinese word counts however the segmenter cuts it."""
    asked = set(tokens)
    found = dict.fromkeys(
        other
        for word, others in _synonyms().items()
        if (word in text if has_chinese(word) else word in asked)
        for other in others
    )
    return tuple(other for other in found if other not in asked)


@cache
def _synonyms() -> Mapping[str, list[str]]:
    """By English token, stemmed as the index has them, or Chinese word."""
    table: dict[str, list[str]] = json.loads((DATA / "synonyms.json").read_text(encoding="utf-8"))
    return {_token(word): [_token(other) for other in others] for word, others in table.items()}


def _token(word: str) -> str:
    return word if has_chinese(word) else query_tokens(word)[0]


@cache
def stop_words() -> frozenset[str]:
    """Words that stand in every question, as tokens.

    The Chinese ones are listed as the segmenter cuts them: loading it is 0.1 s that an English
    question has no other need of.
    """
    words = (DATA / "stop.txt").read_text(encoding="utf-8").split()
    english = " ".join(word for word in words if not has_chinese(word))
    return frozenset(query_tokens(english)) | {word for word in words if has_chinese(word)}
