"""A text to a `Diagnosis`: which exception is the cause, which note explains it, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torchnotes_kb.errors import QueryError
from torchnotes_kb.explain.candidates import Meant, rank_notes, undecided
from torchnotes_kb.explain.cause import by_cause, is_wrapper, nearest_frames
from torchnotes_kb.explain.frames import torch_frames, user_frame
from torchnotes_kb.explain.model import Candidate, Diagnosis
from torchnotes_kb.explain.reasoning import reason_about
from torchnotes_kb.explain.tells import tell
from torchnotes_kb.explain.traceback import Raised, parse
from torchnotes_kb.explain.wordings import wordings
from torchnotes_kb.notes.model import Language, Note
from torchnotes_kb.notes.prose import fill, language_of
from torchnotes_kb.sandbox.model import Frame
from torchnotes_kb.search.model import SearchResult
from torchnotes_kb.search.signatures import SignatureMatch

__all__ = ["Explainer"]

ALTERNATIVES = 3
CONSIDERED = 32
"""Exceptions of a text that are compared with the notes, the likeliest causes first."""


@dataclass(frozen=True)
class Explainer:
    """Explains with what it is given; knows nothing of where notes come from."""

    match: Callable[[str], Sequence[SignatureMatch]]
    """Templates that a message matches, best first."""
    search: Callable[[str], SearchResult]
    """For messages that match none."""
    note: Callable[[str], Note]

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
        found = parse(text)
        ordered = [
            _Case(raised, nearest_frames(raised, found), code)
            for raised in by_cause(found)[:CONSIDERED]
        ]
        first, warned = ordered[0], list[Meant]()
        for case in ordered:
            meant = self._meant(case, text)
            if meant and case.raised.warning and _is_error(first.raised):
                warned += meant[:1]  # it ended the program neither
            elif meant:
                diagnosis = self._diagnosis(case, meant, wanted)
                if case is first or not _is_error(first.raised):
                    return diagnosis
                return diagnosis.model_copy(update={"unexplained": _headline(first.raised)})
        return self._unknown(first, wanted, warned)

    def _meant(self, case: _Case, text: str) -> list[Meant]:
        """The notes that an exception can mean, the likeliest first."""
        raised = case.raised
        for said in (raised.assertion, raised.message, text if is_wrapper(raised) else ""):
            meant = rank_notes(said, self.match(said), case.frames) if said else []
            if meant:
                return meant
        return []

    def _diagnosis(self, case: _Case, found: Sequence[Meant], language: Language) -> Diagnosis:
        best = found[0]
        note = self.note(best.note_id)
        reason = reason_about(case.raised.message, case.frames)
        why, works = _prose(note, "Why", language), _prose(note, "Works", language)
        return case.diagnosis(language).model_copy(
            update={
                "signature": best.template,
                "captured": best.captured,
                "note": note.id,
                "title": note.title_in(language),
                "score": best.score,
                "explanation": reason.explained(language) if reason else fill(why, best.captured),
                "remedy": (reason.mended(language) if reason else "") or fill(works, best.captured),
                "tell": tell(note.id, language) if undecided(found) else "",
                "undecided": undecided(found),
                "alternatives": self._candidates(found[1:], language),
                "wordings": wordings(note, language),
            }
        )

    def _unknown(self, case: _Case, language: Language, warned: Sequence[Meant]) -> Diagnosis:
        """No template matched: what its values, the search and the warnings beside it say."""
        raised = case.raised
        result = self._searched(raised)
        hit = result.hits[0] if result.hits else None
        reason = reason_about(raised.message, case.frames)
        explanation = reason.explained(language) if reason else ""
        remedy = reason.mended(language) if reason else ""
        if hit and not reason:
            note = self.note(hit.note_id)
            explanation = fill(_prose(note, "Why", language) or _prose(note, "Answer", language))
            remedy = fill(_prose(note, "Works", language))
        others = [Candidate(note_id=h.note_id, title=h.title, score=h.score) for h in result.hits]
        near = [Candidate(note_id=n.note_id, title=n.title, score=n.score) for n in result.near]
        return case.diagnosis(language).model_copy(
            update={
                "note": hit.note_id if hit else None,
                "title": hit.title if hit else "",
                "score": hit.score if hit else 0.0,
                "explanation": explanation,
                "remedy": remedy,
                "alternatives": tuple(
                    [*self._candidates(warned, language), *others[1:], *near][:ALTERNATIVES]
                ),
            }
        )

    def _searched(self, raised: Raised) -> SearchResult:
        try:
            said = f"{raised.type}: {raised.message}" if raised.type else raised.message
            return self.search(said)
        except QueryError:  # nothing but paths, numbers or marks
            return SearchResult(query="", language=Language.EN, hits=())

    def _candidates(self, found: Sequence[Meant], language: Language) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(
                note_id=meant.note_id,
                title=self.note(meant.note_id).title_in(language),
                score=meant.score,
                tell=tell(meant.note_id, language),
            )
            for meant in found[:ALTERNATIVES]
        )


@dataclass(frozen=True)
class _Case:
    """One exception of the text, with the frames that show where it happened."""

    raised: Raised
    frames: Sequence[Frame]
    code: str | None

    def diagnosis(self, language: Language) -> Diagnosis:
        """What can be said without any note."""
        return Diagnosis(
            error_type=self.raised.type,
            message=self.raised.message,
            language=language,
            user_frame=_quoted(user_frame(self.frames), self.code),
            torch_frames=torch_frames(self.frames),
        )


def _is_error(raised: Raised) -> bool:
    """Whether a program failed of it: a warning, a report or frames alone are not that."""
    return bool(raised.type) and not raised.warning and not is_wrapper(raised)


def _headline(raised: Raised) -> str:
    first = raised.message.partition("\n")[0]
    return f"{raised.type}: {first}" if first else raised.type


def _prose(note: Note, heading: str, language: Language) -> str:
    for section in note.sections:
        if section.heading == heading:
            return section.text_in(language)
    return ""


def _quoted(frame: Frame | None, code: str | None) -> Frame | None:
    """The frame with its line, taken from the program if the traceback did not print it."""
    if frame is None or frame.source or code is None:
        return frame
    lines = code.splitlines()
    if not 0 < frame.line <= len(lines):
        return frame
    return frame.model_copy(update={"source": lines[frame.line - 1].strip()})
