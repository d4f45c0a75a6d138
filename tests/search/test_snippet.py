"""The sentences of a section that are shown."""

import pytest

from torchnotes_kb.notes.model import Language
from torchnotes_kb.search.searcher import Searcher
from torchnotes_kb.search.snippet import snippet

FILLER = "Nothing to see here at all, only some words. " * 8


def test_what_is_shown_begins_where_it_speaks_of_the_question() -> None:
    assert snippet(f"{FILLER}Call clone for a copy. Done.", "how do I copy") == (
        "Call clone for a copy. Done."
    )


def test_a_sentence_that_leads_to_code_is_not_the_last() -> None:
    assert snippet(f"{FILLER}Call clone for a copy. Like this:", "copy") == "Call clone for a copy."


def test_chinese_sentences_stand_without_spaces() -> None:
    text = "这里什么也没有。" * 60 + "用 clone 复制；再用 detach。"
    assert snippet(text, "怎么复制 clone") == "用 clone 复制；再用 detach。"


@pytest.mark.parametrize("query", ["difference between reshape and view", "view 和 reshape 的区别"])
def test_an_idiom_shows_its_answer(searcher: Searcher, query: str) -> None:
    hit = searcher.search(query).hits[0]
    assert (hit.note_id, hit.section) == ("view-vs-reshape", "Answer")


def test_an_error_shows_why_where_only_its_symptom_is_near(searcher: Searcher) -> None:
    hit = searcher.search("mat1 and mat2 shapes cannot be multiplied", language=Language.ZH).hits[0]
    assert (hit.note_id, hit.section) == ("mat1-mat2-shapes", "Why")
