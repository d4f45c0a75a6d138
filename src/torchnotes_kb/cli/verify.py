"""`kb verify`: examples of notes, files and standard input, run and judged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
)
from torchnotes_kb.cli.explain import print_diagnosis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from torchnotes_kb.explain.model import Diagnosis
    from torchnotes_kb.kb import KnowledgeBase
    from torchnotes_kb.notes.model import Note
    from torchnotes_kb.verify.model import Result

__all__ = ["verify"]

STYLES = {"proven": "green", "refuted": "bold red", "skipped": "yellow"}


@guarded
def verify(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="Note ids, Markdown or Python files, - for standard input [default: every note].",
            show_default=False,
        ),
    ] = None,
    *,
    runtime: Annotated[
        str | None,
        typer.Option(help="Interpreter to verify in: a path, or a name of [runtimes] in kb.toml."),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            help="What a file or - must do: 'raises Type: text', 'warns Category: text', "
            "'prints text' or 'no exception'."
        ),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that one run may take.", min=0.1)
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Keep the proofs in the ledger.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 1 if what the ledger has is not so here.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Runs at once.")] = 2,
    json: JsonOption = False,
) -> int:
    """Run examples in the sandbox and say whether each does what it claims.

    A plain file is a snippet that must run to its end. Exit code 1 when anything is refuted.

    \b
    Examples:
      kb verify inplace-modified-gradient
      kb verify train_step.py --runtime ~/project/.venv/bin/python
      kb verify notes.md
      echo 'import torch; print(torch.ones(2).sum())' | kb verify - --expect 'prints tensor(2.)'
      kb verify --save
      kb verify --check
    """
    with open_kb(runtime=runtime, workers=jobs) as kb:
        snippets, notes = _sort_out(targets or [], kb)
        if expect is not None and notes:
            raise stop("--expect is for Python files and -: a note says what its examples do")
        kept = _kept(kb, notes) if check else {}
        results = list(_run_snippets(kb, snippets, expect, timeout))
        results += _run_notes(kb, notes, save=save)
        facts = kb.runtime()
        diagnoses = [_diagnose(kb, result) for result in results]
    if json:
        described = {
            "name": facts.name,
            "torch": facts.torch,
            "python": facts.python,
            "platform": facts.platform,
        }
        told = [
            {**to_plain(result), "diagnosis": diagnosis}
            for result, diagnosis in zip(results, diagnoses, strict=True)
        ]
        emit_json({"runtime": described, "results": told})
    else:
        where = f"torch {facts.torch}, Python {facts.python}, {facts.platform}"
        _show(results, where, console())
        for diagnosis in diagnoses:
            if diagnosis is not None and diagnosis.note is not None:
                print_diagnosis(diagnosis)
    refuted = any(result.verdict.kind == "refuted" for result in results)
    differences = list(_differences(results, kept)) if check else []
    for difference in differences:
        console(stderr=True).print(f"ledger: {difference}", markup=False, soft_wrap=True)
    return Exit.NOTHING if refuted or differences else Exit.OK


def _kept(kb: KnowledgeBase, notes: list[Note]) -> dict[tuple[str, int], set[str]]:
    """The verdicts that the ledger has on each example of the corpus as it is now, anywhere."""
    known = set(kb.note_ids())
    kept: dict[tuple[str, int], set[str]] = {}
    for note in (note for note in notes if note.id in known):
        kept.update({(note.id, example.line): set() for example in note.examples})
        for proof in kb.proofs(note.id):
            if not proof.stale:
                kept[note.id, proof.line].add(proof.verdict.kind)
    return kept


def _differences(results: list[Result], kept: dict[tuple[str, int], set[str]]) -> Iterator[str]:
    """Examples without a proof, and those that were proven; more than was proven is welcome."""
    for result in results:
        known = kept.get((result.note_id or "", result.example))
        if known is None:
            continue
        name, verdict = f"{result.note_id}:{result.example}", result.verdict
        if not known:
            yield f"{name} is not in it: run `kb verify --save`"
        elif "proven" in known and verdict.kind != "proven":
            yield f"{name} was proven, is {verdict.kind}: {verdict.reason}"


def _diagnose(kb: KnowledgeBase, result: Result) -> Diagnosis | None:
    """What the exception of a reader's own snippet means; a note explains its own."""
    raised = result.run.exception if result.run and result.note_id is None else None
    if raised is None:
        return None
    return kb.explain(raised.traceback or f"{raised.type}: {raised.message}")


