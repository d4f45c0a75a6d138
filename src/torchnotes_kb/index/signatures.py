"""The templates of all notes as one table with an inverted index of their words.

A query touches only the templates that share words with it, so neither opening nor matching
depends on compiling thousands of patterns. Matching itself is in `search.signatures`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torchnotes_kb.errors import IndexCorruptError
from torchnotes_kb.notes.template import Template

__all__ = ["SignatureTable", "template_words"]

SIGNATURES = "signatures.json"
WORD = re.compile(r"(?<![a-z0-9_])[a-z_][a-z0-9_]+|[\u3400-\u4dbf\u4e00-\u9fff]")


def template_words(text: str) -> list[str]:
    """The words that templates and messages are compared by: no numbers, no punctuation.

    Example:
        >>> template_words("mat1 and mat2 shapes: (32x20)")
        ['mat1', 'and', 'mat2', 'shapes']
    """
    return WORD.findall(text.lower())


def _whole_words(template: Template) -> Iterator[str]:
    """The words that a message must hold: in `nccl{symbol}` a capture goes on, so none is whole."""
    last = len(template.parts) - 1
    for number, part in enumerate(template.parts):
        if not isinstance(part, str):
            continue
        for word in WORD.finditer(part.lower()):
            begun_by_a_capture = number > 0 and word.start() == 0
            continued_by_a_capture = number < last and word.end() == len(part)
            if not begun_by_a_capture and not continued_by_a_capture:
                yield word.group()


@dataclass(frozen=True)
class SignatureTable:
    """Templates by number; `postings` says which of them hold a word."""

    notes: tuple[str, ...]
    """Id of the note of each template."""
    texts: tuple[str, ...]
    """As written in the note."""
    sizes: tuple[int, ...]
    """How many distinct whole words each has."""
    postings: dict[str, list[int]]

    @classmethod
    def from_signatures(cls, signatures: Iterable[tuple[str, str]]) -> SignatureTable:
        """The table of (note id, template) pairs."""
        pairs = tuple(signatures)
        sizes: list[int] = []
        postings: dict[str, list[int]] = {}
        for number, (_, text) in enumerate(pairs):
            words = dict.fromkeys(_whole_words(Template.parse(text)))
            sizes.append(len(words))
            for word in words:
                postings.setdefault(word, []).append(number)
        return cls(
            tuple(note for note, _ in pairs),
            tuple(text for _, text in pairs),
            tuple(sizes),
            postings,
        )

    @classmethod
    def load(cls, folder: Path) -> SignatureTable:
        """The table that `save` wrote.

        Raises:
            IndexCorruptError: the file cannot be read.
        """
        try:
            table = json.loads((folder / SIGNATURES).read_bytes())
            return cls(
                tuple(table["notes"]),
                tuple(table["texts"]),
                tuple(table["sizes"]),
                table["postings"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise IndexCorruptError(folder, f"{SIGNATURES}: {error}") from error

    def save(self, folder: Path) -> None:
        """Write to `folder`."""
        text = json.dumps(vars(self), ensure_ascii=False, separators=(",", ":"))
        (folder / SIGNATURES).write_text(text + "\n", encoding="utf-8")
