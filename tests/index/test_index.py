"""Built, published, opened: what is found again, and what damage does."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from torchnotes_kb.encoders.model import EncoderIdentity, TextKind, unit_rows
from torchnotes_kb.errors import (
    EncoderError,
    IndexCorruptError,
    IndexLockedError,
    IndexMissingError,
    StaleIndexError,
)
from torchnotes_kb.index.index import Index
from torchnotes_kb.index.lock import BuildLock
from torchnotes_kb.index.manifest import FORMAT
from torchnotes_kb.index.passages import passage
from torchnotes_kb.index.questions import NOBODY, Question, questions_of
from torchnotes_kb.index.signatures import template_words
from torchnotes_kb.index.terms import Clause, Field, TermIndex, TermWriter
from torchnotes_kb.index.tokens import document_tokens, query_tokens, split_identifier
from torchnotes_kb.index.vectors import ExactStore, Floats, StoreKind, build_graph, open_store
from torchnotes_kb.notes.chunking import chunk_note
from torchnotes_kb.notes.model import Chunk, Note
from torchnotes_kb.notes.parser import parse_note


class CountingEncoder:
    """Deterministic vectors from the texts' bytes; counts what it is asked."""

    identity = EncoderIdentity(name="counting", revision="1", dim=32)

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, texts: Sequence[str], *, kind: TextKind) -> Floats:
        """A vector per text."""
        del kind
        self.asked += len(texts)
        seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) for text in texts]
        rows = np.stack([np.random.default_rng(seed).normal(size=32) for seed in seeds])
        return unit_rows(rows.astype(np.float32), encoder="counting")


def notes_of(good_note: str, count: int = 3) -> tuple[list[Note], list[Chunk]]:
    notes = []
    for number in range(count):
        text = good_note.replace("too-small", f"note-{number}").replace("too small", f"n{number}")
        note, findings = parse_note(text, path=Path(f"note-{number}.md"))
        assert note is not None, findings
        notes.append(note)
    return notes, [chunk for note in notes for chunk in chunk_note(note)]


def test_what_was_built_is_found_again(tmp_path: Path, good_note: str) -> None:
    notes, chunks = notes_of(good_note)
    encoder = CountingEncoder()
    report = Index.build(tmp_path / "i", chunks, notes, encoder)
    assert (report.notes, report.chunks, report.unchanged) == (3, len(chunks), False)
    with Index.open(tmp_path / "i", encoder=encoder.identity) as index:
        assert [index.chunk(row) for row in range(len(chunks))] == chunks
        row = index.row_of("note-1")
        assert row is not None
        assert index.card(row).title == notes[1].title
        assert index.signatures.notes == ("note-0", "note-1", "note-2")
        index.check(deep=True)


def test_a_second_build_embeds_only_what_changed(tmp_path: Path, good_note: str) -> None:
    notes, chunks = notes_of(good_note)
    encoder = CountingEncoder()
    Index.build(tmp_path / "i", chunks, notes, encoder)
    encoder.asked = 0
    assert Index.build(tmp_path / "i", chunks, notes, encoder).unchanged
    assert encoder.asked == 0
    changed = [chunks[0].model_copy(update={"text": "something new"}), *chunks[1:]]
    Index.build(tmp_path / "i", changed, notes, encoder)
    assert encoder.asked == 2  # the passage, and the question that its Symptom is
    with Index.open(tmp_path / "i", encoder=encoder.identity) as index:
        assert index.chunk(0).text == "something new"


