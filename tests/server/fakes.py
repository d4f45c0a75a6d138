"""A knowledge base with two notes and no processes, for tests of what is around it."""
# ruff: noqa: D102 - the methods are those of `Knowledge`

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import NoteNotFoundError, QueryError, SandboxUnavailableError
from torchnotes_kb.explain.model import Candidate, Diagnosis
from torchnotes_kb.notes.model import (
    Example,
    Expectation,
    Language,
    Note,
    NoteKind,
    Prose,
    Role,
    Section,
)
from torchnotes_kb.notes.proof import Proof, Verdict, VerdictKind
from torchnotes_kb.sandbox.model import Frame, Outcome, RaisedException, Run
from torchnotes_kb.search.model import Hit, Near, SearchResult, Why
from torchnotes_kb.verify.model import Result

FAILS = Example(
    role=Role.FAILS,
    code='raise ValueError("size 2 is smaller than 3")',
    expectation=Expectation(raises="ValueError: size 2 is smaller than 3"),
    line=20,
)
WORKS = Example(role=Role.WORKS, code="assert 3 == 1 + 2", line=30)


def said(english: str, chinese: str) -> tuple[Prose, ...]:
    """One paragraph in both languages."""
    return (
        Prose(language=Language.EN, text=english),
        Prose(language=Language.ZH, text=chinese),
    )


NOTE = Note(
    id="too-small",
    kind=NoteKind.ERROR,
    title="The matrix is too small",
    title_zh="矩阵太小",
    signatures=("size {found:d} is smaller than {expected:d}",),
    torch=">=2.0",
    tags=("shapes", "linear"),
    see_also=("too-large",),
    sources=("https://docs.pytorch.org/docs/stable/tensors.html",),
    sections=(
        Section(
            heading="Symptom", blocks=said("Something <b>is</b> too small.", "太小。"), line=10
        ),
        Section(heading="Fails", blocks=(FAILS,), line=18),
        Section(
            heading="Why",
            blocks=said("It has {{found|fewer}} rows.", "它只有 {{found|更少的}} 行。"),
            line=24,
        ),
        Section(heading="Works", blocks=(WORKS,), line=28),
        Section(heading="Also", blocks=said("Also " * 400, "另外" * 400), line=40),
    ),
    path=Path("too-small.md"),
)
LARGE = Note(
    id="too-large",
    kind=NoteKind.IDIOM,
    title="The matrix is too large",
    title_zh="矩阵太大",
    tags=("shapes",),
    sections=(Section(heading="Question", blocks=said("Why?", "为什么？"), line=8),),
    path=Path("too-large.md"),
)


def proof_of(example: Example, *, stale: bool = False) -> Proof:
    return Proof(
        note_id="too-small",
        line=example.line,
        example=example.sha256,
        verdict=Verdict(kind=VerdictKind.PROVEN),
        torch="2.13.0",
        python="3.11.7",
        platform="linux-x86_64",
        duration_ms=12.0,
        when=datetime(2026, 11, 20, 12, tzinfo=UTC),
        stale=stale,
    )


PROOFS = (proof_of(FAILS), proof_of(WORKS))
HIT = Hit(
    note_id="too-small",
    chunk_id="too-small#symptom@en",
    kind=NoteKind.ERROR,
    title="The matrix is too small",
    section="Symptom",
    snippet="Something is too small.",
    score=0.93,
    why=Why(signature=1, exact=True, lexical=1, dense=2),
    proof=PROOFS,
)


def ran(outcome: Outcome = Outcome.OK, **facts: object) -> Run:
    """A run with the facts that a test speaks of."""
    values: dict[str, object] = {
        "outcome": outcome,
        "duration_ms": 12.0,
        "peak_mib": 200.0,
        "torch": "2.13.0",
        "python": "3.11.7",
        "platform": "linux-x86_64",
        "isolation": "namespaces",
    }
    return Run.model_validate(values | facts)


