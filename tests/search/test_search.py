"""Queries over the bundled index, signal by signal."""

import pytest

from torchnotes_kb.errors import ConfigError, QueryError
from torchnotes_kb.index.signatures import SignatureTable
from torchnotes_kb.kb import KnowledgeBase
from torchnotes_kb.notes.model import Language, NoteKind
from torchnotes_kb.search.calibration import (
    Calibration,
    Features,
    Record,
    fit,
    load_calibration,
)
from torchnotes_kb.search.fusion import Signal
from torchnotes_kb.search.lexical import LexicalQuery
from torchnotes_kb.search.query import focus
from torchnotes_kb.search.searcher import Searcher
from torchnotes_kb.search.signatures import SignatureMatcher

INPLACE = (
    "one of the variables needed for gradient computation has been modified by an inplace "
    "operation: [torch.cuda.FloatTensor [7, 9]], which is output 0 of ReluBackward0, is at version "
    "5; expected version 4 instead"
)


@pytest.mark.parametrize(
    "text",
    [
        INPLACE,
        f"RuntimeError: {INPLACE}. Hint: enable anomaly detection",
        INPLACE.replace(" operation", "\noperation"),
        f'  File "x.py", line 3, in f\n    y()\nRuntimeError: {INPLACE}',
        f"请问 {INPLACE} 是什么意思",
    ],
)
def test_an_exact_template_outranks_all_and_gives_its_values(searcher: Searcher, text: str) -> None:
    match = searcher.matcher.match(text)[0]
    assert (match.note_id, match.exact) == ("inplace-modified-gradient", True)
    assert (match.captured["found"], match.captured["expected"]) == ("5", "4")
    result = searcher.search(text)
    assert result.hits[0].note_id == "inplace-modified-gradient"
    assert result.hits[0].why.exact


@pytest.mark.parametrize(
    ("template", "message", "values"),
    [
        ("undefined symbol: nccl{symbol}", "undefined symbol: ncclSend", {"symbol": "Send"}),
        ("'{name}Loss' object has no", "'MSELoss' object has no", {"name": "MSE"}),
        ("in its {output}th output", "in its 4th output", {"output": "4"}),
    ],
)
def test_a_word_that_a_capture_completes_is_met_inside_longer_words(
    template: str, message: str, values: dict[str, str]
) -> None:
    table = SignatureTable.from_signatures([("note", template)])
    (match,) = SignatureMatcher([table]).match(f"ImportError: {message}")
    assert (match.exact, match.captured) == (True, values)


def test_an_exact_match_needs_no_encoder(searcher: Searcher) -> None:
    def refuse() -> None:
        raise AssertionError("the encoder was opened")

    alone = Searcher(searcher._indexes, refuse)  # type: ignore[arg-type]
    assert alone.search(INPLACE).hits[0].note_id == "inplace-modified-gradient"


@pytest.mark.parametrize(
    ("query", "note"),
    [
        (
            "variables needed for gradient computaton was modified inplace",
            "inplace-modified-gradient",
        ),
        ("contigous copy of a tensor", "contiguous-view-copy"),
        ("crossentropy target format", "crossentropy-target-format"),
        ("state_dcit module prefix", "state-dict-module-prefix"),
        ("独热编码", "scatter-one-hot"),
    ],
)
def test_slips_splits_and_synonyms_are_forgiven(searcher: Searcher, query: str, note: str) -> None:
    found = [hit.note_id for hit in searcher.search(query, limit=3).hits]
    assert note in found


def test_chinese_without_spaces_matches_on_words(searcher: Searcher) -> None:
    ranking = searcher.rank("数据加载器多进程报错断管道", signals={Signal.LEXICAL})
    assert searcher.card(ranking.candidates[0].key).id == "broken-pipe-num-workers"


@pytest.mark.parametrize("query", ["how to bake bread", "今天天气怎么样", "zzzz qqqq"])
def test_nothing_is_better_than_a_wrong_answer(searcher: Searcher, query: str) -> None:
    result = searcher.search(query)
    assert result.hits == ()


