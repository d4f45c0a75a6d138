"""What a search returns."""

from __future__ import annotations

from pydantic import Field

from torchnotes_kb.notes.model import Language, NoteKind
from torchnotes_kb.notes.proof import Proof
from torchnotes_kb.values import Frozen

__all__ = ["Hit", "Near", "SearchResult", "Why"]


class Why(Frozen):
    """Which signals found a hit, each with its rank (1 is best); None: it did not."""

    signature: int | None = None
    exact: bool = False
    """A template matched the whole message."""
    lexical: int | None = None
    dense: int | None = None


class Hit(Frozen):
    """One note that answers, represented by its best chunk."""

    note_id: str
    chunk_id: str
    kind: NoteKind
    title: str
    section: str
    snippet: str
    score: float = Field(ge=0, le=1)
    """Probability that the note answers, calibrated on held-out evaluation queries."""
    why: Why
    examples: tuple[str, ...] = Field(default=(), exclude=True)
    """`Example.sha256` of the note's examples: keys of the ledger."""
    proof: tuple[Proof, ...] = ()
    """The last proofs of the note's examples."""


class Near(Frozen):
    """A note that is nearest but not believed to answer."""

    note_id: str
    title: str
    score: float


class SearchResult(Frozen):
    """Hits, best first. Empty `hits`: nothing matches; `near` are the nearest titles, as such."""

    query: str
    language: Language
    """Of the answers: the question's own unless asked otherwise."""
    hits: tuple[Hit, ...]
    near: tuple[Near, ...] = ()
