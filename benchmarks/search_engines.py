"""One engine over one number of chunks, in a process of its own: what `search.py scale` starts.

    python benchmarks/search_engines.py ENGINE CHUNKS DIRECTORY

Builds an index in DIRECTORY, asks it 200 questions of ten words, and prints one JSON object. Every
engine gets the same texts (words of the Python sources of the installed torch, in windows), the
same vectors (384 dimensions, 4,096 clusters, made from the text, so that no model is timed) and the
same questions, and returns five texts with their ids.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from torchnotes_kb.encoders.e5 import E5Encoder
from torchnotes_kb.encoders.model import EncoderIdentity, TextKind
from torchnotes_kb.index.index import Index
from torchnotes_kb.notes.chunking import chunk_note
from torchnotes_kb.notes.model import Note, NoteKind, Section
from torchnotes_kb.search.searcher import Searcher

Floats = npt.NDArray[np.float32]
DIM, CLUSTERS, NOISES = 384, 4096, 1 << 16
SPREAD = 0.9
"""Length of the noise beside a cluster's centre: neighbours as near as real passages have them."""
WINDOW = 25
"""Words; a chunk is two windows."""
SECTIONS = 4
"""Chunks of a note."""
QUESTIONS, WORDS, SHOWN = 200, 10, 5
CHANGED = 100
"""One note in so many is changed before the second build."""


class Engine(Protocol):
    """A search engine under measure."""

    def build(self, chunks: int) -> None:
        """Index so many texts."""

    def ask(self, question: str) -> object:
        """Five answers."""


@cache
def words() -> Sequence[str]:
    """Words of torch's own sources, in their order."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    found: list[str] = []
    for file in sorted(Path(spec.origin).parent.rglob("*.py")):
        text = file.read_text(encoding="utf-8", errors="replace")
        found += re.findall(r"[A-Za-z_][\w.]{2,30}", text)
    return found


def text_of(number: int, version: int = 0) -> str:
    """Two windows of words, the same ones for a number and version in every run."""
    drawn = hashlib.blake2b(f"{number} {version}".encode(), digest_size=16).digest()
    starts = (int.from_bytes(part, "little") for part in (drawn[:8], drawn[8:]))
    places = [start % (len(words()) - WINDOW) for start in starts]
    return " ".join(word for at in places for word in words()[at : at + WINDOW])


def question_of(number: int, chunks: int) -> str:
    """Ten words of one of the texts."""
    asked = text_of(number * 7919 % chunks).split()
    return " ".join(asked[:: len(asked) // WORDS][:WORDS])


@cache
def tables() -> tuple[Floats, Floats]:
    """Unit vectors: centres, float32 of shape (4096, 384), and noise, (65536, 384)."""
    drawn = np.random.default_rng(0)
    shapes = ((CLUSTERS, DIM), (NOISES, DIM))
    made = [drawn.standard_normal(shape, dtype=np.float32) for shape in shapes]
    centres, noises = (table / np.linalg.norm(table, axis=1, keepdims=True) for table in made)
    return centres, noises


class Given:
    """Vectors made from texts: a cluster's centre and noise, under the bundled encoder's name."""

    @cached_property
    def identity(self) -> EncoderIdentity:
        """So that `kb query` opens what was built with it."""
        return E5Encoder.open().identity

    def encode(self, texts: Sequence[str], *, kind: TextKind = TextKind.QUERY) -> Floats:
        """Unit vectors, float32 of shape (texts, 384)."""
        del kind
        centres, noises = tables()
        hashes = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
        drawn = np.frombuffer(b"".join(hashes), np.uint16).reshape(-1, 4).astype(np.int64)
        vectors = centres[drawn[:, 0] % CLUSTERS] + SPREAD * noises[drawn[:, 1]]
        vectors += 0.05 * noises[drawn[:, 2]]
        found: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return found


def notes_of(chunks: int, changed: int = 0) -> list[Note]:
    """Pages of four sections; the first one in every `changed` reads otherwise."""
    return [
        Note(
            id=f"page/{start // SECTIONS}",
            kind=NoteKind.PAGE,
            title=" ".join(text_of(start).split()[:6]),
            title_zh="",
            sections=tuple(
                Section(
                    heading=f"Part {number - start}",
                    text=text_of(number, int(bool(changed) and start // SECTIONS % changed == 0)),
                    text_zh="",
                    line=1,
                )
                for number in range(start, min(start + SECTIONS, chunks))
            ),
            path=Path("pages.md"),
        )
        for start in range(0, chunks, SECTIONS)
    ]


class Ours:
    """This project's index and searcher."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.given = Given()
        self.searcher: Searcher | None = None

    def build(self, chunks: int) -> None:
        """See `Engine`."""
        self.build_notes(notes_of(chunks))

    def build_notes(self, notes: Sequence[Note]) -> None:
        """Build, or bring up to date."""
        made = [chunk for note in notes for chunk in chunk_note(note)]
        Index.build(self.folder, made, notes, self.given)

    def ask(self, question: str) -> object:
        """See `Engine`."""
        if self.searcher is None:
            index = Index.open(self.folder, encoder=self.given.identity)
            self.searcher = Searcher([index], lambda: self.given)
        return self.searcher.search(question, limit=SHOWN)


