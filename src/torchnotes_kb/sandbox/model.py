"""What a run is: how it ended and what was seen of it. No processes here."""

from __future__ import annotations

from enum import StrEnum

from torchnotes_kb.values import Frozen

__all__ = ["Frame", "Outcome", "RaisedException", "RaisedWarning", "Run"]


class Outcome(StrEnum):
    """How a snippet ended. The sandbox's own failure is `SandboxError`, never one of these."""

    OK = "ok"
    RAISED = "raised"
    EXITED = "exited"
    """It left through `SystemExit` or `os._exit` (with any status but by running to its end)."""
    SIGNALLED = "signalled"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    OUTPUT_LIMIT = "output_limit"


class Frame(Frozen):
    """One frame of a traceback."""

    file: str
    line: int
    function: str
    source: str = ""


class RaisedException(Frozen):
    """What the snippet's process said of the exception that ended it: data, size-bounded."""

    type: str
    """Qualified name without `builtins.`: `RuntimeError`, `torch.OutOfMemoryError`."""
    bases: tuple[str, ...] = ()
    """Names of the classes it inherits from, nearest first."""
    message: str
    notes: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = ()
    """The snippet's own frames; those of torch and the standard library are folded."""
    traceback: str = ""
    """As Python prints it, folded the same way."""
    cause: RaisedException | None = None
    """`__cause__`, or `__context__` unless suppressed."""


class RaisedWarning(Frozen):
    """One warning that the snippet emitted."""

    category: str
    message: str
    line: int = 0


class Run(Frozen):
    """Everything that is known of one execution."""

    outcome: Outcome
    stdout: str = ""
    stderr: str = ""
    exception: RaisedException | None = None
    warnings: tuple[RaisedWarning, ...] = ()
    exit_code: int | None = None
    signal: str | None = None
    duration_ms: float
    peak_mib: float | None = None
    truncated: tuple[str, ...] = ()
    """Which of `stdout`, `stderr`, `exception`, `source` were cut."""
    torch: str
    python: str
    platform: str
    isolation: str
    """The mode in force, `namespaces` unless the operator chose a weaker one."""
