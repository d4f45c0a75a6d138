"""`kb index`: build the corpus's index, or add a user's own pages."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torchnotes_kb.cli.common import JsonOption, console, emit_json, guarded, open_kb, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torchnotes_kb.index.build import BuildReport

__all__ = ["index"]


@guarded
def index(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Your Markdown files or directories [default: rebuild what is there].",
            show_default=False,
        ),
    ] = None,
    *,
    forget: Annotated[
        bool, typer.Option("--forget", help="Take these paths out again instead.")
    ] = False,
    corpus: Annotated[
        Path | None, typer.Option(help="Directory of notes to index instead of the bundled ones.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write that index.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="e5-small, or sentence-transformers:MODEL_OR_PATH.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Add your own Markdown to what is searched, in whatever shape blogs have.

    Headings become notes, code blocks become examples that `kb verify FILE` runs. Only what
    changed is embedded again. Without PATH, the index of the corpus (of a checkout, or of
    --corpus) and that of your pages are brought up to date.

    \b
    Examples:
      kb index ~/blog/pytorch-notes.md
      kb index --forget ~/blog/pytorch-notes.md
      kb index
      kb index --corpus my-notes --out my-index
    """
    flags = {"corpus": corpus, "index": out, "encoder": encoder}
    with open_kb(**flags) as kb, _progress() as progress:
        if paths and forget:
            reports = [kb.forget_pages(paths, progress=progress)]
        elif paths:
            reports = [kb.add_pages(paths, progress=progress)]
        else:
            reports = kb.rebuild(progress=progress)
    if json:
        emit_json({"indexes": reports})
        return
    for report in reports:
        warn(_describe(report))


def _describe(report: BuildReport) -> str:
    if report.unchanged:
        return f"{report.path} is up to date: {report.notes} notes, {report.chunks} chunks"
    return (
        f"indexed {report.notes} notes, {report.chunks} chunks "
        f"({report.embedded} embedded anew) in {report.path}"
    )


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that goes when all is embedded."""
    from rich.progress import Progress  # noqa: PLC0415 - start-up time

    out = console(stderr=True)
    with Progress(console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("embedding", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
