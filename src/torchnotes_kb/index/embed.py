"""Texts into a checked matrix of vectors: what is known is reused, what is new is journalled.

An interrupted build finds its own vectors again by their keys; nothing is embedded twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from torchnotes_kb.encoders.model import Encoder, EncoderIdentity, TextKind
from torchnotes_kb.errors import EncoderError
from torchnotes_kb.index.passages import distinct_head
from torchnotes_kb.index.vectors import Floats

__all__ = ["Journal", "Progress", "embed_missing", "find_duplicates", "refuse_bad"]

Progress = Callable[[int, int], None]
"""Called with texts done and texts in all."""

BATCH = 64
KEY_BYTES = 32
NORM_TOLERANCE = 1e-3


class Journal:
    """Vectors of a build that has not been published, appended batch by batch."""

    def __init__(self, folder: Path, identity: EncoderIdentity) -> None:
        """Continue the journal in `folder` if it is of the same encoder, else begin one."""
        self._folder = folder
        self._dim = identity.dim
        mark, described = folder / "encoder.json", identity.model_dump_json()
        if not mark.is_file() or mark.read_text(encoding="utf-8") != described:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mark.write_text(described, encoding="utf-8")
        self._keys, self._vectors = folder / "keys.bin", folder / "vectors.bin"

    def load(self) -> tuple[dict[bytes, int], Floats]:
        """Row of each key, and the rows; a batch that was cut short is not counted."""
        keys = self._keys.read_bytes() if self._keys.exists() else b""
        width = self._dim * 4
        held = self._vectors.stat().st_size // width if self._vectors.exists() else 0
        count = min(len(keys) // KEY_BYTES, held)
        self._truncate(count)
        if not count:
            return {}, np.empty((0, self._dim), np.float32)
        vectors = np.memmap(self._vectors, np.float32, "r", shape=(count, self._dim))
        rows = {keys[i * KEY_BYTES : (i + 1) * KEY_BYTES]: i for i in range(count)}
        return rows, vectors

    def add(self, keys: Sequence[bytes], vectors: Floats) -> None:
        """Append one batch; vectors first, so that a key never lacks its vector."""
        with self._vectors.open("ab") as file:
            file.write(np.ascontiguousarray(vectors).tobytes())
        with self._keys.open("ab") as file:
            file.write(b"".join(keys))

    def discard(self) -> None:
        """Delete the journal."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _truncate(self, count: int) -> None:
        for path, width in ((self._keys, KEY_BYTES), (self._vectors, self._dim * 4)):
            if path.exists() and path.stat().st_size != count * width:
                with path.open("r+b") as file:
                    file.truncate(count * width)


def embed_missing(
    wanted: Mapping[bytes, int],
    text_of: Callable[[int], str],
    encoder: Encoder,
    *,
    side: TextKind,
    journal: Journal,
    into: Floats,
    progress: Progress,
) -> int:
    """Embed the texts of `wanted` (key to row), writing vectors to their rows.

    Returns:
        How many were embedded now, not found in the journal.

    Raises:
        EncoderError: a vector is zero, not finite, no unit vector, or of another size.
    """
    known, kept = journal.load()
    missing: list[tuple[bytes, int]] = []
    for key, row in wanted.items():
        if key in known:
            into[row] = kept[known[key]]
        else:
            missing.append((key, row))
    total, done = len(wanted), len(wanted) - len(missing)
    progress(done, total)
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        texts = [text_of(row) for _, row in batch]
        vectors = encoder.encode(texts, kind=side)
        refuse_bad(vectors, texts, encoder.identity)
        journal.add([key for key, _ in batch], vectors)
        into[[row for _, row in batch]] = vectors
        done += len(batch)
        progress(done, total)
    return len(missing)


def refuse_bad(vectors: Floats, texts: Sequence[str], identity: EncoderIdentity) -> None:
    """Check what an encoder returned.

    Raises:
        EncoderError: it is not one finite unit vector of the right size for each text.
    """
    if vectors.shape != (len(texts), identity.dim):
        expected = (len(texts), identity.dim)
        raise EncoderError(identity.name, f"returned {vectors.shape} instead of {expected}")
    norms = np.linalg.norm(vectors, axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE))
    if len(bad):
        first = int(bad[0])
        kind = "no finite" if not np.isfinite(norms[first]) else "no unit"
        problem = f"gave {kind} vector (norm {norms[first]:.3g}) for {texts[first][:60]!r}"
        raise EncoderError(identity.name, problem)


def find_duplicates(
    rows: Sequence[int], vectors: Floats, text_of: Callable[[int], str]
) -> list[tuple[int, int]]:
    """Pairs of rows whose vectors are equal though their texts are not."""
    seen: dict[bytes, int] = {}
    pairs: list[tuple[int, int]] = []
    for row in rows:
        first = seen.setdefault(vectors[row].tobytes(), row)
        if first != row and distinct_head(text_of(first)) != distinct_head(text_of(row)):
            pairs.append((first, row))
    return pairs
