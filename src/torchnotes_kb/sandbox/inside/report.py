"""An exception as data: its type, text, notes, chain and the program's own frames.

Runs in the snippet's process after the snippet's end, so it trusts no method of the objects it
describes: each may raise, return rubbish or be enormous.
"""

from __future__ import annotations

import functools
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

MAX_MESSAGE = 16_000
MAX_TRACEBACK = 48_000
MAX_NOTE = 4000
MAX_NOTES = 20
MAX_NAME = 300
MAX_FRAMES = 40
MAX_CHAIN = 8


class Describer:
    """Describes exceptions of programs whose files lie in `home`."""

    def __init__(self, home: str) -> None:
        self._home = home.rstrip("/") + "/"
        self.cut = False

    def describe(self, error: BaseException, depth: int = 0) -> dict[str, Any]:
        """The exception and its causes; sets `cut` when something had to be shortened."""
        if depth == 0:
            self._cut_chain(error)
        found: dict[str, Any] = {
            "type": self.name(error),
            "bases": [
                self._text(functools.partial(qualified_name, base), MAX_NAME)
                for base in type.mro(type(error))[1:-1][:20]
            ],
            "message": self._text(lambda: message(error), MAX_MESSAGE),
            "notes": self._notes(error),
            "frames": self._frames(error),
            "cause": None,
        }
        if depth == 0:
            found["traceback"] = self._text(
                lambda: self.format(error), MAX_TRACEBACK, keep_end=True
            )
        cause = error.__cause__
        if cause is None and not error.__suppress_context__:
            cause = error.__context__
        if cause is not None and depth < MAX_CHAIN:
            found["cause"] = self.describe(cause, depth + 1)
        return found

    def name(self, error: BaseException) -> str:
        """Of its class, whatever it says of itself."""
        return self._text(lambda: qualified_name(type(error)), MAX_NAME)

    def _cut_chain(self, error: BaseException) -> None:
        """Let go of causes beyond the last that is told: formatting would walk all of them."""
        seen = {id(error)}
        for _ in range(MAX_CHAIN):
            before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
            if before is None or id(before) in seen:
                return
            seen.add(id(before))
            error = before
        if error.__cause__ is not None or error.__context__ is not None:
            error.__cause__ = error.__context__ = None
            self.cut = True

    def format(self, error: BaseException) -> str:
        """The traceback as Python prints it, with foreign frames folded to a line each."""
        whole = traceback.TracebackException(type(error), error, _own(error.__traceback__))
        pending, seen = [whole], {id(whole)}
        while pending:
            part = pending.pop()
            part.stack = _Folded.of(part.stack, self.is_own)
            more = [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]
            for other in more:
                if other is not None and id(other) not in seen:
                    seen.add(id(other))
                    pending.append(other)
        return "".join(whole.format()).rstrip("\n")

    def is_own(self, file: str) -> bool:
        """Whether a code's file is the program's: its directory, or source without a file."""
        if file.startswith("<"):
            return not file.startswith(("<frozen", "<eval_with_key>", "<attrs", "<__array"))
        return file.startswith(self._home)

    def _frames(self, error: BaseException) -> list[dict[str, Any]]:
        frames = []
        for frame, line in traceback.walk_tb(_own(error.__traceback__)):
            file = frame.f_code.co_filename
            if not self.is_own(file):
                continue
            shown = file.removeprefix(self._home)
            frames.append(
                {
                    "file": shown[:MAX_NAME],
                    "line": line,
                    "function": frame.f_code.co_name[:MAX_NAME],
                    "source": linecache.getline(file, line).strip()[:MAX_NAME],
                }
            )
        if isinstance(error, SyntaxError) and error.filename and self.is_own(str(error.filename)):
            frames.append(self._syntax_frame(error))
        if len(frames) > MAX_FRAMES:
            self.cut = True
            half = MAX_FRAMES // 2
            frames = frames[:half] + frames[-half:]
        return frames

    def _syntax_frame(self, error: SyntaxError) -> dict[str, Any]:
        """Where a program that does not compile is wrong; it has no frame of its own."""
        name = str(error.filename)
        return {
            "file": name[len(self._home) :] if name.startswith(self._home) else name[:MAX_NAME],
            "line": error.lineno if isinstance(error.lineno, int) else 0,
            "function": "<module>",
            "source": str(error.text or "").strip()[:MAX_NAME],
        }

    def _notes(self, error: BaseException) -> list[str]:
        notes = getattr(error, "__notes__", None)
        if not isinstance(notes, (list, tuple)):
            return []
        if len(notes) > MAX_NOTES:
            self.cut = True
        return [self._text(functools.partial(str, note), MAX_NOTE) for note in notes[:MAX_NOTES]]

    def _text(self, make: Callable[[], str], most: int, *, keep_end: bool = False) -> str:
        """What `make` returns, cut; a placeholder when it raises."""
        try:
            text = make()
            # Slicing by the base class: the object may be a subclass with other ideas.
            if str.__len__(text) <= most:
                return str.__str__(text)
            self.cut = True
            return str.__getitem__(text, slice(-most, None) if keep_end else slice(most))
        except BaseException as error:
            return f"<{type(error).__name__} while it was described>"


class _Folded(traceback.StackSummary):
    """A stack that shows the program's frames and counts the others."""

    own: Callable[[str], bool]

    @classmethod
    def of(cls, stack: traceback.StackSummary, own: Callable[[str], bool]) -> _Folded:
        folded = cls(stack)
        folded.own = own
        return folded

    def format(self, **options: Any) -> list[str]:
        lines: list[str] = []
        for package, frames in self._groups():
            if package is None:
                lines += traceback.StackSummary.from_list(frames).format(**options)
            else:
                many = "frame" if len(frames) == 1 else "frames"
                lines.append(f"  [{len(frames)} {many} in {package}]\n")
        return lines

    def _groups(self) -> Iterator[tuple[str | None, list[traceback.FrameSummary]]]:
        """Runs of frames of one package; None for the program's own."""
        last: tuple[str | None, list[traceback.FrameSummary]] | None = None
        for frame in self:
            package = None if self.own(frame.filename) else package_of(frame.filename)
            if last is None or last[0] != package:
                if last is not None:
                    yield last
                last = (package, [])
            last[1].append(frame)
        if last is not None:
            yield last


def package_of(file: str) -> str:
    """The package that a foreign file belongs to, for people."""
    for marker in ("/site-packages/", "/dist-packages/"):
        _, found, rest = file.partition(marker)
        if found:
            name = rest.split("/", 1)[0]
            return name.removesuffix(".py")
    if file.startswith("<eval_with_key>"):
        return "torch"
    return "the standard library"


def qualified_name(kind: type) -> str:
    """A class's name with its module, without those of builtins and the program itself."""
    module = kind.__module__
    if module in ("builtins", "__main__", "__mp_main__"):
        return kind.__qualname__
    return f"{module}.{kind.__qualname__}"


def message(error: BaseException) -> str:
    """What the exception says: as `str`, and for a syntax error without its place."""
    if isinstance(error, SyntaxError) and isinstance(error.msg, str):
        return error.msg
    return str(error)


def _own(trace: Any) -> Any:
    """The traceback from the program's first frame on, without those that called it."""
    here = os.path.dirname(os.path.abspath(__file__)) + "/"
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(here):
        trace = trace.tb_next
    return trace


def print_as_python(error: BaseException) -> None:
    """To stderr, for a child of the program, which has no report."""
    own = _own(error.__traceback__)
    # Python prints the one that the exception has, whichever it is given.
    sys.excepthook(type(error), BaseException.with_traceback(error, own), own)
