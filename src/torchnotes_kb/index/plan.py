"""Which row every chunk, question and note gets.

Small indexes are laid out anew; large ones keep their rows, so that the graph of what did not
change stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from torchnotes_kb.index.passages import passage, text_key
from torchnotes_kb.index.questions import Question
from torchnotes_kb.notes.model import Chunk, Note

__all__ = ["Layout", "Plan", "Standing", "corpus_digest", "plan_anew", "plan_onto"]

DEAD_MOST = 0.2
"""Of all rows; with more of them a graph is built anew (ARCHITECTURE.md)."""


@dataclass(frozen=True)
class Layout:
    """Rows of vectors by number: positions in a sequence of texts, or None for a dead row."""

    rows: list[int | None]
    keys: list[bytes]
    """Of each row's text; empty for a dead row."""
    kept: int = 0
    """The first so many rows stand in the previous files already, live or dead."""

    @property
    def dead(self) -> int:
        """Rows that answer nothing."""
        return self.rows.count(None)


@dataclass(frozen=True)
class Plan:
    """Every row of a new generation."""

    chunks: Layout
    questions: Layout
    notes: list[int | None]
    """Positions in the given notes, or None for a dead row."""
    note_rows: dict[str, int]


def plan_anew(
    chunks: Sequence[Chunk], questions: Sequence[Question], notes: Sequence[Note]
) -> Plan:
    """Rows in the order given."""
    rows = {note.id: row for row, note in enumerate(notes)}
    return Plan(
        chunks=_anew([text_key(passage(chunk)) for chunk in chunks]),
        questions=_anew([question.key for question in questions]),
        notes=list(range(len(notes))),
        note_rows=rows,
    )


@dataclass(frozen=True)
class Standing:
    """What a previous generation holds, by row; None for a dead row."""

    chunk_ids: list[str | None]
    chunk_keys: list[bytes]
    question_notes: list[str | None]
    question_keys: list[bytes]
    note_ids: list[str | None]


def plan_onto(
    old: Standing,
    chunks: Sequence[Chunk],
    questions: Sequence[Question],
    notes: Sequence[Note],
) -> Plan | None:
    """Rows that keep every unchanged chunk and question, and every surviving note, where it was.

    Returns:
        None where too many rows would be dead.
    """
    chunk_layout = _onto(
        list(zip(old.chunk_ids, old.chunk_keys, strict=True)),
        [(chunk.id, text_key(passage(chunk))) for chunk in chunks],
    )
    question_layout = _onto(
        list(zip(old.question_notes, old.question_keys, strict=True)),
        [(question.note_id, question.key) for question in questions],
    )
    if chunk_layout is None or question_layout is None:
        return None
    note_layout, rows = _note_rows(old.note_ids, notes)
    return Plan(chunk_layout, question_layout, note_layout, rows)


def corpus_digest(records: Iterable[str]) -> str:
    """One digest of everything that is indexed."""
    state = hashlib.sha256()
    for record in records:
        state.update(record.encode() + b"\n")
    return state.hexdigest()


def _anew(keys: list[bytes]) -> Layout:
    return Layout(list(range(len(keys))), keys)


def _onto(
    old: Sequence[tuple[Hashable, bytes]], new: Sequence[tuple[Hashable, bytes]]
) -> Layout | None:
    """Rows of texts, each known by whose it is and its key."""
    position = {item: number for number, item in enumerate(new)}
    rows = [position.get(item) for item in old]
    placed = {found for found in rows if found is not None}
    kept = len(rows)
    rows += [number for number in range(len(new)) if number not in placed]
    if rows.count(None) > DEAD_MOST * len(rows):
        return None
    return Layout(rows, [b"" if found is None else new[found][1] for found in rows], kept)


def _note_rows(
    old_ids: Iterable[str | None], notes: Sequence[Note]
) -> tuple[list[int | None], dict[str, int]]:
    position = {note.id: number for number, note in enumerate(notes)}
    layout = [position.get(note_id) if note_id is not None else None for note_id in old_ids]
    placed = {found for found in layout if found is not None}
    layout += [number for number in range(len(notes)) if number not in placed]
    rows = {notes[found].id: row for row, found in enumerate(layout) if found is not None}
    return layout, rows