TRACEBACK = """\
Traceback (most recent call last):
  File "snippet.py", line 1, in <module>
    raise ValueError("size 2 is smaller than 3")
ValueError: size 2 is smaller than 3"""
RAISED = ran(
    Outcome.RAISED,
    exception=RaisedException(
        type="ValueError", message="size 2 is smaller than 3", traceback=TRACEBACK
    ),
)


class FakeKnowledge:
    """Answers at once. Snippets that contain `wait` run until they are cancelled or released."""

    def __init__(self) -> None:
        self.warmed = Event()
        self.closed = Event()
        self.release = Event()
        self.killed: list[str] = []
        self.started: list[str] = []
        self.seen: list[dict[str, object]] = []
        self.sandbox = True

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
        self.seen.append({"kind": kind, "tags": tags, "torch": torch, "limit": limit})
        if not query.strip():
            raise QueryError("the query is empty: ask something")
        found = language or Language.EN
        if "bread" in query:
            near = (Near(note_id="too-small", title=NOTE.title, score=0.1),)
            return SearchResult(query=query, language=found, hits=(), near=near)
        more = tuple(
            HIT.model_copy(update={"note_id": f"note-{number}", "snippet": "long text " * 60})
            for number in range(limit - 1)
        )
        return SearchResult(query=query, language=found, hits=(HIT, *more))

    def explain(
        self, text: str, *, code: str | None = None, language: Language | None = None
    ) -> Diagnosis:
        del code
        if "size" not in text:
            return Diagnosis(error_type="", message="", language=language or Language.EN)
        return Diagnosis(
            error_type="ValueError",
            message="size 2 is smaller than 3",
            signature="size {found:d} is smaller than {expected:d}",
            captured={"found": "2", "expected": "3"},
            note="too-small",
            title=NOTE.title,
            score=0.97,
            language=language or Language.EN,
            explanation="It has 2 rows, not 3.",
            remedy="Use 3 rows.",
            user_frame=Frame(file="train.py", line=7, function="main", source="f(x)"),
            torch_frames=4,
            alternatives=(
                Candidate(note_id="too-large", title=LARGE.title, score=0.2, tell="it is large"),
            ),
            proof=PROOFS,
        )

    def note(self, note_id: str) -> Note:
        for note in self.notes():
            if note.id == note_id:
                return note
        raise NoteNotFoundError(note_id, near=("too-small",) if "small" in note_id else ())

    def note_ids(self) -> tuple[str, ...]:
        return tuple(note.id for note in self.notes())

    def notes(self) -> tuple[Note, ...]:
        return (NOTE, LARGE)

    def proofs(self, note_id: str) -> tuple[Proof, ...]:
        return PROOFS if note_id == "too-small" else ()

    def verify_snippet(
        self,
        code: str,
        *,
        expect: str | None = None,
        runtime: str | None = None,
        limits: Limits | None = None,
        cancelled: Event | None = None,
    ) -> Result:
        self.started.append(code)
        self.seen.append({"expect": expect, "runtime": runtime, "limits": limits})
        if not self.sandbox:
            raise SandboxUnavailableError("user namespaces are off", "Turn them on.")
        if "wait" in code:
            self._wait(code, cancelled or Event())
        if "raise" in code:
            proven = (expect or "").startswith("raises ValueError")
            return self._judged(RAISED, proven=proven)
        if "print" in code:
            return self._judged(ran(stdout="line of output\n" * 2000), proven=True)
        return self._judged(ran(), proven=True)

    def sandbox_restarts(self) -> int:
        return 3

    def warm(self) -> None:
        self.warmed.set()

    def close(self) -> None:
        self.closed.set()

    def _wait(self, code: str, cancelled: Event) -> None:
        while not self.release.is_set():
            if cancelled.wait(0.005):
                self.killed.append(code)
                return
            time.sleep(0)

    @staticmethod
    def _judged(run: Run, *, proven: bool) -> Result:
        verdict = (
            Verdict(kind=VerdictKind.PROVEN)
            if proven
            else Verdict(kind=VerdictKind.REFUTED, reason="raised ValueError: size 2 is smaller")
        )
        return Result(example=1, verdict=verdict, run=run)
