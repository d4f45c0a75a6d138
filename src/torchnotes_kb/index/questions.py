"""Questions beside passages: what a query is compared with as its like.

Embedded as queries are, a note's titles and keywords, its `asked` lines and the sentences of its
Symptom or Question say how people come to it; a list of questions that no note answers
(`data/outside.txt`: other libraries, other fields, small talk) says how they ask for something
else. A model of the E5 family puts questions of one subject near each other, while its cosines
between a question and a passage say little about whether the passage answers at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from torchnotes_kb.errors import IndexCorruptError
from torchnotes_kb.index.passages import nameless, text_key
from torchnotes_kb.index.vectors import Floats, VectorStore
from torchnotes_kb.notes.model import Chunk, Note, NoteKind

__all__ = [
    "DEAD",
    "NOBODY",
    "QUESTIONS",
    "Question",
    "QuestionStore",
    "outside",
    "questions_of",
    "read_owners",
    "write_owners",
]

QUESTIONS = "questions"
"""The folder of their vectors, and the name of their table."""
OWNERS = "notes.npy"
NOBODY, DEAD = -1, -2
"""Instead of a note's row: no note answers; the row was deleted."""
OUTSIDE = Path(__file__).parent / "data" / "outside.txt"
ASKING = ("Symptom", "Question")
SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f\uff1b])")
SHORTEST, LONGEST = 6, 300
"""Characters."""


class Question(NamedTuple):
    """One question and whose it is."""

    text: str
    note_id: str
    """Empty: no note answers it."""

    @property
    def key(self) -> bytes:
        """Under which its vector is kept; never that of a passage."""
        return text_key(f"query\0{self.text}")


def outside() -> list[Question]:
    """The questions that no corpus of this kind answers."""
    lines = OUTSIDE.read_text(encoding="utf-8").splitlines()
    return [Question(nameless(line), "") for line in lines if line]


def questions_of(notes: Iterable[Note], chunks: Iterable[Chunk]) -> Iterator[Question]:
    """The questions of notes: titles, the id's keywords, and what was met, sentence by sentence."""
    texts: dict[str, dict[str, None]] = {}
    for note in notes:
        keywords = "" if note.kind is NoteKind.PAGE else note.id.replace("-", " ")
        texts[note.id] = {
            nameless(text): None
            for text in (note.title, note.title_zh, keywords, *note.asked)
            if text
        }
    for chunk in chunks:
        if chunk.section in ASKING:
            texts[chunk.note_id].update(dict.fromkeys(map(nameless, _sentences(chunk.text))))
    return (Question(text, note_id) for note_id, found in texts.items() for text in found)


def _sentences(text: str) -> list[str]:
    parts = (" ".join(part.split())[:LONGEST] for part in SENTENCE.split(text))
    return [part for part in parts if len(part) >= SHORTEST]


class QuestionStore:
    """Questions by nearness to a query."""

    def __init__(self, vectors: VectorStore, owners: npt.NDArray[np.int32]) -> None:
        self._vectors = vectors
        self._owners = owners

    def search(self, vector: Floats, k: int) -> tuple[list[int], list[float]]:
        """The notes of the `k` nearest questions (`NOBODY` among them), and their cosines."""
        rows, cosines = self._vectors.search(vector, k)
        owners: list[int] = self._owners[rows].tolist()
        return owners, cosines.tolist()

    def close(self) -> None:
        """Let go of the files."""
        self._vectors.close()


def write_owners(folder: Path, owners: Sequence[int]) -> None:
    """Keep whose question each row is."""
    np.save(folder / OWNERS, np.array(owners, dtype=np.int32))


def read_owners(folder: Path, *, rows: int) -> npt.NDArray[np.int32]:
    """Whose question each row is: rows of notes, `NOBODY` or `DEAD`.

    Raises:
        IndexCorruptError: the file cannot be read or has another number of rows.
    """
    try:
        owners: npt.NDArray[np.int32] = np.load(folder / OWNERS)
    except (OSError, ValueError, EOFError) as error:
        raise IndexCorruptError(folder, f"{OWNERS}: {error}") from error
    if owners.shape != (rows,) or owners.dtype != np.int32:
        raise IndexCorruptError(folder, f"{OWNERS} has not the {rows} rows it should have")
    return owners
