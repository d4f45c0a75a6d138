"""Nearest rows by inner product, one interface and three stores chosen by size.

Exact search is one matrix product over the mapped file and needs no FAISS at all: importing it is
0.11 s of a command that has 0.3 (docs/decisions/031). Above that FAISS's HNSW graph, mapped too.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from torchnotes_kb.errors import IndexCorruptError

__all__ = ["ExactStore", "Floats", "HnswStore", "StoreKind", "VectorStore", "store_kind"]

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

VECTORS = "vectors.npy"
KEYS = "keys.npy"
GRAPH = "vectors.faiss"
EXACT_MOST = 50_000
"""Chunks. 50k x 384: 6 ms a query; beyond, the graph is faster (docs/decisions/031)."""
HNSW_MOST = 5_000_000
LINKS = 16
EF_BUILD = 100
EF_SEARCH = 96
"""recall@10 0.997 on a million clustered vectors; ARCHITECTURE gives 64 to 128."""
RESCORED = 50
"""8-bit codes alone cap recall near 0.98; the best of them are scored again in float32."""
SQ_TRAIN = 100_000


class StoreKind(StrEnum):
    """How vectors are searched."""

    EXACT = "exact"
    HNSW = "hnsw"
    HNSW_SQ8 = "hnsw-sq8"


class VectorStore(Protocol):
    """Rows by similarity. Implementations are thread-safe to search."""

    def search(self, vector: Floats, k: int) -> tuple[Rows, Floats]:
        """The `k` nearest live rows and their inner products, best first; fewer if there are."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


def store_kind(chunks: int, dim: int) -> StoreKind:
    """The store for so many vectors on this machine."""
    if chunks <= EXACT_MOST:
        return StoreKind.EXACT
    short = 2 * chunks * dim * 4 > _free_memory()
    return StoreKind.HNSW_SQ8 if short or chunks > HNSW_MOST else StoreKind.HNSW


def open_store(folder: Path, kind: StoreKind, *, shape: tuple[int, int], dead: Rows) -> VectorStore:
    """The store in `folder`, rows `dead` never returned.

    Raises:
        IndexCorruptError: a file cannot be read or has another shape.
    """
    vectors = open_vectors(folder, shape=shape)
    if kind is StoreKind.EXACT:
        return ExactStore(vectors, dead=dead)
    return HnswStore.open(folder, vectors, dead=dead, rescore=kind is StoreKind.HNSW_SQ8)


