"""`kb explain`: what a traceback means, from an argument, a file or a pipe."""

from __future__ import annotations

import codecs
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torchnotes_kb.cli.common import Exit, JsonOption, console, emit_json, guarded, open_kb, stop

if TYPE_CHECKING:
    from rich.progress import TaskID

    from torchnotes_kb.explain.model import Diagnosis

__all__ = ["explain", "print_diagnosis"]

MAX_INPUT = 64 << 20
"""Bytes of a pipe that are kept: the last ones, where the traceback stands."""
FILE_NAME = re.compile(r"\S*/\S*[^\s/]\.\w{1,5}|\S+\.(?:log|txt|out|err|md|ipynb|py)")
"""What is no message but the name of a file."""


@guarded
def explain(
    text: Annotated[
        str | None,
        typer.Argument(help="A message, or a file that holds one [default: standard input]."),
    ] = None,
    *,
    tee: Annotated[
        bool, typer.Option("--tee", help="Pass standard input through to standard output.")
    ] = False,
    code: Annotated[
        Path | None, typer.Option(help="The program that failed, to quote its line.")
    ] = None,
    proof: Annotated[
        bool, typer.Option("--proof", help="Run the note's failing example in this runtime too.")
    ] = False,
    runtime: Annotated[
        str | None, typer.Option(help="Interpreter for --proof and for torch's own sources.")
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", "-l", help="en or zh [default: the text's].")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Explain an error in the reader's own numbers. Exit code 1 when no note does.

    \b
    Examples:
      python train.py 2>&1 | kb explain
      python train.py 2>&1 | kb explain --tee
      kb explain "mat1 and mat2 shapes cannot be multiplied (32x2048 and 512x10)"
      kb explain error.log --proof
    """
    from torchnotes_kb.cli.common import one_of  # noqa: PLC0415 - start-up time
    from torchnotes_kb.notes.model import Language  # noqa: PLC0415 - likewise

    if tee and (json or text not in {None, "-"}):
        raise stop("--tee passes standard input through: it takes no TEXT and no --json")
    wanted = one_of(Language, language, "--language")
    if code is not None and not code.is_file():
        raise stop(f"{code}: there is no such file")
    source = code.read_text(encoding="utf-8", errors="replace") if code else None
    given, interrupted = _text(text, tee=tee)
    with open_kb(runtime=runtime) as kb, _reading() as progress:
        diagnosis = kb.explain(given, code=source, language=wanted, proof=proof, progress=progress)
    if interrupted and diagnosis.signature is None:
        return Exit.INTERRUPTED
    if tee and not (diagnosis.signature or diagnosis.error_type or diagnosis.user_frame):
        raise stop("there is no error in this output", code=Exit.NOTHING)
    if json:
        emit_json(diagnosis)
    else:
        print_diagnosis(diagnosis)
    return Exit.OK if diagnosis.note else Exit.NOTHING


def _text(text: str | None, *, tee: bool) -> tuple[str, bool]:
    """What is to be explained, and whether Ctrl-C ended the program that was saying it."""
    if text is not None and text != "-":
        path = Path(text)
        try:
            is_file = len(text) < 4096 and path.is_file()  # noqa: PLR2004 - PATH_MAX
        except (OSError, ValueError):
            is_file = False
        if not is_file and FILE_NAME.fullmatch(text):
            raise stop(f"{text}: there is no such file")
        return (_decoded(path.read_bytes()) if is_file else text), False
    if sys.stdin.isatty():
        raise stop("nothing to explain: give a message or a file, or pipe a program's output")
    with _first_interrupt_is_the_programs() as interrupts:
        return _decoded(_drain(tee=tee)), bool(interrupts)


def _decoded(text: bytes) -> str:
    """UTF-8 unless a mark says otherwise: PowerShell's `>` writes UTF-16."""
    marked = text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return text.decode("utf-16" if marked else "utf-8-sig", "replace")


@contextmanager
def _first_interrupt_is_the_programs() -> Iterator[list[int]]:
    """Ctrl-C reaches both ends of a pipe: what the program still says of it must not be lost.

    The second one ends this process too.
    """
    seen: list[int] = []

    def note(number: int, _frame: object) -> None:
        seen.append(number)
        if len(seen) > 1:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _drain(*, tee: bool) -> bytes:
    """What is piped in; passed on as it comes, a progress bar too, which ends no line."""
    kept = bytearray()
    while piece := os.read(sys.stdin.fileno(), 1 << 16):
        if tee:
            tee = _pass_on(piece)
        kept += piece
        if len(kept) > 2 * MAX_INPUT:
            del kept[:-MAX_INPUT]
    return bytes(kept)


def _pass_on(piece: bytes) -> bool:
    """Whether somebody still reads what is passed on; if not, the program may go on unheard."""
    try:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        return False
    return True


@contextmanager
def _reading() -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal while torch's sources are read, which happens once per version."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress  # noqa: PLC0415 - start-up time

    bar = Progress(console=console(stderr=True), transient=True)
    tasks: list[TaskID] = []

    def advance(done: int, total: int) -> None:
        if not tasks:
            bar.start()
            tasks.append(bar.add_task("reading torch's sources, once"))
        bar.update(tasks[0], completed=done, total=total)

    try:
        yield advance
    finally:
        bar.stop()


def print_diagnosis(diagnosis: Diagnosis, *, stderr: bool = False) -> None:
    """Show a diagnosis to a person."""
    from torchnotes_kb.explain.render import render_text  # noqa: PLC0415 - start-up time

    out = console(stderr=stderr)
    out.print(render_text(diagnosis), markup=False, highlight=False)
