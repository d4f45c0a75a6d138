"""Building an index: beside the one that serves, checked, then switched to in one step.

    PATH/.lock           held while building
    PATH/.journal/       vectors of a build that was interrupted
    PATH/.building/      the new generation, until it is complete
    PATH/<generation>/   the files that serve
    PATH/manifest.json   names the generation; replacing it is the switch

A crash or a full disk at any point leaves the old manifest and the old generation.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from torchnotes_kb.encoders.model import Encoder, TextKind
from torchnotes_kb.errors import (
    IndexBuildError,
    IndexCorruptError,
    IndexMissingError,
    StaleIndexError,
)
from torchnotes_kb.index.cards import NoteCard
from torchnotes_kb.index.embed import Journal, Progress
from torchnotes_kb.index.index import CHUNKS, NOTES, Index
from torchnotes_kb.index.lock import BuildLock
from torchnotes_kb.index.manifest import FORMAT, Manifest, file_entries
from torchnotes_kb.index.matrix import read_keys, refuse_duplicates, write_vectors
from torchnotes_kb.index.passages import passage
from torchnotes_kb.index.plan import Plan, Standing, corpus_digest, plan_anew, plan_onto
from torchnotes_kb.index.publish import free_name, publish, sync_files
from torchnotes_kb.index.questions import (
    DEAD,
    NOBODY,
    QUESTIONS,
    Question,
    questions_of,
    read_owners,
    write_owners,
)
from torchnotes_kb.index.records import RecordWriter
from torchnotes_kb.index.signatures import SignatureTable
from torchnotes_kb.index.term_documents import write_terms
from torchnotes_kb.index.vectors import Floats, StoreKind, store_kind
from torchnotes_kb.notes.model import Chunk, Note
from torchnotes_kb.values import Frozen

__all__ = ["BuildReport", "build_index"]

JOURNAL, BUILDING = ".journal", ".building"


class BuildReport(Frozen):
    """What a build did."""

    path: Path
    chunks: int
    notes: int
    embedded: int
    """Texts that were embedded now; the others kept their vectors."""
    dead_chunks: int
    vectors: StoreKind
    duplicates: tuple[tuple[str, str], ...] = ()
    """Pairs of chunk ids with different texts and equal vectors."""
    unchanged: bool = False
    """The index was up to date and sound, and was left as it is."""


def build_index(
    path: Path,
    chunks: Sequence[Chunk],
    notes: Sequence[Note],
    encoder: Encoder,
    *,
    outside: Sequence[Question] = (),
    progress: Progress | None = None,
) -> BuildReport:
    """See `Index.build`."""
    questions = (*questions_of(notes, chunks), *outside)
    try:
        with BuildLock(path), _Build.begin(path, chunks, questions, notes, encoder) as build:
            return build.run(progress or _silent)
    except OSError as error:
        raise IndexBuildError(path, error.strerror or str(error)) from error


def _silent(done: int, total: int) -> None:
    del done, total


@dataclass
class _Build:
    """One build: what goes in, where it is written, what can be reused."""

    path: Path
    chunks: Sequence[Chunk]
    questions: Sequence[Question]
    notes: Sequence[Note]
    encoder: Encoder
    previous: Index | None
    kind: StoreKind
    plan: Plan

    @classmethod
    def begin(
        cls,
        path: Path,
        chunks: Sequence[Chunk],
        questions: Sequence[Question],
        notes: Sequence[Note],
        encoder: Encoder,
    ) -> Self:
        kind = store_kind(len(chunks), encoder.identity.dim)
        try:
            previous = Index.open(path, encoder=encoder.identity)
            previous.check(deep=True)
        except (IndexMissingError, IndexCorruptError, StaleIndexError):
            previous = None
        plan = _plan(previous, kind, chunks, questions, notes)
        return cls(path, chunks, questions, notes, encoder, previous, kind, plan)

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.previous is not None:
            self.previous.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def folder(self) -> Path:
        return self.path / BUILDING

    @property
    def question_kind(self) -> StoreKind:
        """The kind of the chunks' store where the questions are many, too."""
        few = store_kind(len(self.questions), self.encoder.identity.dim) is StoreKind.EXACT
        return StoreKind.EXACT if few else self.kind

    def run(self, progress: Progress) -> BuildReport:
        cards = _cards(self.chunks, self.notes, self.plan)
        asked = (f"{question.note_id}\0{question.text}" for question in self.questions)
        corpus = corpus_digest((*(card.digest for card in cards), *asked))
        if self.previous is not None and self.previous.manifest.corpus_sha256 == corpus:
            return self._report(embedded=0, duplicates=[], unchanged=True)
        matrix, embedded = self._write_vectors(progress)
        duplicates = refuse_duplicates(self.plan.chunks, matrix, self._passage_of, self.encoder)
        self._write_records(cards)
        onto = self.previous if self.plan.chunks.kept else None
        write_terms(self.folder, self.plan, cards, self.chunks, previous=onto)
        self._publish(corpus)
        return self._report(embedded=embedded, duplicates=duplicates)

    def _write_vectors(self, progress: Progress) -> tuple[Floats, int]:
        """Those of chunks, which are returned, and of questions; and how many texts were new."""
        journal = Journal(self.path / JOURNAL, self.encoder.identity)
        chunks, questions = self.plan.chunks, self.plan.questions
        both = len(chunks.rows) + len(questions.rows)
        before = self.previous.folder if self.previous is not None else None
        matrix, embedded = write_vectors(
            self.folder,
            chunks,
            self._passage_of,
            self.encoder,
            side=TextKind.PASSAGE,
            store=self.kind,
            previous=before,
            journal=journal,
            progress=lambda done, _: progress(done, both),
        )
        _, asked = write_vectors(
            self.folder / QUESTIONS,
            questions,
            lambda row: self._question_of(row).text,
            self.encoder,
            side=TextKind.QUERY,
            store=self.question_kind,
            previous=before and before / QUESTIONS,
            journal=journal,
            progress=lambda done, _: progress(len(chunks.rows) + done, both),
        )
        return matrix, embedded + asked

    def _passage_of(self, row: int) -> str:
        position = self.plan.chunks.rows[row]
        assert position is not None  # noqa: S101 - only live rows are embedded
        return passage(self.chunks[position])

    def _question_of(self, row: int) -> Question:
        position = self.plan.questions.rows[row]
        assert position is not None  # noqa: S101 - likewise
        return self.questions[position]

    def _write_records(self, cards: Sequence[NoteCard]) -> None:
        rows = self.plan.note_rows
        with RecordWriter(self.folder, CHUNKS) as writer:
            for position in self.plan.chunks.rows:
                chunk = None if position is None else self.chunks[position]
                if chunk is None:
                    writer.add(None)
                else:
                    writer.add(chunk.model_dump_json(), note=rows[chunk.note_id])
        with RecordWriter(self.folder, NOTES) as writer:
            for position in self.plan.notes:
                writer.add(None if position is None else cards[position].model_dump_json())
        owners = (
            DEAD if position is None else rows.get(self.questions[position].note_id, NOBODY)
            for position in self.plan.questions.rows
        )
        write_owners(self.folder / QUESTIONS, list(owners))
        pairs = ((card.id, text) for card in cards for text in card.signatures)
        SignatureTable.from_signatures(pairs).save(self.folder)

    def _publish(self, corpus: str) -> None:
        sync_files(self.folder)
        identity = self.encoder.identity
        name = hashlib.sha256(f"{FORMAT} {corpus} {identity}".encode()).hexdigest()[:16]
        manifest = Manifest(
            format=FORMAT,
            encoder=identity,
            corpus_sha256=corpus,
            generation=free_name(self.path, name),
            vectors=self.kind,
            chunks=len(self.plan.chunks.rows),
            notes=len(self.plan.notes),
            questions=len(self.plan.questions.rows),
            question_vectors=self.question_kind,
            dead_chunks=self.plan.chunks.dead,
            dead_notes=self.plan.notes.count(None),
            files=file_entries(self.folder),
        )
        with Index(self.path, self.folder, manifest) as built:
            _try_out(built)
        publish(self.path, self.folder, manifest)

    def _report(
        self, *, embedded: int, duplicates: Sequence[tuple[int, int]], unchanged: bool = False
    ) -> BuildReport:
        ids = [(self._chunk_id(first), self._chunk_id(second)) for first, second in duplicates]
        return BuildReport(
            path=self.path,
            chunks=len(self.chunks),
            notes=len(self.notes),
            embedded=embedded,
            dead_chunks=self.plan.chunks.dead,
            vectors=self.kind,
            duplicates=tuple(ids),
            unchanged=unchanged,
        )

    def _chunk_id(self, row: int) -> str:
        position = self.plan.chunks.rows[row]
        return "" if position is None else self.chunks[position].id


