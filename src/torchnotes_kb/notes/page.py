"""A user's own Markdown, in whatever shape blogs have, as notes of kind `page`.

Each heading of level 1 or 2 with something below it becomes a note; deeper headings are its
sections. Code blocks become examples: Python ones are expected to run to their end, others are
fragments that say why they are not run. Nothing is refused but a file that cannot be read.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from torchnotes_kb.notes.front_matter import read_front_matter
from torchnotes_kb.notes.model import (
    Example,
    Expectation,
    Language,
    Note,
    NoteKind,
    Prose,
    Role,
    Section,
)
from torchnotes_kb.notes.parser import markdown_tokens, read_text
from torchnotes_kb.notes.prose import language_of, slug

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

__all__ = ["load_pages", "read_notes", "read_page"]

PYTHON = {"python", "py", "python3", "pytorch"}
NOTE_LEVEL = 2
"""Headings down to this level begin a note of their own."""
LIST_MARK = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+", re.MULTILINE)


@dataclass
class _Part:
    """What stands between one heading and the next."""

    heading: str
    level: int
    line: int
    blocks: list[str | Example] = field(default_factory=list)
    """Prose and code, in order."""

    @property
    def prose(self) -> list[str]:
        return [block for block in self.blocks if isinstance(block, str)]


def read_page(path: Path, *, name: str = "") -> tuple[Note, ...]:
    """The notes of one Markdown file, in its order.

    Args:
        path: The file.
        name: First part of the notes' ids; the file's stem if empty.

    Raises:
        NoteError: the file cannot be read or is not UTF-8.
    """
    text = read_text(path)
    matter = read_front_matter(text, path=path)
    title = str(matter.values.get("title") or path.stem)
    tags = _tags(matter.values.get("tags"))
    parts = _without_contents(list(_parts(matter.body, title)))
    groups: list[list[_Part]] = []
    for part in parts:
        if part.level > NOTE_LEVEL and groups:
            groups[-1].append(part)
        else:
            groups.append([part])
    used: Counter[str] = Counter()
    notes = []
    for group in groups:
        if not any(part.blocks for part in group):
            continue
        base = f"{name or slug(path.stem)}/{slug(group[0].heading)}"
        used[base] += 1
        note_id = base if used[base] == 1 else f"{base}-{used[base]}"
        notes.append(_note(group, note_id, tags, path))
    return tuple(notes)


def read_notes(path: Path, *, name: str = "") -> tuple[Note, ...]:
    """The notes of one file: itself, if it is written as one, else those of the page it is.

    Args:
        path: The file.
        name: First part of a page's ids; the file's stem if empty.

    Raises:
        NoteError: the file cannot be read or is not UTF-8.
        CorpusError: it is written as a note, and wrong.
    """
    from torchnotes_kb.notes.corpus import load_corpus  # noqa: PLC0415 - only for notes

    matter = read_front_matter(read_text(path), path=path)
    if {"id", "kind"} <= set(matter.values):
        return load_corpus(path)
    return read_page(path, name=name)


def load_pages(root: Path) -> tuple[Note, ...]:
    """The notes of a Markdown file or of every one below a directory.

    Raises:
        NoteError: a file cannot be read, is not UTF-8, or there is none.
    """
    from torchnotes_kb.errors import NoteError  # noqa: PLC0415 - only to refuse
    from torchnotes_kb.notes.corpus import note_files  # noqa: PLC0415 - only for directories

    files = note_files(root)
    if not files:
        raise NoteError(root, 1, "no Markdown here", "give a .md file or a directory of them")
    base = root if root.is_dir() else root.parent
    return tuple(
        note for file in files for note in read_page(file, name=_page_name(file.relative_to(base)))
    )


def _page_name(relative: Path) -> str:
    return "/".join(slug(part) for part in relative.with_suffix("").parts)


def _tags(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(re.split(r"[\s,]+", value.strip())) if value.strip() else ()
    return tuple(str(tag) for tag in value) if isinstance(value, list) else ()


def _parts(body: str, title: str) -> Iterator[_Part]:
    lines = body.splitlines()
    part = _Part(title, 1, 1)
    in_heading = False
    for token in markdown_tokens(body):
        if token.type == "heading_open":
            yield part
            assert token.map is not None  # noqa: S101 - block tokens have a position
            part = _Part("", int(token.tag[1]), token.map[0] + 1)
            in_heading = True
        elif token.type == "inline" and in_heading:
            part.heading = token.content.strip()
        elif token.type == "heading_close":
            in_heading = False
        elif token.type in {"fence", "code_block"} and token.map is not None:
            part.blocks.append(_example(token))
        elif token.level == 0 and token.map is not None and token.type not in {"hr", "html_block"}:
            part.blocks.append("\n".join(lines[slice(*token.map)]).strip())
    yield part


def _example(token: Token) -> Example:
    assert token.map is not None  # noqa: S101 - block tokens have a position
    language = token.info.strip().split(" ")[0].strip("{}.").lower()
    line, code = token.map[0] + 1, token.content
    if language in PYTHON or (not language and _is_python(code)):
        return Example(role=Role.RUNS, code=code, line=line)
    why = f"a block of {language}" if language else "no language is given and it is not Python"
    return Example(role=Role.FRAGMENT, code=code, expectation=Expectation(because=why), line=line)


def _is_python(code: str) -> bool:
    """Whether an unlabelled block is a program: it compiles, and is more than words."""
    import warnings  # noqa: PLC0415 - pages only

    try:
        with warnings.catch_warnings(action="ignore"):
            compile(code, "block", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return re.search(r"[=(]|\bimport\b", code) is not None


def _without_contents(parts: list[_Part]) -> list[_Part]:
    """Drop lists that only repeat the headings below them: they would match every query."""
    headings = {_bare(part.heading) for part in parts}
    for part in parts:
        part.blocks = [block for block in part.blocks if not _is_contents(block, headings)]
    return parts


def _is_contents(block: str | Example, headings: set[str]) -> bool:
    """Whether most items of a list are headings; people edit one and forget the other."""
    if isinstance(block, Example) or not LIST_MARK.match(block):
        return False
    items = [_bare(item) for item in LIST_MARK.split(block) if item.strip()]
    return sum(item in headings for item in items) * 2 > len(items)


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", LIST_MARK.sub("", text)).lower()


def _note(group: list[_Part], note_id: str, tags: tuple[str, ...], path: Path) -> Note:
    heading = group[0].heading
    chinese = any(
        language_of(text) is Language.ZH for part in group for text in (part.heading, *part.prose)
    )
    return Note(
        id=note_id,
        kind=NoteKind.PAGE,
        title="" if chinese else heading,
        title_zh=heading if chinese else "",
        tags=tags,
        sections=tuple(_section(part, chinese=chinese) for part in group),
        path=path,
    )


def _section(part: _Part, *, chinese: bool) -> Section:
    language = Language.ZH if chinese else Language.EN
    blocks = (
        Prose(language=language, text=block) if isinstance(block, str) else block
        for block in part.blocks
    )
    return Section(heading=part.heading, blocks=tuple(blocks), line=part.line)
