"""Three signals into one order of notes.

The fused score is a weighted sum of what the signals say, each relative to its own best answer to
this query. Ranks (RRF) forget how sure a signal was, and lost four points of recall@1 to BM25
alone; cosines of e5 move with the language and length of a query, so they are compared with the
best of the same query, never with a fixed scale (docs/search.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from torchnotes_kb.search.calibration import Features

__all__ = ["ALL_SIGNALS", "Candidate", "Signal", "features_of", "fuse"]

LEXICAL = 0.5
COVERED = 0.9
DENSE = 11.5
"""Per unit of cosine: 0.05 below the nearest note costs 0.6."""
NEARLY = 3.0
"""These four are a conditional logit over each query's candidates, fitted by maximum likelihood on
the dev and calibration splits and rounded (docs/search.md)."""
EXACT = 10.0
"""An exact template match outranks all else."""
LONGER = 0.02
"""Per fixed character: of two templates that match, the longer is the more specific."""
MARGIN_FULL = 0.5
TOLD_FULL = 10.0
"""Nats of inverse document frequency; "error" alone has none."""


class Signal(StrEnum):
    """What a note can be found by."""

    SIGNATURE = "signature"
    LEXICAL = "lexical"
    DENSE = "dense"


ALL_SIGNALS = frozenset(Signal)


@dataclass
class Candidate:
    """One note and what each signal says of it."""

    key: tuple[int, int]
    """Number of the index and row of the note in it."""
    exact: int = 0
    """Fixed characters of the longest template that stands in the query."""
    near: float = 0.0
    """Likeness of the best near template."""
    cosine: float = 0.0
    """Of its two nearest chunks, averaged; 0: none is near."""
    lexical: float = 0.0
    """BM25 against the ideal of the query, about 0 to 1."""
    covered: float = 0.0
    """Share of the query's information that its words carry."""
    chunk: int | None = None
    """Row of the chunk that is nearest in meaning."""
    score: float = 0.0
    """What notes are ordered by; set by `fuse`."""
    ranks: dict[Signal, int] = field(default_factory=dict)


def fuse(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Candidates with their scores and ranks, best first; ties by index and row."""
    found = list(candidates)
    for signal, strength in STRENGTHS.items():
        named = (c for c in found if strength(c))
        ranked = sorted(named, key=lambda c: (-strength(c), c.key))
        for rank, candidate in enumerate(ranked, start=1):
            candidate.ranks[signal] = rank
    cosines = [c.cosine for c in found if c.cosine]
    nearest, floor = max(cosines, default=0.0), min(cosines, default=0.0)
    most = max((c.lexical for c in found), default=0.0) or 1.0
    for c in found:
        away = nearest - (c.cosine or floor)
        worded = LEXICAL * c.lexical / most + COVERED * c.covered
        c.score = _signature(c) + worded - DENSE * away
    return sorted(found, key=lambda c: (-c.score, c.key))


def features_of(
    ordered: Sequence[Candidate],
    *,
    background: float,
    unknown: float,
    information: float,
    foreign: bool,
) -> Features:
    """What calibration looks at, of candidates in their order.

    Args:
        ordered: As `fuse` returned them.
        background: Cosine of any chunk: what the whole corpus has with a text of this language
            and length.
        unknown: Share of the query's words that no note has.
        information: Inverse document frequencies of the query's words, summed.
        foreign: Whether the query names another tool, of which the first one says nothing.
    """
    first = ordered[0]
    second = ordered[1].score if len(ordered) > 1 else first.score - MARGIN_FULL
    agree = first.ranks.get(Signal.LEXICAL) == 1 and first.ranks.get(Signal.DENSE) == 1
    return Features(
        exact=float(bool(first.exact)),
        near=0.0 if first.exact else first.near,
        cosine=first.cosine,
        contrast=10 * (first.cosine - background) if first.cosine else 0.0,
        lexical=min(1.5, first.lexical),
        covered=first.covered,
        unknown=unknown,
        told=min(1.0, information / TOLD_FULL),
        foreign=float(foreign),
        agree=float(agree),
        margin=min(1.0, (first.score - second) / MARGIN_FULL),
    )


def _signature(candidate: Candidate) -> float:
    if candidate.exact:
        return EXACT + LONGER * candidate.exact
    return NEARLY * candidate.near


STRENGTHS: dict[Signal, Callable[[Candidate], float]] = {
    Signal.SIGNATURE: lambda c: 1000.0 + c.exact if c.exact else c.near,
    Signal.LEXICAL: lambda c: c.lexical,
    Signal.DENSE: lambda c: c.cosine,
}
"""What each signal orders notes by; 0 where it did not find them."""