def _sort_out(targets: list[str], kb: KnowledgeBase) -> tuple[list[tuple[str, str]], list[Note]]:
    """Snippets (name and code) and notes among the targets."""
    from torchnotes_kb.notes.page import read_notes  # noqa: PLC0415 - start-up time

    if not targets:
        return [], list(kb.notes())
    snippets: list[tuple[str, str]] = []
    notes: list[Note] = []
    for target in targets:
        path = Path(target)
        if target == "-":
            snippets.append(("-", _decode(sys.stdin.buffer.read(), "standard input")))
        elif path.is_dir():
            raise stop(f"{target}: is a directory: name the files in it")
        elif path.suffix == ".md":
            notes += read_notes(path)
        elif path.suffix == ".py" or path.is_file():
            snippets.append((target, _read(path)))
        else:
            notes.append(kb.note(target))
    return snippets, notes


def _read(path: Path) -> str:
    try:
        return _decode(path.read_bytes(), str(path))
    except OSError as error:
        raise stop(f"{path}: {error.strerror}") from error


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise stop(f"{name} is not UTF-8: give Python source text") from error


def _run_snippets(
    kb: KnowledgeBase,
    snippets: Iterable[tuple[str, str]],
    expect: str | None,
    timeout: float | None,
) -> Iterator[Result]:
    limits = None
    if timeout is not None:
        limits = kb.settings.limits.model_copy(update={"wall_s": timeout, "cpu_s": timeout})
    for name, code in snippets:
        yield kb.verify_snippet(code, expect=expect, file=name, limits=limits)


def _run_notes(kb: KnowledgeBase, notes: list[Note], *, save: bool) -> list[Result]:
    from rich.progress import track  # noqa: PLC0415 - start-up time

    total = sum(len(note.examples) for note in notes)
    if not total:
        return []
    out = console(stderr=True)
    progress = track(
        kb.verify_notes(notes, save=save),
        total=total,
        description="verifying",
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )
    return list(progress)


def _show(results: list[Result], where: str, out: Console) -> None:
    from rich.table import Column, Table  # noqa: PLC0415 - `--json` needs no rich

    # A long name is folded: cut short, it would lose the line that it ends with.
    table = Table(Column("example", overflow="fold"), "verdict", "ms", "", box=None, pad_edge=False)
    for result in results:
        name = f"{result.note_id or result.file}:{result.example}"
        verdict = result.verdict
        ms = f"{result.run.duration_ms:.0f}" if result.run else ""
        table.add_row(
            name, f"[{STYLES[verdict.kind]}]{verdict.kind}[/]", ms, _escape(verdict.reason)
        )
    out.print(table)
    for result in results:
        if result.file and result.run:
            _show_output(result, out)
    counts = [f"{sum(result.verdict.kind == kind for result in results)} {kind}" for kind in STYLES]
    isolation = {result.run.isolation for result in results if result.run}
    out.print(f"{', '.join(counts)} on {where}" + "".join(f", {name}" for name in isolation))


def _show_output(result: Result, out: Console) -> None:
    assert result.run is not None  # noqa: S101 - asked before
    run = result.run
    for name, text in (("stdout", run.stdout), ("stderr", run.stderr)):
        if text.strip():
            cut = " (truncated)" if name in run.truncated else ""
            out.rule(f"{result.file} {name}{cut}", style="dim")
            out.out(text.rstrip())
    if run.exception is not None:
        out.rule(f"{result.file} raised", style="dim")
        out.out((run.exception.traceback or run.exception.message).rstrip())


def _escape(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415 - only for the table

    return escape(text)
