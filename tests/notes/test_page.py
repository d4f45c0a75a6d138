"""Users' own Markdown, in whatever shape blogs have."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchnotes_kb.errors import NoteError
from torchnotes_kb.notes.model import Note, NoteKind, Role
from torchnotes_kb.notes.page import load_pages, read_page

BLOG = """\
---
layout: post
title: '用户笔记'
tags: Python
---

> Notes.

# ⚪ 语法笔记

1. `model.eval()`的用法
2. 报错

## 1. model.eval()的用法
`eval()`关闭**dropout**。

```python
import torch
print(1)
```

### 细节
```
x = 1
```
```bash
ls
```

## 2. 报错
```
Traceback: no Python here
```
````md
```python
nested
```
````
最后一段没有结束的代码：
```python
if __name__ == '__main__':
"""


@pytest.fixture
def notes(tmp_path: Path) -> tuple[Note, ...]:
    path = tmp_path / "2020-02-15-My Blog.md"
    path.write_text(BLOG, encoding="utf-8")
    return load_pages(path)


def test_each_heading_with_a_body_is_a_note(notes: tuple[Note, ...]) -> None:
    assert [note.id for note in notes] == [
        "2020-02-15-my-blog/用户笔记",
        "2020-02-15-my-blog/1-model-eval-的用法",
        "2020-02-15-my-blog/2-报错",
    ]


def test_headings_and_tags_come_through(notes: tuple[Note, ...]) -> None:
    second = notes[1]
    assert (second.kind, second.title, second.title_zh) == (
        NoteKind.PAGE,
        "",
        "1. model.eval()的用法",
    )
    assert second.tags == ("Python",)
    assert [section.heading for section in second.sections] == ["1. model.eval()的用法", "细节"]
    assert second.sections[0].text_zh == "`eval()`关闭**dropout**。"


def test_every_code_block_is_an_example_with_an_honest_role(notes: tuple[Note, ...]) -> None:
    roles = [
        (example.line, example.role, example.expectation.because)
        for note in notes
        for example in note.examples
    ]
    assert roles == [
        (17, Role.RUNS, None),
        (23, Role.RUNS, None),
        (26, Role.FRAGMENT, "a block of bash"),
        (31, Role.FRAGMENT, "no language is given and it is not Python"),
        (34, Role.FRAGMENT, "a block of md"),
        (40, Role.RUNS, None),
    ]


def test_a_table_of_contents_is_left_out(notes: tuple[Note, ...]) -> None:
    assert not any("语法笔记" in note.title_zh for note in notes)


def test_pages_without_headings_or_front_matter_are_one_note(tmp_path: Path) -> None:
    path = tmp_path / "plain.md"
    path.write_text("Just a line.\n", encoding="utf-8")
    (note,) = load_pages(path)
    assert (note.id, note.title, note.sections[0].text) == ("plain/plain", "plain", "Just a line.")


def test_headings_that_repeat_get_ids_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("# Same\nx\n# Same\ny\n", encoding="utf-8")
    assert [note.id for note in read_page(path)] == ["a/same", "a/same-2"]


def test_a_directory_of_pages_is_read_with_its_folders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.md").write_text("# B\ntext\n", encoding="utf-8")
    assert [note.id for note in load_pages(tmp_path)] == ["sub/b/b"]


def test_a_directory_without_markdown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoteError, match="no Markdown here"):
        load_pages(tmp_path)


def test_a_page_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NoteError, match="not UTF-8"):
        load_pages(tmp_path / "x.md")


@given(text=st.text(max_size=300))
def test_any_text_is_a_page(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("page") / "p.md"
    path.write_text(text, encoding="utf-8", errors="replace")
    for note in read_page(path):
        assert note.id.startswith("p/")
