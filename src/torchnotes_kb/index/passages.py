"""What is embedded of a chunk, and the key under which its vector is kept over rebuilds."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from torchnotes_kb.notes.model import Chunk

__all__ = ["distinct_head", "passage", "text_key"]

MOST = 2000
"""Characters; e5 reads 512 tokens, about so many of English."""
HEAD = 400
"""Characters that every encoder reads whole, in either language."""


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
