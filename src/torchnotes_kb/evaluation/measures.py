"""Measures of answers. Ranking measures come from ir-measures; what it lacks is defined here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from torchnotes_kb.errors import MissingExtraError
from torchnotes_kb.evaluation.model import Answer
from torchnotes_kb.values import Frozen

__all__ = [
    "RANKING",
    "Bin",
    "Interval",
    "Scores",
    "bootstrap",
    "calibration_error",
    "measure",
    "need_measures",
    "per_query",
    "ranking",
    "reliability",
]

RANKING = {
    "recall@1": "Success@1",
    "recall@3": "Success@3",
    "recall@5": "Success@5",
    "MRR": "RR",
    "nDCG@10": "nDCG@10",
}
"""Our names and those of ir-measures. A query is answered by any one of its notes, so recall@k is
what ir-measures calls success@k; with one note per query the two are the same."""
RESAMPLES = 1000
BINS = 10
"""Of equal width, for the expected calibration error (Naeini et al., AAAI 2015)."""


class Interval(Frozen):
    """A mean with its 95% bootstrap percentile interval (Efron and Tibshirani, 1993)."""

    mean: float
    low: float
    high: float


class Bin(Frozen):
    """Answers of about the same stated probability."""

    count: int
    stated: float
    """Their mean probability."""
    right: float
    """The share whose first note answers."""


class Scores(Frozen):
    """All measures of one group of answers."""

    queries: int
    ranking: dict[str, Interval]
    """Over the answerable queries, before abstention."""
    refused: float | None
    """Share of answerable queries that got no answer; None without answerable queries."""
    false_answers: float | None
    """Share of unanswerable queries that got one; None without unanswerable queries."""
    calibration_error: float
    """Expected calibration error of the first note's probability."""


def measure(answers: Sequence[Answer]) -> Scores:
    """Measure one group of answers."""
    answerable = [answer for answer in answers if answer.query.answerable]
    others = [answer for answer in answers if not answer.query.answerable]
    return Scores(
        queries=len(answers),
        ranking=ranking(answerable),
        refused=_share(answerable, lambda answer: not answer.answered),
        false_answers=_share(others, lambda answer: answer.answered),
        calibration_error=calibration_error(answers),
    )


def need_measures() -> None:
    """See that the ranking measures can be had, before queries are asked for nothing.

    Raises:
        MissingExtraError: ir-measures is not installed.
    """
    from importlib.util import find_spec  # noqa: PLC0415 - asked once

    if find_spec("ir_measures") is None:
        raise MissingExtraError("ir-measures", "pip install 'torchnotes-kb[eval]'")


def per_query(answers: Iterable[Answer]) -> dict[str, list[float]]:
    """Each ranking measure's value for each answerable query, in order.

    Raises:
        MissingExtraError: ir-measures is not installed.
    """
    answers = list(answers)
    need_measures()
    import ir_measures  # noqa: PLC0415 - an extra

    qrels = {answer.query.id: dict.fromkeys(answer.query.notes, 1) for answer in answers}
    run = {answer.query.id: _descending(answer) for answer in answers}
    names = {ir_measures.parse_measure(theirs): ours for ours, theirs in RANKING.items()}
    found: dict[str, dict[str, float]] = {name: {} for name in RANKING}
    for metric in ir_measures.iter_calc(list(names), qrels, run):
        found[names[metric.measure]][metric.query_id] = metric.value
    return {name: [found[name].get(answer.query.id, 0.0) for answer in answers] for name in RANKING}


def _descending(answer: Answer) -> dict[str, float]:
    """Ranks as scores, so that ties in the searcher's own scores keep its order."""
    return {note: float(-rank) for rank, (note, _) in enumerate(answer.ranked)}


def bootstrap(values: Sequence[float], *, resamples: int = RESAMPLES) -> Interval:
    """The mean of `values` and its 95% interval over resamples of a fixed seed."""
    import numpy as np  # noqa: PLC0415 - only an evaluation needs it here

    array = np.asarray(values, dtype=np.float64)
    picks = np.random.default_rng(0).integers(len(array), size=(resamples, len(array)))
    low, high = np.quantile(array[picks].mean(axis=1), [0.025, 0.975])
    return Interval(mean=float(array.mean()), low=float(low), high=float(high))


def calibration_error(answers: Iterable[Answer]) -> float:
    """Mean gap between the stated probability and the share that is right, over ten bins."""
    bins = reliability(answers)
    total = sum(each.count for each in bins)
    return sum(each.count / total * abs(each.stated - each.right) for each in bins)


def reliability(answers: Iterable[Answer]) -> tuple[Bin, ...]:
    """What was stated and what was right, in those of ten bins of equal width that hold any."""
    bins: list[list[Answer]] = [[] for _ in range(BINS)]
    for answer in answers:
        bins[min(int(answer.probability * BINS), BINS - 1)].append(answer)
    return tuple(
        Bin(
            count=len(group),
            stated=fmean(a.probability for a in group),
            right=fmean(float(a.right) for a in group),
        )
        for group in bins
        if group
    )


def ranking(answers: Sequence[Answer]) -> dict[str, Interval]:
    """The ranking measures of the answerable ones among these."""
    values = per_query([answer for answer in answers if answer.query.answerable])
    return {name: bootstrap(values[name]) for name in RANKING if values[name]}


def _share(answers: Sequence[Answer], holds: Callable[[Answer], bool]) -> float | None:
    return sum(map(holds, answers)) / len(answers) if answers else None
