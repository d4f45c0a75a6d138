"""A text to a `Diagnosis`: which exception is the cause, which note explains it, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torchnotes_kb.errors import QueryError
from torchnotes_kb.explain.model import Candidate, Diagnosis, RaiseSite
from torchnotes_kb.explain.reasoning import reason_about
from torchnotes_kb.explain.tells import tell, weigh
from torchnotes_kb.explain.traceback import Link, Raised, parse, torch_frames, user_frame
from torchnotes_kb.explain.wordings import wordings
from torchnotes_kb.notes.model import Language, Note
from torchnotes_kb.notes.prose import fill, language_of
from torchnotes_kb.sandbox.model import Frame
from torchnotes_kb.search.model import SearchResult
from torchnotes_kb.search.signatures import SignatureMatch

__all__ = ["Explainer"]

WRAPPERS = {"ChildFailedError", "CalledProcessError", "ProcessRaisedException", "SpawnException"}
"""They say that another process failed; what it said itself is the cause."""
ALTERNATIVES = 3
NEAR_FROM = 0.75
"""Score from which a near match of a template names the note: below, other messages of the same
family match too."""


@dataclass(frozen=True)
class Explainer:
    """Explains with what it is given; knows nothing of where notes come from."""

    match: Callable[[str], Sequence[SignatureMatch]]
    """Templates that a message matches, best first."""
    search: Callable[[str], SearchResult]
    """For messages that match none."""
    note: Callable[[str], Note]
    site: Callable[[str], RaiseSite | None] = lambda _: None
    """Where the runtime's torch raises a message that no note covers."""

    def explain(
        self, text: str, *, code: str | None = None, language: Language | None = None
    ) -> Diagnosis:
        """Explain the root cause that a text tells of.

        Args:
            text: A traceback, a log, or a message alone.
            code: The program that failed, to quote the line from.
            language: Of the answer; None: Chinese if the text speaks it, else English.

        Raises:
            QueryError: the text is empty.
        """
        if not text.strip():
            raise QueryError("nothing to explain: give a message or a traceback")
        wanted = language or language_of(text)
        ordered = by_cause(parse(text))
        for raised in ordered:
            found = self._matches(raised)
            if found:
                return self._diagnosis(raised, found, code, wanted)
        return self._unknown(ordered[0], code, wanted)

    def _matches(self, raised: Raised) -> list[SignatureMatch]:
        """What the message matches, the traceback deciding between notes that share it."""
        if not raised.message:
            return []
        sure = [m for m in self.match(raised.message) if m.exact or m.score >= NEAR_FROM]
        best: dict[str, SignatureMatch] = {}
        for match in sure:
            best.setdefault(match.note_id, match)
        return sorted(
            best.values(),
            key=lambda m: (not m.exact, -weigh(m.note_id, raised.frames), -m.score),
        )

    def _diagnosis(
        self, raised: Raised, found: Sequence[SignatureMatch], code: str | None, language: Language
    ) -> Diagnosis:
        best = found[0]
        note = self.note(best.note_id)
        reason = reason_about(raised.message, raised.frames)
        captured = dict(best.captured)
        why, works = _prose(note, "Why", language), _prose(note, "Works", language)
        return Diagnosis(
            error_type=raised.type,
            message=raised.message,
            signature=best.template,
            captured=captured,
            note=note.id,
            title=note.title_in(language),
            score=best.score,
            language=language,
            explanation=reason.explained(language) if reason else fill(why, captured),
            remedy=(reason.mended(language) if reason else "") or fill(works, captured),
            user_frame=_quoted(user_frame(raised.frames), code),
            torch_frames=torch_frames(raised.frames),
            alternatives=self._candidates(found[1:], language),
            wordings=wordings(note, language),
        )

    def _unknown(self, raised: Raised, code: str | None, language: Language) -> Diagnosis:
        """No template matched: the search may still know it, and if not, torch's own sources."""
        result = self.search(f"{raised.type}: {raised.message}" if raised.type else raised.message)
        hit = result.hits[0] if result.hits else None
        reason = reason_about(raised.message, raised.frames)
        explanation = reason.explained(language) if reason else ""
        remedy = reason.mended(language) if reason else ""
        if hit and not reason:
            note = self.note(hit.note_id)
            explanation = fill(_prose(note, "Why", language) or _prose(note, "Answer", language))
            remedy = fill(_prose(note, "Works", language))
        near = result.hits[1:] if hit else ()
        others = [Candidate(note_id=h.note_id, title=h.title, score=h.score) for h in near]
        others += [Candidate(note_id=n.note_id, title=n.title, score=n.score) for n in result.near]
        return Diagnosis(
            error_type=raised.type,
            message=raised.message,
            note=hit.note_id if hit else None,
            title=hit.title if hit else "",
            score=hit.score if hit else 0.0,
            language=language,
            explanation=explanation,
            remedy=remedy,
            user_frame=_quoted(user_frame(raised.frames), code),
            torch_frames=torch_frames(raised.frames),
            alternatives=tuple(others[:ALTERNATIVES]),
            site=None if hit or reason else self.site(raised.message),
        )

    def _candidates(
        self, found: Sequence[SignatureMatch], language: Language
    ) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(
                note_id=match.note_id,
                title=self.note(match.note_id).title_in(language),
                score=match.score,
                tell=tell(match.note_id, language),
            )
            for match in found[:ALTERNATIVES]
        )


def by_cause(found: Sequence[Raised]) -> list[Raised]:
    """The exceptions of a text, the likeliest root cause first.

    The last error decides; where it was raised from another ("direct cause") that one is the root,
    and a traceback printed inside a message is nearer to the cause than the message. Errors that
    only report another process come after all others, warnings last.
    """
    errors = [raised for raised in found if not raised.warning]
    own = [raised for raised in errors if raised.type.rpartition(".")[2] not in WRAPPERS]
    ordered: list[Raised] = []
    if own:
        at = len(own) - 1
        originals = [n for n, raised in enumerate(own) if raised.link is Link.ORIGINAL]
        if originals:
            at = originals[-1]
        while own[at].link is Link.CAUSE and at > 0:
            at -= 1
        ordered.append(own[at])
    ordered += [raised for raised in reversed(own) if raised not in ordered]
    ordered += [raised for raised in errors if raised not in ordered]
    return ordered + [raised for raised in found if raised.warning]


def _prose(note: Note, heading: str, language: Language) -> str:
    for section in note.sections:
        if section.heading == heading:
            chinese = language is Language.ZH
            return (section.text_zh or section.text) if chinese else section.text or section.text_zh
    return ""


def _quoted(frame: Frame | None, code: str | None) -> Frame | None:
    """The frame with its line, taken from the program if the traceback did not print it."""
    if frame is None or frame.source or code is None:
        return frame
    lines = code.splitlines()
    if not 0 < frame.line <= len(lines):
        return frame
    return frame.model_copy(update={"source": lines[frame.line - 1].strip()})
