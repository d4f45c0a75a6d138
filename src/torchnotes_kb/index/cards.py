"""A note as an answer needs it: what is shown and filtered on, without the notes' Markdown."""

from __future__ import annotations

from typing import Self

from torchnotes_kb.notes.model import Language, Note, NoteKind
from torchnotes_kb.values import Frozen

__all__ = ["NoteCard"]


class NoteCard(Frozen):
    """One note of the index."""

    id: str
    kind: NoteKind
    title: str
    title_zh: str
    signatures: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    torch: str = ""
    platforms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    see_also: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    """`Example.sha256` of its examples, in order: the keys of the ledger of proofs."""
    digest: str = ""
    """Of everything that is searched of the note."""
    chunks: tuple[int, ...] = ()
    """Rows of its chunks."""

    @classmethod
    def from_note(cls, note: Note, *, chunks: tuple[int, ...], digest: str) -> Self:
        """The card of a note whose chunks stand in these rows."""
        same = (
            "id",
            "kind",
            "title",
            "title_zh",
            "signatures",
            "asked",
            "torch",
            "platforms",
            "tags",
        )
        return cls(
            **{name: getattr(note, name) for name in same},
            see_also=note.see_also,
            examples=tuple(example.sha256 for example in note.examples),
            digest=digest,
            chunks=chunks,
        )

    def title_in(self, language: Language) -> str:
        """The title in `language`, or in the other one where that is missing."""
        first, second = (
            (self.title_zh, self.title) if language is Language.ZH else (self.title, self.title_zh)
        )
        return first or second