def _plan(
    previous: Index | None,
    kind: StoreKind,
    chunks: Sequence[Chunk],
    questions: Sequence[Question],
    notes: Sequence[Note],
) -> Plan:
    if previous is None or kind is StoreKind.EXACT or previous.manifest.vectors != kind:
        return plan_anew(chunks, questions, notes)
    onto = plan_onto(_standing(previous), chunks, questions, notes)
    return onto or plan_anew(chunks, questions, notes)


def _standing(index: Index) -> Standing:
    note_ids = [None if card is None else card.id for card in index.cards()]
    owners = read_owners(index.folder / QUESTIONS, rows=index.manifest.questions).tolist()
    names = {DEAD: None, NOBODY: "", **dict(enumerate(note_ids))}
    return Standing(
        chunk_ids=[None if chunk is None else chunk.id for chunk in index.chunks()],
        chunk_keys=read_keys(index.folder),
        question_notes=[names[owner] for owner in owners],
        question_keys=read_keys(index.folder / QUESTIONS),
        note_ids=note_ids,
    )


def _cards(chunks: Sequence[Chunk], notes: Sequence[Note], plan: Plan) -> list[NoteCard]:
    rows: dict[str, list[int]] = {note.id: [] for note in notes}
    states = {note.id: hashlib.sha256(_card_text(note).encode()) for note in notes}
    for row, position in enumerate(plan.chunks.rows):
        if position is not None:
            chunk = chunks[position]
            rows[chunk.note_id].append(row)
            states[chunk.note_id].update(chunk.model_dump_json().encode())
    return [
        NoteCard.from_note(
            note, chunks=tuple(rows[note.id]), digest=states[note.id].hexdigest()[:32]
        )
        for note in notes
    ]


def _card_text(note: Note) -> str:
    return NoteCard.from_note(note, chunks=(), digest="").model_dump_json()


def _try_out(index: Index) -> None:
    """A generation is published only if it can be searched: its first live chunk finds itself."""
    first = next((row for row, chunk in enumerate(index.chunks()) if chunk is not None), None)
    if first is None:
        return
    rows, scores = index.vectors.search(np.asarray(index.matrix[first]), 1)
    same = len(rows) == 1 and bool(np.isclose(scores[0], 1, atol=1e-2))
    if not same or index.row_of(index.chunk(first).note_id) is None:
        raise IndexCorruptError(index.path, "the new index does not find its own first chunk")
