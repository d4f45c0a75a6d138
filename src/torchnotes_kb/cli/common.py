"""What every command shares: settings, output, exit codes and the one place that catches errors.

Exit codes: 0 found or proven, 1 nothing found or refuted, 2 wrong usage or input, 3 this machine
can't (no index, no sandbox, a part missing), 130 interrupted.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from torchnotes_kb.errors import (
    EncoderError,
    IndexCorruptError,
    IndexLockedError,
    IndexMissingError,
    KbError,
    MissingExtraError,
    NoteNotFoundError,
    RuntimeInvalidError,
    SandboxError,
    SandboxUnavailableError,
    StaleIndexError,
)

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from torchnotes_kb.kb import KnowledgeBase

__all__ = [
    "Exit",
    "JsonOption",
    "console",
    "emit_json",
    "guarded",
    "is_styled",
    "one_of",
    "open_kb",
    "stop",
    "to_plain",
    "warn",
]

CANNOT = (
    EncoderError,
    IndexCorruptError,
    IndexLockedError,
    IndexMissingError,
    MissingExtraError,
    RuntimeInvalidError,
    SandboxError,
    SandboxUnavailableError,
    StaleIndexError,
)

JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout, for programs.")
]


class Exit(IntEnum):
    """What the shell is told."""

    OK = 0
    NOTHING = 1
    USAGE = 2
    CANNOT = 3
    INTERRUPTED = 130


P = ParamSpec("P")
E = TypeVar("E", bound=StrEnum)


def guarded(command: Callable[P, int | None]) -> Callable[P, None]:
    """Turn what a command returns or raises into an exit code and one line on stderr."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
            sys.stdout.flush()
        except KbError as error:
            warn(str(error))
            raise typer.Exit(_code(error)) from error
        except BrokenPipeError:
            raise  # typer's: whoever read has seen enough
        except OSError as error:
            raise _unwritten(error) from error
        except KeyboardInterrupt as error:
            warn("interrupted; nothing was left half done")
            raise typer.Exit(Exit.INTERRUPTED) from error
        raise typer.Exit(code or Exit.OK)

    return run


def _unwritten(error: OSError) -> typer.Exit:
    """A full disk, a directory that may not be written: what the system says, in one line."""
    try:
        sys.stdout.flush()
    except OSError:
        # What standard output still holds must not be tried again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return stop(f"{error.filename or 'the output'}: {error.strerror}", code=Exit.CANNOT)


def _code(error: KbError) -> Exit:
    if isinstance(error, CANNOT):
        return Exit.CANNOT
    return Exit.NOTHING if isinstance(error, NoteNotFoundError) else Exit.USAGE


def stop(message: str, *, code: Exit = Exit.USAGE) -> typer.Exit:
    """Say why on stderr; `raise` what this returns."""
    warn(message)
    return typer.Exit(code)


def warn(message: str) -> None:
    """One line for people, on stderr."""
    sys.stderr.write(f"kb: {message}\n")


def open_kb(**flags: Any) -> KnowledgeBase:  # noqa: ANN401 - any field's value
    """The knowledge base with the settings of this process and these flags."""
    from torchnotes_kb.config import Settings  # noqa: PLC0415 - `--help` needs no settings
    from torchnotes_kb.kb import KnowledgeBase  # noqa: PLC0415 - likewise

    return KnowledgeBase.open(Settings.from_env(**flags))


def one_of(kind: type[E], value: str | None, option: str) -> E | None:
    """A word given on the command line as a member of a closed set.

    Raises:
        typer.Exit: it is none of them.
    """
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise stop(f"{option} {value}: use one of {known}") from None


def emit_json(value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """The one document that `--json` prints."""
    sys.stdout.write(json.dumps(to_plain(value), ensure_ascii=False, indent=2) + "\n")


def to_plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Models, and models inside lists and dicts, as JSON values."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def is_styled() -> bool:
    """Whether what goes to stdout has colours: on a terminal, or where they are asked for."""
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))


def console(*, stderr: bool = False) -> Console:
    """A terminal; where the output is piped, plain text whose lines are not wrapped."""
    from rich.console import Console  # noqa: PLC0415 - `--json` needs no rich

    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, soft_wrap=piped, width=140 if piped else None)
