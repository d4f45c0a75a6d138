"""What a verification returns: one result per example."""

from __future__ import annotations

from torchnotes_kb.notes.proof import Verdict
from torchnotes_kb.sandbox.model import Run
from torchnotes_kb.values import Frozen

__all__ = ["Result"]


class Result(Frozen):
    """One example, verified now."""

    note_id: str | None = None
    file: str | None = None
    example: int
    """Line of the example's fence (1 for a plain file)."""
    verdict: Verdict
    run: Run | None = None
    """None when it was skipped."""
