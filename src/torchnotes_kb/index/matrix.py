"""The vectors of a new generation: reused rows, embedded rows, checked as a whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from torchnotes_kb.encoders.model import Encoder, TextKind
from torchnotes_kb.errors import EncoderError
from torchnotes_kb.index.embed import Journal, Progress, embed_missing, find_duplicates
from torchnotes_kb.index.plan import Layout
from torchnotes_kb.index.vectors import KEYS, VECTORS, Floats, StoreKind, build_graph

__all__ = ["read_keys", "refuse_duplicates", "write_vectors"]

KEY = np.dtype("V32")
DUPLICATES_MOST = 0.01
"""Of the chunks. An encoder that cannot tell apart one text in a hundred is broken; single
collisions (texts of characters it does not know) are reported."""


def read_keys(folder: Path) -> list[bytes]:
    """The key of each row's text; zeros for a dead row."""
    return [key.tobytes() for key in np.load(folder / KEYS)]


def write_vectors(
    folder: Path,
    layout: Layout,
    text_of: Callable[[int], str],
    encoder: Encoder,
    *,
    side: TextKind,
    store: StoreKind,
    previous: Path | None,
    journal: Journal,
    progress: Progress,
) -> tuple[Floats, int]:
    """Write vectors, keys and, where `store` has one, their graph.

    Args:
        folder: Where to.
        layout: Rows and keys of the texts.
        text_of: The text of a live row.
        encoder: Embeds what is new.
        side: What the texts are embedded as.
        store: How the vectors will be searched.
        previous: The folder of those of the previous generation, which is sound.
        journal: Of what an interrupted build embedded.
        progress: Called with texts done and texts in all.

    Returns:
        The matrix, and how many texts were embedded now.

    Raises:
        EncoderError: it gave something else than finite unit vectors.
    """
    folder.mkdir(exist_ok=True)
    shape = (len(layout.keys), encoder.identity.dim)
    matrix: Floats = np.lib.format.open_memmap(
        folder / VECTORS, mode="w+", dtype=np.float32, shape=shape
    )
    known: dict[bytes, int] = {}
    if previous is not None:
        old = np.load(previous / VECTORS, mmap_mode="r")
        known = {key: row for row, key in enumerate(read_keys(previous))}
        matrix[: layout.kept] = old[: layout.kept]
    wanted: dict[bytes, int] = {}
    copies: list[tuple[int, int]] = []
    for row, key in enumerate(layout.keys[layout.kept :], start=layout.kept):
        if key in known:
            matrix[row] = old[known[key]]
        elif (first := wanted.setdefault(key, row)) != row:
            copies.append((row, first))
    done = len(layout.rows) - len(wanted)
    embedded = embed_missing(
        wanted,
        text_of,
        encoder,
        side=side,
        journal=journal,
        into=matrix,
        progress=lambda now, _: progress(done + now, len(layout.rows)),
    )
    for row, first in copies:
        matrix[row] = matrix[first]
    keys = b"".join(key or bytes(KEY.itemsize) for key in layout.keys)
    np.save(folder / KEYS, np.frombuffer(keys, KEY))
    if store is not StoreKind.EXACT:
        onto = previous if layout.kept else None
        build_graph(folder, matrix, store, previous=onto, first_new=layout.kept)
    return matrix, embedded


def refuse_duplicates(
    layout: Layout, matrix: Floats, text_of: Callable[[int], str], encoder: Encoder
) -> list[tuple[int, int]]:
    """Pairs of rows with different texts and the same vector.

    Raises:
        EncoderError: there are so many that the encoder must be broken.
    """
    live = [row for row, position in enumerate(layout.rows) if position is not None]
    pairs = find_duplicates(live, matrix, text_of)
    if len(pairs) > DUPLICATES_MOST * len(live):
        first, second = (text_of(row)[:40] for row in pairs[0])
        problem = (
            f"gave the same vector for {len(pairs)} of {len(live)} passages, "
            f"such as {first!r} and {second!r}"
        )
        raise EncoderError(encoder.identity.name, problem)
    return pairs
