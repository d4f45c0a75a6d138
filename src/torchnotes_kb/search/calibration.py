"""From what was found to probabilities: that the first note answers, that any does.

Logistic models of a few features of the best candidates, fitted by maximum likelihood with an L2
penalty (Platt, 1999, over several features) on the calibration split of the evaluation, which is
used for nothing else. `kb eval --fit` writes the numbers.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from torchnotes_kb.values import Frozen

__all__ = ["Calibration", "Features", "Logistic", "Record", "fit", "load_calibration"]

FILE = Path(__file__).parent / "data" / "calibration.json"
PENALTY = 3.0
"""Of squared weights of features in standard units."""
FAR = 1.5
"""Distance in fused score beyond which a note is as good as any other."""
STEPS = 100
CONVERGED = 1e-8
MOST_FALSE, MOST_REFUSED = 0.05, 0.03
"""The bars: unanswerable queries answered, answerable ones refused."""


class Features(NamedTuple):
    """What is known of the best candidate of a query."""

    exact: float
    """1 where a template stands in the query whole."""
    scope: float
    """How much more the query is like a question that some note answers than like one that none
    does: a difference of cosines, in tenths; 0 where a template stands in it whole."""
    around: float
    """The same of the three nearest of each kind."""
    own: float
    """The same of the first note's own questions."""
    covered: float
    """Share of the query's information that the note's words carry."""
    unknown: float
    """Share of the query's words that no note has."""
    told: float
    """How much the query's words say at all, 1 from about three telling words on."""
    unmatched: float
    """1 where a message is pasted and no template stands in it whole: notes list their messages."""
    another: float
    """1 where another library is named, and neither this one nor a tensor."""
    agree: float
    """1 where words and meaning put the same note first."""
    margin: float
    """How far the fused score is above the second note's."""

    @property
    def about(self) -> tuple[float, ...]:
        """What of them says whether the corpus speaks of the matter at all."""
        likeness = self.scope, self.around, self.own
        return *likeness, self.covered, self.unknown, self.told, self.unmatched, self.another


class Record(NamedTuple):
    """One query of the calibration split."""

    features: Features
    right: bool
    """Whether the first note answers; never for a query that no note answers."""
    answerable: bool
    following: tuple[tuple[float, bool], ...] = ()
    """Of the next notes: how far behind the first's fused score, and whether they answer."""


class Logistic(Frozen):
    """A logistic model: the probability is 1 / (1 + exp(-(bias + weights . values)))."""

    weights: tuple[float, ...]
    bias: float

    def probability(self, values: Sequence[float]) -> float:
        """Of what the model was fitted to."""
        total = self.bias + sum(w * x for w, x in zip(self.weights, values, strict=True))
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


class Calibration(Frozen):
    """What the features of a ranking are worth, and where answering begins."""

    right: Logistic
    """That the first note answers: of all features."""
    answerable: Logistic
    """That any note does, of `Features.about` where no template stands in the query whole. Two
    notes that are close rivals make the first one doubtful, and the question no less answerable."""
    following: Logistic
    """That a note further down answers: of the first one's log-odds and the distance to it."""
    threshold: float
    """Of `answerable`; below it nothing is answered."""
    fitted_on: str
    """Which queries fixed these numbers."""

    def answers(self, features: Features) -> bool:
        """Whether to answer at all; always where a template stands in the query whole."""
        return self.any_probability(features) >= self.threshold

    def any_probability(self, features: Features) -> float:
        """That any note answers; certain where a template stands in the query whole."""
        return 1.0 if features.exact else self.answerable.probability(features.about)

    def probability(self, features: Features) -> float:
        """That the first note answers."""
        return self.right.probability(features)

    def beside(self, first: float, behind: float) -> float:
        """That a note answers which stands `behind` a first one of this probability."""
        values = (_log_odds(first), min(behind, FAR))
        return min(first, self.following.probability(values))


@cache
def load_calibration(path: Path = FILE) -> Calibration:
    """The numbers in force."""
    return Calibration(**json.loads(path.read_text(encoding="utf-8")))


def fit(records: Sequence[Record], *, fitted_on: str) -> Calibration:
    """Fit the three models and the threshold.

    Args:
        records: One per query that found anything; some right, some wrong, some unanswerable.
        fitted_on: What to say of the queries.
    """
    right = _fit([r.features for r in records], [r.right for r in records])
    open_ = [record for record in records if not record.features.exact]
    answerable = _fit([r.features.about for r in open_], [r.answerable for r in open_])
    likely = [
        1.0 if r.features.exact else answerable.probability(r.features.about) for r in records
    ]
    followers = [
        ((_log_odds(right.probability(record.features)), min(behind, FAR)), answers)
        for record in records
        for behind, answers in record.following
    ]
    return Calibration(
        right=right,
        answerable=answerable,
        following=_fit([values for values, _ in followers], [a for _, a in followers])
        if followers
        else Logistic(weights=(0.0, 0.0), bias=0.0),
        threshold=_threshold(likely, [record.answerable for record in records]),
        fitted_on=fitted_on,
    )


def _threshold(likely: Sequence[float], answerable: Sequence[bool]) -> float:
    """Where the worse of both shares, each against its bar, is least; the middle if it is flat."""
    asked = sorted(p for p, a in zip(likely, answerable, strict=True) if a)
    others = sorted(p for p, a in zip(likely, answerable, strict=True) if not a)
    if not asked or not others:
        return 0.5

    def worse(threshold: float) -> float:
        refused = bisect_left(asked, threshold) / len(asked)
        answered = 1 - bisect_left(others, threshold) / len(others)
        return max(refused / MOST_REFUSED, answered / MOST_FALSE)

    steps = [step / 200 for step in range(10, 191)]
    least = min(map(worse, steps))
    best = [step for step in steps if worse(step) <= least + 1e-9]
    return round(best[len(best) // 2], 3)


def _fit(features: Sequence[Sequence[float]], right: Sequence[bool]) -> Logistic:
    """The likeliest penalised logistic model, by Newton's method.

    Features are scaled to unit deviation first, so that the penalty means the same to each.
    """
    import numpy as np  # noqa: PLC0415 - only fitting needs it

    given = np.asarray(features, dtype=np.float64)
    centre, scale = given.mean(axis=0), np.maximum(given.std(axis=0), 1e-3)
    rows = np.hstack([(given - centre) / scale, np.ones((len(given), 1))])
    wanted = np.asarray(right, dtype=np.float64)
    penalty = PENALTY * np.eye(rows.shape[1])
    penalty[-1, -1] = 1e-9
    found = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-np.clip(rows @ found, -30, 30)))
        slope = rows.T @ (wanted - likely) - penalty @ found
        curve = (rows * (likely * (1 - likely))[:, None]).T @ rows + penalty
        step = np.linalg.solve(curve, slope)
        found += step
        if np.abs(step).max() < CONVERGED:
            break
    weights = found[:-1] / scale
    bias = float(found[-1] - weights @ centre)
    rounded = tuple(round(float(weight), 4) for weight in weights)
    return Logistic(weights=rounded, bias=round(bias, 4))


def _log_odds(probability: float) -> float:
    bounded = max(1e-6, min(1 - 1e-6, probability))
    return math.log(bounded / (1 - bounded))
