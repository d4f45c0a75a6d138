"""A directory of notes, read whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from torchnotes_kb.errors import CorpusError, NoteError
from torchnotes_kb.notes.model import Note
from torchnotes_kb.notes.parser import parse_note, read_text

__all__ = ["load_corpus", "note_files", "parse_files"]


def note_files(root: Path) -> tuple[Path, ...]:
    """Every Markdown file below `root` (or `root` itself), in order of path."""
    if root.is_file():
        return (root,)
    return tuple(sorted(path for path in root.rglob("*.md") if path.is_file()))


def parse_files(paths: Iterable[Path]) -> tuple[tuple[Note, ...], list[NoteError]]:
    """The notes that can be read, and every finding of every file."""
    notes: list[Note] = []
    findings: list[NoteError] = []
    for path in paths:
        try:
            note, found = parse_note(read_text(path), path=path)
        except NoteError as error:
            findings.append(error)
            continue
        findings += found
        if note is not None:
            notes.append(note)
    return tuple(notes), findings


def load_corpus(root: Path) -> tuple[Note, ...]:
    """All notes below `root`, sorted by id.

    Raises:
        CorpusError: a note cannot be read as one, or there is none.
    """
    notes, findings = parse_files(note_files(root))
    if not notes and not findings:
        findings = [NoteError(root, 1, "no notes here", "give a directory of Markdown notes")]
    if findings:
        raise CorpusError(findings)
    return tuple(sorted(notes, key=lambda note: note.id))
