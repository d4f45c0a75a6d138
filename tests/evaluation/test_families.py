"""Every family of the demand that the corpus was written for is answered by a note."""

from __future__ import annotations

import json
from pathlib import Path

EVALS = Path(__file__).parents[2] / "evals"
CORPUS = EVALS.parent / "corpus"
FAMILIES = 245
"""Of errors and idioms together; a family never leaves the list."""


def test_every_family_is_answered_by_a_note_that_exists() -> None:
    families: dict[str, str] = json.loads((EVALS / "families.json").read_text(encoding="utf-8"))
    notes = {path.stem for path in CORPUS.glob("*/*.md")}
    assert len(families) == FAMILIES
    assert {family: note for family, note in families.items() if note not in notes} == {}


def test_every_query_names_notes_that_exist() -> None:
    notes = {path.stem for path in CORPUS.glob("*/*.md")}
    for file in EVALS.glob("queries-*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            query = json.loads(line)
            assert set(query["notes"]) <= notes, query["id"]


def test_every_note_is_asked_for() -> None:
    """A note without queries is in no measure of the search."""
    asked: set[str] = set()
    for file in EVALS.glob("queries-*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            asked.update(json.loads(line)["notes"])
    assert {path.stem for path in CORPUS.glob("*/*.md")} - asked == set()
