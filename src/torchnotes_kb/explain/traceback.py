"""The exceptions that a text tells of: frames, type and message, in whatever shape it was pasted.

Reads CPython's tracebacks (chains, groups, carets), IPython's with arrows, those that DataLoader
and DataParallel re-raise as text, several interleaved processes, warnings, and bare messages.
One pass over the lines; nothing here raises.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum

from torchnotes_kb.explain.clean import clean_lines
from torchnotes_kb.sandbox.model import Frame

__all__ = ["Link", "Raised", "parse", "user_frame"]

HEADER = "Traceback (most recent call last)"
FRAME = re.compile(r'\s{0,40}File "([^"]{1,4000})", line (\d{1,9})(?:, in (.{1,400}))?\s*$')
IPYTHON_HEADER = re.compile(r"([A-Za-z_][\w.]{0,200})\s{2,200}Traceback \(most recent call last\)")
IPYTHON_CELL = re.compile(
    r"(?:File )?((?:Cell|Input) In ?\[\d+\])(?:, line (\d{1,9}))?(?:, in (.{1,200}))?$"
)
IPYTHON_FILE = re.compile(r"(?:File )?(\S[^:]{0,2000}\.py):(\d{1,9}), in ([^()]{1,200})")
IPYTHON_OLD = re.compile(r"(<ipython-input-\S{1,80}>|\S{1,2000}\.py) in ([^()]{1,200})(?:\(|$)")
ARROW = re.compile(r"-{2,}>\s{0,6}(\d{1,9})\s?(.*)")
NUMBERED = re.compile(r"\s{0,12}\d{1,9}(?:\s|$)")
CARETS = re.compile(r"\s*[\^~]+[\^~\s]*$")
TYPE = (
    r"[A-Za-z_][\w.]{0,200}?(?:Error|Exception|Exit|Interrupt|Warning|Iteration|Unsupported|Group)"
)
EXCEPTION = re.compile(rf"\s{{0,8}}({TYPE})(?:: ?(.*)|\s*)$")
DOTTED = re.compile(r"([A-Za-z_]\w*(?:\.\w+)+)(?:: (.*)|)$")
WARNING = re.compile(
    r"(?:(\S[^:\n]{0,2000}(?::\\[^:\n]{0,2000})?):(\d{1,9}): )?"
    r"([A-Za-z_][\w.]{0,100}Warning): (.*)"
)
ANYWHERE = re.compile(rf"(?<![\w.])({TYPE})[:\uff1a]\s?(\S.*)")
CAUSE = "The above exception was the direct cause of the following exception"
CONTEXT = "During handling of the above exception, another exception occurred"
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
MAX_MESSAGE_LINES = 120
MAX_LINE = 100_000
"""Characters; a longer line is data, not a message."""
INSTALLED = re.compile(
    r"site-packages|dist-packages|[\\/]lib[\\/]python\d|[\\/]Lib[\\/](?!site)|<frozen |<string>"
    r"|<__array_function__|importlib[\\/]_bootstrap"
    r"|[\\/]torch[\\/](?:nn|_tensor|autograd|optim|utils)"
)
TORCH = re.compile(r"[\\/]torch[\\/]|[\\/]torchvision[\\/]|[\\/]torchaudio[\\/]|torch[\\/]_")


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


def parse(text: str) -> list[Raised]:
    """Every exception of a text, in its order; without a type, the text itself is the message."""
    ranks: dict[str, list[str]] = defaultdict(list)
    for rank, line in clean_lines(text):
        ranks[rank].append(line)
    found = [raised for rank, lines in ranks.items() for raised in _Reader(lines, rank).read()]
    if not found:
        every = [line for lines in ranks.values() for line in lines]
        found = _bare(every) or [Raised("", "\n".join(every).strip())]
    return found


def user_frame(frames: list[Frame]) -> Frame | None:
    """The last frame outside Python's own and installed packages."""
    own = [frame for frame in frames if not INSTALLED.search(frame.file)]
    return own[-1] if own else None


