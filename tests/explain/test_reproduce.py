"""Whether this runtime still says what was explained, and what a note tells of other releases."""

from pathlib import Path

import pytest

from torchnotes_kb.explain.model import Diagnosis, Reproduction, ReproductionKind
from torchnotes_kb.explain.render import render_text
from torchnotes_kb.explain.reproduce import reproduce
from torchnotes_kb.explain.wordings import wordings
from torchnotes_kb.index.signatures import SignatureTable
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
from torchnotes_kb.notes.proof import Verdict, VerdictKind
from torchnotes_kb.sandbox.model import Outcome, RaisedException, RaisedWarning, Run
from torchnotes_kb.search.signatures import SignatureMatcher
from torchnotes_kb.verify.model import Result

NEW = "expected target dtype to be Long or Byte, but got {found}"
OLD = "expected scalar type Long but found {found}"
TOLD = 'Floats are refused. Up to 2.12 the words were "expected scalar type Long but found Float".'
TOLD_ZH = "不接受浮点数。旧版本写作“expected scalar type Long but found Float”。"

SAID = (Prose(language=Language.EN, text=TOLD), Prose(language=Language.ZH, text=TOLD_ZH))


def note(*examples: Example) -> Note:
    section = Section(heading="Fails", blocks=(*SAID, *examples), line=1)
    return Note(
        id="long-target",
        kind=NoteKind.ERROR,
        title="t",
        title_zh="题",
        signatures=(NEW, OLD),
        sections=(section,),
        path=Path("long-target.md"),
    )


RAISES = Example(
    role=Role.FAILS, code="1", expectation=Expectation(raises="RuntimeError: expected"), line=10
)
SILENT = Example(role=Role.FAILS, code="2", expectation=Expectation(wrong=True), line=20)


def ran(
    line: int, *, message: str = "", warning: str = "", outcome: Outcome = Outcome.OK
) -> Result:
    raised = RaisedException(type="RuntimeError", message=message) if message else None
    run = Run(
        outcome=Outcome.RAISED if message else outcome,
        exception=raised,
        warnings=(RaisedWarning(category="UserWarning", message=warning),) if warning else (),
        duration_ms=1,
        torch="2.13.0",
        python="3.11",
        platform="linux",
        isolation="namespaces",
    )
    return Result(example=line, verdict=Verdict(kind=VerdictKind.PROVEN), run=run)


def skipped(line: int) -> Result:
    verdict = Verdict(kind=VerdictKind.SKIPPED, reason="needs cuda: 0 here")
    return Result(example=line, verdict=verdict)


def judged(signature: str | None, *results: Result) -> Reproduction | None:
    two = RAISES.model_copy(update={"line": 11, "code": "3"})
    long_target = note(RAISES, two, SILENT)
    table = SignatureTable.from_signatures((long_target.id, s) for s in long_target.signatures)
    return reproduce(long_target, signature, results, SignatureMatcher([table]).match)


SAYS_NEW = "expected target dtype to be Long or Byte, but got Float"


@pytest.mark.parametrize(
    ("signature", "results", "kind", "said"),
    [
        (NEW, [ran(10, message=SAYS_NEW)], "same", f"RuntimeError: {SAYS_NEW}"),
        (NEW, [ran(10, warning=SAYS_NEW)], "same", f"UserWarning: {SAYS_NEW}"),
        (None, [ran(10, message=SAYS_NEW)], "same", f"RuntimeError: {SAYS_NEW}"),
        (OLD, [ran(10, message=SAYS_NEW)], "reworded", f"RuntimeError: {SAYS_NEW}"),
        (OLD, [ran(10, message="no such thing")], "other", "RuntimeError: no such thing"),
        (NEW, [ran(10)], "passes", ""),
        (NEW, [ran(10, warning="unrelated")], "passes", ""),
        (NEW, [ran(10, outcome=Outcome.TIMED_OUT)], "cut", ""),
        (NEW, [skipped(10)], "skipped", ""),
        (NEW, [skipped(10), ran(11)], "skipped", ""),
        (OLD, [skipped(10), ran(11, message=SAYS_NEW)], "skipped", ""),
        (NEW, [skipped(10), ran(11, message=SAYS_NEW)], "same", f"RuntimeError: {SAYS_NEW}"),
    ],
)
def test_a_runtime_says_the_same_or_how_it_differs(
    signature: str | None, results: list[Result], kind: str, said: str
) -> None:
    found = judged(signature, *results)
    assert found is not None
    assert (found.kind, found.said) == (ReproductionKind(kind), said)


def test_an_example_that_fails_without_a_word_reproduces_no_message() -> None:
    assert judged(NEW, ran(20)) is None


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("kind", list(ReproductionKind))
def test_every_outcome_has_words_in_both_languages(
    kind: ReproductionKind, language: Language
) -> None:
    here = Reproduction(kind=kind, example=1, said="E: m\nmore", reason="r", torch="2.13.0")
    text = render_text(Diagnosis(error_type="E", message="m", language=language, reproduction=here))
    last = text.splitlines()[-1]
    assert last.startswith("here: " if language is Language.EN else "本环境：")
    assert ("2.13.0" in last) == (kind is not ReproductionKind.SKIPPED)
    assert "more" not in last


def test_sentences_on_other_releases_are_the_notes_own() -> None:
    assert wordings(note(), Language.EN) == (TOLD.partition(". ")[2],)
    assert wordings(note(), Language.ZH) == (TOLD_ZH.partition("。")[2],)


def test_a_sentence_that_quotes_none_of_its_wordings_is_none() -> None:
    other = 'Since 2.6 the default is "weights only".'
    said = Prose(language=Language.EN, text=other)
    section = Section(heading="Why", blocks=(said,), line=1)
    assert wordings(note().model_copy(update={"sections": (section,)}), Language.EN) == ()
