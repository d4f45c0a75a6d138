"""Misspelt words of a query, put right from the words of the notes' messages."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet

from torchnotes_kb.index.tokens import query_tokens

__all__ = ["respell"]

WORD = re.compile(r"[A-Za-z_]{5,40}", re.ASCII)
LONG = 8
"""Letters from which two slips, or another letter in place of one, are taken for a slip: `bread`
is no misspelt `break`."""


def respell(text: str, misspelt: AbstractSet[str], known: Mapping[str, Collection[int]]) -> str:
    """The text with its misspelt words replaced by the known ones that they were meant to be.

    Args:
        text: A query.
        misspelt: Tokens of it that no note has and some note nearly has.
        known: Words in lower case, and where each stands.

    Example:
        >>> respell("Contigous state_dcit", {"contigous", "state_dcit"},
        ...         {"contiguous": [1], "state_dict": [1, 2]})
        'contiguous state_dict'
    """

    def right(found: re.Match[str]) -> str:
        word = found.group()
        if misspelt.isdisjoint(query_tokens(word)):
            return word
        return _meant(word.lower(), known) or word

    return WORD.sub(right, text)


def _meant(word: str, known: Mapping[str, Collection[int]]) -> str | None:
    """The nearest known word; of two that are as near, the one that stands in more places."""
    from rapidfuzz import process  # noqa: PLC0415 - a query without slips needs none of it
    from rapidfuzz.distance import OSA  # noqa: PLC0415 - likewise

    most = 2 if len(word) >= LONG else 1
    near = process.extract(word, list(known), scorer=OSA.distance, score_cutoff=most)
    slips = [other for other, *_ in near if len(word) >= LONG or _one_slip(word, other)]
    return min(
        slips,
        key=lambda other: (OSA.distance(word, other), -len(known[other]), other),
        default=None,
    )


def _one_slip(word: str, other: str) -> bool:
    """Whether a letter is missing, doubled or out of place, and none stands for another."""
    return len(word) != len(other) or sorted(word) == sorted(other)
