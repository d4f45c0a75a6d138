"""`kb lint`: what is wrong with notes, all of it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torchnotes_kb.cli.common import Exit, JsonOption, emit_json, guarded, warn

__all__ = ["lint"]


@guarded
def lint(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Notes or directories of them [default: the corpus].", show_default=False
        ),
    ] = None,
    *,
    json: JsonOption = False,
) -> int:
    """Check notes: fences, languages, sections, signatures, links, tags.

    Each finding names file and line, what is wrong and what to write instead. Exit code 1 when
    there is one.

    \b
    Examples:
      kb lint
      kb lint corpus/errors/mat1-mat2-shapes.md
    """
    from torchnotes_kb.config import Settings  # noqa: PLC0415 - start-up time
    from torchnotes_kb.notes.lint import lint as find  # noqa: PLC0415 - likewise
    from torchnotes_kb.resources import corpus_dir  # noqa: PLC0415 - likewise

    root = corpus_dir(Settings.from_env())
    findings = find(paths or [root], root=root)
    if json:
        emit_json(
            [
                {
                    "path": str(finding.path),
                    "line": finding.line,
                    "problem": finding.problem,
                    "remedy": finding.remedy,
                }
                for finding in findings
            ]
        )
    else:
        for finding in findings:
            typer.echo(str(finding))
        warn(f"{len(findings)} findings" if findings else "no findings")
    return Exit.NOTHING if findings else Exit.OK
