"""What lint finds in whole notes and in whole corpora."""

from collections.abc import Callable
from pathlib import Path

import pytest

from torchnotes_kb.notes.lint import lint
from torchnotes_kb.resources import bundled

Write = Callable[..., Path]


def found(path: Path, *, root: Path | None = None) -> list[str]:
    return [f"{finding.line}: {finding.problem}" for finding in lint([path], root=root)]


def test_a_good_note_has_no_findings(write_note: Write) -> None:
    assert found(write_note()) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("id: too-small", "id: other", "1: id is other, file is too-small.md"),
        ("title_zh: 矩阵太小", 'title_zh: ""', "1: `title_zh` is empty"),
        ("[shapes]", "[shape]", "1: unknown tag `shape`"),
        ("[shapes]", "[]", "1: no tags"),
        ("[shapes]", "[shapes]\nasked: [too few, too few]", "1: `asked` says one thing twice"),
        ("[shapes]", f"[shapes]\nasked: [{'x' * 121}]", "1: `asked` of 121 characters"),
        ('">=2.0"', '"2.0 or so"', "1: torch `2.0 or so` is no version specifier"),
        ("https://docs", "http://docs", "is no https address"),
        ("## Works", "## Working", "29: section `Working` is not one of error's"),
        ("## Works", "## Working", "1: no section Works"),
        ("## Symptom", "## Why", "1: section Why stands 2 times"),
        ("{{found|fewer}}", "{{fonud|fewer}}", "24: `{{fonud|…}}` is in no signature"),
        ("in {where}", "in {where", "1: signature"),
        ("size {found:d} is smaller than {expected:d} in {where}", "a {b}", "says too little"),
        ("assert 3 == 1 + 2", "assert 3 ==", "30: example is not Python"),
        ("python works", "python shows", "1: no `works` example"),
        ('smaller than 3"', 'larger than 3"', None),
        ("ValueError: size", "ValueError: width", "20: no signature can match"),
        ("assert 3 == 1 + 2", "\n" * 50, "30: example longer than 40 lines"),
    ],
)
def test_each_rule_finds_its_mistake(
    write_note: Write, good_note: str, old: str, new: str, expected: str | None
) -> None:
    assert old in good_note
    findings = found(write_note(good_note.replace(old, new)))
    if expected is None:
        assert findings == []
    else:
        assert any(expected in finding for finding in findings), findings


def test_a_link_that_leads_nowhere_is_found(write_note: Write, good_note: str) -> None:
    path = write_note(good_note.replace("sources:", "see_also: [gone]\nsources:"))
    assert found(path) == ["1: see_also `gone` leads nowhere"]


def test_links_of_a_single_file_are_looked_up_in_the_whole_corpus(
    write_note: Write, good_note: str
) -> None:
    path = write_note(good_note.replace("sources:", "see_also: [other]\nsources:"))
    write_note(
        good_note.replace("too-small", "other").replace("size", "length"), name="errors/other.md"
    )
    assert found(path, root=path.parent.parent) == []


def test_two_notes_with_one_id_or_one_signature_are_found(
    write_note: Write, good_note: str
) -> None:
    write_note(good_note)
    root = write_note(good_note, name="errors/copy.md").parent.parent
    findings = found(root)
    assert "1: id too-small is used twice" in findings


def test_a_signature_that_two_notes_claim_is_found_in_both(
    write_note: Write, good_note: str
) -> None:
    write_note(good_note)
    root = write_note(good_note.replace("too-small", "other"), name="errors/other.md").parent.parent
    claims = [finding for finding in found(root) if "is also" in finding]
    assert len(claims) == 2


def test_an_error_in_the_wrong_folder_is_found(write_note: Write) -> None:
    assert found(write_note(name="idioms/too-small.md")) == ["1: a note of kind error in idioms/"]


def test_an_empty_directory_is_a_finding(tmp_path: Path) -> None:
    assert found(tmp_path) == ["1: no notes here"]


def test_the_bundled_corpus_lints_clean() -> None:
    assert [str(finding) for finding in lint([bundled("corpus")])] == []
