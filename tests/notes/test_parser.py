"""Notes read from Markdown, with every finding at its line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchnotes_kb.errors import CorpusError, NoteError
from torchnotes_kb.notes.corpus import load_corpus
from torchnotes_kb.notes.model import (
    Example,
    Expectation,
    Language,
    NoteKind,
    Output,
    Prose,
    Role,
    Section,
)
from torchnotes_kb.notes.parser import parse_note, read_text

Write = Callable[..., Path]


def problems(text: str) -> list[tuple[int, str]]:
    _, findings = parse_note(text, path=Path("note.md"))
    return [(finding.line, finding.problem) for finding in findings]


def test_a_good_note_is_read_whole(good_note: str) -> None:
    note, findings = parse_note(good_note, path=Path("too-small.md"))
    assert not findings
    assert note is not None
    assert (note.id, note.kind, note.title_zh) == ("too-small", NoteKind.ERROR, "矩阵太小")
    assert note.sections[:2] == (
        Section(
            heading="Symptom",
            blocks=(
                Prose(language=Language.EN, text="Something is too small."),
                Prose(language=Language.ZH, text="有东西太小。"),
            ),
            line=14,
        ),
        Section(
            heading="Fails",
            blocks=(
                Example(
                    role=Role.FAILS,
                    code='raise ValueError("size 2 is smaller than 3 in here")\n',
                    expectation=Expectation(raises="ValueError: size 2 is smaller than 3"),
                    line=20,
                ),
            ),
            line=19,
        ),
    )


def test_text_right_after_shows_is_its_exact_output(good_note: str) -> None:
    text = good_note + "\n```python shows\nprint(1)\n```\n```text\n1\n```\n"
    note, findings = parse_note(text, path=Path("n.md"))
    assert not findings
    assert note is not None
    assert note.examples[-1].expectation == Expectation(stdout="1\n")


def test_text_after_prose_is_only_text(good_note: str) -> None:
    text = (
        good_note + "\n```python shows\nprint(1)\n```\nIt prints.\n\n会打印。\n\n```text\n1\n```\n"
    )
    note, findings = parse_note(text, path=Path("n.md"))
    assert not findings
    assert note is not None
    assert note.examples[-1].expectation == Expectation()
    assert note.sections[-1].read_in(Language.ZH)[-2:] == (
        Prose(language=Language.ZH, text="会打印。"),
        Output(fence="text", text="1\n"),
    )


def test_a_section_is_read_in_one_language_in_the_order_of_the_file(good_note: str) -> None:
    text = good_note + (
        "\n## Also\nFirst.\n\n先。\n\n```python works\nassert 2 > 1\n```\n\nThen.\n\n后。\n"
    )
    note, findings = parse_note(text, path=Path("n.md"))
    assert not findings
    assert note is not None
    blocks = note.sections[-1].read_in(Language.ZH)
    read = [block.code if isinstance(block, Example) else block.text for block in blocks]
    assert read == ["先。", "assert 2 > 1\n", "后。"]


def test_a_list_is_one_block_of_prose_in_its_language(good_note: str) -> None:
    text = good_note + "\n- one\n- two\n\n文字\n"
    note, findings = parse_note(text, path=Path("n.md"))
    assert not findings
    assert note is not None
    assert note.sections[-1].text == "- one\n- two"


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("```python works", "```python wroks", (30, "unknown role `wroks`")),
        ("```python works", "```python", (30, "the fence has no role")),
        (
            "有东西太小。\n",
            "",
            (14, "section Symptom says 1 paragraphs in English and 0 in Chinese"),
        ),
        ("## Why", "# Why", (24, "heading of level 1")),
        ("assert 3 == 1 + 2\n```\n", "assert 3 == 1 + 2\n", (30, "the fence is never closed")),
        ("tags: [shapes]", "tag: [shapes]", (9, "unknown field `tag`")),
        ("kind: error", "kind: errors", (3, "`kind`: Input should be 'error', 'idiom' or 'page'")),
        ("title: The", "tilte: The", (1, "`title`: Field required")),
        ("## Symptom", "Before.\n\n## Symptom", (14, "text before the first section")),
        ("有东西太小。", "    indented", (17, "indented code is not run")),
        ("有东西太小。", "<div>html</div>", (17, "HTML and rules have no place in a note")),
    ],
)
def test_each_mistake_is_found_at_its_line(
    good_note: str, old: str, new: str, finding: tuple[int, str]
) -> None:
    assert old in good_note
    assert finding in problems(good_note.replace(old, new, 1))


@pytest.mark.parametrize(("value", "line"), [("id: [", 4), ("id: 2026-13-45", 1), ("id: *x", 2)])
def test_front_matter_that_is_no_yaml_is_a_finding(good_note: str, value: str, line: int) -> None:
    (finding, *_) = problems(good_note.replace("id: too-small", value, 1))
    assert finding[0] == line
    assert finding[1].startswith("front matter is not YAML: ")


def test_all_findings_come_at_once(good_note: str) -> None:
    broken = good_note.replace("python works", "python wroks").replace("有东西太小。\n", "")
    assert len(problems(broken)) == 2


def test_a_file_without_front_matter_is_one_finding() -> None:
    assert problems("## Symptom\ntext\n\n文字\n")[0] == (1, "no front matter")


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "gbk.md"
    path.write_bytes("ok\n报错".encode("gbk"))
    with pytest.raises(NoteError, match=r"gbk\.md:2: is not UTF-8 \(save the file as UTF-8\)"):
        read_text(path)


def test_windows_line_ends_and_a_byte_order_mark_are_no_problem(
    tmp_path: Path, good_note: str
) -> None:
    path = tmp_path / "too-small.md"
    path.write_bytes(b"\xef\xbb\xbf" + good_note.replace("\n", "\r\n").encode())
    assert parse_note(read_text(path), path=path)[0] == parse_note(good_note, path=path)[0]


def test_a_corpus_is_loaded_in_order_of_id(write_note: Write, good_note: str) -> None:
    write_note(good_note)
    write_note(good_note.replace("id: too-small", "id: a-first"), name="errors/z.md")
    root = write_note().parent.parent
    assert [note.id for note in load_corpus(root)] == ["a-first", "too-small"]


def test_a_corpus_with_a_broken_note_names_all_findings(write_note: Write, good_note: str) -> None:
    write_note(good_note.replace("python works", "python wroks"))
    root = write_note(good_note.replace("## Why", "# Why"), name="errors/b.md").parent.parent
    with pytest.raises(CorpusError, match="and 1 more; `kb lint` lists them") as caught:
        load_corpus(root)
    assert len(caught.value.findings) == 2


def test_an_empty_directory_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no notes here"):
        load_corpus(tmp_path)


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused_but_never_crashes(text: str) -> None:
    note, findings = parse_note(text, path=Path("n.md"))
    assert note is not None or findings