def torch_frames(frames: list[Frame]) -> int:
    """How many frames are torch's."""
    return sum(bool(INSTALLED.search(f.file) and TORCH.search(f.file)) for f in frames)


class _Reader:
    """Reads the lines of one process."""

    def __init__(self, lines: list[str], rank: str) -> None:
        self._lines = lines
        self._rank = rank
        self._at = 0
        self._found: list[Raised] = []
        self._link = Link.NONE

    def read(self) -> list[Raised]:
        """All exceptions that come with a traceback, and warnings."""
        while self._at < len(self._lines):
            line = self._lines[self._at]
            notebook = IPYTHON_HEADER.match(line.strip()) if HEADER in line else None
            if notebook:
                self._at += 1
                self._traceback(notebook[1])
            elif HEADER in line:
                if "Original Traceback" in line:
                    self._link = Link.ORIGINAL
                self._at += 1
                self._traceback("")
            elif FRAME.match(line):
                self._traceback("")  # the header was cut off
            else:
                self._loose(line)
                self._at += 1
        return self._found

    def _loose(self, line: str) -> None:
        if CAUSE in line:
            self._link = Link.CAUSE
        elif CONTEXT in line:
            self._link = Link.CONTEXT
        elif "Warning: " in line and (warned := WARNING.match(line.strip())):
            file, number, kind, message = warned.groups()
            frames = [Frame(file=file, line=int(number), function="")] if file else []
            self._found.append(Raised(kind, message, frames, rank=self._rank, warning=True))

    def _traceback(self, notebook: str) -> None:
        link, self._link = self._link, Link.NONE
        frames = self._frames(notebook)
        head = self._exception_line(notebook)
        if head is None:
            if frames:
                self._found.append(Raised("", "", frames, link, self._rank))
            return
        kind, first = head
        message = self._message(first)
        self._found.append(Raised(kind, message, frames, link, self._rank))

    def _frames(self, notebook: str) -> list[Frame]:
        frames: list[Frame] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            found = FRAME.match(line)
            if found:
                self._at += 1
                source = self._source()
                function = (found[3] or "").strip()
                frames.append(
                    Frame(file=found[1], line=int(found[2]), function=function, source=source)
                )
            elif notebook and (frame := self._notebook_frame(line.strip())):
                frames.append(frame)
            elif self._is_inside(line, notebook):
                self._at += 1
            else:
                break
        return frames

    def _source(self) -> str:
        """The line of code that may follow a frame."""
        if self._at < len(self._lines):
            line = self._lines[self._at]
            if line[:1].isspace() and not FRAME.match(line) and not CARETS.match(line):
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
        return bool(text) and line[:1].isspace() and not EXCEPTION.match(line)

    def _notebook_frame(self, text: str) -> Frame | None:
        file = line = function = ""
        if cell := IPYTHON_CELL.match(text):
            file, line, function = cell[1], cell[2] or "", cell[3] or ""
        elif path := IPYTHON_FILE.match(text):
            file, line, function = path[1], path[2], path[3]
        elif old := IPYTHON_OLD.match(text):
            file, function = old[1], old[2]
        if not file:
            return None
        self._at += 1
        source = ""
        for ahead in range(self._at, min(self._at + 30, len(self._lines))):
            arrow = ARROW.match(self._lines[ahead].strip())
            if arrow:
                line, source = line or arrow[1], arrow[2].strip()
                break
            if not self._lines[ahead].strip():
                break
        return Frame(file=file, line=int(line or 0), function=function.strip(), source=source)

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
            if HEADER in line or text.startswith(END_OF_MESSAGE) or FRAME.match(line):
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


CONTINUES = (
    "Explanation:",
    "Hint:",
    "Developer debug context:",
    "from user code",
    "Original Traceback",
)


def _bare(lines: list[str]) -> list[Raised]:
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
