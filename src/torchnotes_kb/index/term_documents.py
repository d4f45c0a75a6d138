"""What of a note goes into the lexical index, and how much of that index an update rewrites."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from torchnotes_kb.index.cards import NoteCard
from torchnotes_kb.index.index import Index
from torchnotes_kb.index.plan import Plan
from torchnotes_kb.index.terms import TERMS, Field, TermWriter
from torchnotes_kb.index.tokens import document_tokens
from torchnotes_kb.notes.model import Chunk
from torchnotes_kb.notes.template import Template

__all__ = ["write_terms"]

THREADED_FROM = 50_000
"""Notes. Below, one thread: documents then stand in order, and rankings repeat exactly."""


def write_terms(
    folder: Path,
    plan: Plan,
    cards: Sequence[NoteCard],
    chunks: Sequence[Chunk],
    *,
    previous: Index | None,
) -> None:
    """Write the lexical index; with `previous`, only the notes that changed since.

    A note of `previous` keeps its row, so an unchanged note's document stays right.
    """
    old: dict[str, NoteCard] = {}
    if previous is not None:
        _link_tree(previous.folder / TERMS, folder / TERMS)
        old = {card.id: card for card in previous.cards() if card is not None}
    many = len(cards) >= THREADED_FROM
    writer = TermWriter(folder, threads=os.cpu_count() or 1 if many else 1)
    for row, position in enumerate(plan.notes):
        if position is None:
            continue
        card = cards[position]
        before = old.pop(card.id, None)
        if before is not None:
            if before.digest == card.digest:
                continue
            writer.delete(card.id)
        texts = [chunks[p] for r in card.chunks if (p := plan.chunks.rows[r]) is not None]
        writer.add(row=row, note_id=card.id, fields=_fields(card, texts))
    for note_id in old:
        writer.delete(note_id)
    writer.commit()


def _fields(card: NoteCard, chunks: Sequence[Chunk]) -> dict[Field, list[str]]:
    title = f"{card.title}\n{card.title_zh}\n{' '.join(card.tags)}\n{card.id.replace('-', ' ')}"
    literals = "\n".join(Template.parse(text).literal for text in card.signatures)
    prose = "\n".join((*card.asked, *(f"{chunk.section}\n{chunk.text}" for chunk in chunks)))
    code = "\n".join(dict.fromkeys(chunk.code for chunk in chunks))
    texts = {
        Field.TITLE: title,
        Field.SIGNATURE: literals,
        Field.TEXT: prose,
        Field.CODE: code,
    }
    return {field: document_tokens(text) for field, text in texts.items()}


def _link_tree(source: Path, target: Path) -> None:
    """Tantivy never writes to a segment again: a hard link is as good as a copy."""
    target.mkdir()
    for file in sorted(source.iterdir()):
        if file.suffix in {".json", ".lock"} or file.name.startswith("."):
            shutil.copy2(file, target / file.name)
            continue
        try:
            os.link(file, target / file.name)
        except OSError:
            shutil.copy2(file, target / file.name)
