"""The three signals, each asked of one index: what they find goes into shared candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torchnotes_kb.index.questions import NOBODY
from torchnotes_kb.search.fusion import AROUND, Candidate

if TYPE_CHECKING:
    from torchnotes_kb.encoders.model import Vectors
    from torchnotes_kb.index.index import Index
    from torchnotes_kb.search.lexical import LexicalQuery
    from torchnotes_kb.search.signatures import SignatureMatch

__all__ = ["Found", "by_likeness", "by_meaning", "by_signature", "by_words", "cover"]

NEIGHBOURS = 96
"""Chunks asked of the vectors; a note has about ten."""
QUESTIONS = 384
"""Questions asked of them; a note has about twenty."""
WORDED = 50
"""Notes asked of the lexical index."""
COVERED = 256
"""Notes asked how much of the query they hold."""
LEXICAL_FULL = 4.0
"""BM25 per unit of inverse document frequency at which a note counts as holding all words, with
the fields' weights; the median of right notes on the dev split."""


class Found:
    """Candidates of one query by index and row."""

    def __init__(self) -> None:
        self.candidates: dict[tuple[int, int], Candidate] = {}
        self.inside: list[float] = []
        self.outside: list[float] = []
        """Cosines of the nearest questions that some note answers, and that none does."""

    def at(self, number: int, row: int) -> Candidate:
        """The candidate of a note, made if it is new."""
        key = number, row
        candidate = self.candidates.get(key)
        if candidate is None:
            candidate = self.candidates[key] = Candidate(key)
        return candidate


def by_signature(
    found: Found, number: int, index: Index, matches: Sequence[SignatureMatch]
) -> None:
    """Notes whose templates match, wherever they stand in this index."""
    rows: dict[str, int | None] = {}
    for match in matches:
        if match.note_id not in rows:
            rows[match.note_id] = index.row_of(match.note_id)
        row = rows[match.note_id]
        if row is None:
            continue
        candidate = found.at(number, row)
        if match.exact:
            candidate.exact = max(candidate.exact, match.size)
        else:
            candidate.near = max(candidate.near, match.score)


def by_words(found: Found, number: int, index: Index, query: LexicalQuery, *, depth: int) -> None:
    """Notes that hold the words of the query."""
    full = LEXICAL_FULL * query.information or 1.0
    for row, score in index.terms.search(query.clauses(), depth * WORDED):
        found.at(number, row).lexical = score / full


def cover(found: Found, number: int, index: Index, query: LexicalQuery, *, depth: int) -> None:
    """How much of the query the notes hold that were found; finds none itself."""
    for row, share in query.coverage(index.terms, depth * COVERED):
        candidate = found.candidates.get((number, row))
        if candidate is not None:
            candidate.covered = share


def by_meaning(found: Found, number: int, index: Index, vector: Vectors, *, depth: int) -> None:
    """Notes whose chunks are nearest in meaning; a note's two nearest chunks speak for it."""
    rows, cosines = index.vectors.search(vector, depth * NEIGHBOURS)
    chunks: list[int] = rows.tolist()
    nearness: list[float] = cosines.tolist()
    if not chunks:
        return
    best: dict[int, tuple[int, float, float | None]] = {}
    for chunk, note, cosine in zip(chunks, index.notes_of(chunks), nearness, strict=True):
        first = best.get(note)
        if first is None:
            best[note] = (chunk, cosine, None)
        elif first[2] is None:
            best[note] = (first[0], first[1], cosine)
    floor = nearness[-1]
    for note, (chunk, nearest, second) in best.items():
        other = nearest if index.is_only_chunk(chunk) else floor
        candidate = found.at(number, note)
        candidate.cosine = (nearest + (other if second is None else second)) / 2
        candidate.chunk = chunk


def by_likeness(found: Found, number: int, index: Index, vector: Vectors, *, depth: int) -> None:
    """Notes that answer the questions which are most like the query."""
    most = depth * QUESTIONS
    owners, cosines = index.questions.search(vector, most)
    for row, cosine in zip(owners, cosines, strict=True):
        if row == NOBODY:
            found.outside.append(cosine)
            continue
        found.inside.append(cosine)
        candidate = found.at(number, row)
        candidate.asked = max(candidate.asked, cosine)
    if len(cosines) == most:
        beyond = [cosines[-1]] * AROUND  # what was not seen is no nearer than the last that was
        found.inside += beyond
        found.outside += beyond
