"""What a note's failing examples say in one runtime, beside the message that was explained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from torchnotes_kb.explain.model import Reproduction, ReproductionKind
from torchnotes_kb.notes.model import Note, Role
from torchnotes_kb.sandbox.model import Outcome, Run
from torchnotes_kb.search.signatures import SignatureMatch
from torchnotes_kb.verify.model import Result

__all__ = ["reproduce"]

Match = Callable[[str], Sequence[SignatureMatch]]
MAX_SAID = 400
"""Characters of a message that are quoted."""


def reproduce(
    note: Note, signature: str | None, results: Iterable[Result], match: Match
) -> Reproduction | None:
    """What the failing examples say here, or None where the note has none that says anything.

    Args:
        note: The note that explains the message.
        signature: The template that the message matched; None: the note was found otherwise, and
            any of its wordings will do.
        results: Of the note's examples, just run.
        match: Templates that a text matches, best first.
    """
    speaking = {
        example.line
        for example in note.examples
        if example.role is Role.FAILS and (example.expectation.raises or example.expectation.warns)
    }
    found = [_one(note, signature, r, match) for r in results if r.example in speaking]
    return min(found, key=lambda one: list(ReproductionKind).index(one.kind), default=None)


def _one(note: Note, signature: str | None, result: Result, match: Match) -> Reproduction:
    run = result.run
    if run is None:
        skipped = ReproductionKind.SKIPPED
        return Reproduction(kind=skipped, example=result.example, reason=result.verdict.reason)
    said = {text: _templates(note, text, match) for text in _said(run)}
    for text, templates in said.items():
        if signature in templates or (signature is None and templates):
            return _ran(ReproductionKind.SAME, result.example, run, text)
    for text, templates in said.items():
        if templates:
            return _ran(ReproductionKind.REWORDED, result.example, run, text)
    if run.exception is not None:
        return _ran(ReproductionKind.OTHER, result.example, run, next(iter(said)))
    if run.outcome is Outcome.OK:
        return _ran(ReproductionKind.PASSES, result.example, run, "")
    return _ran(ReproductionKind.CUT, result.example, run, "", reason=run.outcome.value)


def _templates(note: Note, text: str, match: Match) -> set[str]:
    return {found.template for found in match(text) if found.note_id == note.id and found.exact}


def _said(run: Run) -> Iterator[str]:
    """What the run complained of, the exception first."""
    if run.exception is not None:
        yield f"{run.exception.type}: {run.exception.message}"
    for warned in run.warnings:
        yield f"{warned.category}: {warned.message}"


def _ran(
    kind: ReproductionKind, example: int, run: Run, said: str, *, reason: str = ""
) -> Reproduction:
    return Reproduction(
        kind=kind, example=example, said=said[:MAX_SAID], reason=reason, torch=run.torch
    )
