"""What a note is: the frozen types that every other room speaks. No parsing here."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

from pydantic import Field, computed_field

from torchnotes_kb.values import Frozen

__all__ = [
    "Chunk",
    "Example",
    "Expectation",
    "Language",
    "Note",
    "NoteKind",
    "Output",
    "Prose",
    "Role",
    "Section",
]


class NoteKind(StrEnum):
    """What a note answers."""

    ERROR = "error"
    IDIOM = "idiom"
    PAGE = "page"
    """A section of a user's own Markdown, imported as it is."""


class Language(StrEnum):
    """The languages that notes are written in."""

    EN = "en"
    ZH = "zh"


class Role(StrEnum):
    """What an example is for; decides how it is verified (NOTES: fences are a closed list)."""

    FAILS = "fails"
    WORKS = "works"
    SHOWS = "shows"
    RUNS = "runs"
    """A code block of a user's own page: expected to run to its end."""
    FRAGMENT = "fragment"
    """Never executed; `because` says why."""


class Expectation(Frozen):
    """What must happen when an example is run. All unset: it runs to its end."""

    raises: str | None = None
    """`Type: start of the message`, or `Type: /regex/` searched in the message."""
    warns: str | None = None
    """`Category: start of the message`, or `Category: /regex/`."""
    wrong: bool = False
    """Runs to its end; the code itself asserts the wrong answer it gives."""
    stdout: str | None = None
    """Exact output (of a `shows` example followed by a `text` fence)."""
    because: str | None = None
    """Why a fragment is not executed."""


class Example(Frozen):
    """One program of a note."""

    role: Role
    code: str
    expectation: Expectation = Expectation()
    needs: tuple[str, ...] = ()
    """What a runtime must have: `cuda`, `gpus>=2`, `windows`, `torchvision`, `torch<2.6`."""
    line: int
    """1-based line of the opening fence in the note's file."""

    @property
    def sha256(self) -> str:
        """Identity of what would be proven: code, expectation and needs."""
        text = "\0".join([self.role, self.code, self.expectation.model_dump_json(), *self.needs])
        return hashlib.sha256(text.encode()).hexdigest()


class Prose(Frozen):
    """One paragraph, list or table, in one language."""

    language: Language
    text: str


class Output(Frozen):
    """A `text` or `console` fence that no example is held against: shown, never run."""

    fence: str
    """`text` or `console`."""
    text: str


class Section(Frozen):
    """One `##` section of a note: prose in two languages and its examples."""

    heading: str
    blocks: tuple[Prose | Example | Output, ...] = Field(default=(), exclude=True)
    """In the order in which they are written and read."""
    line: int

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @property
    def text(self) -> str:
        """English prose, paragraphs separated by a blank line."""
        return self._prose(Language.EN)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @property
    def text_zh(self) -> str:
        """Chinese prose, likewise."""
        return self._prose(Language.ZH)

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated properties
    @property
    def examples(self) -> tuple[Example, ...]:
        """Its programs, in order."""
        return tuple(block for block in self.blocks if isinstance(block, Example))

    def text_in(self, language: Language) -> str:
        """The prose in `language`, or in the other one where that is missing."""
        return self._prose(language) or self.text or self.text_zh

    def read_in(self, language: Language) -> tuple[Prose | Example | Output, ...]:
        """What is read in `language`, in order; a section that lacks it is read in the other."""
        skipped = Language.EN if language is Language.ZH else Language.ZH
        if not self._prose(language):
            return self.blocks
        return tuple(b for b in self.blocks if not (isinstance(b, Prose) and b.language is skipped))

    def _prose(self, language: Language) -> str:
        return "\n\n".join(
            b.text for b in self.blocks if isinstance(b, Prose) and b.language is language
        )


class Note(Frozen):
    """One cause, or one idiom, with the code that proves it."""

    id: str
    kind: NoteKind
    title: str
    title_zh: str
    signatures: tuple[str, ...] = ()
    """Templates of the real message, most specific first."""
    asked: tuple[str, ...] = ()
    """How people ask for it, in either language; searched and never shown."""
    torch: str = ""
    """PEP 440 specifier of the versions the note speaks of."""
    platforms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    see_also: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    sections: tuple[Section, ...]
    path: Path = Field(exclude=True)
    """The file it was read from."""

    @property
    def examples(self) -> tuple[Example, ...]:
        """All examples, in the order of the file."""
        return tuple(example for section in self.sections for example in section.examples)

    def title_in(self, language: Language) -> str:
        """The title in `language`, or in the other one where that is missing."""
        first, second = (
            (self.title_zh, self.title) if language is Language.ZH else (self.title, self.title_zh)
        )
        return first or second


class Chunk(Frozen):
    """What is embedded and indexed: one section of one note in one language."""

    id: str
    """Stable over rebuilds: `note_id#section-slug@lang`."""
    note_id: str
    section: str
    lang: Language
    title: str
    """The note's title, the chunk's context."""
    text: str
    code: str
    source: str
    """`path:line` of the section, path relative to the corpus root."""
    sha256: str
    """Of everything that is embedded; an unchanged hash keeps its vector."""