def open_vectors(folder: Path, *, shape: tuple[int, int]) -> Floats:
    """The float32 matrix, mapped."""
    try:
        vectors: Floats = np.load(folder / VECTORS, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise IndexCorruptError(folder, f"{VECTORS}: {error}") from error
    if vectors.shape != shape or vectors.dtype != np.float32:
        raise IndexCorruptError(folder, f"{VECTORS} is {vectors.shape}, not {shape}")
    return vectors


class ExactStore:
    """Every vector is scored."""

    def __init__(self, vectors: Floats, *, dead: Rows) -> None:
        self._vectors = vectors
        self._dead = dead

    def search(self, vector: Floats, k: int) -> tuple[Rows, Floats]:
        """See `VectorStore`. Ties go to the lower row."""
        # Not `@`: its BLAS wakes a thread for every core, which on a busy machine spin against
        # each other (3072 rows: 4.3 ms where this takes 0.4; docs/decisions/053).
        scores: Floats = np.einsum("ij,j->i", self._vectors, vector)
        scores[self._dead] = -np.inf
        k = min(k, len(scores) - len(self._dead))
        if k <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        best = np.argpartition(-scores, k - 1)[:k] if k < len(scores) else np.arange(len(scores))
        rows = best[np.lexsort((best, -scores[best]))][:k]
        return rows.astype(np.int64), scores[rows]

    def close(self) -> None:
        """The map goes with the last array that refers to it."""


class HnswStore:
    """A graph that visits a few hundred vectors a query."""

    def __init__(
        self,
        graph: Any,  # noqa: ANN401 - SWIG makes its class
        vectors: Floats,
        *,
        dead: Rows,
        rescore: bool,
    ) -> None:
        faiss = _faiss()

        self._graph = graph
        self._vectors = vectors
        self._rescore = rescore
        self._live = len(vectors) - len(dead)
        alive = np.ones(len(vectors), dtype=bool)
        alive[dead] = False
        self._bits = np.packbits(alive, bitorder="little")
        self._selector = faiss.IDSelectorBitmap(self._bits) if len(dead) else None

    @classmethod
    def open(cls, folder: Path, vectors: Floats, *, dead: Rows, rescore: bool) -> HnswStore:
        """The graph in `folder`, mapped: opening does not read it."""
        faiss = _faiss()

        try:
            graph = faiss.read_index(str(folder / GRAPH), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise IndexCorruptError(folder, f"{GRAPH}: {str(error)[:120]}") from error
        if graph.ntotal != len(vectors) or graph.d != vectors.shape[1]:
            raise IndexCorruptError(folder, f"{GRAPH} and {VECTORS} do not fit together")
        return cls(graph, vectors, dead=dead, rescore=rescore)

    def search(self, vector: Floats, k: int) -> tuple[Rows, Floats]:
        """See `VectorStore`; approximate in its rows, exact in their scores."""
        faiss = _faiss()

        k = min(k, self._live)
        fetched = min(max(k, RESCORED), self._live) if self._rescore else k
        wanted: dict[str, Any] = {"efSearch": max(EF_SEARCH, fetched)}
        if self._selector is not None:
            wanted["sel"] = self._selector
        parameters = faiss.SearchParametersHNSW(**wanted)
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        scores, rows = (found[0] for found in self._graph.search(query, fetched, params=parameters))
        scores, rows = scores[rows >= 0], rows[rows >= 0]
        if self._rescore:
            scores = self._vectors[rows] @ query[0]
        order = np.lexsort((rows, -scores))[:k]
        return rows[order], scores[order]

    def close(self) -> None:
        """The map goes with the graph."""


def build_graph(
    folder: Path, vectors: Floats, kind: StoreKind, *, previous: Path | None, first_new: int
) -> None:
    """Write the graph of `vectors`; one that covers the rows before `first_new` is extended."""
    faiss = _faiss()

    if previous is not None:
        graph = faiss.read_index(str(previous / GRAPH))
    else:
        graph, first_new = _empty_graph(vectors, kind), 0
    graph.hnsw.efConstruction = EF_BUILD
    for start in range(first_new, len(vectors), SQ_TRAIN):
        graph.add(np.ascontiguousarray(vectors[start : start + SQ_TRAIN]))
    faiss.write_index(graph, str(folder / GRAPH))


def _empty_graph(vectors: Floats, kind: StoreKind) -> Any:  # noqa: ANN401 - SWIG makes its classes
    faiss = _faiss()

    dim, metric = vectors.shape[1], faiss.METRIC_INNER_PRODUCT
    if kind is StoreKind.HNSW:
        return faiss.IndexHNSWFlat(dim, LINKS, metric)
    graph = faiss.IndexHNSWSQ(dim, faiss.ScalarQuantizer.QT_8bit, LINKS, metric)
    step = max(1, len(vectors) // SQ_TRAIN)
    graph.train(np.ascontiguousarray(vectors[::step]))
    return graph


def _faiss() -> Any:  # noqa: ANN401 - its stubs do not know the classes that SWIG makes
    import faiss  # noqa: PLC0415 - small indexes never load it

    return faiss


def _free_memory() -> int:
    """Bytes that could be had now; a machine that does not say is taken to have enough."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + _page_cache()
    except (ValueError, OSError, AttributeError):
        return 1 << 62


def _page_cache() -> int:
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return 0
    fields = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
    return int(fields.get("Cached", "0 kB").split()[0]) << 10
