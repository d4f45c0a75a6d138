"""Every answer costs what it may at most, as text and as JSON, whatever was put in."""

from __future__ import annotations

import pytest

from torchnotes_kb.explain.model import Candidate, Diagnosis
from torchnotes_kb.notes.model import Language
from torchnotes_kb.notes.proof import Verdict, VerdictKind
from torchnotes_kb.sandbox.model import Outcome, RaisedException
from torchnotes_kb.server.answers.budget import LEAST_TOKENS, fitted, tokens
from torchnotes_kb.server.answers.explain import explain_answer, explain_text
from torchnotes_kb.server.answers.topics import topics_answer, topics_text
from torchnotes_kb.server.answers.verify import verify_answer, verify_text
from torchnotes_kb.verify.model import Result

from .fakes import NOTE, RAISED, ran

BUDGETS = [LEAST_TOKENS, 2000]
LONG = 'a "quoted"\n\tline, 矩阵\n' * 3000
LONG_DIAGNOSIS = Diagnosis(
    error_type="E" * 5000,
    message=LONG,
    signature="any",
    captured={"found": LONG, "expected": LONG},
    note="one",
    title="One",
    score=1.0,
    language=Language.ZH,
    explanation=LONG,
    remedy=LONG,
    wordings=(LONG, LONG),
    alternatives=tuple(
        Candidate(note_id=f"other-{number}", title="Other", score=0.5, tell=LONG)
        for number in range(8)
    ),
)


@pytest.mark.parametrize("most", BUDGETS)
def test_a_diagnosis_fits(most: int) -> None:
    answer = explain_answer(LONG_DIAGNOSIS, most=most)
    assert tokens(explain_text(answer)) <= most
    assert tokens(answer.model_dump_json()) <= most
    assert "the middle of the message: ask again with a larger max_tokens" in answer.left_out


@pytest.mark.parametrize("most", BUDGETS)
def test_what_happened_to_a_snippet_fits(most: int) -> None:
    raised = RaisedException(type="E" * 5000, message=LONG, traceback=LONG)
    run = ran(Outcome.RAISED, exception=raised, stdout=LONG, stderr=LONG)
    verdict = Verdict(kind=VerdictKind.REFUTED, reason=LONG)
    result = Result(example=1, verdict=verdict, run=run)
    answer = verify_answer(result, claim=LONG, diagnosis=LONG_DIAGNOSIS, most=most)
    assert tokens(verify_text(answer)) <= most
    assert tokens(answer.model_dump_json()) <= most
    assert "the middle of stdout: print less, or a larger max_tokens" in answer.left_out


def test_a_diagnosis_that_has_no_room_is_said_to_be_left_out() -> None:
    result = Result(example=1, verdict=Verdict(kind=VerdictKind.PROVEN), run=RAISED)
    short = {"traceback": LONG, "message": LONG, "type": "ValueError"}
    run = RAISED.model_copy(update={"exception": RaisedException(**short)})
    tight = result.model_copy(update={"run": run})
    answer = verify_answer(tight, claim="", diagnosis=LONG_DIAGNOSIS, most=LEAST_TOKENS)
    assert answer.diagnosis == ()
    said = "what the exception means: a larger max_tokens, or explain_error"
    assert said in answer.left_out
    assert said in verify_text(answer)


def test_topics_that_do_not_fit_are_counted() -> None:
    tags = tuple(f"tag-{number}" for number in range(1000))
    answer = topics_answer([NOTE.model_copy(update={"tags": tags})], [], most=2000)
    assert tokens(topics_text(answer)) <= 2000
    assert tokens(answer.model_dump_json()) <= 2000
    missing = len(tags) - len(answer.topics)
    assert f"{missing} smaller topics: the resource kb://catalogue" in answer.left_out


def test_an_answer_that_fits_at_once_is_made_once() -> None:
    made: list[int] = []

    def make(room: int) -> str:
        made.append(room)
        return "x" * room

    assert fitted(make, cost=tokens, most=100) == "x" * 100
    assert made == [100]
