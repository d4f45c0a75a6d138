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
CLAIM = re.compile(
    r"(?:(?:it|(?:the|this) (?:code|program|snippet))\s+)?(?:(?:should|will|must)\s+)?"
    r"(raise|throw|warn|print|output)s?\b[:\s]*(.*)",
    re.DOTALL | re.IGNORECASE,
)
"""A claim as models write it: with or without a subject and an auxiliary verb."""
NOTHING_RAISED = re.compile(
    r"(?:it\s+|(?:the|this) (?:code|program|snippet)\s+)?(?:should\s+|will\s+|must\s+)?"
    r"(?:(?:(?:runs?|completes?|finish(?:es)?|executes?|raises?|throws?)\s+)?(?:with\s+)?"
    r"(?:no|without(?:\s+an?y?)?)\s+(?:exceptions?|errors?)(?:\s+(?:is|are)\s+(?:raised|thrown))?"
    r"|(?:does not|doesn't|not)\s+(?:raise|throw|fail)(?:\s+an?y?)?(?:\s+(?:exceptions?|errors?))?"
    r"|succeeds?)",
    re.IGNORECASE,
)
RAISED = re.compile(
    r"(?:an?\s+)?(?P<type>[A-Za-z_][\w.]*)"
    r"(?:\s*:\s*(?P<start>.*)|\s*\(\s*(?P<called>[\"'].*[\"'])\s*\)"
    r"|\s+with\s+(?:the\s+)?message:?\s+(?P<said>.+))?",
    re.DOTALL,
)
"""`Type`, `Type: message`, `Type("message")` or `Type with message …`."""
ANY_EXCEPTION = {"exception", "error"}


def judge(example: Example, run: Run, *, note: Note | None = None) -> Verdict:
    """Whether `run` is what `example` promises.

    Args:
        example: What was run.
        run: What happened.
        note: The note it belongs to; what a failing example of an error says must match its
            signatures, and it names the type itself. Without one, a base class counts too, as in
            `except`.
    """
    reason = _refutation(example.expectation, run, exactly=note is not None)
    if reason is None and note is not None and _must_match(note, example):
        reason = _signature_refutation(note, example.expectation, run)
    return PROVEN if reason is None else Verdict(kind=VerdictKind.REFUTED, reason=reason)


def _must_match(note: Note, example: Example) -> bool:
    """Pitfalls of idioms may show the message of an error that has a note of its own."""
    return note.kind is NoteKind.ERROR and example.role is Role.FAILS


def parse_expect(claim: str) -> Expectation:
    """A claim in words as an expectation.

    Args:
        claim: `raises TypeError: …`, `warns UserWarning: …`, `prints …` or `no exception`, or the
            same in the words that models use; quotes around a message or an output are dropped.

    Raises:
        ClaimError: it is none of these.
    """
    text = _unquoted(claim.strip())
    if NOTHING_RAISED.fullmatch(text.rstrip(".")):
        return Expectation()
    found = CLAIM.fullmatch(text)
    if found is None:
        raise ClaimError(claim)
    verb, rest = found[1].lower(), found[2]
    if verb in {"print", "output"}:
        return Expectation(stdout=_unquoted(rest))
    pattern = _pattern(rest)
    if pattern is None:
        raise ClaimError(claim)
    return Expectation(warns=pattern) if verb == "warn" else Expectation(raises=pattern)


def _pattern(text: str) -> str | None:
    """`Type: start of the message`, or None where no type is named."""
    found = RAISED.fullmatch(_unquoted(text.strip()))
    if found is None:
        return None
    kind = "Exception" if found["type"] in ANY_EXCEPTION else found["type"]
    start = found["start"] or found["called"] or found["said"] or ""
    # The message of a KeyError is the repr of its key: there the quotes belong to it.
    start = start.strip() if kind == "KeyError" else _unquoted(start.strip())
    start = start.removesuffix("...").removesuffix("…").rstrip()
    return f"{kind}: {start}" if start else kind


def _unquoted(text: str) -> str:
    """Without the quotes around all of it, which mark the text and are not part of it."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "`\"'"
    return text[1:-1] if quoted and text[0] not in text[1:-1] else text


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


def _refutation(expectation: Expectation, run: Run, *, exactly: bool) -> str | None:
    """Why the run is not what was expected, or None."""
    if expectation.raises is not None:
        return _raises_refutation(expectation.raises, run, exactly=exactly)
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


def _raises_refutation(raises: str, run: Run, *, exactly: bool) -> str | None:
    raised = run.exception
    if run.outcome not in (Outcome.RAISED, Outcome.OUT_OF_MEMORY) or raised is None:
        return "ran to its end and raised nothing" if run.outcome is Outcome.OK else describe(run)
    bases = () if exactly else raised.bases
    if matches(raises, names=[raised.type, *bases], message=raised.message):
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
