"""Encoders side by side on the same queries. Only ranking: the calibration is the bundled one's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torchnotes_kb.evaluation.measures import Interval, ranking
from torchnotes_kb.evaluation.model import Query
from torchnotes_kb.evaluation.runner import ask
from torchnotes_kb.search.fusion import ALL_SIGNALS, Signal
from torchnotes_kb.search.searcher import Searcher
from torchnotes_kb.values import Frozen

__all__ = ["EncoderScores", "measure_encoder"]

LANGUAGES = ("en", "zh", "mixed")


class EncoderScores(Frozen):
    """What one encoder does alone, and what the whole search does with it."""

    encoder: str
    dense: dict[str, dict[str, Interval]]
    """Ranking measures by `all` and by language, of meaning alone."""
    fused: dict[str, dict[str, Interval]]
    """Likewise, of all signals together, with the weights fitted to the bundled encoder."""


def measure_encoder(
    searcher: Searcher,
    queries: Sequence[Query],
    *,
    encoder: str,
    progress: Callable[[int, int], None] | None = None,
) -> EncoderScores:
    """Ask everything twice: of meaning alone, and of all signals."""
    found: list[dict[str, dict[str, Interval]]] = []
    for signals in ({Signal.DENSE}, ALL_SIGNALS):
        answers = ask(searcher, queries, signals=signals, progress=progress)
        groups = {"all": answers} | {
            language: [a for a in answers if a.query.language == language] for language in LANGUAGES
        }
        measured = {name: ranking(group) for name, group in groups.items()}
        found.append({name: scores for name, scores in measured.items() if scores})
    dense, fused = found
    return EncoderScores(encoder=encoder, dense=dense, fused=fused)
