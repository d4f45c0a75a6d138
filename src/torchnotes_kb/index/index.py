"""An index that is open for reading: chunks, notes, vectors, terms and signatures by row.

Its parts are opened when first used, so that a command loads only what its query needs. What an
index contains is decided in `build`; what is done with it, in `search`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from pydantic import ValidationError

from torchnotes_kb.encoders.model import EncoderIdentity
from torchnotes_kb.errors import IndexCorruptError, StaleIndexError
from torchnotes_kb.index.cards import NoteCard
from torchnotes_kb.index.manifest import Manifest, check_files, read_manifest
from torchnotes_kb.index.questions import DEAD as DEAD_QUESTION
from torchnotes_kb.index.questions import QUESTIONS, QuestionStore, read_owners
from torchnotes_kb.index.records import RecordFile
from torchnotes_kb.index.signatures import SignatureTable
from torchnotes_kb.index.terms import TermIndex
from torchnotes_kb.index.vectors import Floats, StoreKind, VectorStore, open_store, open_vectors
from torchnotes_kb.notes.model import Chunk, Note

if TYPE_CHECKING:
    from torchnotes_kb.encoders.model import Encoder
    from torchnotes_kb.index.build import BuildReport
    from torchnotes_kb.index.embed import Progress
    from torchnotes_kb.index.questions import Question

__all__ = ["CHUNKS", "NOTES", "Index"]

CHUNKS, NOTES = "chunks", "notes"
T = TypeVar("T", Chunk, NoteCard)


class Index:
    """Read access to one generation of an index. Thread-safe."""

    def __init__(self, path: Path, folder: Path, manifest: Manifest) -> None:
        """Use `open`."""
        self.path = path
        self.folder = folder
        self.manifest = manifest
        self._chunks = RecordFile(folder, CHUNKS, rows=manifest.chunks)
        self._cards = RecordFile(folder, NOTES, rows=manifest.notes)

    @classmethod
    def build(
        cls,
        path: Path,
        chunks: Sequence[Chunk],
        notes: Sequence[Note],
        encoder: Encoder,
        *,
        outside: Sequence[Question] = (),
        progress: Progress | None = None,
    ) -> BuildReport:
        """Build or update the index at `path`; the one there serves until the new one is ready.

        Texts that did not change keep their vectors; an interrupted build continues.

        Args:
            path: Directory of the index.
            chunks: All chunks, those of a note together.
            notes: The notes they belong to.
            outside: Questions that no note answers: what is nearer to them is not answered.
            encoder: Embeds them.
            progress: Called with texts done and texts in all.

        Raises:
            IndexLockedError: another process is building here.
            IndexBuildError: the files cannot be written; what was there still serves.
            EncoderError: it gave a vector that is zero, not finite, or not its text's own.
        """
        from torchnotes_kb.index.build import build_index  # noqa: PLC0415 - readers never build

        return build_index(path, chunks, notes, encoder, outside=outside, progress=progress)

    @classmethod
    def open(cls, path: Path, *, encoder: EncoderIdentity | None) -> Self:
        """Open the index at `path`.

        Args:
            path: Directory of the index.
            encoder: What queries will be embedded with; None: whatever it was built with.

        Raises:
            IndexMissingError: there is none.
            IndexCorruptError: a file is missing, cut short or changed.
            StaleIndexError: another format or encoder.
        """
        while True:
            manifest = read_manifest(path)
            if encoder is not None and manifest.encoder != encoder:
                raise StaleIndexError(
                    path, expected=_described(encoder), found=_described(manifest.encoder)
                )
            try:
                check_files(path, manifest, deep=False)
                return cls(path, path / manifest.generation, manifest)
            except IndexCorruptError:
                if read_manifest(path).generation == manifest.generation:
                    raise  # else a builder has just switched to another

    def check(self, *, deep: bool = False) -> None:
        """Look for damage; `deep` reads and hashes every file.

        Raises:
            IndexCorruptError: a file is missing, cut short or changed.
        """
        check_files(self.path, self.manifest, deep=deep)

    def chunk(self, row: int) -> Chunk:
        """A live chunk by its row."""
        record = self._chunks.read(row)
        if record is None:
            raise IndexCorruptError(self.path, f"chunk {row} is dead but was found")
        return self._parsed(Chunk, record)

    def card(self, row: int) -> NoteCard:
        """A live note by its row."""
        record = self._cards.read(row)
        if record is None:
            raise IndexCorruptError(self.path, f"note {row} is dead but was found")
        return self._parsed(NoteCard, record)

    def row_of(self, note_id: str) -> int | None:
        """The row of a note; None: it is not here."""
        return self.terms.row_of(note_id)

    def notes_of(self, chunk_rows: Sequence[int]) -> list[int]:
        """The rows of the notes that the chunks belong to."""
        return self._chunks.note_of(chunk_rows)

    def is_only_chunk(self, row: int) -> bool:
        """Whether no chunk beside this one is of the same note."""
        beside = [other for other in (row - 1, row + 1) if 0 <= other < len(self._chunks)]
        note, *others = self.notes_of([row, *beside])
        return note not in others

    def cards(self) -> Iterator[NoteCard | None]:
        """Every note in order of row, None for a dead row."""
        return (None if line is None else self._parsed(NoteCard, line) for line in self._cards)

    def chunks(self) -> Iterator[Chunk | None]:
        """Every chunk in order of row, None for a dead row."""
        return (None if line is None else self._parsed(Chunk, line) for line in self._chunks)

    @cached_property
    def vectors(self) -> VectorStore:
        """Searches by inner product."""
        dead = np.flatnonzero(self._chunks.rows["size"] == 0)
        kind = StoreKind(self.manifest.vectors)
        return open_store(self.folder, kind, shape=self._shape, dead=dead)

    @cached_property
    def matrix(self) -> Floats:
        """The vectors themselves, by row of chunk, mapped."""
        return open_vectors(self.folder, shape=self._shape)

    @cached_property
    def questions(self) -> QuestionStore:
        """Searches questions by inner product."""
        folder = self.folder / QUESTIONS
        rows, dim = self.manifest.questions, self.manifest.encoder.dim
        owners = read_owners(folder, rows=rows)
        dead = np.flatnonzero(owners == DEAD_QUESTION)
        kind = StoreKind(self.manifest.question_vectors)
        return QuestionStore(open_store(folder, kind, shape=(rows, dim), dead=dead), owners)

    @cached_property
    def terms(self) -> TermIndex:
        """Searches by words."""
        return TermIndex.open(self.folder, notes=self.manifest.notes - self.manifest.dead_notes)

    @cached_property
    def signatures(self) -> SignatureTable:
        """The templates of all notes."""
        return SignatureTable.load(self.folder)

    def close(self) -> None:
        """Let go of the files."""
        if "vectors" in vars(self):
            self.vectors.close()
        if "questions" in vars(self):
            self.questions.close()
        self._chunks.close()
        self._cards.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _shape(self) -> tuple[int, int]:
        return self.manifest.chunks, self.manifest.encoder.dim

    def _parsed(self, model: type[T], record: bytes) -> T:
        try:
            return model.model_validate_json(record)
        except ValidationError as error:
            raise IndexCorruptError(self.path, f"a record is no {model.__name__}") from error


def _described(encoder: EncoderIdentity) -> str:
    return f"encoder {encoder.name} ({encoder.revision[:12]}, {encoder.dim} dimensions)"
