"""The few sentences of a chunk that are shown: those that speak of what was asked."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

from torchnotes_kb.index.tokens import query_tokens
from torchnotes_kb.search.lexical import stop_words

__all__ = ["asked_words", "said_of", "snippet"]

MOST = 320
SENTENCE = re.compile(r"(?<=[.!?:;])\s+|(?<=[\u3002\uff01\uff1f\uff1b\uff1a])|\n{2,}")
OPEN = (":", "\uff1a")
"""Ends of a sentence that something should follow, code for the most part."""


def asked_words(query: str) -> frozenset[str]:
    """The words of a query that say something."""
    return frozenset(query_tokens(query)) - stop_words()


def said_of(text: str, asked: AbstractSet[str]) -> int:
    """How many of these words a text has."""
    return len(asked & set(query_tokens(text)))


def snippet(text: str, query: str) -> str:
    """At most 320 characters of whole sentences, those that say most of the query's words.

    Where none says any, the beginning.

    Example:
        >>> snippet("A view shares memory. " * 20 + "Call clone for a copy.", "how to copy")
        'Call clone for a copy.'
    """
    flat = " ".join(text.split())
    if len(flat) <= MOST:
        return flat
    sentences = [" ".join(part.split()) for part in SENTENCE.split(text) if part.strip()]
    asked = asked_words(query)
    scores = [said_of(sentence, asked) for sentence in sentences]
    start = max(
        range(len(sentences)),
        key=lambda place: (_ahead(scores, sentences, place), scores[place] > 0, -place),
    )
    shown: list[str] = []
    for sentence in sentences[start:]:
        if shown and len(_joined([*shown, sentence])) > MOST:
            break
        shown.append(sentence)
    if len(shown) > 1 and shown[-1].endswith(OPEN):
        shown.pop()
    whole = _joined(shown)
    return whole if len(whole) <= MOST else whole[: MOST - 1].rstrip() + "…"


def _joined(sentences: list[str]) -> str:
    """One after the other; Chinese has no spaces between sentences."""
    return re.sub(r"(?<=[\u3002\uff01\uff1f\uff1b\uff1a]) ", "", " ".join(sentences))


def _ahead(scores: list[int], sentences: list[str], start: int) -> int:
    """Words of the query in the sentences that would be shown from `start` on."""
    total, length = scores[start], len(sentences[start])
    for score, sentence in zip(scores[start + 1 :], sentences[start + 1 :], strict=True):
        length += 1 + len(sentence)
        if length > MOST:
            break
        total += score
    return total
