"""`kb eval`: how good the search is on queries with judgements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torchnotes_kb.cli.common import (
    Exit,
    JsonOption,
    console,
    emit_json,
    guarded,
    open_kb,
    stop,
    to_plain,
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torchnotes_kb.config import Settings
    from torchnotes_kb.evaluation.encoders import EncoderScores
    from torchnotes_kb.evaluation.measures import Scores
    from torchnotes_kb.evaluation.model import Answer, Query
    from torchnotes_kb.search.searcher import Searcher

__all__ = ["evaluate"]

ENOUGH = 30
"""Queries of one kind in one language that are measured by themselves."""
HEADINGS = ("recall@1", "recall@3", "recall@5", "MRR", "nDCG@10")


@guarded
def evaluate(
    *,
    queries: Annotated[
        Path, typer.Option(help="A .jsonl file of queries, or a directory of them.")
    ] = Path("evals"),
    split: Annotated[str, typer.Option(help="dev, calibration, test, or all of them.")] = "test",
    signals: Annotated[
        bool, typer.Option("--signals", help="Each signal alone, each pair, all.")
    ] = False,
    encoder: Annotated[
        str | None, typer.Option(help="Another encoder; --index must be built with it.")
    ] = None,
    index: Annotated[Path | None, typer.Option(help="Another index.")] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ENCODER",
            help="Rank with this encoder too: sentence-transformers:MODEL_OR_PATH. Repeatable.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with plots and the worst queries."),
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit the calibration on its split and keep it.")
    ] = False,
    save: Annotated[bool, typer.Option("--save", help="Make this the baseline.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 1 if worse than the baseline.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Measure the search on the project's queries: recall, MRR, nDCG, abstention, calibration.

    The page of --html needs no network and no script. --compare indexes the corpus with each
    encoder in a temporary directory and asks the same queries; it takes minutes a model.

    \b
    Examples:
      kb eval
      kb eval --split dev --signals
      kb eval --html report.html --signals
      kb eval --compare sentence-transformers:all-MiniLM-L6-v2
      kb eval --check
    """
    from torchnotes_kb.evaluation.baseline import Baseline, worse  # noqa: PLC0415 - start-up time
    from torchnotes_kb.evaluation.measures import need_measures  # noqa: PLC0415 - likewise
    from torchnotes_kb.evaluation.model import load_queries  # noqa: PLC0415 - likewise
    from torchnotes_kb.evaluation.runner import known_queries  # noqa: PLC0415 - likewise

    need_measures()
    if not queries.exists():
        raise stop(f"{queries}: no queries here: go to a checkout, or name some with --queries")
    with _nobodys_home() as home, open_kb(index=index, encoder=encoder, home=home) as kb:
        known = known_queries(load_queries(queries), kb.note_ids())
        searcher = kb.searcher
        if fit:
            _fit(searcher, known)
        asked = [query for query in known if split in ("all", query.split.value)]
        if not asked:
            raise stop(f"--split {split}: no query is in it; use dev, calibration, test or all")
        encoders = _compare(kb.settings, asked, compare) if compare else []
        answers = _ask(searcher, asked)
        groups = _groups(answers)
        alone = _signals(searcher, asked) if signals else {}
        notes = len(kb.note_ids())
        named = {f"only {name}": scores for name, scores in alone.items()}
        spec = kb.settings.encoder
    current = Baseline(corpus_notes=notes, encoder=spec, groups=groups | named)
    stored = (queries if queries.is_dir() else queries.parent) / "baseline.json"
    before = Baseline.load(stored)
    if json:
        emit_json(to_plain(current) | ({"encoders": encoders} if compare else {}))
    else:
        _show(current.groups, before.groups if before else {})
        _show_encoders(encoders)
    if html is not None:
        selections = alone | {"all": groups["all"]} if alone else {}
        _write_page(
            html,
            notes=notes,
            encoder=spec,
            split=split,
            answers=tuple(answers),
            groups=groups,
            signals=selections,
            encoders=tuple(encoders),
        )
    if save:
        current.save(stored)
        warn(f"baseline in {stored}")
    found = worse(groups["all"], before.groups["all"]) if check and before else []
    for problem in found:
        warn(problem)
    return Exit.NOTHING if found else Exit.OK


@contextmanager
def _nobodys_home() -> Iterator[Path]:
    """A home without pages of one's own: they would be measured with the corpus."""
    import tempfile  # noqa: PLC0415 - only here

    with tempfile.TemporaryDirectory(prefix="torchnotes-kb-") as folder:
        yield Path(folder)


def _fit(searcher: Searcher, known: Sequence[Query]) -> None:
    import json  # noqa: PLC0415 - only where something is written

    from torchnotes_kb.evaluation.runner import fit_calibration  # noqa: PLC0415 - start-up time
    from torchnotes_kb.search import calibration  # noqa: PLC0415 - likewise

    found = fit_calibration(searcher, known)
    text = json.dumps(found.model_dump(mode="json"))
    calibration.FILE.write_text(text + "\n", encoding="utf-8")
    calibration.load_calibration.cache_clear()
    warn(f"calibration fitted on {found.fitted_on}, answers from {found.threshold} on")


