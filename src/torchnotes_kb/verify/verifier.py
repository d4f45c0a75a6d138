"""Examples into results: what can run is run, what cannot says why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event
from typing import Protocol

from torchnotes_kb.config import Limits
from torchnotes_kb.notes.model import Example, Expectation, Note, Role
from torchnotes_kb.notes.proof import Proof, Verdict, VerdictKind
from torchnotes_kb.sandbox.model import Run
from torchnotes_kb.verify.judge import judge
from torchnotes_kb.verify.model import Result
from torchnotes_kb.verify.needs import RuntimeFacts, unmet

__all__ = ["Runner", "Verifier", "proof_of"]


class Runner(Protocol):
    """What runs code: the sandbox, or a test's fake."""

    @property
    def runtime(self) -> RuntimeFacts:
        """The interpreter that snippets run in."""

    def run(
        self, code: str, *, limits: Limits | None = None, cancelled: Event | None = None
    ) -> Run:
        """Run a snippet to its end, or to a limit."""


class Verifier:
    """Judges examples by running them."""

    def __init__(self, runner: Runner, *, workers: int = 1) -> None:
        self._runner = runner
        self._workers = workers

    def verify_snippet(
        self,
        code: str,
        *,
        expectation: Expectation | None = None,
        file: str | None = None,
        limits: Limits | None = None,
        cancelled: Event | None = None,
    ) -> Result:
        """Run code that belongs to no note; without an expectation it must run to its end."""
        example = Example(
            role=Role.RUNS, code=code, expectation=expectation or Expectation(), line=1
        )
        run = self._runner.run(code, limits=limits, cancelled=cancelled)
        return Result(file=file, example=1, verdict=judge(example, run), run=run)

    def verify_example(self, note: Note, example: Example) -> Result:
        """Run one example of a note, or say why not."""
        reason = self._unrunnable(example)
        if reason:
            verdict = Verdict(kind=VerdictKind.SKIPPED, reason=reason)
            return Result(note_id=note.id, example=example.line, verdict=verdict)
        run = self._runner.run(example.code)
        verdict = judge(example, run, note=note)
        return Result(note_id=note.id, example=example.line, verdict=verdict, run=run)

    def verify_notes(self, notes: Iterable[Note]) -> Iterator[tuple[Note, Example, Result]]:
        """Every example of these notes, in order, several at a time."""
        work = [(note, example) for note in notes for example in note.examples]
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                results = pool.map(lambda pair: self.verify_example(*pair), work)
                for (note, example), result in zip(work, results, strict=True):
                    yield note, example, result
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _unrunnable(self, example: Example) -> str | None:
        if example.role is Role.FRAGMENT:
            return f"fragment: {example.expectation.because}"
        return unmet(example.needs, self._runner.runtime)


def proof_of(note: Note, example: Example, result: Result, *, runtime: RuntimeFacts) -> Proof:
    """What the ledger keeps of a result."""
    return Proof(
        note_id=note.id,
        line=example.line,
        example=example.sha256,
        verdict=result.verdict,
        torch=runtime.torch,
        python=runtime.python,
        platform=runtime.platform,
        duration_ms=round(result.run.duration_ms, 1) if result.run else None,
        when=datetime.now(UTC).replace(microsecond=0),
    )
