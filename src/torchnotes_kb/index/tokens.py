"""Text into the tokens of the lexical index: words, split identifiers, segmented Chinese.

The same function serves documents and queries; documents also get the joined neighbours of an
identifier's words, so that `crossentropy` finds `CrossEntropyLoss`. No index here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

__all__ = ["document_tokens", "has_chinese", "query_tokens", "split_identifier", "stem"]

PIECE = re.compile(
    r"(?P<zh>[\u3400-\u4dbf\u4e00-\u9fff]+)"
    r"|(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
    r"|(?P<number>\d+(?:\.\d+)*)",
    re.ASCII,
)
"""ASCII on purpose: `\\w` would glue an identifier to the Chinese beside it."""
HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
MAX_TOKEN = 80
"""Longer ones are base64 or hashes; nobody asks for them."""
STEM_MIN = 4
SPELT = {"centr": "center", "labell": "label", "modell": "model", "cancell": "cancel"}
"""British stems and American ones, where no rule leads from one to the other."""
BRITISH = (re.compile(r"(?<=\w{3})(is|ys)(?=$|er$|ation$)"), re.compile(r"(?<=\w{3})our$"))


def document_tokens(text: str) -> list[str]:
    """What to index of a text."""
    return [token for token in _tokens(text, joined=True) if len(token) <= MAX_TOKEN]


def query_tokens(text: str) -> list[str]:
    """What to look up for a text, in order, repetitions kept."""
    return [token for token in _tokens(text, joined=False) if len(token) <= MAX_TOKEN]


def has_chinese(text: str) -> bool:
    """Whether any Chinese character stands in the text."""
    return re.search(r"[\u3400-\u4dbf\u4e00-\u9fff]", text) is not None


@lru_cache(maxsize=65536)
def split_identifier(name: str) -> tuple[str, ...]:
    """The words of one undotted identifier, lower-cased.

    Example:
        >>> split_identifier("CrossEntropyLoss"), split_identifier("zero_grad")
        (('cross', 'entropy', 'loss'), ('zero', 'grad'))
    """
    return tuple(word.lower() for part in name.split("_") for word in HUMP.findall(part))


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A light English stem: plurals, -ing, -ed; words of code pass through the same way.

    Porter's step 1, cut down: finer steps merge words that PyTorch keeps apart
    (`normalize` and `normal`). British spellings become American ones.

    Example:
        >>> stem("normalised"), stem("normalizes"), stem("initialisation"), stem("behaviours")
        ('normaliz', 'normaliz', 'initialization', 'behavior')
    """
    return _american(_stem(word))


def _american(stemmed: str) -> str:
    """One stem for the spellings of both sides; what it makes of other words, it makes of all."""
    stemmed = BRITISH[0].sub(lambda found: f"{found[0][0]}z", stemmed)
    return SPELT.get(stemmed) or BRITISH[1].sub("or", stemmed)


def _stem(word: str) -> str:
    if len(word) < STEM_MIN or not word.isalpha():
        return word
    if word.endswith("sses"):
        word = word[:-2]
    elif word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) >= STEM_MIN - 1 and re.search("[aeiouy]", base):
            return _mended(base)
    return word.removesuffix("e") if len(word) > STEM_MIN else word


def _mended(base: str) -> str:
    """`stopp` is `stop`; a final e is dropped everywhere, so `sav` is right for `saving`."""
    if base[-1] == base[-2] and base[-1] not in "lsz":
        return base[:-1]
    return base.removesuffix("e") if len(base) > STEM_MIN else base


def _tokens(text: str, *, joined: bool) -> Iterator[str]:
    for piece in PIECE.finditer(text):
        if piece.lastgroup == "zh":
            yield from _segment(piece.group())
        elif piece.lastgroup == "number":
            yield piece.group()
        else:
            yield from _name_tokens(piece.group(), joined)


@lru_cache(maxsize=65536)
def _name_tokens(name: str, joined: bool) -> tuple[str, ...]:  # noqa: FBT001 - cached, positional
    """The dotted name, each of its parts and each word of a part; none of them twice."""
    parts = [part for part in name.split(".") if part.strip("_")]
    found = {name.lower(): None} if len(parts) > 1 else {}
    for part in parts:
        words = split_identifier(part)
        if len(words) > 1:
            found[part.lower()] = None
            if joined:
                found |= {first + second: None for first, second in zip(words, words[1:])}  # noqa: B905, RUF007
                found["".join(words)] = None
        found |= {stem(word): None for word in words}
    return tuple(found)


def _segment(chinese: str) -> list[str]:
    import rjieba  # noqa: PLC0415 - its dictionary is 0.15 s that English never needs

    return [str(word) for word in rjieba.cut_for_search(chinese)]
