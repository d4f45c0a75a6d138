"""The matrix of vectors of a new generation: reused rows, embedded rows, checked as a whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from torchnotes_kb.encoders.model import Encoder
from torchnotes_kb.errors import EncoderError
from torchnotes_kb.index.embed import Journal, Progress, embed_missing, find_duplicates
from torchnotes_kb.index.index import Index
from torchnotes_kb.index.plan import Plan
from torchnotes_kb.index.vectors import VECTORS, Floats

__all__ = ["KEYS", "read_keys", "refuse_duplicates", "write_matrix"]

KEYS = "keys.npy"
KEY = np.dtype("V32")
DUPLICATES_MOST = 0.01
"""Of the chunks. An encoder that cannot tell apart one text in a hundred is broken; single
collisions (texts of characters it does not know) are reported."""


def read_keys(index: Index) -> list[bytes]:
    """The key of each row's passage; zeros for a dead row."""
    keys = np.load(index.folder / KEYS)
    return [key.tobytes() for key in keys]


def write_matrix(
    folder: Path,
    plan: Plan,
    text_of: Callable[[int], str],
    encoder: Encoder,
    *,
    previous: Index | None,
    journal: Journal,
    progress: Progress,
) -> tuple[Floats, int]:
    """Write vectors and keys to `folder`.

    Returns:
        The matrix, and how many passages were embedded now.

    Raises:
        EncoderError: it gave something else than finite unit vectors.
    """
    shape = (len(plan.keys), encoder.identity.dim)
    matrix: Floats = np.lib.format.open_memmap(
        folder / VECTORS, mode="w+", dtype=np.float32, shape=shape
    )
    known = {key: row for row, key in enumerate(read_keys(previous))} if previous else {}
    if previous is not None and plan.kept:
        matrix[: plan.kept] = previous.matrix
    wanted: dict[bytes, int] = {}
    copies: list[tuple[int, int]] = []
    for row, key in enumerate(plan.keys[plan.kept :], start=plan.kept):
        if previous is not None and key in known:
            matrix[row] = previous.matrix[known[key]]
        elif (first := wanted.setdefault(key, row)) != row:
            copies.append((row, first))
    embedded = embed_missing(
        wanted, text_of, encoder, journal=journal, into=matrix, progress=progress
    )
    for row, first in copies:
        matrix[row] = matrix[first]
    keys = b"".join(key or bytes(KEY.itemsize) for key in plan.keys)
    np.save(folder / KEYS, np.frombuffer(keys, KEY))
    return matrix, embedded


def refuse_duplicates(
    plan: Plan, matrix: Floats, text_of: Callable[[int], str], encoder: Encoder
) -> list[tuple[int, int]]:
    """Pairs of rows with different texts and the same vector.

    Raises:
        EncoderError: there are so many that the encoder must be broken.
    """
    live = [row for row, position in enumerate(plan.chunks) if position is not None]
    pairs = find_duplicates(live, matrix, text_of)
    if len(pairs) > DUPLICATES_MOST * len(live):
        first, second = (text_of(row)[:40] for row in pairs[0])
        problem = (
            f"gave the same vector for {len(pairs)} of {len(live)} passages, "
            f"such as {first!r} and {second!r}"
        )
        raise EncoderError(encoder.identity.name, problem)
    return pairs
