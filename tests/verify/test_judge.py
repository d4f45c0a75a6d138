"""Verdicts, without running anything."""

from collections.abc import Callable
from pathlib import Path

import pytest

from torchnotes_kb.errors import ClaimError
from torchnotes_kb.notes.model import Example, Expectation, Note, NoteKind, Role, Section
from torchnotes_kb.notes.proof import Verdict, VerdictKind
from torchnotes_kb.sandbox.model import Outcome, RaisedException, RaisedWarning, Run
from torchnotes_kb.verify.judge import judge, matches, parse_expect


def run(outcome: Outcome = Outcome.OK, **facts: object) -> Run:
    known = {"duration_ms": 1.0, "torch": "2.13.0", "python": "3.11", "platform": "Linux-x86_64"}
    return Run.model_validate({"outcome": outcome, "isolation": "namespaces", **known, **facts})


def raised(type_: str, message: str) -> Run:
    return run(Outcome.RAISED, exception=RaisedException(type=type_, message=message))


def example(expected: dict[str, object], *, role: Role = Role.WORKS) -> Example:
    return Example(role=role, code="", expectation=Expectation.model_validate(expected), line=1)


PROVEN = Verdict(kind=VerdictKind.PROVEN)


@pytest.mark.parametrize(
    ("expected", "happened"),
    [
        ({}, run()),
        ({"raises": "ValueError: size"}, raised("ValueError", "size 2 is wrong")),
        ({"raises": "ValueError"}, raised("ValueError", "anything")),
        ({"raises": "ValueError: size 2 is"}, raised("ValueError", "size 2\n is wrong")),
        ({"raises": "OutOfMemoryError: a"}, raised("torch.OutOfMemoryError", "a b")),
        ({"raises": "torch.OutOfMemoryError: a"}, raised("torch.OutOfMemoryError", "a b")),
        ({"raises": r"ValueError: /si.e \d+/"}, raised("ValueError", "the size 2")),
        (
            {"warns": "UserWarning: old"},
            run(warnings=[RaisedWarning(category="UserWarning", message="old way")]),
        ),
        ({"wrong": True}, run()),
        ({"stdout": "1\n"}, run(stdout="1\n\n")),
    ],
)
def test_a_run_that_does_what_was_expected_proves_it(
    expected: dict[str, object], happened: Run
) -> None:
    assert judge(example(expected), happened) == PROVEN


@pytest.mark.parametrize(
    ("expected", "happened", "reason"),
    [
        ({}, raised("KeyError", "'a'"), "raised KeyError: 'a'"),
        ({"raises": "ValueError: a"}, run(), "ran to its end and raised nothing"),
        ({"raises": "ValueError: a"}, raised("ValueError", "b"), "raised ValueError: b"),
        ({"raises": "ValueError: a"}, raised("TypeError", "a"), "raised TypeError: a"),
        ({"raises": "Error: a"}, raised("ValueError", "a"), "raised ValueError: a"),
        ({"raises": "ValueError: a"}, run(Outcome.EXITED, exit_code=1), "exited with status 1"),
        ({}, run(Outcome.SIGNALLED, signal="SIGSEGV"), "was ended by SIGSEGV"),
        ({}, run(Outcome.TIMED_OUT, duration_ms=10_000.0), "was stopped after 10.0 s"),
        (
            {},
            run(Outcome.OUT_OF_MEMORY, peak_mib=1100.0),
            "was stopped at its memory limit (1100 MiB)",
        ),
        ({}, run(Outcome.OUTPUT_LIMIT), "was stopped at its output limit"),
        ({"warns": "UserWarning: a"}, run(), "did not warn as expected (no warning at all)"),
        (
            {"warns": "UserWarning: a"},
            run(warnings=[RaisedWarning(category="UserWarning", message="b")]),
            "did not warn as expected (UserWarning: b)",
        ),
        ({"stdout": "1"}, run(stdout="2\n"), "printed 2"),
        ({"stdout": "1"}, run(), "printed nothing"),
    ],
)
def test_anything_else_refutes_it_with_the_reason(
    expected: dict[str, object], happened: Run, reason: str
) -> None:
    assert judge(example(expected), happened) == Verdict(kind=VerdictKind.REFUTED, reason=reason)