def test_an_interrupted_build_leaves_the_old_index_and_is_resumed(
    tmp_path: Path, good_note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes, chunks = notes_of(good_note)
    Index.build(tmp_path / "i", chunks[:1], notes[:1], CountingEncoder())
    monkeypatch.setattr("torchnotes_kb.index.embed.BATCH", 2)
    encoder = CountingEncoder()

    def interrupt(done: int, _total: int) -> None:
        if done >= len(chunks) - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Index.build(tmp_path / "i", chunks, notes, encoder, progress=interrupt)
    with Index.open(tmp_path / "i", encoder=encoder.identity) as index:
        assert index.manifest.chunks == 1
    before, encoder.asked = encoder.asked, 0
    Index.build(tmp_path / "i", chunks, notes, encoder)
    once = {passage(chunk) for chunk in chunks} | {q.text for q in questions_of(notes, chunks)}
    assert before > 0
    assert encoder.asked <= len(once) - before


def test_questions_are_found_with_whose_they_are(tmp_path: Path, good_note: str) -> None:
    notes, chunks = notes_of(good_note)
    encoder = CountingEncoder()
    nobodys = Question("How is bread baked?", "")
    Index.build(tmp_path / "i", chunks, notes, encoder, outside=[nobodys])
    with Index.open(tmp_path / "i", encoder=encoder.identity) as index:
        for text, owner in ((nobodys.text, NOBODY), (notes[2].title, index.row_of("note-2"))):
            vector = encoder.encode([text], kind=TextKind.QUERY)[0]
            owners, cosines = index.questions.search(vector, 2)
            assert owners[0] == owner
            assert cosines[0] == pytest.approx(1, abs=1e-5)


def test_one_builder_at_a_time_and_the_other_is_named(tmp_path: Path, good_note: str) -> None:
    notes, chunks = notes_of(good_note)
    with (
        BuildLock(tmp_path / "i"),
        pytest.raises(IndexLockedError, match=r"is being built by process \d+ on"),
    ):
        Index.build(tmp_path / "i", chunks, notes, CountingEncoder())


def test_a_missing_index_says_how_to_build_it(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="build one with `kb index`"):
        Index.open(tmp_path / "none", encoder=None)


def test_another_encoders_index_is_refused(tmp_path: Path, good_note: str) -> None:
    notes, chunks = notes_of(good_note)
    Index.build(tmp_path / "i", chunks, notes, CountingEncoder())
    other = EncoderIdentity(name="counting", revision="2", dim=32)
    with pytest.raises(StaleIndexError, match="rebuild it with `kb index`"):
        Index.open(tmp_path / "i", encoder=other)


def use(path: Path) -> None:
    """Touch every part of an index."""
    with Index.open(path, encoder=None) as index:
        list(index.chunks())
        list(index.cards())
        index.signatures.postings.get("size")
        index.vectors.search(np.ones(32, np.float32), 3)
        assert index.row_of("note-0") is not None
        index.check(deep=True)


def test_damage_to_any_file_is_a_named_error(tmp_path: Path, good_note: str) -> None:
    notes, chunks = notes_of(good_note)
    Index.build(tmp_path / "i", chunks, notes, CountingEncoder())
    use(tmp_path / "i")
    files = [f for f in (tmp_path / "i").rglob("*") if f.is_file() and f.stat().st_size]
    files = [file for file in files if not file.name.startswith(".lock")]
    assert len(files) > 8
    for file in files:
        whole = file.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 0x5A
        for damaged in (whole[:-2], whole[: len(whole) // 2], b"", bytes(flipped)):
            file.write_bytes(damaged)
            with pytest.raises((IndexCorruptError, IndexMissingError, StaleIndexError)):
                use(tmp_path / "i")
        file.unlink()
        with pytest.raises((IndexCorruptError, IndexMissingError)):
            use(tmp_path / "i")
        file.write_bytes(whole)
    use(tmp_path / "i")


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_vector_without_direction_is_never_stored(
    tmp_path: Path, good_note: str, value: float
) -> None:
    class Broken(CountingEncoder):
        def encode(self, texts: Sequence[str], *, kind: TextKind) -> Floats:
            del kind
            return np.full((len(texts), 32), value, dtype=np.float32)

    notes, chunks = notes_of(good_note)
    with pytest.raises(EncoderError):
        Index.build(tmp_path / "i", chunks, notes, Broken())
    with pytest.raises(IndexMissingError):
        Index.open(tmp_path / "i", encoder=None)


def test_one_vector_for_many_texts_is_refused(tmp_path: Path, good_note: str) -> None:
    class Same(CountingEncoder):
        def encode(self, texts: Sequence[str], *, kind: TextKind) -> Floats:
            del kind
            return np.tile(np.eye(32, dtype=np.float32)[0], (len(texts), 1))

    notes, chunks = notes_of(good_note)
    with pytest.raises(EncoderError):
        Index.build(tmp_path / "i", chunks, notes, Same())


@pytest.mark.parametrize("kind", list(StoreKind))
def test_every_store_finds_what_brute_force_finds(tmp_path: Path, kind: StoreKind) -> None:
    generator = np.random.default_rng(0)
    vectors = unit_rows(generator.normal(size=(500, 16)).astype(np.float32), encoder="t")
    np.save(tmp_path / "vectors.npy", vectors)
    if kind is not StoreKind.EXACT:
        build_graph(tmp_path, vectors, kind, previous=None, first_new=0)
    dead = np.array([3, 7])
    store = open_store(tmp_path, kind, shape=(500, 16), dead=dead)
    for query in unit_rows(generator.normal(size=(20, 16)).astype(np.float32), encoder="t"):
        expected = vectors @ query
        expected[dead] = -np.inf
        order = np.argsort(-expected)[:5]
        rows, scores = store.search(query, 5)
        assert rows.tolist() == order.tolist()
        np.testing.assert_allclose(scores, expected[order], atol=1e-6)


def test_a_store_with_fewer_rows_than_asked_gives_all_of_them() -> None:
    store = ExactStore(np.eye(3, dtype=np.float32), dead=np.array([1]))
    rows, scores = store.search(np.array([1, 0, 0], np.float32), 10)
    assert (rows.tolist(), scores.tolist()) == ([0, 2], [1.0, 0.0])


def test_identifiers_and_chinese_are_split_into_words() -> None:
    assert split_identifier("CrossEntropyLoss") == ("cross", "entropy", "loss")
    assert {"torch.nn.crossentropyloss", "crossentropyloss", "cross"} <= set(
        document_tokens("torch.nn.CrossEntropyLoss")
    )
    assert "crossentropy" in document_tokens("CrossEntropyLoss")
    assert {"梯度", "清零", "zero_grad"} <= set(query_tokens("zero_grad梯度清零"))


def test_an_index_has_the_same_bytes_whatever_the_hash_seed(tmp_path: Path, good_note: str) -> None:
    code = (
        "import sys\nsys.path.insert(0, sys.argv[3])\nfrom pathlib import Path\n"
        "import test_index as t\n"
        "notes, chunks = t.notes_of(Path(sys.argv[2]).read_text(encoding='utf-8'))\n"
        "t.Index.build(Path(sys.argv[1]), chunks, notes, t.CountingEncoder())\n"
    )
    text = tmp_path / "note.md"
    text.write_text(good_note, encoding="utf-8")
    hashes = []
    for seed in ("1", "2"):
        target = tmp_path / seed
        here = str(Path(__file__).parent)
        command = [sys.executable, "-c", code, str(target), str(text), here]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin"})
        manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
        files = manifest["files"]
        hashes.append({k: v["sha256"] for k, v in files.items() if not k.startswith("terms/")})
    assert hashes[0] == hashes[1]


def test_other_tokens_are_another_format() -> None:
    tokens = document_tokens("Normalised torch.nn.CrossEntropyLoss: 梯度清零 of behaviours")
    words = template_words("mat1 shapes (32x20) are 不对")
    assert (FORMAT, tokens, words) == (
        3,
        [
            "normaliz",
            "torch.nn.crossentropyloss",
            "torch",
            "nn",
            "crossentropyloss",
            "crossentropy",
            "entropyloss",
            "cross",
            "entropy",
            "loss",
            "梯度",
            "清零",
            "of",
            "behavior",
        ],
        ["mat1", "shapes", "are", "不", "对"],
    )


def test_terms_that_may_not_be_locked_are_searched_and_left_as_they_are(tmp_path: Path) -> None:
    writer = TermWriter(tmp_path)
    writer.add(row=7, note_id="a-note", fields={Field.TEXT: ["broken", "pipe"]})
    writer.commit()
    folder = tmp_path / "terms"
    for lock in folder.glob(".*.lock"):
        lock.unlink()
    before = sorted(folder.iterdir())
    terms = TermIndex.open(tmp_path, notes=1)
    assert [row for row, _ in terms.search([Clause(Field.TEXT, "pipe", 1.0)], 3)] == [7]
    assert terms.row_of("a-note") == 7
    assert sorted(folder.iterdir()) == before
