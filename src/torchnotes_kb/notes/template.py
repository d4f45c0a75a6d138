"""Signature templates: the fixed words of a message with captures for its values.

`{name}` captures text, `{name:d}` an integer, `{name:shape}` a shape such as `3x4` or `[2, 3]`;
`{{` and `}}` stand for literal braces. Matching walks the template's literals from left to right
and never goes back, so its time is linear in the message. Ranking many templates is in `search`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from string import Formatter

__all__ = ["Capture", "Template"]

MAX_CAPTURE = 500
"""Characters one text capture may span; a message that long between two literals is another."""

SIZES = r"\s*(?:-?\d+(?:\s*,\s*-?\d+)*\s*,?\s*)?"
KINDS = {
    "d": re.compile(r"[-+]?\d+"),
    "shape": re.compile(rf"torch\.Size\(\[{SIZES}\]\)|\[{SIZES}\]|\({SIZES}\)|\d+(?:\s*x\s*\d+)*"),
}
QUOTES = "'\"`\u2018\u2019\u201c\u201d"
"""Pastes and releases differ in their quotes; any matches any."""
NEXT_ITEM = re.compile(rf"[{QUOTES}],\s{{0,20}}[{QUOTES}]")


@dataclass(frozen=True)
class Capture:
    """A named value of a template; `kind` is empty for text, `d` or `shape`."""

    name: str
    kind: str


@dataclass(frozen=True)
class Template:
    """One compiled signature.

    Example:
        >>> shapes = Template.parse("cannot be multiplied ({a:shape} and {b:shape})")
        >>> shapes.search("mat1 and mat2 shapes cannot be multiplied (32x2048 and 512x10)")
        {'a': '32x2048', 'b': '512x10'}
    """

    text: str
    """As written in the note."""
    parts: tuple[str | Capture, ...]
    """Literals and captures in turn."""

    @classmethod
    def parse(cls, text: str) -> Template:
        """Compile a signature.

        Raises:
            ValueError: the braces are unbalanced, a capture has an unknown kind or a name twice,
                two captures touch, or nothing literal is left.
        """
        parts = tuple(_parts(text))
        names = [part.name for part in parts if isinstance(part, Capture)]
        if len(set(names)) != len(names):
            raise ValueError("a capture is named twice")
        if not any(isinstance(part, str) and part.strip() for part in parts):
            raise ValueError("it has no literal words to match")
        for first, second in itertools.pairwise(parts):
            if isinstance(first, Capture) and isinstance(second, Capture) and not first.kind:
                raise ValueError(f"{{{first.name}}} touches the next capture")
        return cls(text, parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The captures' names, in order."""
        return tuple(part.name for part in self.parts if isinstance(part, Capture))

    @property
    def literal(self) -> str:
        """The fixed words alone."""
        return " ".join(part.strip() for part in self.parts if isinstance(part, str)).strip()

    def match(self, message: str) -> dict[str, str] | None:
        """The captured values if `message` starts with this template, else None."""
        start = len(message) - len(message.lstrip())
        return self._match_at(message, start)

    def search(self, text: str) -> dict[str, str] | None:
        """The captured values of the first place in `text` where this template stands, or None."""
        for start in self._starts(text):
            found = self._match_at(text, start)
            if found is not None:
                return found
        return None

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str] | None, ...]:
        return tuple(_pattern(part) for part in self.parts)

    def _starts(self, text: str) -> Iterator[int]:
        if isinstance(self.parts[0], str) and self._patterns[0] is not None:
            yield from (found.start() for found in self._patterns[0].finditer(text))
        else:
            yield from (
                line.start() for line in re.finditer(r"^[^\S\n]*(?=\S)", text, re.MULTILINE)
            )

    def _match_at(self, text: str, start: int) -> dict[str, str] | None:
        captured: dict[str, str] = {}
        position = start
        pending: Capture | None = None
        for part, pattern in zip(self.parts, self._patterns, strict=True):
            if isinstance(part, Capture) and pattern is None:
                pending = part
                continue
            assert pattern is not None  # noqa: S101 - only text captures have none
            if pending is None:
                found = pattern.match(text, position)
            else:
                found = pattern.search(
                    text, position, position + MAX_CAPTURE + len(part_text(part))
                )
            if found is None:
                return None
            if pending is not None:
                value = text[position : found.start()].strip()
                if position == start and "\n" in value:
                    return None
                quoted = position > start and text[position - 1] in QUOTES
                captured[pending.name] = _first_item(value) if quoted else value
                pending = None
            if isinstance(part, Capture):
                captured[part.name] = found.group()
            position = found.end()
        if pending is not None:
            line = text[position : position + MAX_CAPTURE].split("\n", 1)[0].strip()
            if not line:
                return None
            captured[pending.name] = line
        return captured


def _first_item(quoted: str) -> str:
    """What a quotation mark opened; of a list of quoted items the first."""
    return NEXT_ITEM.split(quoted, maxsplit=1)[0]


def part_text(part: str | Capture) -> str:
    """The literal itself, or nothing for a capture."""
    return part if isinstance(part, str) else ""


def _parts(text: str) -> Iterator[str | Capture]:
    literal = ""
    for words, name, kind, conversion in Formatter().parse(text):
        literal += words
        if name is None:
            continue
        if literal:
            yield literal
            literal = ""
        if not name.isidentifier():
            raise ValueError(f"{{{name}}} is not a name")
        if conversion or (kind and kind not in KINDS):
            raise ValueError(f"{{{name}:{kind}}}: a capture is text, d or shape")
        yield Capture(name, kind or "")
    if literal:
        yield literal


def _pattern(part: str | Capture) -> re.Pattern[str] | None:
    """A literal with loose whitespace and quotes, a typed capture, or None for a text capture."""
    if isinstance(part, Capture):
        return KINDS.get(part.kind)
    pieces = re.split(rf"(\s+|[{QUOTES}])", part)
    loose = (
        r"\s+" if piece.isspace() else f"[{QUOTES}]" if piece in tuple(QUOTES) else re.escape(piece)
        for piece in pieces
        if piece
    )
    return re.compile("".join(loose))
