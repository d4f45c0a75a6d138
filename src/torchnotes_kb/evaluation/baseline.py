"""The stored numbers of the last accepted evaluation, and what has changed since."""

from __future__ import annotations

import json
from pathlib import Path

from torchnotes_kb.errors import ConfigError
from torchnotes_kb.evaluation.measures import RANKING, Scores
from torchnotes_kb.values import Frozen

__all__ = ["Baseline", "worse"]

TOLERATED = 0.01
"""By so much `refused` and `false_answers` may grow: one query of a hundred."""


class Baseline(Frozen):
    """What was measured, by group of queries."""

    corpus_notes: int
    encoder: str
    groups: dict[str, Scores]

    @classmethod
    def load(cls, path: Path) -> Baseline | None:
        """The stored baseline; None where there is none yet.

        Raises:
            ConfigError: the file is damaged.
        """
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                str(path), "is no baseline: write one with `kb eval --save`"
            ) from error

    def save(self, path: Path) -> None:
        """Write it."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def worse(now: Scores, then: Scores) -> list[str]:
    """What has become worse than the baseline's own uncertainty allows, in words."""
    found = []
    for name in RANKING:
        if name in now.ranking and name in then.ranking:
            mean, low = now.ranking[name].mean, then.ranking[name].low
            if mean < low:
                found.append(f"{name} is {mean:.3f}, the baseline's interval begins at {low:.3f}")
    for name in ("refused", "false_answers"):
        mine, theirs = getattr(now, name), getattr(then, name)
        if mine is not None and theirs is not None and mine > theirs + TOLERATED:
            found.append(f"{name} is {mine:.3f}, the baseline has {theirs:.3f}")
    return found
