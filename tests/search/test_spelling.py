"""Misspelt words of a query, put right from the words of messages."""

import pytest

from torchnotes_kb.search.searcher import Searcher
from torchnotes_kb.search.spelling import respell

KNOWN = {"contiguous": [1, 2], "state_dict": [3], "break": [4], "backward": [5], "optimizer": [6]}


@pytest.mark.parametrize(
    ("text", "misspelt", "right"),
    [
        ("view is not Contigous?", {"contigous"}, "view is not contiguous?"),
        ("load state_dcit", {"state_dcit"}, "load state_dict"),
        ("backwrad twice", {"backwrad"}, "backward twice"),
        ("新的optmizer没有参数", {"optmizer"}, "新的optimizer没有参数"),
        ("how to bake bread", {"bread"}, "how to bake bread"),
        ("backwrad", set(), "backwrad"),
    ],
)
def test_a_slip_is_put_right_and_another_word_is_not(
    text: str, misspelt: set[str], right: str
) -> None:
    assert respell(text, misspelt, KNOWN) == right


@pytest.mark.parametrize(
    ("slips", "meant"),
    [
        ("contigous view error", "contiguous view error"),
        ("state_dcit missing key", "state_dict missing key"),
        ("optmizer step before backwrad", "optimizer step before backward"),
    ],
)
def test_a_question_with_slips_is_answered_like_one_without(
    searcher: Searcher, slips: str, meant: str
) -> None:
    found, wanted = searcher.search(slips), searcher.search(meant)
    assert [hit.note_id for hit in found.hits] == [hit.note_id for hit in wanted.hits] != []
