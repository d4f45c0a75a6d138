"""What an assistant reads of a diagnosis that is not plain: proposed, undecided, reworded."""

from torchnotes_kb.explain.model import Candidate, Diagnosis, RaiseSite
from torchnotes_kb.notes.model import Language
from torchnotes_kb.server.answers.explain import explain_answer, explain_text

PLAIN = Diagnosis(
    error_type="RuntimeError",
    message="index out of range",
    signature="index out of range",
    note="one",
    title="One",
    score=1.0,
    language=Language.EN,
    explanation="Why.",
)


def text_of(diagnosis: Diagnosis) -> str:
    return explain_text(explain_answer(diagnosis, most=2000))


def test_wordings_of_other_releases_are_told() -> None:
    sentence = 'Up to 2.12 the words were "index too large".'
    answer = explain_answer(PLAIN.model_copy(update={"wordings": (sentence,)}), most=2000)
    assert answer.wordings == (sentence,)
    assert f"Other releases: {sentence}" in explain_text(answer)


def test_a_note_that_search_proposes_comes_with_torchs_own_line() -> None:
    site = RaiseSite(file="torch/a.py", line=3, function="f", condition="i > n")
    proposed = text_of(PLAIN.model_copy(update={"signature": None, "site": site}))
    assert "No note lists this message; its words led to this one." in proposed
    assert "torch raises it in f (torch/a.py:3) when `i > n`" in proposed
    assert "led to this one" not in text_of(PLAIN)


def test_what_only_the_reader_can_tell_is_said() -> None:
    other = Candidate(note_id="two", title="Two", score=1.0, tell="it is large")
    undecided = {"undecided": True, "tell": "it is small", "alternatives": (other,)}
    text = text_of(PLAIN.model_copy(update=undecided))
    assert "Other notes list this message too; this is the one if it is small." in text
    assert "- Other cause: Two (id two, 1.00), if it is large" in text


def test_a_later_error_that_no_note_explains_is_named() -> None:
    said = "This came before KeyError: 'x', which no note explains."
    assert said in text_of(PLAIN.model_copy(update={"unexplained": "KeyError: 'x'"}))
    assert "This came before" not in text_of(PLAIN)
