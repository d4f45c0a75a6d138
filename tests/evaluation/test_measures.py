"""Measures against values worked out by hand, and the queries that ship."""

from pathlib import Path

import pytest

from torchnotes_kb.errors import ConfigError
from torchnotes_kb.evaluation.baseline import worse
from torchnotes_kb.evaluation.measures import bootstrap, calibration_error, measure
from torchnotes_kb.evaluation.model import Answer, Query, Split, load_queries
from torchnotes_kb.notes.corpus import load_corpus
from torchnotes_kb.resources import bundled

EVALS = Path(__file__).parents[2] / "evals"


def answer(notes: tuple[str, ...], ranked: tuple[str, ...], *, likely: float = 0.9) -> Answer:
    key = "-".join((*notes, "asks", *ranked, str(likely)))
    query = Query(id=key, text="x", language="en", kind="description", notes=notes)
    order = tuple((note, float(-n)) for n, note in enumerate(ranked))
    return Answer(
        query=query,
        ranked=order,
        probability=likely,
        any_probability=likely,
        answered=likely >= 0.5,
        duration_ms=1,
    )


def test_ranking_measures_are_those_of_the_textbook() -> None:
    answers = [answer(("a",), ("a", "b")), answer(("a",), ("b", "a")), answer(("a",), ("b", "c"))]
    scores = measure(answers).ranking
    assert scores["recall@1"].mean == pytest.approx(1 / 3)
    assert scores["recall@3"].mean == pytest.approx(2 / 3)
    assert scores["MRR"].mean == pytest.approx((1 + 0.5 + 0) / 3)
    assert scores["nDCG@10"].mean == pytest.approx((1 + 0.63093 + 0) / 3, abs=1e-4)


def test_any_of_several_right_notes_is_right() -> None:
    assert measure([answer(("a", "b"), ("b",))]).ranking["recall@1"].mean == 1


def test_refusals_and_false_answers_are_counted_apart() -> None:
    answers = [
        answer(("a",), ("a",), likely=0.9),
        answer(("a",), ("b",), likely=0.2),
        answer((), ("a",), likely=0.8),
        answer((), ("b",), likely=0.1),
    ]
    scores = measure(answers)
    assert (scores.refused, scores.false_answers) == (0.5, 0.5)


def test_calibration_error_is_the_mean_gap() -> None:
    answers = [answer(("a",), ("a",), likely=0.75), answer(("a",), ("b",), likely=0.75)]
    assert calibration_error(answers) == pytest.approx(0.25)


def test_an_interval_holds_its_mean_and_is_reproducible() -> None:
    values = [0.0, 1.0] * 50
    first, second = bootstrap(values), bootstrap(values)
    assert first == second
    assert first.low < first.mean == 0.5 < first.high


def test_worse_is_below_the_baselines_interval() -> None:
    good = measure([answer(("a",), ("a",), likely=0.5 + n / 100) for n in range(20)])
    bad = measure([answer(("a",), ("b",), likely=0.5 + n / 100) for n in range(20)])
    assert worse(good, good) == []
    assert worse(bad, good)[0] == "recall@1 is 0.000, the baseline's interval begins at 1.000"


def test_the_queries_that_ship_are_sound() -> None:
    queries = load_queries(EVALS)
    ids = [query.id for query in queries]
    assert len(ids) == len(set(ids))
    assert len({query.text for query in queries}) == len(ids)
    known = {note.id for note in load_corpus(bundled("corpus"))}
    assert {note for query in queries for note in query.notes} <= known
    assert len([query for query in queries if not query.answerable]) >= 15
    assert {query.split for query in queries} == set(Split)


FIRST = (
    "eval-vs-no-grad",
    "modify-pretrained-model-children",
    "imagefolder-file-order",
    "register-buffer-vs-parameter",
    "itertools-chain-optimizer-params",
    "scatter-one-hot",
    "contiguous-view-copy",
    "zip-archive-load-old-torch",
    "state-dict-module-prefix",
    "inplace-modified-gradient",
    "broken-pipe-num-workers",
)


@pytest.mark.parametrize("note", FIRST)
def test_each_of_the_first_notes_has_questions_in_both_languages_and_pastes(note: str) -> None:
    about = [query for query in load_queries(EVALS) if note in query.notes]
    told = [query for query in about if query.kind != "traceback"]
    assert sum(query.language == "en" for query in told) >= 3
    assert sum(query.language == "zh" for query in told) >= 3
    assert sum(query.kind == "traceback" for query in about) >= 2


def test_a_line_that_is_no_query_is_named(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"id": 1}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"q\.jsonl:1: is no query"):
        load_queries(tmp_path)
