"""What an explanation says."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from torchnotes_kb.notes.model import Language
from torchnotes_kb.notes.proof import Proof
from torchnotes_kb.sandbox.model import Frame
from torchnotes_kb.values import Frozen

__all__ = ["Candidate", "Diagnosis", "RaiseSite", "Reproduction", "ReproductionKind"]


class Candidate(Frozen):
    """Another note that could be meant, and what would tell it apart."""

    note_id: str
    title: str
    score: float = Field(ge=0, le=1)
    tell: str = ""
    """What to look for to know that it is this one."""


class RaiseSite(Frozen):
    """Where the installed torch raises a message that no note covers."""

    file: str
    line: int
    function: str
    condition: str
    """Source of the `if` around the `raise`; empty when there is none."""


class ReproductionKind(StrEnum):
    """How near a runtime comes to the message, the nearest first.

    Where a note shows several failures, the first of these that one of them reaches counts.
    """

    SAME = "same"
    SKIPPED = "skipped"
    """Not run, as the runtime lacks what it needs: nothing is known, whatever the others say."""
    REWORDED = "reworded"
    """It fails with another of the note's wordings."""
    OTHER = "other"
    """It fails with something that the note does not know."""
    PASSES = "passes"
    """It runs to its end and no longer fails."""
    CUT = "cut"
    """It ended without saying anything: killed, out of time or memory, or left early."""


class Reproduction(Frozen):
    """What the note's failing example did in the reader's runtime just now."""

    kind: ReproductionKind
    example: int
    """Line of its fence in the note's file."""
    said: str = ""
    """Type and message, for `same`, `reworded` and `other`."""
    reason: str = ""
    """Why it was skipped or cut."""
    torch: str = ""
    """Version that ran it; empty when skipped."""


class Diagnosis(Frozen):
    """What went wrong, where, and what to change."""

    error_type: str
    """Empty when the text names none."""
    message: str
    signature: str | None = None
    """The template of the note that the message matched."""
    captured: dict[str, str] = Field(default_factory=dict)
    """Values pulled out of the message, by the template's names."""
    note: str | None = None
    """Id of the note that explains it; None: no note does."""
    title: str = ""
    score: float = Field(default=0.0, ge=0, le=1)
    language: Language
    explanation: str = ""
    """In the reader's own values."""
    remedy: str = ""
    """What to change, as prose or code, in the reader's own values."""
    user_frame: Frame | None = None
    """The last frame outside installed packages."""
    torch_frames: int = 0
    """How many frames of torch were folded."""
    unexplained: str = ""
    """A later error of the text that no note explains; this one came before it."""
    undecided: bool = False
    """Another note has the same message, and nothing in the text tells which is meant."""
    tell: str = ""
    """Where undecided: what to look for to know that it is this note."""
    alternatives: tuple[Candidate, ...] = ()
    site: RaiseSite | None = None
    proof: tuple[Proof, ...] = ()
    reproduction: Reproduction | None = None
    """What the failing example says here; only where it was asked for."""
    wordings: tuple[str, ...] = ()
    """The note's own sentences on which versions word it how."""
