"""From the Markdown of a note to a `Note`, with positions. All findings of a file come at once.

What a note must say across files (ids, links between notes, tags) is checked in `lint`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from torchnotes_kb.errors import NoteError
from torchnotes_kb.notes.fences import FenceProblem, parse_info
from torchnotes_kb.notes.front_matter import FrontMatter, read_front_matter
from torchnotes_kb.notes.model import (
    Example,
    Expectation,
    Language,
    Note,
    Output,
    Prose,
    Role,
    Section,
)
from torchnotes_kb.notes.prose import language_of

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["markdown_tokens", "parse_note", "read_text"]

FIELDS = (
    "id kind title title_zh signatures asked torch platforms tags see_also sources".split()  # noqa: SIM905
)


def parse_note(text: str, *, path: Path) -> tuple[Note | None, list[NoteError]]:
    """Read one note.

    Returns:
        The note (None if its front matter cannot be used) and every finding, in order of line.
    """
    findings: list[NoteError] = []
    matter = read_front_matter(text, path=path)
    findings += matter.findings
    findings += [
        NoteError(path, matter.line_of(key), f"unknown field `{key}`", f"use {', '.join(FIELDS)}")
        for key in matter.values
        if key not in FIELDS
    ]
    body = _Body(path, text.splitlines())
    for token in markdown_tokens(matter.body):
        body.take(token)
    body.close()
    findings += body.findings
    note = _build(matter, tuple(body.sections), path, findings)
    return note, sorted(findings, key=lambda finding: finding.line)


def read_text(path: Path) -> str:
    """A Markdown file's text.

    Raises:
        NoteError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise NoteError(path, 1, problem, "give a Markdown file or a directory of them") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise NoteError(path, line, "is not UTF-8", "save the file as UTF-8") from error


def markdown_tokens(text: str) -> list[Token]:
    """Block tokens of CommonMark with tables."""
    return _markdown().parse(text)


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - a search needs no Markdown

    return MarkdownIt("commonmark").enable("table")


def _build(
    matter: FrontMatter, sections: tuple[Section, ...], path: Path, findings: list[NoteError]
) -> Note | None:
    known: dict[str, Any] = {key: matter.values[key] for key in FIELDS if key in matter.values}
    if not known:
        return None
    try:
        return Note(**known, sections=sections, path=path)
    except ValidationError as error:
        for problem in error.errors():
            key = str(problem["loc"][0])
            findings.append(NoteError(path, matter.line_of(key), f"`{key}`: {problem['msg']}"))
        return None


@dataclass
class _Body:
    """The sections below the front matter, gathered token by token."""

    path: Path
    lines: list[str]
    sections: list[Section] = field(default_factory=list)
    findings: list[NoteError] = field(default_factory=list)
    heading: str | None = None
    line: int = 0
    blocks: list[Prose | Example | Output] = field(default_factory=list)
    awaits_output: bool = False
    depth_end: int = 0
    in_heading: bool = False

    def take(self, token: Token) -> None:
        """Use one token; nested ones are covered by their outermost block."""
        if token.type == "heading_open":
            self.in_heading = True
            self._heading(token)
        elif token.type == "inline" and self.in_heading:
            self.heading = token.content.strip()
        elif token.type == "heading_close":
            self.in_heading = False
        elif token.level == 0 and token.map is not None:
            self._block(token, *token.map)

    def close(self) -> None:
        """End the section that is open."""
        if self.heading is None:
            return
        spoken = Counter(block.language for block in self.blocks if isinstance(block, Prose))
        if spoken[Language.EN] != spoken[Language.ZH]:
            self._find(
                self.line,
                f"section {self.heading} says {spoken[Language.EN]} paragraphs in English and "
                f"{spoken[Language.ZH]} in Chinese",
                "say each paragraph in both languages",
            )
        section = Section(heading=self.heading, blocks=tuple(self.blocks), line=self.line)
        self.sections.append(section)
        self.heading, self.blocks, self.awaits_output = None, [], False

    def _heading(self, token: Token) -> None:
        self.close()
        assert token.map is not None  # noqa: S101 - block tokens have a position
        self.line = token.map[0] + 1
        if token.tag != "h2":
            self._find(self.line, f"heading of level {token.tag[1]}", "use ## sections only")

    def _block(self, token: Token, first: int, last: int) -> None:
        if self.heading is None:
            self._find(first + 1, "text before the first section", "begin with a ## heading")
            self.heading, self.line = "", first + 1
        if token.type == "fence":
            self._fence(token, first, last)
            return
        self.awaits_output = False
        if token.type == "code_block":
            self._find(first + 1, "indented code is not run", "use a fence")
        elif token.type in {"html_block", "hr"}:
            self._find(first + 1, "HTML and rules have no place in a note", "remove it")
        else:
            block = "\n".join(self.lines[first:last]).strip()
            self.blocks.append(Prose(language=language_of(block), text=block))

    def _fence(self, token: Token, first: int, last: int) -> None:
        closing = self.lines[last - 1].strip() if last - 1 > first else ""
        if not re.fullmatch(r"`{3,}|~{3,}", closing):
            self._find(first + 1, "the fence is never closed", "end it with ```")
        try:
            fence = parse_info(token.info)
        except FenceProblem as problem:
            self._find(first + 1, str(problem), problem.remedy)
            return
        if fence.role is None:
            if fence.language == "text" and self.awaits_output:
                self._expect_output(token.content)
            else:
                self.blocks.append(Output(fence=fence.language, text=token.content))
            self.awaits_output = False
            return
        self.awaits_output = fence.role is Role.SHOWS
        self.blocks.append(
            Example(
                role=fence.role,
                code=token.content,
                expectation=fence.expectation,
                needs=fence.needs,
                line=first + 1,
            )
        )

    def _expect_output(self, stdout: str) -> None:
        shown = self.blocks[-1]
        self.blocks[-1] = shown.model_copy(update={"expectation": Expectation(stdout=stdout)})

    def _find(self, line: int, problem: str, remedy: str) -> None:
        self.findings.append(NoteError(self.path, line, problem, remedy))
