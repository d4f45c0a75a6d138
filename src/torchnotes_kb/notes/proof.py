"""What has been proven of a note's examples: verdicts and their record. Proving is in `verify`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from torchnotes_kb.values import Frozen

__all__ = ["Proof", "Verdict", "VerdictKind"]


class VerdictKind(StrEnum):
    """Whether an example does what it claims."""

    PROVEN = "proven"
    REFUTED = "refuted"
    SKIPPED = "skipped"
    """Nothing was run; counted as unproven, never as proven."""


class Verdict(Frozen):
    """One example's verdict. `reason` is empty only for `proven`."""

    kind: VerdictKind
    reason: str = ""


class Proof(Frozen):
    """The last verdict on one example in one runtime. What the ledger keeps."""

    note_id: str
    line: int
    """Of the example's fence in the note's file."""
    example: str
    """`Example.sha256` of what was run."""
    verdict: Verdict
    torch: str
    python: str
    platform: str
    duration_ms: float | None = None
    when: datetime
    stale: bool = False
    """The example or the runtime's versions have changed since."""
