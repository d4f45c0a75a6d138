"""What the server asks of a knowledge base: `kb.KnowledgeBase`, or a test's fake."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Protocol

from torchnotes_kb.config import Limits
from torchnotes_kb.explain.model import Diagnosis
from torchnotes_kb.notes.model import Language, Note, NoteKind
from torchnotes_kb.notes.proof import Proof
from torchnotes_kb.search.model import SearchResult
from torchnotes_kb.verify.model import Result

__all__ = ["Knowledge"]


class Knowledge(Protocol):
    """The verbs of the product. Every method blocks and may be called from any thread."""

    def search(
        self,
        query: str,
        *,
        kind: NoteKind | None = None,
        tags: Sequence[str] = (),
        language: Language | None = None,
        torch: str | None = None,
        limit: int = 5,
    ) -> SearchResult:
        """The notes that answer a question."""

    def explain(
        self, text: str, *, code: str | None = None, language: Language | None = None
    ) -> Diagnosis:
        """What a traceback or message means."""

    def note(self, note_id: str) -> Note:
        """One note; `NoteNotFoundError` names near ids."""

    def note_ids(self) -> tuple[str, ...]:
        """The ids of all notes."""

    def notes(self) -> tuple[Note, ...]:
        """All notes."""

    def proofs(self, note_id: str) -> tuple[Proof, ...]:
        """The last proofs of a note's examples."""

    def verify_snippet(
        self,
        code: str,
        *,
        expect: str | None = None,
        runtime: str | None = None,
        limits: Limits | None = None,
        cancelled: Event | None = None,
    ) -> Result:
        """Run code in the sandbox and judge the claim about it."""

    def sandbox_restarts(self) -> int:
        """How many workers had to be started in place of one that ended."""

    def warm(self) -> None:
        """Start the sandbox's worker in the background."""

    def close(self) -> None:
        """End every process that was started."""
