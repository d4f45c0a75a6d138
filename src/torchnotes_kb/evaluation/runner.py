"""Queries asked of a searcher, with each selection of signals, and what came back."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence

from torchnotes_kb.errors import QueryError
from torchnotes_kb.evaluation.model import Answer, Query, Split
from torchnotes_kb.search.calibration import Calibration, Record, fit, load_calibration
from torchnotes_kb.search.fusion import ALL_SIGNALS, Signal
from torchnotes_kb.search.searcher import Ranking, Searcher

__all__ = ["SELECTIONS", "ask", "fit_calibration", "known_queries"]

SELECTIONS = {
    "signature": {Signal.SIGNATURE},
    "lexical": {Signal.LEXICAL},
    "dense": {Signal.DENSE},
    "signature+lexical": {Signal.SIGNATURE, Signal.LEXICAL},
    "signature+dense": {Signal.SIGNATURE, Signal.DENSE},
    "lexical+dense": {Signal.LEXICAL, Signal.DENSE},
    "all": ALL_SIGNALS,
}
DEPTH = 10
"""Notes of a ranking that are kept: nDCG@10 looks no deeper."""
FOLLOWING = 5
"""Notes of a ranking whose probabilities are fitted: as many as a search shows."""


def known_queries(queries: Iterable[Query], note_ids: Collection[str]) -> tuple[Query, ...]:
    """Queries about notes that exist, and the unanswerable ones."""
    known = set(note_ids)
    return tuple(query for query in queries if not query.notes or known & set(query.notes))


def ask(
    searcher: Searcher,
    queries: Sequence[Query],
    *,
    signals: Collection[Signal] = ALL_SIGNALS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Every query's answer."""
    calibration = load_calibration()
    answers = []
    for number, query in enumerate(queries, start=1):
        answers.append(_ask(searcher, query, signals, calibration))
        if progress is not None:
            progress(number, len(queries))
    return answers


def _ask(
    searcher: Searcher, query: Query, signals: Collection[Signal], calibration: Calibration
) -> Answer:
    began = time.perf_counter()
    try:
        ranking = searcher.rank(query.text, signals=signals)
    except QueryError:
        took = (time.perf_counter() - began) * 1000
        return Answer(
            query=query,
            ranked=(),
            probability=0.0,
            any_probability=0.0,
            answered=False,
            duration_ms=took,
        )
    took = (time.perf_counter() - began) * 1000
    ranked = tuple((searcher.card(c.key).id, c.score) for c in ranking.candidates[:DEPTH])
    likely = calibration.probability(ranking.features) if ranking.features else 0.0
    return Answer(
        query=query,
        ranked=ranked,
        probability=likely,
        any_probability=calibration.any_probability(ranking.features) if ranking.features else 0.0,
        answered=ranking.features is not None and calibration.answers(ranking.features),
        duration_ms=took,
    )


def fit_calibration(searcher: Searcher, queries: Iterable[Query]) -> Calibration:
    """Fit probabilities and threshold on the calibration split, and on nothing else."""
    records = []
    for query in queries:
        if query.split is not Split.CALIBRATION:
            continue
        try:
            ranking = searcher.rank(query.text)
        except QueryError:
            continue
        if ranking.features is not None:
            records.append(_record(searcher, query, ranking))
    return fit(records, fitted_on=f"{len(records)} queries of the calibration split")


def _record(searcher: Searcher, query: Query, ranking: Ranking) -> Record:
    first, *others = ranking.candidates[:FOLLOWING]
    assert ranking.features is not None  # noqa: S101 - the caller has seen to it
    answers = [searcher.card(c.key).id in query.notes for c in (first, *others)]
    behind = [first.score - candidate.score for candidate in others]
    return Record(
        features=ranking.features,
        right=answers[0],
        answerable=query.answerable,
        following=tuple(zip(behind, answers[1:], strict=True)),
    )
