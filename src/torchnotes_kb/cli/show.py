"""`kb show`: one note, for reading."""

from __future__ import annotations

from typing import Annotated

import typer

from torchnotes_kb.cli.common import JsonOption, console, emit_json, guarded, one_of, open_kb

__all__ = ["show"]


@guarded
def show(
    note_id: Annotated[str, typer.Argument(help="Id of a note, as `kb query` prints it.")],
    *,
    language: Annotated[
        str | None, typer.Option("--language", "-l", help="en or zh [default: the locale's].")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown, not rendered.")] = False,
    json: JsonOption = False,
) -> None:
    """Show a note with its examples and what is proven of them.

    \b
    Examples:
      kb show inplace-modified-gradient
      kb show broken-pipe-num-workers -l zh
      kb show scatter-one-hot --markdown > note.md
    """
    from torchnotes_kb.notes.model import Language  # noqa: PLC0415 - start-up time
    from torchnotes_kb.notes.render import render_markdown  # noqa: PLC0415 - likewise

    wanted = one_of(Language, language, "--language") or _locale_language()
    with open_kb() as kb:
        note = kb.note(note_id)
        proofs = kb.proofs(note_id)
    if json:
        emit_json({"note": note, "proofs": proofs})
        return
    text = render_markdown(note, language=Language(wanted), proofs=proofs)
    out = console()
    if markdown or not out.is_terminal:
        typer.echo(text, nl=False)
        return
    from rich.markdown import Markdown  # noqa: PLC0415 - only on a terminal

    out.print(Markdown(text))


def _locale_language() -> str:
    import os  # noqa: PLC0415 - asked once

    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    return "zh" if named.lower().startswith("zh") else "en"