class Chroma:
    """chromadb, persistent, given the vectors: meaning alone."""

    def __init__(self, folder: Path) -> None:
        import chromadb  # noqa: PLC0415 - a peer, not a dependency
        from chromadb.config import Settings  # noqa: PLC0415 - likewise

        settings = Settings(anonymized_telemetry=False)
        self.client = chromadb.PersistentClient(path=str(folder), settings=settings)
        self.given = Given()
        self.collection = self.client.get_or_create_collection(
            "chunks", embedding_function=None, metadata={"hnsw:space": "ip"}
        )

    def build(self, chunks: int) -> None:
        """See `Engine`."""
        batch = min(5000, self.client.get_max_batch_size())
        for start in range(0, chunks, batch):
            numbers = range(start, min(start + batch, chunks))
            texts = [text_of(number) for number in numbers]
            self.collection.add(
                ids=[str(number) for number in numbers],
                documents=texts,
                embeddings=self.given.encode(texts),
            )

    def ask(self, question: str) -> object:
        """See `Engine`."""
        return self.collection.query(
            query_embeddings=self.given.encode([question]), n_results=SHOWN
        )


class Txtai:
    """txtai, hybrid (its own BM25 and FAISS), contents kept, given the vectors."""

    def __init__(self, folder: Path) -> None:
        from txtai import Embeddings  # noqa: PLC0415 - a peer, not a dependency

        self.folder = folder / "txtai"
        self.given = Given()
        self.embeddings = Embeddings(
            method="external",
            transform=lambda texts: self.given.encode(texts),  # noqa: PLW0108 - it wants a function
            content=True,
            hybrid=True,
        )

    def build(self, chunks: int) -> None:
        """See `Engine`."""
        self.embeddings.index((number, text_of(number), None) for number in range(chunks))
        self.embeddings.save(str(self.folder))

    def ask(self, question: str) -> object:
        """See `Engine`."""
        return self.embeddings.search(question, SHOWN)


class Limit:
    """The bare libraries, nothing kept but their own files: faiss as we use it, and bm25s."""

    EXACT_MOST = 50_000

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.given = Given()

    def build(self, chunks: int) -> None:
        """See `Engine`."""
        import bm25s  # noqa: PLC0415 - a peer, not a dependency
        import faiss  # noqa: PLC0415 - like the others, only where it runs

        texts = [text_of(number) for number in range(chunks)]
        if chunks <= self.EXACT_MOST:
            self.vectors: Any = faiss.IndexFlatIP(DIM)
        else:
            self.vectors = faiss.IndexHNSWFlat(DIM, 16, faiss.METRIC_INNER_PRODUCT)
            self.vectors.hnsw.efConstruction, self.vectors.hnsw.efSearch = 100, 96
        for start in range(0, chunks, 100_000):
            self.vectors.add(self.given.encode(texts[start : start + 100_000]))
        faiss.write_index(self.vectors, str(self.folder / "vectors.faiss"))
        self.bm25, self.tokenize = bm25s.BM25(), bm25s.tokenize
        self.bm25.index(self.tokenize(texts, show_progress=False), show_progress=False)
        self.bm25.save(str(self.folder / "bm25s"))
        self.texts, self.shown = texts, min(SHOWN, chunks)

    def ask(self, question: str) -> object:
        """See `Engine`."""
        tokens = self.tokenize([question], show_progress=False)
        worded, _ = self.bm25.retrieve(tokens, k=self.shown, show_progress=False)
        _, meant = self.vectors.search(self.given.encode([question]), self.shown)
        return [self.texts[row] for row in (*worded[0], *meant[0])]


ENGINES: dict[str, Callable[[Path], Engine]] = {
    "ours": Ours,
    "faiss+bm25s": Limit,
    "chroma": Chroma,
    "txtai": Txtai,
}


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def measure(engine: Engine, chunks: int, folder: Path) -> dict[str, float]:
    """What an engine costs over so many chunks: seconds, milliseconds, MiB."""
    Given().encode([text_of(0)])  # reading the sources is nobody's cost
    before = restarted_peak_mib()
    build = seconds(lambda: engine.build(chunks))
    questions = [question_of(number, chunks) for number in range(QUESTIONS)]
    for question in questions[:5]:
        engine.ask(question)
    times = [1000 * seconds(lambda q=q: engine.ask(q)) for q in questions]
    found = {
        "build_s": build,
        "chunks_per_s": chunks / build,
        "p50_ms": median(times),
        "p95_ms": quantiles(times, n=20)[-1],
        "memory_mib": peak_mib() - before,
        "disk_mib": sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / (1 << 20),
    }
    if isinstance(engine, Ours):
        assert engine.searcher is not None
        engine.searcher.close()
        changed = notes_of(chunks, CHANGED)
        found["rebuild_s"] = seconds(lambda: engine.build_notes(changed))
        found["unchanged_s"] = seconds(lambda: engine.build_notes(changed))
    return found


def peak_mib() -> float:
    """The most memory that this process has had since the mark was last set back."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024


def restarted_peak_mib() -> float:
    """Set the mark back to what is in use now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_mib()


def main() -> None:
    """Measure one engine."""
    name, chunks, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(json.dumps(measure(ENGINES[name](folder), chunks, folder)))
    sys.stdout.flush()
    os._exit(0)  # some peers wait for threads of theirs


if __name__ == "__main__":
    main()
