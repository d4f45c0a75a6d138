"""The exceptions that a text tells of: frames, type and message, in whatever shape it was pasted.

Reads CPython's tracebacks (chains, groups, carets), IPython's with arrows, rich's boxes, pytest's
reports, those that DataLoader, DataParallel and torchrun print as text, several interleaved
processes, warnings, and bare messages. One pass over the lines; nothing here raises. How a frame
is printed is in `frames`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from torchnotes_kb.explain.clean import clean_lines
from torchnotes_kb.explain.frames import CPYTHON, notebook_place, pytest_place, rich_place
from torchnotes_kb.sandbox.model import Frame

__all__ = ["Link", "Raised", "parse"]

HEADER = "Traceback (most recent call last)"
IPYTHON_HEADER = re.compile(r"([A-Za-z_][\w.]{0,200})\s{2,200}Traceback \(most recent call last\)")
ARROW = re.compile(r"-{2,}>\s{0,6}(\d{1,9})\s?(.*)")
RICH_ARROW = re.compile(r"\u2771\s{0,6}\d{1,9}\s[\u2502\s]{0,200}(.*)")
NUMBERED = re.compile(r"\s{0,12}\d{1,9}(?:\s|$)")
CARETS = re.compile(r"\s*[\^~]+[\^~\s]*$")
PYTEST_ERROR = re.compile(r"E(?: {3}\s*(\S.*)|\s*)$")
TYPE = (
    r"[A-Za-z_][\w.]{0,200}?(?:Error|Exception|Exit|Interrupt|Warning|Iteration|Unsupported|Group)"
)
EXCEPTION = re.compile(rf"\s{{0,8}}({TYPE})(?:: ?(.*)|\s*)$")
DOTTED = re.compile(r"([A-Za-z_]\w*(?:\.\w+)+)(?:: (.*)|)$")
WARNING = re.compile(
    r"(?:(\S[^:\n]{0,2000}(?::\\[^:\n]{0,2000})?):(\d{1,9}): )?"
    r"([A-Za-z_][\w.]{0,100}Warning): ?(.*)"
)
ANYWHERE = re.compile(rf"(?<![\w.])({TYPE})[:\uff1a]\s?(\S.*)")
ASSERTION = re.compile(r"Assertion [`'\"].{1,300}['`\"] failed")
ASSERTED = "device-side assert triggered"
CAUSE = "The above exception was the direct cause of the following exception"
CONTEXT = "During handling of the above exception, another exception occurred"
USER_CODE = "from user code"
END_OF_MESSAGE = (
    CAUSE,
    CONTEXT,
    "Exception raised from ",
    "frame #0: ",
    "Exception ignored in",
    "During handling of",
    "The above exception was",
    "[rank",
    "---------------------------------------------------------------------------",
    "+------------------------------------",
    "The above operation failed",
)
CONTINUES = (
    "Explanation:",
    "Hint:",
    "Developer debug context:",
    USER_CODE,
    "Original Traceback",
)
MAX_MESSAGE_LINES = 120
MAX_WARNING_LINES = 12
MAX_TEXT = 20_000
"""Characters of a text in which no exception is named."""
MAX_LINE = 100_000
"""Characters; a longer line is data, not a message."""


class Link(StrEnum):
    """How an exception follows the one before it."""

    NONE = ""
    CAUSE = "cause"
    CONTEXT = "context"
    ORIGINAL = "original"
    """Printed inside the message of the other: a worker's own traceback."""


@dataclass
class Raised:
    """One exception or warning of the text."""

    type: str
    message: str
    frames: list[Frame] = field(default_factory=list)
    link: Link = Link.NONE
    rank: str = ""
    warning: bool = False
    assertion: str = ""
    """What the device printed, where the message only says that it did."""


def parse(text: str) -> list[Raised]:
    """Every exception of a text, in its order; without a type, the text itself is the message."""
    ranks: dict[str, list[str]] = defaultdict(list)
    for rank, line in clean_lines(text):
        ranks[rank].append(line)
    found = [raised for rank, lines in ranks.items() for raised in _Reader(lines, rank).read()]
    if not found:
        every = [line for lines in ranks.values() for line in lines]
        found = _bare(every) or [Raised("", _cut("\n".join(every).strip()))]
    for raised in found:
        if ASSERTED in raised.message and (asserted := ASSERTION.search(text)):
            raised.assertion = asserted[0]
    return found


