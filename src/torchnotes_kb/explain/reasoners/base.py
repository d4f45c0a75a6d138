"""What a reasoner is, and the words it has for shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from torchnotes_kb.notes.model import Language
from torchnotes_kb.notes.template import Template
from torchnotes_kb.sandbox.model import Frame

__all__ = ["Case", "Reason", "Reasoner", "elements", "show", "sizes"]


@dataclass(frozen=True)
class Reason:
    """What happened and what to change, in the reader's own values, in both languages."""

    explanation: str
    explanation_zh: str
    remedy: str = ""
    remedy_zh: str = ""

    def explained(self, language: Language) -> str:
        """The explanation in one language."""
        return self.explanation_zh if language is Language.ZH else self.explanation

    def mended(self, language: Language) -> str:
        """The remedy in one language."""
        return (self.remedy_zh or self.remedy) if language is Language.ZH else self.remedy


@dataclass(frozen=True)
class Case:
    """One message with its values, and where it came from."""

    message: str
    values: Mapping[str, str]
    frames: Sequence[Frame] = ()

    def number(self, name: str) -> int:
        """A captured integer."""
        return int(self.values[name])

    def word(self, name: str) -> str:
        """The first word of a captured text: `cuda:0`, `Float`."""
        found = re.match(r"[\w:.]+", self.values[name])
        return found[0] if found else self.values[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """A captured shape."""
        return sizes(self.values[name])

    def passed_through(self, *functions: str) -> bool:
        """Whether a frame is in one of these functions or its source calls one."""
        return any(
            frame.function.rpartition(".")[2] in functions
            or any(f"{name}(" in frame.source for name in functions)
            for frame in self.frames
        )


@dataclass(frozen=True)
class Reasoner:
    """A family of messages and the arithmetic behind them."""

    template: Template
    reason: Callable[[Case], Reason | None]

    @classmethod
    def of(cls, text: str, reason: Callable[[Case], Reason | None]) -> Reasoner:
        """A reasoner for messages that hold this template anywhere."""
        return cls(Template.parse(text), reason)


def sizes(text: str) -> tuple[int, ...]:
    """`32x2048`, `[32, 2048]` or `torch.Size([32, 2048])` as numbers."""
    return tuple(int(number) for number in re.findall(r"-?\d+", text))


def show(shape: Sequence[int]) -> str:
    """A shape as Python prints a tuple."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def elements(shape: Sequence[int]) -> int:
    """How many elements a tensor of this shape has."""
    return prod(shape)
