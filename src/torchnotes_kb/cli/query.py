"""`kb query`: the notes that answer a question."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torchnotes_kb.cli.common import (
    Exit,
    JsonOption,
    console,
    emit_json,
    guarded,
    is_styled,
    open_kb,
    warn,
)

if TYPE_CHECKING:
    from torchnotes_kb.search.model import Hit, SearchResult

__all__ = ["query"]

SURE = 0.8
"""From this probability on a hit is shown as the answer rather than as a likely one."""


@guarded
def query(
    words: Annotated[
        list[str],
        typer.Argument(help="A question or a message, in English or Chinese; - reads it."),
    ],
    *,
    kind: Annotated[
        str | None, typer.Option(help="Only notes of this kind: error, idiom or page.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only notes with this tag; may be repeated.")
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", "-l", help="en or zh [default: the question's].")
    ] = None,
    torch: Annotated[
        str | None, typer.Option(help="Only notes that speak of this version of torch.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=50, help="Hits at most.")] = 3,
    index: Annotated[Path | None, typer.Option(help="Another index.")] = None,
    json: JsonOption = False,
) -> int:
    """Find the notes that answer a question. Exit code 1 when nothing matches.

    \b
    Examples:
      kb query "broken pipe"
      kb query 反向传播 原地修改
      kb query --kind idiom "eval or no_grad"
      kb query --json "expected scalar type Long" | jq .hits[0].note_id
    """
    # Looking for plugins of pydantic's in every installed package takes 11 ms; a query has none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from torchnotes_kb.cli.common import one_of  # noqa: PLC0415 - start-up time
    from torchnotes_kb.notes.model import Language, NoteKind  # noqa: PLC0415 - likewise

    text = _text(words)
    with open_kb(index=index) as kb:
        result = kb.search(
            text,
            kind=one_of(NoteKind, kind, "--kind"),
            tags=tuple(tag or ()),
            language=one_of(Language, language, "--language"),
            torch=torch,
            limit=limit,
        )
    if json:
        emit_json(result)
    elif result.hits:
        _show(result)
    else:
        _nothing(result, tag or [])
    return Exit.OK if result.hits else Exit.NOTHING


def _text(words: list[str]) -> str:
    import sys  # noqa: PLC0415 - only for `-`

    if words == ["-"]:
        return sys.stdin.buffer.read().decode("utf-8", errors="replace")
    return " ".join(words)


def _show(result: SearchResult) -> None:
    parts = list(_parts(result))
    if not is_styled():
        typer.echo("".join(text for text, _ in parts), nl=False)
        return
    from rich.text import Text  # noqa: PLC0415 - a pipe needs no rich

    console().print(Text.assemble(*parts), end="")


def _parts(result: SearchResult) -> Iterator[tuple[str, str]]:
    """The text of the answer, piece by piece, and the style of each."""
    for hit in result.hits:
        yield f"{hit.score:.2f}  ", "green" if hit.score >= SURE else "yellow"
        yield f"{hit.title}\n", "bold"
        yield f"{_about(hit)}\n", "dim"
        yield f"{hit.snippet}\n\n", ""
    yield f"kb show {result.hits[0].note_id}\n", "cyan"


def _about(hit: Hit) -> str:
    from torchnotes_kb.notes.proof import VerdictKind  # noqa: PLC0415 - start-up time

    proven = [
        proof for proof in hit.proof if proof.verdict.kind is VerdictKind.PROVEN and not proof.stale
    ]
    versions = sorted({proof.torch for proof in proven})
    known = f"{len(proven)} of {len(hit.proof)} examples proven on torch {', '.join(versions)}"
    return " · ".join([hit.note_id, hit.section, known if proven else "no example proven yet"])


def _nothing(result: SearchResult, tags: list[str]) -> None:
    from torchnotes_kb.notes.tags import TAGS  # noqa: PLC0415 - start-up time

    warn("nothing matches")
    for tag in tags:
        if tag not in TAGS:
            warn(f"--tag {tag}: no note of the corpus has it; its tags are {', '.join(TAGS)}")
    if result.near:
        titles = "; ".join(f"{near.title} ({near.note_id})" for near in result.near)
        warn(f"nearest, but not believed to answer: {titles}")
