"""The ledger of proofs."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from torchnotes_kb.errors import ConfigError
from torchnotes_kb.notes.model import Note
from torchnotes_kb.notes.parser import parse_note
from torchnotes_kb.notes.proof import Proof, Verdict, VerdictKind
from torchnotes_kb.verify.ledger import Ledger


@pytest.fixture
def note(good_note: str) -> Note:
    parsed, _ = parse_note(good_note, path=Path("too-small.md"))
    assert parsed is not None
    return parsed


def proofs_of(note: Note, *, torch: str = "2.13.0") -> list[Proof]:
    return [
        Proof(
            note_id=note.id,
            line=example.line,
            example=example.sha256,
            verdict=Verdict(kind=VerdictKind.PROVEN),
            torch=torch,
            python="3.11.7",
            platform="Linux-x86_64",
            duration_ms=1.5,
            when=datetime(2026, 11, 23, tzinfo=UTC),
        )
        for example in note.examples
    ]


def test_what_is_saved_is_loaded(tmp_path: Path, note: Note) -> None:
    ledger = Ledger(proofs_of(note))
    ledger.save(tmp_path / "sub" / "proofs.json")
    assert Ledger.load(tmp_path / "sub" / "proofs.json").of(note) == tuple(proofs_of(note))
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["proofs.json"]


def test_a_missing_ledger_proves_nothing(tmp_path: Path, note: Note) -> None:
    assert Ledger.load(tmp_path / "none.json").of(note) == ()


@pytest.mark.parametrize("content", ["", "{", "[{}]", "null"])
def test_a_damaged_ledger_says_how_to_make_it_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "proofs.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="kb verify --save"):
        Ledger.load(tmp_path / "proofs.json")


def test_proofs_of_another_runtime_are_kept_beside(note: Note) -> None:
    ledger = Ledger(proofs_of(note))
    ledger.record(proofs_of(note, torch="2.4.0"))
    assert [proof.torch for proof in ledger.of(note)] == ["2.13.0", "2.4.0"] * 1 + [
        "2.13.0",
        "2.4.0",
    ]


def test_a_changed_example_makes_its_proof_stale_until_it_is_forgotten(note: Note) -> None:
    ledger = Ledger(proofs_of(note))
    section = note.sections[-1]
    example = section.examples[0].model_copy(update={"code": "assert True"})
    changed = note.model_copy(
        update={
            "sections": (
                *note.sections[:-1],
                section.model_copy(update={"blocks": (example,)}),
            )
        }
    )
    assert [proof.stale for proof in ledger.of(changed)] == [False, True]
    ledger.keep([changed])
    assert [proof.stale for proof in ledger.of(changed)] == [False]
