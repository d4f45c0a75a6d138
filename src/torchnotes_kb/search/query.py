"""What a query is about: its words without the frames, paths and numbers of a pasted traceback."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from torchnotes_kb.errors import QueryError
from torchnotes_kb.index.tokens import has_chinese
from torchnotes_kb.notes.model import Language

__all__ = ["answer_language", "focus", "holds_message", "is_about_another", "plain"]

ELSEWHERE = Path(__file__).parent / "data" / "elsewhere.txt"
"""Other libraries, tools and languages, by the names that questions use."""
COMPARED = re.compile(
    r"(?:\blike(?: in)?|\bas in|\bsimilar to|\bequivalent (?:of|to)|\bvs\.?"
    r"|像|类似于?|相当于)\s*\Z",
    re.IGNORECASE,
)
BEFORE = 24
"""Characters in front of a name in which a comparison would stand."""
OURS = re.compile(
    r"torch|(?<![a-z])tensors?(?![a-z])|张量|dataloader|state_dict|autograd|(?<![a-z])nn\.",
    re.IGNORECASE,
)

TERMINAL = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
PREFIX = re.compile(r"^[ \t]*(?:\[?rank ?\d+\]?:|E   |>(?!>)|[\u2502|](?= ))[ \t]?", re.MULTILINE)
"""What launchers, pytest, quotations and boxes put before each line."""
MOST = 2000
"""Characters kept: the first half of them from the beginning, the rest from the end."""
NOISE = re.compile(
    r'^\s{0,40}(?:File "[^"\n]{0,4000}", line \d+.*|Traceback \(most recent call last\):?|[\^~ ]+'
    r"|-{3,}.*|at [\w./]+:\d+|.{0,200}CUDA kernel errors might be asynchronously.*"
    r"|For debugging consider passing .*|Compile with `TORCH_USE_CUDA_DSA`.*)$",
    re.MULTILINE,
)
FRAME_SOURCE = re.compile(
    r'^(\s{0,40}File "[^"\n]{0,4000}", line \d+.*)\n[ \t]{4,}.*$', re.MULTILINE
)
PATH = re.compile(r"(?:[A-Za-z]:)?(?:[\\/][\w.\- ]{1,80}){2,30}")
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,16}\b")
MESSAGE = re.compile(r"\b[A-Za-z_][\w.]{0,80}(?:Error|Exception|Warning)\b\s?:")
SPACES = re.compile(r"[ \t]+")


def plain(text: str) -> str:
    """A paste without what terminals, launchers, pytest and mail put into it."""
    return PREFIX.sub("", TERMINAL.sub("", text)) if text else text


def focus(text: str) -> str:
    """The part of a query that can be looked up.

    Raises:
        QueryError: nothing is left.
    """
    if len(text) > 4 * MOST:
        text = f"{text[: 2 * MOST]}\n{text[-2 * MOST :]}"
    text = plain(text)
    if 'File "' in text:
        text = FRAME_SOURCE.sub(r"\1", text)
    text = NOISE.sub("", text)
    text = ADDRESS.sub(" ", PATH.sub(" ", text))
    lines = (SPACES.sub(" ", line).strip() for line in text.split("\n"))
    text = "\n".join(line for line in lines if line)
    if len(text) > MOST:
        text = f"{text[: MOST // 2]}\n{text[-MOST // 2 :]}"
    if not text.strip():
        raise QueryError("the query is empty: ask a question or paste a message")
    return text


def holds_message(text: str) -> bool:
    """Whether it pastes what a program said, not only asks in words."""
    return MESSAGE.search(text) is not None


def is_about_another(text: str) -> bool:
    """Whether it names another library or tool, and neither this one nor a tensor.

    What is only compared with another is not about it.

    Example:
        >>> is_about_another("save a keras model"), is_about_another("keras layer in torch")
        (True, False)
        >>> is_about_another("a model summary like keras")
        False
    """
    text = text[:MOST]
    if OURS.search(text):
        return False
    named = _others().finditer(text)
    return any(
        COMPARED.search(text[max(0, at.start() - BEFORE) : at.start()]) is None for at in named
    )


@cache
def _others() -> re.Pattern[str]:
    names = ELSEWHERE.read_text(encoding="utf-8").split()
    either = "|".join(map(re.escape, names))
    return re.compile(rf"(?<![\w.])(?:{either})(?!\w)", re.IGNORECASE | re.ASCII)


def answer_language(text: str) -> Language:
    """The language a query is asked in."""
    return Language.ZH if has_chinese(text) else Language.EN
