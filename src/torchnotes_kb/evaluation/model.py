"""Queries with judgements, and what a searcher answered. The data lies in `evals/`."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from torchnotes_kb.errors import ConfigError
from torchnotes_kb.values import Frozen

__all__ = ["Answer", "Query", "Split", "load_queries"]


class Split(StrEnum):
    """What a query may be used for. Test queries decide nothing but the report."""

    DEV = "dev"
    CALIBRATION = "calibration"
    TEST = "test"


SHARES = ((Split.DEV, 0.15), (Split.CALIBRATION, 0.5), (Split.TEST, 1.0))
"""Upper ends of the splits on the unit interval that notes are hashed to."""


class Query(Frozen):
    """One question as people ask it, and the notes that answer it."""

    id: str
    text: str
    language: str
    """`en`, `zh` or `mixed`."""
    kind: str
    """`title`, `description`, `traceback`, `typo`, `old-wording`, or `unanswerable-…`."""
    notes: tuple[str, ...]
    """Ids of notes that answer; none: nothing should be answered."""

    @property
    def answerable(self) -> bool:
        """Whether some note answers."""
        return bool(self.notes)

    @property
    def split(self) -> Split:
        """By the first note (or the query's id): a note's queries never straddle two splits."""
        key = self.notes[0] if self.notes else self.id
        place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
        return next(split for split, end in SHARES if place < end)


class Answer(Frozen):
    """What a searcher said to one query."""

    query: Query
    ranked: tuple[tuple[str, float], ...]
    """Note ids with scores, best first, before any abstention."""
    probability: float
    """That the first note answers."""
    any_probability: float
    """That any note answers: what is held against the threshold."""
    answered: bool
    """Whether anything was returned."""
    duration_ms: float

    @property
    def right(self) -> bool:
        """Whether the first note answers."""
        return bool(self.ranked) and self.ranked[0][0] in self.query.notes


def load_queries(path: Path) -> tuple[Query, ...]:
    """Queries from a JSON-lines file, or from every one in a directory.

    Raises:
        ConfigError: a file is missing or a line is no query.
    """
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    queries: list[Query] = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(str(file), f"cannot be read: {error.strerror}") from error
        for number, line in enumerate(lines, start=1):
            try:
                queries.append(Query.model_validate_json(line))
            except ValidationError as error:
                problem = error.errors()[0]["msg"]
                raise ConfigError(f"{file}:{number}", f"is no query: {problem}") from error
    if not queries:
        raise ConfigError(str(path), "holds no queries: give a .jsonl file or a directory of them")
    return tuple(queries)
