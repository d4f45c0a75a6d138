"""An evaluation as one HTML page: no script, nothing fetched. The plots are in `plots`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path

from torchnotes_kb.evaluation.encoders import EncoderScores
from torchnotes_kb.evaluation.measures import RANKING, Scores, reliability
from torchnotes_kb.evaluation.model import Answer
from torchnotes_kb.evaluation.plots import bars, histogram, reliability_plot, trade_off_plot
from torchnotes_kb.values import Frozen

__all__ = ["Report", "render_report", "trade_off"]

TEMPLATE = Path(__file__).parent / "report.html.j2"
WORST = 30
"""Queries of each kind of mistake that are shown."""
SHOWN = 3
"""Notes of a ranking that are shown."""


class Report(Frozen):
    """All that a page is made of."""

    notes: int
    encoder: str
    split: str
    threshold: float
    """Of `any_probability`; below it nothing is answered."""
    answers: tuple[Answer, ...]
    groups: Mapping[str, Scores]
    """`all`, then by language and by kind."""
    signals: Mapping[str, Scores]
    """Each selection of signals; empty: not measured."""
    encoders: tuple[EncoderScores, ...] = ()


def render_report(report: Report) -> str:
    """The page."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - start-up time
    from markupsafe import Markup  # noqa: PLC0415 - likewise

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["svg"] = Markup
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        report=report,
        measures=list(RANKING),
        recalls=_recalls(report.groups),
        plots=_plots(report),
        mistakes=_mistakes(report.answers),
        shown=SHOWN,
        worst=WORST,
    )


def trade_off(answers: Sequence[Answer]) -> list[tuple[float, float, float]]:
    """Threshold, share of answerable ones refused, share of unanswerable ones answered."""
    asked = sorted(a.any_probability for a in answers if a.query.answerable)
    others = sorted(a.any_probability for a in answers if not a.query.answerable)
    if not asked or not others:
        return []
    return [
        (t, bisect_left(asked, t) / len(asked), 1 - bisect_left(others, t) / len(others))
        for t in (step / 200 for step in range(201))
    ]


def _recalls(groups: Mapping[str, Scores]) -> dict[str, str]:
    return {
        measure: bars(
            [(name, s.ranking[measure]) for name, s in groups.items() if measure in s.ranking],
            title=f"{measure} by kind and language",
        )
        for measure in ("recall@1", "recall@3")
    }


def _plots(report: Report) -> dict[str, str]:
    """The other plots by name; without those that there are no numbers for."""
    durations = sorted(answer.duration_ms for answer in report.answers)
    plots = {"calibration": reliability_plot(reliability(report.answers))}
    curve, whole = trade_off(report.answers), report.groups["all"]
    if curve and whole.refused is not None and whole.false_answers is not None:
        in_force = (report.threshold, whole.refused, whole.false_answers)
        plots["abstention"] = trade_off_plot(curve, in_force=in_force)
    if durations:
        marks = [(f"p{p}", durations[(len(durations) - 1) * p // 100]) for p in (50, 95)]
        plots["latency"] = histogram(durations, marks=marks, unit="ms")
    if report.signals:
        rows = [(n, s.ranking["MRR"]) for n, s in report.signals.items() if "MRR" in s.ranking]
        plots["signals"] = bars(rows, title="MRR by signals")
    return plots


def _mistakes(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """Wrong ones by kind, the surest first."""
    kinds = {
        "Another note first": [
            a for a in answers if a.query.answerable and a.answered and not a.right
        ],
        "Answerable, refused": [a for a in answers if a.query.answerable and not a.answered],
        "Unanswerable, answered": [a for a in answers if not a.query.answerable and a.answered],
    }
    return {
        name: sorted(found, key=lambda a: (-a.probability, a.query.id))
        for name, found in kinds.items()
    }
