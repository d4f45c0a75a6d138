"""What lint finds in whole notes and in whole corpora."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from torchnotes_kb.notes.corpus import load_corpus
from torchnotes_kb.notes.lint import MAX_CODE_WIDTH, lint
from torchnotes_kb.notes.model import Role
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
        ("assert 3", "from math import *\nassert 3", "31: import * hides what is used"),
        ("assert 3", "x = 1; assert 3", "31: several statements on one line"),
        ("assert 3", "#  三\nassert 3", "31: comments are in English"),
        ("1 + 2", f"1 + 2  # {'x' * 90}", "31: a line of 111 characters, more than 100"),
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


def test_a_warning_must_be_one_of_the_signatures_too(write_note: Write, good_note: str) -> None:
    warns = good_note.replace('raises="ValueError', 'warns="UserWarning')
    assert found(write_note(warns)) == []
    other = warns.replace("UserWarning: size", "UserWarning: width")
    assert found(write_note(other)) == ["20: no signature can match what the example warns"]


def test_a_note_is_measured_to_its_end_not_to_its_last_heading(
    write_note: Write, good_note: str
) -> None:
    path = write_note(good_note + "\nMore.\n\n更多。\n" * 50)
    assert found(path) == ["1: 232 lines, more than 200"]


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


@pytest.mark.parametrize(
    ("signature", "links", "missing"),
    [
        ("size 2 is smaller than {more:d} in {place}", ("", ""), ["other", "too-small"]),
        ("size 2 is smaller than {more:d} in {place}", ("other", ""), ["too-small"]),
        ("size 2 is smaller than {more:d} in {place}", ("other", "too-small"), []),
        ("size {a:d} is smaller than {b:d} in {c}", ("", ""), ["other", "too-small"]),
        ("size {a:d} is larger than {b:d} in {c}", ("", ""), []),
    ],
    ids=["narrower", "linked one way", "linked", "captures of other names", "another message"],
)
def test_notes_that_share_a_message_must_name_each_other(
    write_note: Write,
    good_note: str,
    signature: str,
    links: tuple[str, str],
    missing: list[str],
) -> None:
    write_note(good_note.replace("sources:", f"see_also: [{links[0]}]\nsources:"))
    other = good_note.replace("too-small", "other").replace("size", "length")
    other = other.replace("torch:", f'  - "{signature}"\nsee_also: [{links[1]}]\ntorch:')
    root = write_note(other, name="errors/other.md").parent.parent
    named = sorted(
        problem.removesuffix(" too").rpartition(" ")[2]
        for problem in found(root)
        if "can be a message of" in problem
    )
    assert named == missing
    assert len(found(root)) == len(missing)


def test_an_error_in_the_wrong_folder_is_found(write_note: Write) -> None:
    assert found(write_note(name="idioms/too-small.md")) == ["1: a note of kind error in idioms/"]


def test_an_empty_directory_is_a_finding(tmp_path: Path) -> None:
    assert found(tmp_path) == ["1: no notes here"]


def test_the_bundled_corpus_lints_clean() -> None:
    assert [str(finding) for finding in lint([bundled("corpus")])] == []


def test_the_bundled_examples_are_formatted_like_our_own_code(tmp_path: Path) -> None:
    """What lint cannot see without a formatter."""
    for note in load_corpus(bundled("corpus")):
        for example in note.examples:
            if example.role is not Role.FRAGMENT:
                path = tmp_path / f"{note.id}-{example.line}.py"
                path.write_text(example.code.rstrip("\n") + "\n", encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff", "format", "--isolated", "--no-cache", "--quiet"]
    width = ["--line-length", str(MAX_CODE_WIDTH)]
    done = subprocess.run(
        [*ruff, *width, "--diff", str(tmp_path)], capture_output=True, check=False, text=True
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
