"""What happened to a snippet, as an answer that fits a budget."""

from __future__ import annotations

from torchnotes_kb.explain.model import Diagnosis
from torchnotes_kb.notes.proof import VerdictKind
from torchnotes_kb.sandbox.model import Outcome, RaisedException, Run
from torchnotes_kb.server.answers.budget import clip, fitted, tokens
from torchnotes_kb.server.answers.explain import cause_text, explain_answer, note_next
from torchnotes_kb.server.answers.model import DiagnosisAnswer, ExceptionAnswer, VerifyAnswer
from torchnotes_kb.verify.model import Result

__all__ = ["verify_answer", "verify_text"]

DIAGNOSIS_SHARE = 0.4
"""Of the budget, for what the exception means."""
LEAST_DIAGNOSIS = 100
"""Room below which a diagnosis says nothing worth its fields."""
SHARES = {"stdout": 0.25, "stderr": 0.1, "traceback": 0.2}
CLAIM_SHARE = 0.2
WARNING_SHARE = 0.03
WARNINGS_SHOWN = 5
LEAST_SHOWN_MIB = 1.0
ENDED_NEXT = {
    Outcome.TIMED_OUT: "Next: less data or fewer steps, or a larger timeout_s.",
    Outcome.OUT_OF_MEMORY: "Next: smaller tensors; the sandbox has little memory.",
    Outcome.OUTPUT_LIMIT: "Next: print less.",
}
NO_CLAIM = "no exception"


def verify_answer(
    result: Result, *, claim: str, diagnosis: Diagnosis | None, most: int
) -> VerifyAnswer:
    """The result with long output cut in the middle until it fits; what was cut is named.

    Args:
        result: Of the run.
        claim: What was to be proven, in the caller's words.
        diagnosis: Of the exception that the run raised.
        most: Tokens of the answer, as text and as JSON.
    """
    return fitted(lambda room: _cut(result, claim, diagnosis, most=room), cost=_cost, most=most)


def _cost(answer: VerifyAnswer) -> int:
    return max(tokens(verify_text(answer)), tokens(answer.model_dump_json()))


def _cut(result: Result, claim: str, diagnosis: Diagnosis | None, *, most: int) -> VerifyAnswer:
    """The result with every text within its share of `most`."""
    run = result.run
    left_out: list[str] = []

    def cut(name: str, text: str) -> str:
        room = int(most * SHARES[name])
        if tokens(text) > room:
            left_out.append(f"the middle of {name}: print less, or a larger max_tokens")
        return clip(text, room)

    verdict = VerifyAnswer(
        verdict=result.verdict.kind,
        claim=clip(claim or NO_CLAIM, int(most * CLAIM_SHARE)),
        reason=clip(result.verdict.reason, int(most * 0.1)),
    )
    if run is None:
        return verdict
    left_out += [f"{name} was cut by the sandbox's output limit" for name in run.truncated]
    if diagnosis is not None and most * DIAGNOSIS_SHARE < LEAST_DIAGNOSIS:
        diagnosis = None
        left_out.append("what the exception means: a larger max_tokens, or explain_error")
    if len(run.warnings) > WARNINGS_SHOWN:
        left_out.append(f"{len(run.warnings) - WARNINGS_SHOWN} more warning(s)")
    return verdict.model_copy(
        update={
            "outcome": run.outcome.value,
            "exception": _exceptions(run, cut("traceback", _traceback(run.exception)), most),
            "stdout": cut("stdout", run.stdout),
            "stderr": cut("stderr", run.stderr),
            "warnings": _warnings(run, most),
            "duration_ms": round(run.duration_ms, 1),
            "peak_mib": round(run.peak_mib or 0.0, 1),
            **run.model_dump(include={"torch", "python", "platform", "isolation"}),
            "diagnosis": _diagnosis(diagnosis, int(most * DIAGNOSIS_SHARE)),
            "left_out": tuple(left_out),
        }
    )


def verify_text(answer: VerifyAnswer) -> str:
    """The same facts for a reader."""
    lines = [_headline(answer)]
    if answer.outcome:
        lines.append(
            f"Outcome {answer.outcome} in {answer.duration_ms:.0f} ms on torch {answer.torch}, "
            f"Python {answer.python}, {answer.platform} (isolation: {answer.isolation}"
            + (f", peak {answer.peak_mib:.0f} MiB)" if answer.peak_mib >= LEAST_SHOWN_MIB else ")")
        )
    for raised in answer.exception:
        lines += ["", "Exception:", raised.traceback or f"{raised.type}: {raised.message}"]
    lines += _block("stdout", answer.stdout) + _block("stderr", answer.stderr)
    lines += [f"Warning: {text}" for text in answer.warnings]
    for diagnosis in answer.diagnosis:
        lines += ["", *_meaning(diagnosis)]
    lines += [f"Left out: {text}" for text in answer.left_out]
    for diagnosis in answer.diagnosis:
        lines += ["", note_next(diagnosis)] * diagnosis.found
    lines += [hint for outcome, hint in ENDED_NEXT.items() if outcome.value == answer.outcome]
    return "\n".join(lines)


def _meaning(diagnosis: DiagnosisAnswer) -> list[str]:
    """Near notes are for whoever asks explain_error; here they would only distract."""
    if not diagnosis.found:
        return ["No note explains this exception."]
    return ["What the exception means:", cause_text(diagnosis)]


def _headline(answer: VerifyAnswer) -> str:
    said = {
        VerdictKind.PROVEN: f"PROVEN: {answer.claim}",
        VerdictKind.REFUTED: f"REFUTED: the claim was “{answer.claim}”, but it {answer.reason}",
        VerdictKind.SKIPPED: f"SKIPPED, nothing was run: {answer.reason}",
    }
    return said[answer.verdict]


def _block(name: str, text: str) -> list[str]:
    return ["", f"{name}:", text.rstrip()] if text.strip() else []


def _exceptions(run: Run, traceback: str, most: int) -> tuple[ExceptionAnswer, ...]:
    if run.exception is None:
        return ()
    message = clip(run.exception.message, int(most * 0.1))
    kind = clip(run.exception.type, int(most * 0.05))
    return (ExceptionAnswer(type=kind, message=message, traceback=traceback),)


def _diagnosis(diagnosis: Diagnosis | None, most: int) -> tuple[DiagnosisAnswer, ...]:
    return () if diagnosis is None else (explain_answer(diagnosis, most=most),)


def _traceback(raised: RaisedException | None) -> str:
    return raised.traceback if raised else ""


def _warnings(run: Run, most: int) -> tuple[str, ...]:
    return tuple(
        clip(f"{warning.category}: {warning.message}", int(most * WARNING_SHARE))
        for warning in run.warnings[:WARNINGS_SHOWN]
    )
