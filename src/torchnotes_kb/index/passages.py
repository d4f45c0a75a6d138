"""What is embedded of a chunk, and the key under which its vector is kept over rebuilds."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from torchnotes_kb.notes.model import Chunk

__all__ = ["distinct_head", "nameless", "passage", "text_key"]

MOST = 2000
"""Characters; e5 reads 512 tokens, about so many of English."""
HEAD = 400
"""Characters that every encoder reads whole, in either language."""

NAME = re.compile(
    r"(?<![\w./-])(?:(?:in|with|using|for) |[在用]\s?)?pytorch(?:'s)?(?![\w/-]|\.\w)"
    r"(?:\s?(?:里面|当中|[中里下的]))?",
    re.IGNORECASE | re.ASCII,
)


def nameless(question: str) -> str:
    """A question without the library's name: all are about it, and so it only blurs what is asked.

    Example:
        >>> nameless("How do I save a model in PyTorch?"), nameless("pytorch 里怎么保存模型")
        ('How do I save a model?', '怎么保存模型')
    """
    bare = " ".join(NAME.sub(" ", question).split())
    bare = re.sub(r" (?=[?.,!])", "", bare)
    return bare if re.search(r"\w", bare) else question


def passage(chunk: Chunk) -> str:
    """Title, heading and prose; code only where there is no prose: it crowds out the words."""
    return f"{chunk.title}\n{chunk.section}: {chunk.text or chunk.code}"[:MOST]


def text_key(text: str) -> bytes:
    """32 bytes that change when an embedded text does."""
    return hashlib.sha256(text.encode()).digest()


def distinct_head(text: str) -> str:
    """What must differ for two passages to deserve two vectors.

    Tokenizers drop case, width and spacing, and cut what is long: texts that differ in nothing
    else may well share a vector.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\W+", "", folded)[:HEAD]
