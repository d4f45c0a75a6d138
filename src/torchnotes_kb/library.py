"""The notes on the shelf: the bundled corpus and the user's own pages, by id.

Searching needs none of this: an index carries what its answers show.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from torchnotes_kb.errors import ConfigError, CorpusError, NoteError, NoteNotFoundError
from torchnotes_kb.notes.model import Note

__all__ = ["Library", "OwnPages"]

NEAR = 3
"""Ids that a wrong one suggests."""
NEAR_FROM = 55.0
"""Ratio (rapidfuzz, 0 to 100) from which an id looks like a slip for another."""


class OwnPages:
    """The user's own Markdown: which paths were added, and the notes read from them.

    HOME/sources.json   absolute paths, as they were added
    HOME/index/         the index of their notes
    HOME/proofs.json    proofs on this machine
    """

    def __init__(self, home: Path) -> None:
        self._file = home / "sources.json"
        self.index = home / "index"

    @property
    def sources(self) -> tuple[Path, ...]:
        """What was added and not forgotten.

        Raises:
            ConfigError: the list is damaged.
        """
        try:
            listed: Any = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            remedy = "remove it and add your pages again with `kb index PATH`"
            raise ConfigError(str(self._file), f"cannot be read: {remedy}") from error
        if not isinstance(listed, list) or not all(isinstance(path, str) for path in listed):
            raise ConfigError(str(self._file), "is no list of paths: remove it")
        return tuple(Path(path) for path in listed)

    def save_sources(self, paths: Iterable[Path]) -> None:
        """Replace the list."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(sorted({str(path) for path in paths}), ensure_ascii=False, indent=1)
        beside = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(self._file)

    def read(self, paths: Sequence[Path]) -> tuple[Note, ...]:
        """The notes of these files and directories.

        Raises:
            NoteError: a file cannot be read, or two of them give one id.
            CorpusError: a file is written as a note, and wrong.
        """
        from torchnotes_kb.notes.page import load_pages  # noqa: PLC0415 - start-up time

        notes: dict[str, Note] = {}
        for path in paths:
            for note in load_pages(path):
                other = notes.setdefault(note.id, note)
                if other is not note:
                    problem = f"gives the id {note.id}, as {other.path} does"
                    raise NoteError(note.path, 1, problem, "rename one of the files")
        return tuple(notes.values())


class Library:
    """Notes by id, read when first asked for."""

    def __init__(self, corpus: Path, own: OwnPages | None) -> None:
        self._corpus = corpus
        self._read: dict[str, Note] = {}
        self._own = own

    @cached_property
    def bundled(self) -> tuple[Note, ...]:
        """The notes of the corpus in force, by id.

        Raises:
            CorpusError: a note is wrong, or there is none.
        """
        from torchnotes_kb.notes.corpus import load_corpus  # noqa: PLC0415 - start-up time

        return load_corpus(self._corpus)

    @cached_property
    def own(self) -> tuple[Note, ...]:
        """The user's own notes; pages that are gone are left out until the next `kb index`."""
        if self._own is None:
            return ()
        return self._own.read([path for path in self._own.sources if path.exists()])

    @property
    def notes(self) -> tuple[Note, ...]:
        """All of them, the corpus first."""
        return self.bundled + self.own

    def note(self, note_id: str) -> Note:
        """One note.

        Raises:
            NoteNotFoundError: there is none; `near` are ids that look alike.
        """
        found = self._read.get(note_id)
        if found is None and "bundled" not in vars(self):
            found = self._read_one(note_id)
        found = found or self._by_id.get(note_id)
        if found is None:
            raise NoteNotFoundError(note_id, self._near(note_id))
        self._read[note_id] = found
        return found

    @cached_property
    def _by_id(self) -> dict[str, Note]:
        return {note.id: note for note in self.notes}

    def _read_one(self, note_id: str) -> Note | None:
        """A note of the corpus without reading the others: its file has its name."""
        from torchnotes_kb.notes.corpus import parse_files  # noqa: PLC0415 - start-up time
        from torchnotes_kb.notes.prose import slug  # noqa: PLC0415 - likewise

        if slug(note_id) != note_id:
            return None
        files = [self._corpus / kind / f"{note_id}.md" for kind in ("errors", "idioms")]
        notes, findings = parse_files(path for path in files if path.is_file())
        if findings:
            raise CorpusError(findings)
        return next((note for note in notes if note.id == note_id), None)

    def _near(self, note_id: str) -> tuple[str, ...]:
        from rapidfuzz import fuzz, process  # noqa: PLC0415 - only for slips

        ratio = fuzz.WRatio
        found = process.extract(note_id, list(self._by_id), scorer=ratio, score_cutoff=NEAR_FROM)
        return tuple(name for name, _, _ in found[:NEAR])