def test_words_of_a_note_in_a_question_of_another_field_are_no_match(searcher: Searcher) -> None:
    asked = searcher.rank("keras optimizer state after loading a saved model")
    ours = searcher.rank("optimizer state after loading a saved model")
    assert asked.features is not None
    assert ours.features is not None
    assert asked.features.scope < ours.features.scope


def test_an_exact_template_is_answered_whatever_else_the_text_speaks_of(searcher: Searcher) -> None:
    ranking = searcher.rank(f"in keras, pandas and my flask server, {INPLACE}, recipe for pasta")
    assert ranking.features is not None
    assert ranking.features.exact
    assert load_calibration().answers(ranking.features)


def test_a_pasted_message_without_a_template_is_doubted(searcher: Searcher) -> None:
    words = "the pixel shuffle wants a divisible number of channels"
    asked, pasted = searcher.rank(words), searcher.rank(f"RuntimeError: {words}")
    assert asked.features is not None
    assert pasted.features is not None
    assert (asked.features.unmatched, pasted.features.unmatched) == (0, 1)
    likely = load_calibration().answerable.probability
    assert likely(pasted.features.about) < likely(asked.features.about)


def test_a_word_says_as_much_in_a_small_index_as_in_all(searcher: Searcher) -> None:
    terms = searcher._indexes[0].terms
    alone = LexicalQuery.of("gradient scaler", [terms], notes=300)
    beside = LexicalQuery.of("gradient scaler", [terms, terms], notes=600)
    for one, two in zip(alone.words, beside.words, strict=True):
        assert one.information == pytest.approx(two.information, abs=0.05)


def test_filters_narrow_what_is_returned(searcher: Searcher) -> None:
    text = "cross entropy target labels"
    assert {hit.kind for hit in searcher.search(text, kind=NoteKind.IDIOM).hits} == {NoteKind.IDIOM}
    tagged = searcher.search(text, tags=["indexing"]).hits
    assert all("indexing" in searcher.card(_key(searcher, h.note_id)).tags for h in tagged)
    old = searcher.search("zip archive old torch", torch="1.0").hits
    assert "zip-archive-load-old-torch" not in {hit.note_id for hit in old}


def _key(searcher: Searcher, note_id: str) -> tuple[int, int]:
    row = searcher._indexes[0].row_of(note_id)
    assert row is not None
    return 0, row


def test_the_answers_language_is_the_questions(searcher: Searcher) -> None:
    assert searcher.search("原地修改").language is Language.ZH
    english = searcher.search("原地修改 反向传播", language=Language.EN).hits[0]
    assert english.chunk_id.endswith("@en")


@pytest.mark.parametrize("query", ["", " \n\t", "\x00"])
def test_an_empty_query_is_an_error_and_not_an_empty_result(searcher: Searcher, query: str) -> None:
    if query.strip():
        assert searcher.search(query).hits == ()
    else:
        with pytest.raises(QueryError):
            searcher.search(query)


def test_a_lone_surrogate_does_no_harm(kb: KnowledgeBase) -> None:
    assert "broken" in kb.search("broken pipe \ud800").model_dump_json()


def test_a_version_that_is_none_is_refused(searcher: Searcher) -> None:
    with pytest.raises(ConfigError, match="is no version"):
        searcher.search("loss", torch="newest")


def test_frames_and_paths_are_not_what_a_query_is_about() -> None:
    text = focus(
        'Traceback (most recent call last):\n  File "/a/b.py", line 3, in f\n    x = y\nE: m'
    )
    assert text == "E: m"


def test_calibration_learns_which_features_tell_right_from_wrong() -> None:
    rows = [Features(0, x / 100, 0, 0, 0, 0, 0, 0, 0, 0, 0) for x in range(100)]
    records = [Record(row, x >= 50, x >= 30) for x, row in enumerate(rows)]
    model = fit(records, fitted_on="a test")
    assert isinstance(model, Calibration)
    assert model.probability(rows[95]) > 0.9
    assert model.probability(rows[5]) < 0.1