@contextmanager
def _bar(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that goes when all is done."""
    from rich.progress import Progress  # noqa: PLC0415 - start-up time

    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _ask(searcher: Searcher, asked: Sequence[Query]) -> list[Answer]:
    from torchnotes_kb.evaluation.runner import ask  # noqa: PLC0415 - start-up time

    with _bar("asking") as progress:
        return ask(searcher, asked, progress=progress)


def _groups(answers: Sequence[Answer]) -> dict[str, Scores]:
    """Measures of all, by language, by kind, and by both where a kind has enough of each."""
    from torchnotes_kb.evaluation.measures import measure  # noqa: PLC0415 - start-up time

    groups = {"all": measure(answers)}
    languages = sorted({answer.query.language for answer in answers})
    for language in languages:
        groups[language] = measure([a for a in answers if a.query.language == language])
    for kind in sorted({answer.query.kind for answer in answers}):
        of_kind = [answer for answer in answers if answer.query.kind == kind]
        groups[kind] = measure(of_kind)
        for language in languages:
            both = [answer for answer in of_kind if answer.query.language == language]
            if ENOUGH <= len(both) < len(of_kind):
                groups[f"{kind}, {language}"] = measure(both)
    return groups


def _signals(searcher: Searcher, asked: Sequence[Query]) -> dict[str, Scores]:
    """Measures of each signal alone and of each pair."""
    from torchnotes_kb.evaluation.measures import measure  # noqa: PLC0415 - start-up time
    from torchnotes_kb.evaluation.runner import SELECTIONS, ask  # noqa: PLC0415 - likewise

    found = {}
    for name, selection in SELECTIONS.items():
        if name != "all":
            with _bar(f"asking {name}") as progress:
                found[name] = measure(ask(searcher, asked, signals=selection, progress=progress))
    return found


def _compare(
    settings: Settings, asked: Sequence[Query], specs: Sequence[str]
) -> list[EncoderScores]:
    """Each of these over an index of its own that goes again, then the encoder in force."""
    import tempfile  # noqa: PLC0415 - only here

    import platformdirs  # noqa: PLC0415 - likewise

    from torchnotes_kb.evaluation.encoders import measure_encoder  # noqa: PLC0415 - start-up time
    from torchnotes_kb.kb import KnowledgeBase  # noqa: PLC0415 - likewise
    from torchnotes_kb.resources import index_dir  # noqa: PLC0415 - likewise

    cache = platformdirs.user_cache_path("torchnotes-kb", ensure_exists=True)
    found = []
    for spec in dict.fromkeys([*specs, settings.encoder]):
        with tempfile.TemporaryDirectory(prefix="compare-", dir=cache) as folder:
            ours = spec == settings.encoder
            index = index_dir(settings) if ours else Path(folder) / "index"
            chosen = settings.model_copy(update={"encoder": spec, "index": index})
            with KnowledgeBase.open(chosen) as kb:
                if not ours:
                    with _bar(f"indexing with {spec}") as progress:
                        kb.rebuild(progress=progress)
                with _bar(f"asking {spec}") as progress:
                    scores = measure_encoder(kb.searcher, asked, encoder=spec, progress=progress)
        found.append(scores)
    return found


def _write_page(path: Path, **parts: Any) -> None:  # noqa: ANN401 - the fields of a report
    from torchnotes_kb.errors import ConfigError  # noqa: PLC0415 - start-up time
    from torchnotes_kb.evaluation.report import Report, render_report  # noqa: PLC0415 - likewise
    from torchnotes_kb.search.calibration import load_calibration  # noqa: PLC0415 - likewise

    page = render_report(Report(threshold=load_calibration().threshold, **parts))
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}") from error
    warn(f"report in {path}")


def _show_encoders(encoders: Sequence[EncoderScores]) -> None:
    if not encoders:
        return
    from rich.table import Table  # noqa: PLC0415 - `--json` needs no rich

    table = Table("encoder", "signals", "queries", *HEADINGS, box=None, pad_edge=False)
    for each in encoders:
        for signals, groups in (("meaning alone", each.dense), ("all", each.fused)):
            for name, ranking in groups.items():
                cells = [f"{ranking[heading].mean:.3f}" for heading in HEADINGS]
                table.add_row(each.encoder, signals, name, *cells)
    console().print()
    console().print(table)


def _show(groups: dict[str, Scores], before: dict[str, Scores]) -> None:
    from rich.table import Table  # noqa: PLC0415 - `--json` needs no rich

    table = Table("queries", "n", *HEADINGS, "refused", "false", "ECE", box=None, pad_edge=False)
    for name, scores in groups.items():
        old = before.get(name)
        cells = [_cell(scores, old, heading) for heading in HEADINGS]
        rates = [_rate(scores.refused), _rate(scores.false_answers)]
        ece = f"{scores.calibration_error:.3f}"
        table.add_row(name, str(scores.queries), *cells, *rates, ece)
    console().print(table)


def _cell(scores: Scores, old: Scores | None, heading: str) -> str:
    if heading not in scores.ranking:
        return ""
    mean = scores.ranking[heading].mean
    if old is None or heading not in old.ranking:
        return f"{mean:.3f}"
    change = mean - old.ranking[heading].mean
    return f"{mean:.3f}" + (f" ({change:+.3f})" if abs(change) >= 0.0005 else "")  # noqa: PLR2004


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