def test_a_failing_example_must_say_what_a_signature_of_its_note_says(
    write_note: Callable[..., Path],
) -> None:
    failing = example({"raises": "ValueError: size"}, role=Role.FAILS)
    note = Note(
        id="n",
        kind=NoteKind.ERROR,
        title="n",
        title_zh="n",
        signatures=("size {n:d} is too small",),
        sections=(Section(heading="Fails", blocks=(failing,), line=1),),
        path=write_note(),
    )
    assert judge(failing, raised("ValueError", "size 2 is too small"), note=note) == PROVEN
    verdict = judge(failing, raised("ValueError", "size unknown"), note=note)
    assert verdict.reason == "no signature of the note matches the message"


@pytest.mark.parametrize(
    ("claim", "expectation"),
    [
        ("raises TypeError: a: b", Expectation(raises="TypeError: a: b")),
        ("Raises: TypeError", Expectation(raises="TypeError")),
        ("warns UserWarning: x", Expectation(warns="UserWarning: x")),
        ("prints tensor(2.)", Expectation(stdout="tensor(2.)")),
        ("no exception", Expectation()),
        ("No exceptions.", Expectation()),
        ("`no exception`", Expectation()),
        ("no exception is raised", Expectation()),
        ("runs without error", Expectation()),
        ("it should run without any exception", Expectation()),
        ("does not raise", Expectation()),
        ("doesn't raise an error", Expectation()),
        ("it prints 2.0", Expectation(stdout="2.0")),
        ('prints "2.0"', Expectation(stdout="2.0")),
        ("prints: `True`", Expectation(stdout="True")),
        ("prints 'a' 'b'", Expectation(stdout="'a' 'b'")),
        ("prints 1\n2", Expectation(stdout="1\n2")),
        ("The code should print 3", Expectation(stdout="3")),
        ("raises a RuntimeError", Expectation(raises="RuntimeError")),
        ("throws ValueError: bad", Expectation(raises="ValueError: bad")),
        ("raises an exception", Expectation(raises="Exception")),
        ("raises RuntimeError('size')", Expectation(raises="RuntimeError: size")),
        ("raises RuntimeError with message 'size'", Expectation(raises="RuntimeError: size")),
        ('raises RuntimeError: "size"', Expectation(raises="RuntimeError: size")),
        (
            "raises RuntimeError: size of tensor …",
            Expectation(raises="RuntimeError: size of tensor"),
        ),
        ("raises KeyError: 'a'", Expectation(raises="KeyError: 'a'")),
        ("raises KeyError('a')", Expectation(raises="KeyError: 'a'")),
        ("raises torch.OutOfMemoryError: ...", Expectation(raises="torch.OutOfMemoryError")),
    ],
)
def test_claims_in_words_are_understood(claim: str, expectation: Expectation) -> None:
    assert parse_expect(claim) == expectation


@pytest.mark.parametrize(
    "claim",
    [
        "",
        "works",
        "raises",
        "raises 3",
        "warns 3",
        "no exception and prints 3",
        "does not raise TypeError",
        "raises TypeError because of the dtype",
    ],
)
def test_other_claims_are_refused_with_the_forms_that_work(claim: str) -> None:
    with pytest.raises(ClaimError, match="write `raises Type: message`"):
        parse_expect(claim)


def test_a_claim_of_a_base_class_holds_and_a_note_names_the_class_itself(
    write_note: Callable[..., Path],
) -> None:
    error = RaisedException(
        type="torch.OutOfMemoryError", bases=("RuntimeError", "Exception"), message="CUDA"
    )
    happened = run(Outcome.RAISED, exception=error)
    claimed = example({"raises": "RuntimeError: CUDA"}, role=Role.FAILS)
    note = Note(
        id="n",
        kind=NoteKind.IDIOM,
        title="n",
        title_zh="n",
        sections=(Section(heading="Fails", blocks=(claimed,), line=1),),
        path=write_note(),
    )
    assert judge(claimed, happened) == PROVEN
    assert judge(claimed, happened, note=note).kind is VerdictKind.REFUTED


def test_a_pattern_names_the_type_itself_and_not_a_longer_one() -> None:
    assert not matches("Error: a", names=["ValueError"], message="a")
    assert matches("Error: a", names=["mine.Error"], message="a")
