"""What an index says about itself: format, encoder, counts, and a digest of each of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from torchnotes_kb.encoders.model import EncoderIdentity
from torchnotes_kb.errors import IndexCorruptError, IndexMissingError, StaleIndexError
from torchnotes_kb.values import Frozen

__all__ = [
    "FORMAT",
    "MANIFEST",
    "FileEntry",
    "Manifest",
    "check_files",
    "file_entries",
    "read_manifest",
]

FORMAT = 3
"""Raised whenever an older reader would misread a newer index, or its words are cut otherwise."""
MANIFEST = "manifest.json"
STAMPED_FROM = 16 << 20
"""Bytes. Smaller files are hashed on every open (1 ms each MiB); larger ones only when their time
has changed, so silent decay of the disk is left to `check(deep=True)`."""


class FileEntry(Frozen):
    """One file of the index, as it was when it was published."""

    size: int
    sha256: str
    mtime_ns: int = 0
    """Of a large file only: while it is unchanged, opening does not hash the file again."""


class Manifest(Frozen):
    """The contract between the builder and every reader."""

    format: int
    encoder: EncoderIdentity
    corpus_sha256: str
    """Of the chunks' hashes and the notes' cards, in order."""
    generation: str
    """Name of the directory that holds the files."""
    vectors: str
    """Kind of the vector store: `exact`, `hnsw` or `hnsw-sq8`."""
    chunks: int
    notes: int
    questions: int
    question_vectors: str
    """As `vectors`."""
    dead_chunks: int = 0
    """Rows that stay in the files and are never returned."""
    dead_notes: int = 0
    files: Mapping[str, FileEntry]

    def save(self, path: Path) -> None:
        """Write to `path`, sealed with a digest of its own."""
        body = self.model_dump(mode="json")
        sealed = {"sha256": _seal(body), **body}
        path.write_text(json.dumps(sealed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_manifest(path: Path) -> Manifest:
    """The manifest of the index at `path`.

    Raises:
        IndexMissingError: there is none.
        IndexCorruptError: it cannot be read, or was changed after it was sealed.
        StaleIndexError: it has another format than this version reads.
    """
    try:
        body = json.loads((path / MANIFEST).read_bytes())
        seal, found = body.pop("sha256"), body["format"]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IndexMissingError(path) from error
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise IndexCorruptError(path, f"{MANIFEST} cannot be read: {error}") from error
    if seal != _seal(body):
        raise IndexCorruptError(path, f"{MANIFEST} was changed")
    if found != FORMAT:
        raise StaleIndexError(path, expected=f"index format {FORMAT}", found=f"format {found}")
    try:
        return Manifest(**body)
    except ValidationError as error:
        raise IndexCorruptError(path, f"{MANIFEST}: {error.errors()[0]['msg']}") from error


def file_entries(folder: Path) -> dict[str, FileEntry]:
    """Size and digest of every file below `folder`, by its relative path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _entry(path) for path in paths}


def check_files(path: Path, manifest: Manifest, *, deep: bool) -> None:
    """Compare the files of an index with its manifest.

    Raises:
        IndexCorruptError: a file is missing, cut short or changed.
    """
    for name, entry in manifest.files.items():
        file = path / manifest.generation / name
        try:
            stat = file.stat()
        except OSError as error:
            raise IndexCorruptError(path, f"{name} is missing") from error
        if stat.st_size != entry.size:
            raise IndexCorruptError(path, f"{name} has {stat.st_size} bytes, not {entry.size}")
        untouched = entry.mtime_ns and stat.st_mtime_ns == entry.mtime_ns
        if (deep or not untouched) and _digest(file) != entry.sha256:
            raise IndexCorruptError(path, f"{name} was changed")


def _entry(path: Path) -> FileEntry:
    stat = path.stat()
    stamp = stat.st_mtime_ns if stat.st_size >= STAMPED_FROM else 0
    return FileEntry(size=stat.st_size, sha256=_digest(path), mtime_ns=stamp)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(body: Mapping[str, object]) -> str:
    canonical = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
