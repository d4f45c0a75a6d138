"""The few sentences of a chunk that are shown: those that speak of what was asked."""

from __future__ import annotations

import re

from torchnotes_kb.index.tokens import query_tokens

__all__ = ["snippet"]

MOST = 320
SENTENCE = re.compile(r"(?<=[.!?:;])\s+|(?<=[\u3002\uff01\uff1f\uff1b])|\n{2,}")


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
    asked = set(query_tokens(query))
    scores = [len(asked & set(query_tokens(sentence))) for sentence in sentences]
    start = max(
        range(len(sentences)),
        key=lambda place: (_ahead(scores, sentences, place), scores[place] > 0, -place),
    )
    shown = ""
    for sentence in sentences[start:]:
        if shown and len(shown) + 1 + len(sentence) > MOST:
            break
        shown = f"{shown} {sentence}".strip()
    return shown if len(shown) <= MOST else shown[: MOST - 1].rstrip() + "…"


def _ahead(scores: list[int], sentences: list[str], start: int) -> int:
    """Words of the query in the sentences that would be shown from `start` on."""
    total, length = scores[start], len(sentences[start])
    for score, sentence in zip(scores[start + 1 :], sentences[start + 1 :], strict=True):
        length += 1 + len(sentence)
        if length > MOST:
            break
        total += score
    return total
