"""A query to hits: signals asked, fused per note, filtered, calibrated, shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from torchnotes_kb.index.passages import nameless
from torchnotes_kb.notes.model import Language, NoteKind
from torchnotes_kb.search import legs
from torchnotes_kb.search.calibration import Features, load_calibration
from torchnotes_kb.search.filters import NoteFilter
from torchnotes_kb.search.fusion import (
    ALL_SIGNALS,
    Candidate,
    Likeness,
    Signal,
    features_of,
    fuse,
)
from torchnotes_kb.search.lexical import LexicalQuery
from torchnotes_kb.search.model import Hit, Near, SearchResult, Why
from torchnotes_kb.search.query import answer_language, focus, holds_message, is_about_another
from torchnotes_kb.search.signatures import SignatureMatcher
from torchnotes_kb.search.snippet import asked_words, said_of, snippet

if TYPE_CHECKING:
    from torchnotes_kb.encoders.model import Encoder, Vectors
    from torchnotes_kb.index.cards import NoteCard
    from torchnotes_kb.index.index import Index
    from torchnotes_kb.notes.model import Chunk

__all__ = ["Ranking", "Searcher"]

NEAREST_SHOWN = 3
BESIDE = 0.8
"""Distance in fused score within which notes are shown beside the first; an exact match stands far
above the others, and alone."""
DEEPER = 8
"""How much deeper each round looks while a filter leaves fewer notes than asked for."""
DEEPEST = 512
ANSWERS = {"Question": "Answer", "Symptom": "Why"}
"""What is shown where the nearest section only says what was asked."""
PREFERRED = ("Why", "Answer", "Symptom", "Question")
"""Sections shown when no chunk is nearest in meaning."""


@dataclass(frozen=True)
class Ranking:
    """Every candidate of a query in order, before abstention: what an evaluation looks at."""

    candidates: tuple[Candidate, ...]
    features: Features | None
    """What calibration sees of the first; None where nothing at all was found."""


@dataclass(frozen=True)
class _Asked:
    """What all signals said of one query."""

    ordered: list[Candidate]
    likeness: Likeness
    """To questions that some note answers, and to others."""
    words: LexicalQuery
    pasted: bool
    """Whether it holds a message of a program."""
    another: bool
    """Whether it is about another library."""


class Searcher:
    """Searches one or several indexes of one encoder. Thread-safe."""

    def __init__(self, indexes: Sequence[Index], encoder: Callable[[], Encoder]) -> None:
        """Search `indexes`; `encoder` is called once, when a query first needs a vector."""
        self._indexes = indexes
        self._open_encoder = encoder
        self._opened: Encoder | None = None
        self._lock = Lock()
        self.matcher = SignatureMatcher([index.signatures for index in indexes])

    def search(
        self,
        query: str,
        *,
        kind: NoteKind | None = None,
        tags: Sequence[str] = (),
        language: Language | None = None,
        torch: str | None = None,
        limit: int = 5,
        signals: Collection[Signal] = ALL_SIGNALS,
    ) -> SearchResult:
        """The notes that answer a question or explain a message.

        Args:
            query: In English, Chinese or both; a pasted traceback is looked through.
            kind: Only notes of this kind.
            tags: Only notes with all of these.
            language: Of the answers; None: the question's.
            torch: Only notes that speak of this version.
            limit: Hits at most.
            signals: Which signals to ask.

        Raises:
            QueryError: the query is empty.
            ConfigError: `torch` is no version.
        """
        spoken = language or answer_language(query)
        wanted = NoteFilter.of(kind=kind, tags=tags, torch=torch)
        ranking = self._rank_filtered(query, wanted, limit, signals)
        features = ranking.features
        if features is None:
            return SearchResult(query=query, language=spoken, hits=())
        calibration = load_calibration()
        top = calibration.probability(features)
        best = ranking.candidates[0]
        if not calibration.answers(features):
            nearest = ranking.candidates[:NEAREST_SHOWN]
            likely = [calibration.beside(top, best.score - c.score) for c in nearest]
            near = tuple(self._near(c, spoken, p) for c, p in zip(nearest, likely, strict=True))
            return SearchResult(query=query, language=spoken, hits=(), near=near)
        hits = []
        for candidate in ranking.candidates[:limit]:
            first = candidate is best
            score = top if first else calibration.beside(top, best.score - candidate.score)
            if first or best.score - candidate.score <= BESIDE:
                hits.append(self._hit(candidate, query, spoken, score))
        return SearchResult(query=query, language=spoken, hits=tuple(hits))

    def rank(
        self, query: str, *, signals: Collection[Signal] = ALL_SIGNALS, depth: int = 1
    ) -> Ranking:
        """Candidates in their order, without filters or abstention.

        Args:
            query: As for `search`.
            signals: Which signals to ask.
            depth: How many times as many candidates as usual to look at.

        Raises:
            QueryError: the query is empty.
        """
        asked = self._asked(query, signals, depth)
        return self._ranking(asked, asked.ordered)

    def card(self, key: tuple[int, int]) -> NoteCard:
        """The note of a candidate, by its key."""
        number, row = key
        return self._indexes[number].card(row)

    def close(self) -> None:
        """Close the indexes."""
        for index in self._indexes:
            index.close()

    def _rank_filtered(
        self, query: str, wanted: NoteFilter, limit: int, signals: Collection[Signal]
    ) -> Ranking:
        """As `rank`, of the notes that pass; looks deeper while too few of them do."""
        ranking = self.rank(query, signals=signals)
        if wanted.passes_all:
            return ranking
        exact = [candidate for candidate in ranking.candidates if candidate.exact]
        if exact and not any(wanted.passes(self.card(c.key)) for c in exact):
            signals = frozenset(signals) - {Signal.SIGNATURE}
        depth, seen = DEEPER, -1
        while True:
            asked = self._asked(query, signals, depth)
            kept = [c for c in asked.ordered if wanted.passes(self.card(c.key))]
            if len(kept) >= limit or len(asked.ordered) == seen or depth >= DEEPEST:
                return self._ranking(asked, kept)
            depth, seen = depth * DEEPER, len(asked.ordered)

    def _asked(self, query: str, signals: Collection[Signal], depth: int) -> _Asked:
        """What the signals say, fused."""
        text = focus(query)
        found = legs.Found()
        if Signal.SIGNATURE in signals:
            matches = self.matcher.match(query)
            for number, index in enumerate(self._indexes):
                legs.by_signature(found, number, index, matches)
        exact = any(candidate.exact for candidate in found.candidates.values())
        text, words = self._spelt(text, exact=exact)
        if Signal.LEXICAL in signals:
            for number, index in enumerate(self._indexes):
                legs.by_words(found, number, index, words, depth=depth)
        if Signal.DENSE in signals and not exact:
            vector = self._embed(text)
            for number, index in enumerate(self._indexes):
                legs.by_meaning(found, number, index, vector, depth=depth)
                legs.by_likeness(found, number, index, vector, depth=depth)
        if Signal.LEXICAL in signals:
            for number, index in enumerate(self._indexes):
                legs.cover(found, number, index, words, depth=depth)
        return _Asked(
            fuse(found.candidates.values()),
            Likeness(found.inside, found.outside),
            words,
            holds_message(query),
            is_about_another(query),
        )

    def _spelt(self, text: str, *, exact: bool) -> tuple[str, LexicalQuery]:
        """The text with its slips put right, unless a template stands in it whole; its words."""
        words = self._words(text)
        misspelt = {word.token for word in words.words if word.edits}
        if exact or not misspelt:
            return text, words
        right = self.matcher.respell(text, misspelt)
        return right, words if right == text else self._words(right)

    def _words(self, text: str) -> LexicalQuery:
        return LexicalQuery.of(
            text,
            [index.terms for index in self._indexes],
            notes=sum(index.manifest.notes for index in self._indexes),
        )

    def _ranking(self, asked: _Asked, kept: Sequence[Candidate]) -> Ranking:
        if not kept:
            return Ranking((), None)
        features = features_of(
            kept,
            likeness=asked.likeness,
            unknown=asked.words.unknown,
            information=asked.words.information,
            pasted=asked.pasted,
            another=asked.another,
        )
        return Ranking(tuple(kept), features)

    def _embed(self, text: str) -> Vectors:
        from torchnotes_kb.encoders.model import TextKind  # noqa: PLC0415 - start-up time

        with self._lock:
            if self._opened is None:
                self._opened = self._open_encoder()
        vectors = self._opened.encode([nameless(text)], kind=TextKind.QUERY)
        return vectors.reshape(-1)

    def _near(self, candidate: Candidate, language: Language, score: float) -> Near:
        card = self.card(candidate.key)
        return Near(note_id=card.id, title=card.title_in(language), score=round(score, 4))

    def _hit(self, candidate: Candidate, query: str, language: Language, score: float) -> Hit:
        card = self.card(candidate.key)
        chunk, shown = self._passage(candidate, card, language, query)
        return Hit(
            note_id=card.id,
            chunk_id=chunk.id,
            kind=card.kind,
            title=card.title_in(language),
            section=chunk.section,
            snippet=shown,
            score=round(score, 4),
            examples=card.examples,
            why=Why(exact=bool(candidate.exact), **candidate.ranks),
        )

    def _passage(
        self, candidate: Candidate, card: NoteCard, language: Language, query: str
    ) -> tuple[Chunk, str]:
        """The section that answers, or the nearest one where that says more of what was asked."""
        index = self._indexes[candidate.key[0]]
        chunks = [index.chunk(row) for row in card.chunks]
        spoken = [chunk for chunk in chunks if chunk.lang is language and chunk.text] or chunks
        nearest = index.chunk(candidate.chunk).section if candidate.chunk is not None else ""
        wanted = ANSWERS.get(nearest, nearest)
        first = "Answer" if card.kind is NoteKind.IDIOM else wanted
        answer = _first_of((first, wanted, nearest, *PREFERRED), spoken)
        near = _first_of((wanted, nearest, *PREFERRED), spoken)
        sections = (answer,) if near is answer else (answer, near)
        passages = [(chunk, snippet(chunk.text or chunk.code, query)) for chunk in sections]
        if len(passages) == 1:
            return passages[0]
        asked = asked_words(query)
        return max(passages, key=lambda passage: said_of(passage[1], asked))


def _first_of(sections: Iterable[str], chunks: Sequence[Chunk]) -> Chunk:
    by_section = {chunk.section: chunk for chunk in reversed(chunks)}
    return next((by_section[name] for name in sections if name in by_section), chunks[0])
