"""Which row every chunk and note gets.

Small indexes are laid out anew; large ones keep their rows, so that the graph of what did not
change stays as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from torchnotes_kb.index.passages import passage, passage_key
from torchnotes_kb.notes.model import Chunk, Note

__all__ = ["Plan", "plan_anew", "plan_onto"]

DEAD_MOST = 0.2
"""Of all rows; with more of them a graph is built anew (ARCHITECTURE.md)."""


@dataclass
class Plan:
    """Rows by number: positions in the given sequences, or None for a dead row."""

    chunks: list[int | None]
    keys: list[bytes]
    """Of each row's passage; empty for a dead row."""
    notes: list[int | None]
    note_rows: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    """The first so many rows stand in the previous files already, live or dead."""

    @property
    def dead(self) -> int:
        """Rows of chunks that answer nothing."""
        return sum(position is None for position in self.chunks)


def plan_anew(chunks: Sequence[Chunk], notes: Sequence[Note]) -> Plan:
    """Rows in the order given."""
    keys = [passage_key(passage(chunk)) for chunk in chunks]
    rows = {note.id: row for row, note in enumerate(notes)}
    return Plan(list(range(len(chunks))), keys, list(range(len(notes))), rows)


def plan_onto(
    old_keys: Sequence[bytes],
    old_chunk_ids: Iterable[str | None],
    old_note_ids: Iterable[str | None],
    chunks: Sequence[Chunk],
    notes: Sequence[Note],
) -> Plan | None:
    """Rows that keep every unchanged chunk and every surviving note where it was.

    Returns:
        None where too many rows would be dead.
    """
    keys = [passage_key(passage(chunk)) for chunk in chunks]
    position = {chunk.id: number for number, chunk in enumerate(chunks)}
    layout: list[int | None] = []
    for key, chunk_id in zip(old_keys, old_chunk_ids, strict=True):
        found = position.get(chunk_id) if chunk_id is not None else None
        layout.append(found if found is not None and keys[found] == key else None)
    placed = {found for found in layout if found is not None}
    kept = len(layout)
    layout += [number for number in range(len(chunks)) if number not in placed]
    if layout.count(None) > DEAD_MOST * len(layout):
        return None
    note_layout, rows = _note_rows(old_note_ids, notes)
    row_keys = [b"" if found is None else keys[found] for found in layout]
    return Plan(layout, row_keys, note_layout, rows, kept)


def corpus_digest(records: Iterable[str]) -> str:
    """One digest of everything that is indexed."""
    state = hashlib.sha256()
    for record in records:
        state.update(record.encode() + b"\n")
    return state.hexdigest()


def _note_rows(
    old_ids: Iterable[str | None], notes: Sequence[Note]
) -> tuple[list[int | None], dict[str, int]]:
    position = {note.id: number for number, note in enumerate(notes)}
    layout = [position.get(note_id) if note_id is not None else None for note_id in old_ids]
    placed = {found for found in layout if found is not None}
    layout += [number for number in range(len(notes)) if number not in placed]
    rows = {notes[found].id: row for row, found in enumerate(layout) if found is not None}
    return layout, rows
