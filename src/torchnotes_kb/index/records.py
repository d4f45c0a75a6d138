"""JSON lines with a table of where each begins: any row of millions is one read away.

`NAME.jsonl` holds the records, `NAME.rows.npy` their offsets and CRCs. A row is checked when it
is read, so a damaged file can fail but never answer. Nothing here knows what a record means.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from torchnotes_kb.errors import IndexCorruptError

__all__ = ["RecordFile", "RecordWriter"]

ROW = np.dtype([("offset", "<u8"), ("size", "<u4"), ("crc", "<u4"), ("note", "<u4")])
DEAD = 0
"""Size of a row that was deleted: kept so that the other rows keep their numbers."""


def record_files(stem: str) -> tuple[str, str]:
    """The names of a record file's two parts."""
    return f"{stem}.jsonl", f"{stem}.rows.npy"


class RecordWriter:
    """Writes records in order. Use as a context manager; the table is written at its end."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._data, self._table = (folder / name for name in record_files(stem))
        self._rows: list[tuple[int, int, int, int]] = []
        self._offset = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._file = self._data.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None  # noqa: S101 - opened by __enter__
        self._file.close()
        if kind is None:
            np.save(self._table, np.array(self._rows, dtype=ROW))

    def add(self, record: str | None, *, note: int = 0) -> None:
        """Append one record of one line, or None for a dead row; `note` is a number beside it."""
        assert self._file is not None  # noqa: S101 - opened by __enter__
        line = b"" if record is None else record.encode() + b"\n"
        self._file.write(line)
        self._rows.append((self._offset, len(line), zlib.crc32(line), note))
        self._offset += len(line)


class RecordFile:
    """Reads rows, mapped rather than loaded. Thread-safe: nothing changes after opening."""

    def __init__(self, folder: Path, stem: str, *, rows: int) -> None:
        """Open for reading.

        Raises:
            IndexCorruptError: the table does not have `rows` rows or does not fit the records.
        """
        self._folder = folder
        self._stem = stem
        data, table = (folder / name for name in record_files(stem))
        try:
            self.rows = np.load(table, mmap_mode="r")
            with data.open("rb") as file:
                size = data.stat().st_size
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        except (OSError, ValueError, EOFError) as error:
            raise IndexCorruptError(folder, f"{stem}: {error}") from error
        if self.rows.dtype != ROW or self.rows.shape != (rows,):
            raise IndexCorruptError(folder, f"{table.name} has not the {rows} rows it should have")
        if rows and int(self.rows["offset"][-1]) + int(self.rows["size"][-1]) != size:
            raise IndexCorruptError(folder, f"{data.name} and {table.name} do not fit together")

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> bytes | None:
        """The record of a row; None if it is dead.

        Raises:
            IndexCorruptError: its bytes are not those that were written.
        """
        offset, size, crc, _ = self.rows[row].tolist()
        line = bytes(self._map[offset : offset + size])
        if zlib.crc32(line) != crc:
            raise IndexCorruptError(self._folder, f"row {row} of {self._stem}.jsonl was changed")
        return line if size != DEAD else None

    def __iter__(self) -> Iterator[bytes | None]:
        return (self.read(row) for row in range(len(self)))

    def note_of(self, rows: Iterable[int]) -> list[int]:
        """The number kept beside each of the rows."""
        wanted = np.fromiter(rows, dtype=np.int64)
        found: list[int] = self.rows["note"][wanted].tolist()
        return found

    def close(self) -> None:
        """Let go of the file."""
        if isinstance(self._map, mmap.mmap):
            self._map.close()
