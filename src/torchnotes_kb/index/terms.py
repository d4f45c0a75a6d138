"""The lexical index: BM25 over our own tokens, one document a note, in tantivy.

Tokens come ready-made from `tokens`, separated by spaces, so that nothing on the other side
guesses at Chinese or at identifiers; queries are built from terms and never parsed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from torchnotes_kb.errors import IndexCorruptError

if TYPE_CHECKING:
    import tantivy

__all__ = ["Clause", "Field", "TermIndex", "TermWriter"]

TERMS = "terms"
HEAP_BYTES = 128_000_000
ID, ROW = "id", "row"
LOCK = ".tantivy-meta.lock"


class Field(StrEnum):
    """The parts of a note that are searched, each with its own length statistics."""

    TITLE = "title"
    SIGNATURE = "signature"
    TEXT = "text"
    CODE = "code"


@dataclass(frozen=True)
class Clause:
    """One term to look for in one field. A note scores the sum of its clauses."""

    field: Field
    term: str
    weight: float
    edits: int = 0
    """Above 0: any term within so many edits, for a flat `weight`."""


class TermWriter:
    """Adds and deletes documents; nothing counts before `commit`."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        """Create or extend the index in `folder`.

        Args:
            folder: The index's directory; `terms` is made below it.
            threads: More than one is faster, and puts documents in an arbitrary order.
        """
        import tantivy  # noqa: PLC0415 - an exact signature match needs no lexical index

        target = folder / TERMS
        target.mkdir(exist_ok=True)
        self._tantivy = tantivy
        self._index = tantivy.Index(_schema(), path=str(target))
        self._writer = self._index.writer(heap_size=HEAP_BYTES, num_threads=threads)

    def add(self, *, row: int, note_id: str, fields: Mapping[Field, Iterable[str]]) -> None:
        """Add one note's tokens."""
        document = self._tantivy.Document()
        document.add_unsigned(ROW, row)
        document.add_text(ID, note_id)
        for field, tokens in fields.items():
            document.add_text(field.value, " ".join(tokens))
        self._writer.add_document(document)

    def delete(self, note_id: str) -> None:
        """Delete a note."""
        self._writer.delete_documents_by_term(ID, note_id)

    def commit(self) -> None:
        """Write everything and let go of the files."""
        self._writer.commit()
        self._writer.wait_merging_threads()


class TermIndex:
    """Searches. Thread-safe: a tantivy searcher is a snapshot."""

    def __init__(self, folder: Path) -> None:
        """Open for reading.

        Raises:
            IndexCorruptError: tantivy cannot read it.
        """
        import tantivy  # noqa: PLC0415 - an exact signature match needs no lexical index

        self._folder = folder
        self._query = tantivy.Query
        self._should = tantivy.Occur.Should
        try:
            with _lockable(folder / TERMS) as terms:
                index = tantivy.Index.open(str(terms))
                self._schema = index.schema
                self._searcher = index.searcher()
        except (ValueError, OSError) as error:
            raise IndexCorruptError(folder, f"{TERMS}: {str(error)[:120]}") from error

    @classmethod
    def open(cls, folder: Path, *, notes: int) -> Self:
        """Open, and see that it holds `notes` documents.

        Raises:
            IndexCorruptError: tantivy cannot read it, or it holds another number.
        """
        terms = cls(folder)
        if terms._searcher.num_docs != notes:
            found = terms._searcher.num_docs
            raise IndexCorruptError(folder, f"{TERMS} holds {found} notes, not {notes}")
        return terms

    def search(self, clauses: Sequence[Clause], limit: int) -> list[tuple[int, float]]:
        """Rows of the best notes and their BM25 scores, best first, ties by row."""
        if not clauses or limit <= 0:
            return []
        query = self._query.boolean_query([(self._should, self._clause(c)) for c in clauses])
        return self._run(query, limit)

    def covering(
        self, words: Sequence[tuple[str, int, float]], limit: int
    ) -> list[tuple[int, float]]:
        """Rows of the notes that hold most of the words, with the total weight of these.

        Args:
            words: Term, how many edits off it may be, and its weight.
            limit: Rows at most.
        """
        if not words or limit <= 0:
            return []
        clauses = []
        for term, edits, weight in words:
            anywhere = [(self._should, self._term(field, term, edits)) for field in Field]
            held = self._query.boolean_query(anywhere)
            clauses.append((self._should, self._query.const_score_query(held, weight)))
        return self._run(self._query.boolean_query(clauses), limit)

    def document_frequency(self, term: str) -> int:
        """In how many notes a term stands, counted in the field where it is most frequent."""
        return max(self._searcher.doc_freq(field.value, term) for field in Field)

    def row_of(self, note_id: str) -> int | None:
        """The row of a note, by its id."""
        query = self._query.term_query(self._schema, ID, note_id, "basic")
        return next((row for row, _ in self._run(query, 1)), None)

    def _run(self, query: tantivy.Query, limit: int) -> list[tuple[int, float]]:
        try:
            found = self._searcher.search(query, limit, count=False).hits
            rows = self._searcher.fast_field_values(ROW, [address for _, address in found])
        except (ValueError, OSError) as error:
            raise IndexCorruptError(self._folder, f"{TERMS}: {str(error)[:120]}") from error
        pairs = [(int(row or 0), score) for row, (score, _) in zip(rows, found, strict=True)]
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))

    def _clause(self, clause: Clause) -> tantivy.Query:
        query = self._term(clause.field, clause.term, clause.edits)
        return self._query.boost_query(query, clause.weight)

    def _term(self, field: Field, term: str, edits: int) -> tantivy.Query:
        if edits:
            return self._query.fuzzy_term_query(self._schema, field.value, term, edits)
        return self._query.term_query(self._schema, field.value, term, "freq")


@contextmanager
def _lockable(terms: Path) -> Iterator[Path]:
    """A directory that tantivy may open: it writes a lock even to read.

    Where it may not (an install that root made, a read-only disk) it gets links to the files. What
    it opened stays mapped when they go.
    """
    if os.access(terms / LOCK, os.W_OK):
        yield terms
        return
    with TemporaryDirectory(prefix="kb-terms-") as own:
        for file in terms.iterdir():
            if file.suffix != ".lock":
                (Path(own) / file.name).symlink_to(file.resolve())
        yield Path(own)


def _schema() -> tantivy.Schema:
    import tantivy  # noqa: PLC0415 - see TermIndex

    builder = tantivy.SchemaBuilder()
    builder.add_text_field(ID, tokenizer_name="raw", index_option="basic")
    builder.add_unsigned_field(ROW, fast=True)
    for field in Field:
        builder.add_text_field(field.value, tokenizer_name="whitespace", index_option="freq")
    return builder.build()