class _Reader:
    """Reads the lines of one process."""

    def __init__(self, lines: list[str], rank: str) -> None:
        self._lines = lines
        self._rank = rank
        self._at = 0
        self._found: list[Raised] = []
        self._link = Link.NONE
        self._indent = 0
        """Of the header: what is indented no more than it ends the frames."""
        self._places: list[Frame] = []
        """Of a pytest report, whose frames come before and after the message."""

    def read(self) -> list[Raised]:
        """All exceptions that come with a traceback, and warnings."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if HEADER in line:
                self._headed(line)
            elif CPYTHON.match(line):  # the header was cut off
                self._indent = max(0, _indent(line) - 2)
                self._traceback()
            elif PYTEST_ERROR.match(line):
                self._pytest()
            else:
                self._loose(line)
                self._at += 1
        return self._found

    def _headed(self, line: str) -> None:
        self._at += 1
        self._indent = _indent(line)
        notebook = IPYTHON_HEADER.match(line.strip())
        if "Original Traceback" in line:
            self._link = Link.ORIGINAL
        if "\u2500" in line:
            self._raised(self._rich(), self._exception_line(""))
        else:
            self._traceback(notebook[1] if notebook else "")

    def _loose(self, line: str) -> None:
        if CAUSE in line:
            self._link = Link.CAUSE
        elif CONTEXT in line:
            self._link = Link.CONTEXT
        elif "Warning:" in line and (warned := WARNING.match(line.strip())):
            self._warning(warned)
        elif line[:1].isalpha() or line[:1] in "/.~<":
            placed = pytest_place(line.rstrip())
            if placed:
                self._places.append(placed[0])

    def _warning(self, warned: re.Match[str]) -> None:
        """A warning: its message may go on until the line of code that is printed after it."""
        file, number, kind, first = warned.groups()
        lines, source = [first], ""
        for ahead in self._lines[self._at + 1 : self._at + 1 + MAX_WARNING_LINES]:
            if ahead[:1].isspace() and ahead.strip():
                source = "" if CPYTHON.match(ahead) else ahead.strip()
                break
            if not ahead.strip() and first:
                break
            lines.append(ahead)
        message = "\n".join(lines if source or not first else lines[:1]).strip()
        frames = [Frame(file=file, line=int(number), function="", source=source)] if file else []
        self._found.append(Raised(kind, message, frames, rank=self._rank, warning=True))

    def _traceback(self, notebook: str = "") -> None:
        frames = self._frames(notebook)
        self._raised(frames, self._exception_line(notebook))

    def _raised(self, frames: list[Frame], head: tuple[str, str] | None) -> None:
        link, self._link = self._link, Link.NONE
        if head is not None:
            message = self._message(head[1])
            self._found.append(Raised(head[0], message, frames, link, self._rank))
            if USER_CODE in message:
                frames += self._frames("")
        elif frames:
            self._found.append(Raised("", "", frames, link, self._rank))

    def _pytest(self) -> None:
        """The lines marked E are the message; the innermost frame comes after them."""
        lines: list[str] = []
        while self._at < len(self._lines) and (marked := PYTEST_ERROR.match(self._lines[self._at])):
            lines.append(marked[1] or "")
            self._at += 1
        head = EXCEPTION.match(lines[0])
        if head is None:
            return
        frames, self._places = self._places, []
        for ahead in self._lines[self._at : self._at + 3]:
            placed = pytest_place(ahead.rstrip())
            if placed and placed[1]:
                frames.append(placed[0])
                break
        message = "\n".join([head[2] or "", *lines[1:]]).strip()
        self._found.append(Raised(head[1], message, frames, rank=self._rank))

    def _rich(self) -> list[Frame]:
        """The frames of a box drawn by rich."""
        frames: list[Frame] = []
        while self._at < len(self._lines):
            text = self._lines[self._at].strip()
            if EXCEPTION.match(text) and "\u2502" not in text:
                break
            self._at += 1
            arrow = RICH_ARROW.match(text)
            if arrow and frames:
                frames[-1] = frames[-1].model_copy(update={"source": arrow[1].strip()})
            elif place := rich_place(text):
                after = self._lines[self._at].strip() if self._at < len(self._lines) else ""
                wrapped = {"function": after[:200]} if not place.function else {}
                frames.append(place.model_copy(update=wrapped))
        return frames

    def _frames(self, notebook: str) -> list[Frame]:
        frames: list[Frame] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            found = CPYTHON.match(line)
            if found:
                self._at += 1
                source = self._source()
                function = (found[3] or "").strip()
                frames.append(
                    Frame(file=found[1], line=int(found[2]), function=function, source=source)
                )
            elif notebook and (frame := notebook_place(line.strip())):
                self._at += 1
                frames.append(self._pointed_at(frame))
            elif self._is_inside(line, notebook):
                self._at += 1
            else:
                break
        return frames

    def _source(self) -> str:
        """The line of code that may follow a frame."""
        if self._at < len(self._lines):
            line = self._lines[self._at]
            if line[:1].isspace() and not CPYTHON.match(line) and not CARETS.match(line):
                self._at += 1
                return line.strip()
        return ""

    def _is_inside(self, line: str, notebook: str) -> bool:
        """Whether a line that is no frame still belongs to the list of frames."""
        text = line.strip()
        if text.startswith("[Previous line repeated") or (text and CARETS.match(line)):
            return True
        if notebook:
            is_end = EXCEPTION.match(line) and not NUMBERED.match(line)
            return not (is_end or HEADER in line or text.startswith("-----------"))
        if not text:  # loguru leaves a line free between frames
            after = self._lines[self._at + 1 : self._at + 2]
            return bool(after and CPYTHON.match(after[0]))
        return _indent(line) > self._indent and not EXCEPTION.match(line)

    def _pointed_at(self, frame: Frame) -> Frame:
        """A notebook's frame with what the arrow below it points at."""
        for ahead in self._lines[self._at : self._at + 30]:
            arrow = ARROW.match(ahead.strip())
            if arrow:
                line = frame.line or int(arrow[1])
                return frame.model_copy(update={"line": line, "source": arrow[2].strip()})
            if not ahead.strip():
                break
        return frame

    def _exception_line(self, notebook: str) -> tuple[str, str] | None:
        """Type and first line of the message that end a traceback."""
        skipped = 0
        while self._at < len(self._lines) and skipped <= 1:
            line = self._lines[self._at]
            found = EXCEPTION.match(line) or DOTTED.match(line.strip())
            if not line.strip() or CARETS.match(line):
                self._at += 1
                skipped += 1
            elif found:
                self._at += 1
                return found[1], found[2] or ""
            else:
                kind, colon, message = line.partition(":")
                if colon and re.fullmatch(r"[A-Za-z_]\w{0,80}", kind.strip()):
                    self._at += 1
                    return kind.strip(), message.strip()
                break
        return (notebook, "") if notebook else None

    def _message(self, first: str) -> str:
        lines = [first]
        while self._at < len(self._lines) and len(lines) < MAX_MESSAGE_LINES:
            line = self._lines[self._at]
            text = line.strip()
            if HEADER in line or text.startswith(END_OF_MESSAGE) or CPYTHON.match(line):
                break
            if not text and not self._goes_on():
                break
            lines.append(line)
            self._at += 1
        return "\n".join(lines).strip()

    def _goes_on(self) -> bool:
        """Whether a message continues after a blank line: only torch's structured ones do."""
        for ahead in self._lines[self._at + 1 : self._at + 3]:
            if ahead.strip():
                return ahead[:1].isspace() or ahead.lstrip().startswith(CONTINUES)
        return False


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _cut(text: str) -> str:
    half = MAX_TEXT // 2
    return text if len(text) <= MAX_TEXT else f"{text[:half]}\n{text[-half:]}"


def _bare(lines: Sequence[str]) -> list[Raised]:
    """Exceptions named in lines without a traceback, each with what follows it."""
    found: list[Raised] = []
    for number, line in enumerate(lines):
        named = ANYWHERE.search(line) if len(line) < MAX_LINE else None
        if named:
            tail: list[str] = []
            for after in lines[number + 1 : number + MAX_MESSAGE_LINES]:
                if not after.strip() or ANYWHERE.search(after[:2000]):
                    break
                tail.append(after)
            message = "\n".join([named[2], *tail]).strip()
            found.append(Raised(named[1], message, warning=named[1].endswith("Warning")))
    return found
