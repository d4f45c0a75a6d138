"""The page of an evaluation: numbers are the measures', text is escaped, nothing is fetched."""

from html.parser import HTMLParser

import pytest

from torchnotes_kb.evaluation.encoders import EncoderScores
from torchnotes_kb.evaluation.measures import Bin, Interval, measure, ranking
from torchnotes_kb.evaluation.model import Answer, Query
from torchnotes_kb.evaluation.plots import bars, histogram, reliability_plot
from torchnotes_kb.evaluation.report import Report, render_report, trade_off

HOSTILE = """</pre><script>alert(1)</script><img src=//evil.test/x onerror=alert(2)> "'{{ 7*7 }}"""
VOID = {"meta", "br", "link", "img"}


class Page(HTMLParser):
    """Every element, and the text of every table cell by table id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: list[str] = []
        self.within: list[str] = []
        self._table = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.within.append(tag)
        if tag == "table":
            self._table = dict(attrs).get("id") or ""
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in {"td", "th"}:
            self.tables[self._table][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        """It ends, and with it whatever was left open inside."""
        while self.within and self.within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Text stands in whatever is open."""
        self.texts.append(data)
        if {"td", "th"} & set(self.within):
            self.tables[self._table][-1][-1] += data


def answer(
    key: str, notes: tuple[str, ...], ranked: tuple[str, ...], likely: float, text: str = "q"
) -> Answer:
    return Answer(
        query=Query(id=key, text=text, language="en", kind="description", notes=notes),
        ranked=tuple((note, -float(n)) for n, note in enumerate(ranked)),
        probability=likely,
        any_probability=likely,
        answered=likely >= 0.5,
        duration_ms=10.0,
    )


ANSWERS = (
    answer("right", ("a",), ("a", "b"), 0.9),
    answer("second", ("a",), ("b", "a"), 0.8, HOSTILE),
    answer("refused", ("a",), ("a",), 0.3, "refused one"),
    answer("outside", (), ("c",), 0.7, "answered one"),
    answer("silent", (), ("c",), 0.1),
)


@pytest.fixture(scope="module")
def html() -> str:
    scores = measure(ANSWERS)
    ranked = {"all": ranking(ANSWERS)}
    return render_report(
        Report(
            notes=3,
            encoder="e5-small",
            split="test",
            threshold=0.5,
            answers=ANSWERS,
            groups={"all": scores, "en": scores},
            signals={"lexical": scores, "all": scores},
            encoders=(EncoderScores(encoder="other", dense=ranked, fused=ranked),),
        )
    )


def test_the_table_holds_the_measures_and_their_intervals(html: str) -> None:
    scores = measure(ANSWERS)
    _, first, second = Page(html).tables["measures"]
    names = ("recall@1", "recall@3", "recall@5", "MRR", "nDCG@10")
    cells = [scores.ranking[name] for name in names]
    shown = [f"{c.mean:.3f}{c.low:.3f}–{c.high:.3f}" for c in cells]
    assert first == ["all", "5", *shown, "33.3%", "50.0%", f"{scores.calibration_error:.3f}"]
    assert second == ["en", *first[1:]]


def test_signals_and_encoders_are_shown_with_their_own_numbers(html: str) -> None:
    tables = Page(html).tables
    assert [row[0] for row in tables["signals"][1:]] == ["lexical", "all"]
    recall = ranking(ANSWERS)["recall@1"]
    shown = f"{recall.mean:.3f}{recall.low:.3f}–{recall.high:.3f}"
    assert [row[:4] for row in tables["encoders"][1:]] == [
        ["other", "meaning alone", "all", shown],
        ["other", "all", "all", shown],
    ]


def test_every_mistake_stands_under_its_kind_with_what_was_found(html: str) -> None:
    page = Page(html)
    found = [text for text in page.texts if ": " in text and text[-1].isdigit()]
    for kind in ("Another note first: 1", "Answerable, refused: 1", "Unanswerable, answered: 1"):
        assert kind in found
    rows = Page(html[html.index("Unanswerable, answered") :]).tables[""]
    assert rows[1:] == [["answered one", "nothing", "c", "0.70"]]


def test_a_hostile_query_is_text(html: str) -> None:
    page = Page(html)
    assert HOSTILE in page.texts
    assert not {"script", "img", "iframe", "link", "object"} & {tag for tag, _ in page.elements}


def test_the_page_fetches_nothing_and_says_so(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.elements:
        assert not {"src", "href", "srcset", "data", "action"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    policies = [a["content"] for _, a in page.elements if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_the_trade_off_counts_both_mistakes_at_every_threshold() -> None:
    by_threshold = {t: (refused, false) for t, refused, false in trade_off(ANSWERS)}
    assert by_threshold[0.0] == (0, 1)
    assert by_threshold[0.5] == pytest.approx((1 / 3, 1 / 2))
    assert by_threshold[1.0] == (1, 0)
    assert trade_off(ANSWERS[:3]) == []


def test_a_report_without_unanswerable_queries_has_no_trade_off() -> None:
    answers = ANSWERS[:3]
    report = Report(
        notes=1,
        encoder="e",
        split="dev",
        threshold=0.5,
        answers=answers,
        groups={"all": measure(answers)},
        signals={},
    )
    page = render_report(report)
    assert "<h2>Abstention" not in page
    assert "<h2>Calibration" in page


def test_bars_are_as_long_as_their_values() -> None:
    drawn = Page(bars([("<x>", Interval(mean=0.5, low=0.4, high=0.6))], title="t"))
    track = next(a for _, a in drawn.elements if a.get("class") == "track")
    bar = next(a for _, a in drawn.elements if a.get("class") == "bar")
    assert float(bar["width"] or 0) == pytest.approx(float(track["width"] or 0) / 2)
    assert "<x>" in drawn.texts


def test_reliability_shows_each_count_where_it_belongs() -> None:
    drawn = Page(reliability_plot([Bin(count=7, stated=0.5, right=1.0)]))
    dot = next(a for tag, a in drawn.elements if tag == "circle")
    track = next(a for _, a in drawn.elements if a.get("class") == "track")
    middle = float(track["x"] or 0) + float(track["width"] or 0) / 2
    assert (float(dot["cx"] or 0), float(dot["cy"] or 1)) == (middle, 0)
    assert "7" in drawn.texts


def test_the_histogram_loses_no_value() -> None:
    drawn = Page(histogram([1.0, 2.0, 500.0, 600.0], marks=[("p50", 2.0)], unit="ms"))
    counts = [int(text) for text in drawn.texts if text.isdigit()]
    assert sum(counts) == 4
    assert max(counts) == 2
    assert "p50 2.0 ms" in drawn.texts
