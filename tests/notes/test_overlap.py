"""Which signatures of different notes stand in one message."""

from pathlib import Path

import pytest

from torchnotes_kb.notes.model import Note, NoteKind
from torchnotes_kb.notes.overlap import overlaps


def note(name: str, *signatures: str) -> Note:
    return Note(
        id=name,
        kind=NoteKind.ERROR,
        title=name,
        title_zh=name,
        signatures=signatures,
        sections=(),
        path=Path(f"{name}.md"),
    )


@pytest.mark.parametrize(
    ("first", "second", "covered"),
    [
        ("got {a} and {b}", "got {x} and {y}", ["a", "b"]),
        ("got Float and {b}", "got {x} and {y}", ["a"]),
        ("Expected all: got {a:d} here", "got {n:d}", ["a"]),
        ("sizes {a:shape} and 'x'", 'sizes {b:shape} and "x"', ["a", "b"]),
        ("got {a:d}", "got {a}", ["a"]),
        ("got {a} and {b}", "given {a} and {b}", []),
        ("libnccl{symbol} lost", "libnccl.so.{n:d} lost", ["b"]),
        ("broken {", "broken {a}", []),
    ],
)
def test_a_signature_is_covered_by_one_that_matches_all_its_messages(
    first: str, second: str, covered: list[str]
) -> None:
    assert [o.note_id for o in overlaps([note("a", first), note("b", second)])] == covered


def test_signatures_of_one_note_may_cover_each_other() -> None:
    assert list(overlaps([note("a", "got {x} and {y}", "got {x}")])) == []
