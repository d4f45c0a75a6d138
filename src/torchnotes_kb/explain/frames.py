"""The frames of tracebacks: how each tool prints them, and whose code they are."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from torchnotes_kb.sandbox.model import Frame

__all__ = [
    "CPYTHON",
    "is_torch",
    "notebook_place",
    "pytest_place",
    "rich_place",
    "torch_frames",
    "user_frame",
]

CPYTHON = re.compile(r'\s{0,40}File "([^"]{1,4000})", line (\d{1,9})(?:, in (.{1,400}))?\s*$')
PATH = r"((?:[A-Za-z]:)?[^\s:][^:]{0,2000}\.py[xw]?)"
IPYTHON_CELL = re.compile(
    r"(?:File )?((?:Cell|Input) In ?\[\d+\])(?:, line (\d{1,9}))?(?:, in (.{1,200}))?$"
)
IPYTHON_FILE = re.compile(rf"(?:File )?{PATH}:(\d{{1,9}})(?:, in ([^()]{{1,200}}))?(?:\(|$)")
IPYTHON_OLD = re.compile(rf"(<ipython-input-\S{{1,80}}>|{PATH}) in ([^()]{{1,200}})(?:\(|$)")
PYTEST = re.compile(rf"{PATH}:(\d{{1,9}}): ?(?:in (\S{{1,200}})|([A-Za-z_][\w.]{{0,80}})|)$")
RICH = re.compile(rf"{PATH}:(\d{{1,9}}) in ?(\S{{0,200}})$")

INSTALLED = re.compile(
    r"site-packages|dist-packages|[\\/]lib[\\/]python\d|<frozen |<string>|<__array_function__"
    r"|<eval_with_key>|torchinductor_|importlib[\\/]_bootstrap"
    r"|[\\/](?:bin|Scripts)[\\/][^\\/.]{1,80}(?:\.exe[\\/]__main__\.py)?$"
    r"|[\\/]torch[\\/](?:nn|_tensor|autograd|optim|utils)"
)
STANDARD = re.compile(r"\\lib\\(\w{1,40})", re.IGNORECASE)
"""Windows has no `python3.x` in the path of the standard library; elsewhere `lib` is the
reader's."""
TORCH = re.compile(r"[\\/]torch[\\/]|[\\/]torchvision[\\/]|[\\/]torchaudio[\\/]|torch[\\/]_")


def user_frame(frames: Sequence[Frame]) -> Frame | None:
    """The last frame outside Python's own and installed packages."""
    own = [frame for frame in frames if not _is_installed(frame.file)]
    return own[-1] if own else None


def torch_frames(frames: Sequence[Frame]) -> int:
    """How many frames are torch's."""
    return sum(is_torch(frame) for frame in frames)


def is_torch(frame: Frame) -> bool:
    """Whether a frame is in torch's own code."""
    return bool(INSTALLED.search(frame.file) and TORCH.search(frame.file))


def _is_installed(file: str) -> bool:
    if INSTALLED.search(file):
        return True
    standard = STANDARD.search(file)
    return standard is not None and standard[1] in sys.stdlib_module_names


def notebook_place(text: str) -> Frame | None:
    """A frame's heading as IPython prints it; line 0 where an arrow below names the line."""
    if cell := IPYTHON_CELL.match(text):
        return _frame(cell[1], cell[2], cell[3])
    if path := IPYTHON_FILE.match(text):
        return _frame(path[1], path[2], path[3])
    if old := IPYTHON_OLD.match(text):
        return _frame(old[1], "0", old[3])
    return None


def pytest_place(text: str) -> tuple[Frame, bool] | None:
    """`path:line: in function`, and whether it is the last one, which names the exception."""
    found = PYTEST.match(text)
    return (_frame(found[1], found[2], found[3]), bool(found[4])) if found else None


def rich_place(text: str) -> Frame | None:
    """`path:line in function`; the function may have been wrapped to the next line."""
    found = RICH.match(text)
    return _frame(found[1], found[2], found[3]) if found else None


def _frame(file: str, line: str | None, function: str | None) -> Frame:
    return Frame(file=file, line=int(line or 0), function=(function or "").strip())
