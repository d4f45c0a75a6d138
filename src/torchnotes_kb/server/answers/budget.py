"""How much of a model's context a text costs, and cutting it to what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["DEFAULT_TOKENS", "LEAST_TOKENS", "MOST_TOKENS", "clip", "fitted", "tokens"]

DEFAULT_TOKENS = 2000
LEAST_TOKENS = 400
"""Names of fields, titles and ids alone cost up to 350."""
MOST_TOKENS = 20_000
"""Hosts cut tool results at 25,000 tokens (Claude Code's default); stay below that."""
CHARS_PER_TOKEN = 3.2
"""Of English mixed with code; prose has 4 to 4.5, dense code about 3. On the safe side."""


LEAST_ROOM = 20
A = TypeVar("A")


def fitted(make: Callable[[int], A], *, cost: Callable[[A], int], most: int) -> A:
    """The answer that costs at most `most`, made for as much room as that allows.

    What names of fields and JSON's escapes add to shares of a budget is known only afterwards.
    """
    room, answer = most, make(most)
    while cost(answer) > most and room > LEAST_ROOM:
        room = room * 4 // 5
        answer = make(room)
    return answer


def tokens(text: str) -> int:
    """An estimate that errs on the high side, whatever the model's tokenizer.

    A character outside ASCII counts as a token of its own, which Chinese is in most tokenizers.
    """
    ascii_chars = len(text.encode("ascii", "ignore"))
    return round(ascii_chars / CHARS_PER_TOKEN) + len(text) - ascii_chars


def clip(text: str, most: int) -> str:
    """The beginning and the end of a text that costs more than `most` tokens.

    Output and tracebacks say what matters first or last, so the middle goes and its size is named.
    """
    if tokens(text) <= most:
        return text
    keep = len(text)
    while keep > 1 and tokens(text[: keep // 2] + text[-(keep // 2) :]) > most:
        keep = keep * 9 // 10
    head, tail = text[: keep // 2], text[len(text) - keep // 2 :]
    return f"{head}\n[… {len(text) - 2 * (keep // 2)} characters left out …]\n{tail}"
