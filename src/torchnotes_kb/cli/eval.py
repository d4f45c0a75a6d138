"""`kb eval`: how good the search is on queries with judgements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torchnotes_kb.cli.common import Exit, JsonOption, console, emit_json, guarded, open_kb, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchnotes_kb.evaluation.measures import Scores
    from torchnotes_kb.evaluation.model import Query
    from torchnotes_kb.search.searcher import Searcher

__all__ = ["evaluate"]

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

    \b
    Examples:
      kb eval
      kb eval --split dev --signals
      kb eval --check
    """
    from torchnotes_kb.evaluation.baseline import Baseline, worse  # noqa: PLC0415 - start-up time
    from torchnotes_kb.evaluation.model import load_queries  # noqa: PLC0415 - likewise
    from torchnotes_kb.evaluation.runner import known_queries  # noqa: PLC0415 - likewise

    with open_kb(index=index, encoder=encoder) as kb:
        known = known_queries(load_queries(queries), kb.note_ids())
        searcher = kb.searcher
        if fit:
            _fit(searcher, known)
        asked = [query for query in known if split in ("all", query.split.value)]
        groups = _measure(searcher, asked, signals=signals)
        notes = len(kb.note_ids())
        current = Baseline(corpus_notes=notes, encoder=kb.settings.encoder, groups=groups)
    stored = (queries if queries.is_dir() else queries.parent) / "baseline.json"
    before = Baseline.load(stored)
    if json:
        emit_json(current)
    else:
        _show(groups, before.groups if before else {})
    if save:
        current.save(stored)
        warn(f"baseline in {stored}")
    found = worse(groups["all"], before.groups["all"]) if check and before else []
    for problem in found:
        warn(problem)
    return Exit.NOTHING if found else Exit.OK


def _fit(searcher: Searcher, known: Sequence[Query]) -> None:
    import json  # noqa: PLC0415 - only where something is written

    from torchnotes_kb.evaluation.runner import fit_calibration  # noqa: PLC0415 - start-up time
    from torchnotes_kb.search import calibration  # noqa: PLC0415 - likewise

    found = fit_calibration(searcher, known)
    text = json.dumps(found.model_dump(mode="json"))
    calibration.FILE.write_text(text + "\n", encoding="utf-8")
    calibration.load_calibration.cache_clear()
    warn(f"calibration fitted on {found.fitted_on}, answers from {found.threshold} on")


def _measure(searcher: Searcher, asked: Sequence[Query], *, signals: bool) -> dict[str, Scores]:
    from rich.progress import Progress  # noqa: PLC0415 - start-up time

    from torchnotes_kb.evaluation.measures import measure  # noqa: PLC0415 - likewise
    from torchnotes_kb.evaluation.runner import SELECTIONS, ask  # noqa: PLC0415 - likewise

    with Progress(console=console(stderr=True), transient=True) as bar:
        task = bar.add_task("asking", total=None)
        answers = ask(
            searcher,
            asked,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    groups = {"all": measure(answers)}
    for name in sorted({answer.query.language for answer in answers}):
        groups[name] = measure([a for a in answers if a.query.language == name])
    for name in sorted({answer.query.kind for answer in answers}):
        groups[name] = measure([a for a in answers if a.query.kind == name])
    if signals:
        for name, selection in SELECTIONS.items():
            if name != "all":
                chosen = ask(searcher, asked, signals=selection)
                groups[f"only {name}"] = measure(chosen)
    return groups


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
