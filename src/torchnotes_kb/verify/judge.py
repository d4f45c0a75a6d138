"""Expectation and run to verdict. Pure: nothing is executed here."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torchnotes_kb.errors import ClaimError
from torchnotes_kb.notes.model import Example, Expectation, Note, NoteKind, Role
from torchnotes_kb.notes.proof import Verdict, VerdictKind
from torchnotes_kb.notes.template import Template
from torchnotes_kb.sandbox.model import Outcome, RaisedException, Run

__all__ = ["judge", "matches", "parse_expect"]

PROVEN = Verdict(kind=VerdictKind.PROVEN)
MAX_QUOTE = 300
"""Characters of a message that a reason quotes; the run carries all of it."""
CLAIM = re.compile(r"\s*(raises|warns|prints|no exception)\b[:\s]*(.*)", re.DOTALL | re.IGNORECASE)


def judge(example: Example, run: Run, *, note: Note | None = None) -> Verdict:
    """Whether `run` is what `example` promises.

    Args:
        example: What was run.
        run: What happened.
        note: The note it belongs to; what a failing example of an error says must match its
            signatures.
    """
    reason = _refutation(example.expectation, run)
    if reason is None and note is not None and _must_match(note, example):
        reason = _signature_refutation(note, example.expectation, run)
    return PROVEN if reason is None else Verdict(kind=VerdictKind.REFUTED, reason=reason)


def _must_match(note: Note, example: Example) -> bool:
    """Pitfalls of idioms may show the message of an error that has a note of its own."""
    return note.kind is NoteKind.ERROR and example.role is Role.FAILS


def parse_expect(claim: str) -> Expectation:
    """A claim in words as an expectation.

    Args:
        claim: `raises TypeError: …`, `warns UserWarning: …`, `prints …` or `no exception`.

    Raises:
        ClaimError: it is none of these.
    """
    found = CLAIM.fullmatch(claim)
    if found is None:
        raise ClaimError(claim)
    verb, rest = found[1].lower(), found[2]
    if verb == "prints":
        return Expectation(stdout=rest)
    if verb == "no exception":
        return Expectation()
    if not re.match(r"[A-Za-z_][\w.]*\s*(:|$)", rest):
        raise ClaimError(claim)
    return Expectation(raises=rest) if verb == "raises" else Expectation(warns=rest)


def matches(pattern: str, *, names: Iterable[str], message: str) -> bool:
    """Whether `Type: start` or `Type: /regex/` speaks of this exception or warning.

    Args:
        pattern: As in a fence's `raises=` or `warns=`.
        names: Names the type goes by, qualified or not.
        message: Its message; runs of whitespace count as one space.
    """
    kind, _, start = pattern.partition(":")
    wanted = kind.strip()
    if not any(name == wanted or name.rpartition(".")[2] == wanted for name in names):
        return False
    start = start.strip()
    if len(start) > 1 and start[0] == start[-1] == "/":
        return re.search(start[1:-1], message) is not None
    return " ".join(message.split()).startswith(" ".join(start.split()))


def _refutation(expectation: Expectation, run: Run) -> str | None:
    """Why the run is not what was expected, or None."""
    if expectation.raises is not None:
        return _raises_refutation(expectation.raises, run)
    if run.outcome is not Outcome.OK:
        return describe(run)
    if expectation.warns is not None and not any(
        matches(expectation.warns, names=[warning.category], message=warning.message)
        for warning in run.warnings
    ):
        seen = "; ".join(f"{warning.category}: {warning.message}" for warning in run.warnings)
        return f"did not warn as expected ({_quote(seen) or 'no warning at all'})"
    if expectation.stdout is not None and run.stdout.rstrip() != expectation.stdout.rstrip():
        return f"printed {_quote(run.stdout.rstrip()) or 'nothing'}"
    return None


def _raises_refutation(raises: str, run: Run) -> str | None:
    raised = run.exception
    if run.outcome not in (Outcome.RAISED, Outcome.OUT_OF_MEMORY) or raised is None:
        return "ran to its end and raised nothing" if run.outcome is Outcome.OK else describe(run)
    if matches(raises, names=[raised.type], message=raised.message):
        return None
    return describe(run)


def _signature_refutation(note: Note, expectation: Expectation, run: Run) -> str | None:
    if not note.signatures or expectation.wrong:
        return None
    said = [run.exception.message] if run.exception else [w.message for w in run.warnings]
    try:
        templates = [Template.parse(text) for text in note.signatures]
    except ValueError as error:
        return f"a signature of the note is broken: {error}"
    if any(template.search(message) is not None for message in said for template in templates):
        return None
    return "no signature of the note matches the message"


def describe(run: Run) -> str:
    """How a run ended, in a few words with the numbers that matter."""
    return {
        Outcome.OK: "ran to its end",
        Outcome.RAISED: f"raised {_describe_exception(run.exception)}",
        Outcome.EXITED: f"exited with status {run.exit_code}",
        Outcome.SIGNALLED: f"was ended by {run.signal}",
        Outcome.TIMED_OUT: f"was stopped after {run.duration_ms / 1000:.1f} s",
        Outcome.OUT_OF_MEMORY: f"was stopped at its memory limit ({run.peak_mib or 0:.0f} MiB)",
        Outcome.OUTPUT_LIMIT: "was stopped at its output limit",
    }[run.outcome]


def _describe_exception(raised: RaisedException | None) -> str:
    return f"{raised.type}: {_quote(raised.message)}" if raised else "an exception"


def _quote(text: str) -> str:
    return text if len(text) <= MAX_QUOTE else text[: MAX_QUOTE - 1] + "…"
