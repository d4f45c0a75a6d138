"""The structured content of every tool: their fields are the tools' output schemas.

Hosts show a model either this or the text, never reliably both, so each is complete on its own.
Absent is an empty string or list, never null: `anyOf null` becomes `unknown` in many clients.
"""

from __future__ import annotations

from pydantic import ConfigDict, Field

from torchnotes_kb.notes.model import Language, NoteKind
from torchnotes_kb.notes.proof import VerdictKind
from torchnotes_kb.values import Frozen

__all__ = [
    "Answer",
    "DiagnosisAnswer",
    "ExceptionAnswer",
    "FrameAnswer",
    "HitAnswer",
    "NearAnswer",
    "NoteAnswer",
    "ProofCount",
    "SearchAnswer",
    "SiteAnswer",
    "Topic",
    "TopicsAnswer",
    "VerifyAnswer",
]


class Answer(Frozen):
    """Base: the string under a field is its description in the schema."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class ProofCount(Answer):
    """What running a note's examples has shown."""

    proven: int = 0
    """Examples that did what they claim, in their present form."""
    refuted: int = 0
    skipped: int = 0
    """Not run, with a reason (needs CUDA, a fragment)."""
    stale: int = 0
    """Proven before the example or the runtime last changed."""
    torch: tuple[str, ...] = ()
    """Versions of torch that ran them."""
    when: str = ""
    """Day of the latest run, YYYY-MM-DD."""


class HitAnswer(Answer):
    """One note that answers."""

    note_id: str
    """Pass it to get_note."""
    title: str
    kind: NoteKind
    section: str
    snippet: str
    score: float
    """Probability that this note answers, calibrated: 0.9 is right nine times in ten."""
    found_by: tuple[str, ...]
    """Signals that found it, with their ranks."""
    proof: ProofCount


class NearAnswer(Answer):
    """A note that could be meant but is not believed to answer."""

    note_id: str
    title: str
    score: float
    tell: str = ""
    """What to look for to know that it is this one."""


class SearchAnswer(Answer):
    """Notes that answer a question, best first."""

    query: str
    language: Language
    hits: tuple[HitAnswer, ...]
    """Empty: no note covers the question."""
    near: tuple[NearAnswer, ...] = ()
    """Nearest notes when there are no hits; not answers."""
    left_out: tuple[str, ...] = ()
    """What did not fit, and how to get it."""


class NoteAnswer(Answer):
    """One note."""

    note_id: str
    kind: NoteKind
    title: str
    language: Language
    torch: str
    """Versions of torch the note speaks of; empty: all."""
    markdown: str
    """The note, each example with what running it has shown."""
    proof: ProofCount
    left_out: tuple[str, ...] = ()
    """What did not fit, and how to get it."""


class FrameAnswer(Answer):
    """A line of the user's own code."""

    file: str
    line: int
    function: str
    source: str = ""


class SiteAnswer(Answer):
    """Where torch raises a message that no note lists."""

    file: str
    line: int
    function: str
    condition: str


class DiagnosisAnswer(Answer):
    """What went wrong, where, and what to change."""

    found: bool
    """Whether a note explains it."""
    error_type: str
    message: str
    note_id: str = ""
    """The note that explains it; pass it to get_note."""
    title: str = ""
    score: float = 0.0
    """Probability that this is the right note."""
    by_message: bool = False
    """Whether the note lists this message; if not, search proposes the note by its words."""
    unexplained: str = ""
    """A later error of the text that no note explains; this one came before it."""
    undecided: bool = False
    """Another note lists the same message, and nothing in the text tells which is meant."""
    tell: str = ""
    """Where undecided: what to look for to know that it is this note."""
    language: Language
    explanation: str = ""
    remedy: str = ""
    """What to change."""
    captured: dict[str, str] = Field(default_factory=dict)
    """Values pulled out of the message."""
    user_frame: tuple[FrameAnswer, ...] = ()
    """The last frame outside installed packages; none when the text has no traceback."""
    torch_frames: int = 0
    """Frames of torch that were folded."""
    alternatives: tuple[NearAnswer, ...] = ()
    """Other causes, and what tells them apart."""
    site: tuple[SiteAnswer, ...] = ()
    """Where the installed torch raises it, when no note lists it."""
    wordings: tuple[str, ...] = ()
    """Which releases of torch word the message how, in the note's own sentences."""
    proof: ProofCount = ProofCount()
    left_out: tuple[str, ...] = ()
    """What did not fit, and how to get it."""


class ExceptionAnswer(Answer):
    """The exception that ended the run."""

    type: str
    message: str
    traceback: str


class VerifyAnswer(Answer):
    """What happened when the code ran, and whether the claim holds."""

    verdict: VerdictKind
    """proven: the claim holds (no claim: it ran to its end); refuted: it does not."""
    claim: str
    reason: str = ""
    """Why it is refuted or was skipped."""
    outcome: str = ""
    """How the run ended: ok, raised, exited, timed_out, out_of_memory, …; empty: nothing ran."""
    exception: tuple[ExceptionAnswer, ...] = ()
    """The exception that ended it, if one did."""
    stdout: str = ""
    stderr: str = ""
    warnings: tuple[str, ...] = ()
    duration_ms: float = 0.0
    peak_mib: float = 0.0
    """Peak memory of the run; 0: not measured."""
    torch: str = ""
    python: str = ""
    platform: str = ""
    isolation: str = ""
    """How the run was isolated."""
    diagnosis: tuple[DiagnosisAnswer, ...] = ()
    """What the exception means."""
    left_out: tuple[str, ...] = ()
    """What did not fit, and how to get it."""


class Topic(Answer):
    """A tag."""

    tag: str
    """Pass it to search_notes as one of `tags`."""
    notes: int
    examples: tuple[str, ...]
    """Ids of some of its notes."""


class TopicsAnswer(Answer):
    """What the notes are about."""

    notes: int
    errors: int
    """Notes of kind error: one cause of one message."""
    idioms: int
    """Notes of kind idiom: how to do a thing."""
    pages: int
    """Sections of the user's own Markdown."""
    proof: ProofCount
    topics: tuple[Topic, ...]
    """Largest first."""
    left_out: tuple[str, ...] = ()
    """What did not fit, and how to get it."""
