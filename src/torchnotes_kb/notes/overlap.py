"""Which signatures of different notes stand in one message: who must know of whom.

Pure comparison of templates; how a message chooses among them is in `search` and `explain`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torchnotes_kb.notes.model import Note
from torchnotes_kb.notes.template import Template

__all__ = ["Overlap", "overlaps"]

VALUES = {"": "qzx", "d": "7", "shape": "[2, 3]"}
"""What a capture of each kind is filled with to make a message of a template."""
RUN = re.compile(r"[A-Za-z_]+")


@dataclass(frozen=True)
class Overlap:
    """Every message of `signature` is one of `covering` too, a signature of `other`."""

    note_id: str
    signature: str
    other: str
    covering: str


@dataclass(frozen=True)
class _Sample:
    note_id: str
    template: Template
    message: str
    word: str
    """The longest run of letters in it: no message without it can match."""


def overlaps(notes: Iterable[Note]) -> Iterator[Overlap]:
    """Every pair of signatures of two notes of which one covers the other."""
    samples = [_sample(note.id, text) for note in notes for text in note.signatures]
    known = [sample for sample in samples if sample is not None]
    for narrow in known:
        for wide in known:
            if (
                wide.note_id != narrow.note_id
                and wide.word in narrow.message
                and wide.template.search(narrow.message) is not None
            ):
                yield Overlap(
                    narrow.note_id, narrow.template.text, wide.note_id, wide.template.text
                )


def _sample(note_id: str, signature: str) -> _Sample | None:
    try:
        template = Template.parse(signature)
    except ValueError:
        return None
    message = "".join(
        part if isinstance(part, str) else VALUES[part.kind] for part in template.parts
    )
    words = RUN.findall(template.literal)
    return _Sample(note_id, template, message, max(words, key=len, default=""))
