"""One builder at a time. The kernel drops the lock of a process that dies: none is ever stale."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from torchnotes_kb.errors import IndexLockedError

__all__ = ["BuildLock"]

LOCK = ".lock"


class BuildLock:
    """Held while an index is built; its file says by whom.

    Raises:
        IndexLockedError: another process holds it (on entering).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        self._path.mkdir(parents=True, exist_ok=True)
        file = (self._path / LOCK).open("a+", encoding="utf-8")
        if not _try_lock(file):
            file.seek(0)
            holder = _describe(file.read())
            file.close()
            raise IndexLockedError(self._path, holder)
        file.truncate(0)
        json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
        file.flush()
        self._file = file
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None  # noqa: S101 - opened by __enter__
        self._file.truncate(0)
        self._file.close()
        self._file = None


def _describe(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _try_lock(file: IO[str]) -> bool:
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        import msvcrt  # noqa: PLC0415 - only on Windows

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
