"""How alike a template and a stretch of text are, by the information of the words they share.

A word says the more, the fewer templates have it. Misspelt words count for what they were meant
to be, a message that was cut short for what it still says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

__all__ = ["best_window", "likeness"]

COVERAGE, ORDER = 0.6, 0.4
"""Parts of likeness: the words that are there, and how they follow one another."""
CUT = 0.9
"""A cut message that a template holds whole is worth so much of a whole one."""
CUT_FROM = 14.0
"""Nats a cut message must still say."""
SPELT = 75.0
"""Ratio (rapidfuzz, 0 to 100) from which a word is a misspelling of another."""
SPELT_FROM = 4
AROUND = 3
"""Words beside the best stretch that may be misspelt ones of the template."""

Information = Callable[[str], float]


def best_window(
    words: Sequence[str], information: Mapping[str, float], width: int
) -> tuple[tuple[int, int], float]:
    """The stretch of at most `width` words that holds most of the information, and how much."""
    places = [place for place, word in enumerate(words) if word in information]
    counts: dict[str, int] = defaultdict(int)
    best, at, inside, left = 0.0, (0, 0), 0.0, 0
    for place in places:
        word = words[place]
        counts[word] += 1
        if counts[word] == 1:
            inside += information[word]
        while place - places[left] >= width:
            gone = words[places[left]]
            counts[gone] -= 1
            if not counts[gone]:
                inside -= information[gone]
            left += 1
        if inside > best + 1e-9:
            best, at = inside, (places[left], place + 1)
    return at, best


def likeness(
    wanted: Sequence[str],
    given: Sequence[str],
    at: tuple[int, int],
    *,
    information: Information,
    message: Sequence[str],
) -> float:
    """How alike a template and a text are, 0 to 1.

    Args:
        wanted: The template's words, in order.
        given: The text's words, in order.
        at: The stretch of them that is compared.
        information: What a word says.
        message: The words of the message that the stretch is in, in order; a text that is cut
            holds a part of the template and nothing else.
    """
    start, end = at
    window = _respelt(given[max(0, start - AROUND) : end + AROUND], wanted)
    total = sum(map(information, set(wanted)))
    held = sum(map(information, {*window} & {*wanted}))
    whole = COVERAGE * held / total + ORDER * _in_order(wanted, window) / len(wanted)
    if held < CUT_FROM:
        return whole
    message = _respelt(message, wanted)
    said = sum(map(information, set(message)))
    inside = sum(map(information, {*message} & {*wanted}))
    cut = COVERAGE * inside / said + ORDER * _in_order(message, wanted) / len(message)
    return max(whole, CUT * cut)


def _respelt(words: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The words, each misspelling of a wanted one put right."""
    from rapidfuzz import fuzz, process  # noqa: PLC0415 - exact matches need none of it

    missing = [word for word in {*wanted} - {*words} if len(word) >= SPELT_FROM]
    if not missing:
        return list(words)
    missing.sort()
    respelt = []
    for word in words:
        found = None
        if word not in wanted and len(word) >= SPELT_FROM:
            found = process.extractOne(word, missing, scorer=fuzz.ratio, score_cutoff=SPELT)
        respelt.append(found[0] if found else word)
    return respelt


def _in_order(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence of words."""
    from rapidfuzz.distance import LCSseq  # noqa: PLC0415 - see above

    return LCSseq.similarity(first, second)
