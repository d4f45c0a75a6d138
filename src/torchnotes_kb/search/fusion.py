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
from heapq import nlargest

from torchnotes_kb.search.calibration import Features

__all__ = ["ALL_SIGNALS", "AROUND", "Candidate", "Likeness", "Signal", "features_of", "fuse"]

LEXICAL = 0.6
COVERED = 1.2
DENSE = 9.0
"""Per unit of cosine: 0.05 below the nearest note costs 0.45."""
ASKED = 12.0
NEARLY = 1.0
"""These five are a conditional logit over each query's candidates, fitted by maximum likelihood on
the dev and calibration splits and rounded (docs/search.md)."""
EXACT = 10.0
"""An exact template match outranks all else."""
LONGER = 0.02
"""Per fixed character: of two templates that match, the longer is the more specific."""
MARGIN_FULL = 0.5
AROUND = 3
"""Questions of each kind that say together what a query is like."""
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
    asked: float = 0.0
    """Cosine of the nearest of its questions; 0: none is near."""
    lexical: float = 0.0
    """BM25 against the ideal of the query, about 0 to 1."""
    covered: float = 0.0
    """Share of the query's information that its words carry."""
    chunk: int | None = None
    """Row of the chunk that is nearest in meaning."""
    score: float = 0.0
    """What notes are ordered by; set by `fuse`."""
    ranks: dict[Signal, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Likeness:
    """How much more a query is like questions that some note answers than like others.

    Differences of cosines, 0 where not both kinds were looked at.
    """

    inside: Sequence[float] = ()
    outside: Sequence[float] = ()
    """Cosines of the nearest questions."""

    @property
    def nearest(self) -> float:
        """Of the nearest question of each kind."""
        return max(self.inside) - max(self.outside) if self.known else 0.0

    @property
    def around(self) -> float:
        """Of the means of the nearest `AROUND`."""
        if not self.known:
            return 0.0
        near, far = (nlargest(AROUND, each) for each in (self.inside, self.outside))
        return sum(near) / len(near) - sum(far) / len(far)

    @property
    def known(self) -> bool:
        """Whether questions of both kinds were looked at."""
        return bool(self.inside and self.outside)

    def own(self, asked: float) -> float:
        """Of a note whose own nearest question has this cosine; 0: none of its is near."""
        return (asked or min(self.inside)) - max(self.outside) if self.known else 0.0


def fuse(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Candidates with their scores and ranks, best first; ties by index and row."""
    found = list(candidates)
    for signal, strength in STRENGTHS.items():
        named = (c for c in found if strength(c))
        ranked = sorted(named, key=lambda c: (-strength(c), c.key))
        for rank, candidate in enumerate(ranked, start=1):
            candidate.ranks[signal] = rank
    cosine, asked = _range(c.cosine for c in found), _range(c.asked for c in found)
    most = max((c.lexical for c in found), default=0.0) or 1.0
    for c in found:
        away = DENSE * _behind(c.cosine, *cosine) + ASKED * _behind(c.asked, *asked)
        c.score = _signature(c) + LEXICAL * c.lexical / most + COVERED * c.covered - away
    return sorted(found, key=lambda c: (-c.score, c.key))


def features_of(
    ordered: Sequence[Candidate],
    *,
    likeness: Likeness,
    unknown: float,
    information: float,
    pasted: bool,
    another: bool,
) -> Features:
    """What calibration looks at, of candidates in their order.

    Args:
        ordered: As `fuse` returned them.
        likeness: To questions that some note answers, and to others.
        unknown: Share of the query's words that no note has.
        information: Inverse document frequencies of the query's words, summed.
        pasted: Whether the query holds a message of a program.
        another: Whether it is about another library.
    """
    first = ordered[0]
    second = ordered[1].score if len(ordered) > 1 else first.score - MARGIN_FULL
    agree = first.ranks.get(Signal.LEXICAL) == 1 and first.ranks.get(Signal.DENSE) == 1
    return Features(
        exact=float(bool(first.exact)),
        scope=10 * likeness.nearest,
        around=10 * likeness.around,
        own=10 * likeness.own(first.asked),
        covered=first.covered,
        unknown=unknown,
        told=min(1.0, information / TOLD_FULL),
        unmatched=float(pasted and not first.exact),
        another=float(another),
        agree=float(agree),
        margin=min(1.0, (first.score - second) / MARGIN_FULL),
    )


def _range(cosines: Iterable[float]) -> tuple[float, float]:
    """The least and the greatest of those that are known."""
    known = [cosine for cosine in cosines if cosine]
    return min(known, default=0.0), max(known, default=0.0)


def _behind(cosine: float, least: float, greatest: float) -> float:
    """How far behind the nearest; a note that was not found is no nearer than any that was."""
    return greatest - (cosine or least)


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
