"""What a note says of its message in other releases: its own sentences, nothing deduced."""

from __future__ import annotations

import re

from torchnotes_kb.notes.model import Language, Note
from torchnotes_kb.notes.prose import fill

__all__ = ["wordings"]

SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(\"“])|(?<=[。！？])|\n\n")
RELEASE = re.compile(
    r"\b(?:older|earlier|later|newer) (?:releases?|versions?|torch|wordings?|ones)\b"
    r"|\b(?:releases?|torch) (?:since|before|until|up to|from) [12]\.\d"
    r"|\b(?:since|before|until|up to|in|from|as of) (?:torch |release )?[12]\.\d"
    r"|\b[12]\.\d+ says?\b"
    r"|(?:旧|老|早期|较早|之前|新)(?:的)?版|旧措辞|[12]\.\d{1,2} ?(?:起|之前|以前|以后|及以后|报)",
    re.IGNORECASE,
)
QUOTED = re.compile(r"\"[^\"\n]{4,}\"|“[^”\n]{4,}”|「[^」\n]{4,}」")
WORD = re.compile(r"[A-Za-z_]{2,}")
LEAST = 0.6
"""Share of a quotation's words that one signature must have, for it to be a wording of it."""
MOST = 3


def wordings(note: Note, language: Language) -> tuple[str, ...]:
    """Sentences that name a release and quote one of the note's wordings; only in `language`."""
    signatures = [set(WORD.findall(signature)) for signature in note.signatures]
    texts = (s.text_zh if language is Language.ZH else s.text for s in note.sections)
    found = [
        fill(sentence.strip())
        for text in texts
        for sentence in SENTENCE.split(text)
        if RELEASE.search(sentence) and _quotes_one(sentence, signatures)
    ]
    return tuple(found[:MOST])


def _quotes_one(sentence: str, signatures: list[set[str]]) -> bool:
    if sentence.count('"') % 2:
        return False  # it begins or ends within a quotation
    quoted = (set(WORD.findall(text)) for text in QUOTED.findall(sentence))
    return any(
        len(words & known) >= max(2, LEAST * len(words)) for words in quoted for known in signatures
    )
