"""Sees the warnings of a program without changing which of them it shows, or how.

Filters decide what happens to a warning, and a program may read, save and replace them. So the
recorder is itself a filter, one that looks at every warning and matches none.
"""

from __future__ import annotations

import sys
import warnings
from _thread import get_ident
from typing import Any

MAX_WARNINGS = 100
MAX_MESSAGE = 4000


class _Watch(type):
    """Metaclass of the filter's category: `issubclass(category, …)` asks it, and it says no."""

    recorder: Recorder

    def __subclasscheck__(cls, category: type) -> bool:
        cls.recorder.see_category(category)
        return False


class Recorder:
    """Warnings of one program, each once per category, text and line."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.seen: dict[tuple[str, str, int], None] = {}
        self._texts: dict[int, str] = {}

    def install(self) -> None:
        """Look at every warning from now on that no filter of the program's own catches first."""
        category = _Watch("Unmatched", (Warning,), {"recorder": self})
        category.recorder = self
        warnings.filters.insert(0, ("ignore", self, category, None, 0))  # type: ignore[attr-defined]
        # Locations that warned during the worker's own imports count as new.
        for name in ("_filters_mutated", "_filters_mutated_lock_held"):
            mutated = getattr(warnings, name, None)
            if mutated is not None:
                mutated()
                break

    def match(self, text: str) -> bool:
        """Asked by the filter machinery about a warning's text, before its category."""
        self._texts[get_ident()] = text
        return True

    def see_category(self, category: type) -> None:
        """Asked next, in the same thread."""
        text = self._texts.pop(get_ident(), None)
        if text is None or len(self.seen) >= MAX_WARNINGS:
            return
        line = self._line(sys._getframe(2))
        self.seen.setdefault((_name(category), str(text)[:MAX_MESSAGE], line))

    def _line(self, frame: Any) -> int:
        """Of the program's innermost frame; 0 when none of it is on the stack."""
        while frame is not None:
            if frame.f_code.co_filename == self.path:
                return int(frame.f_lineno)
            frame = frame.f_back
        return 0

    def describe(self) -> list[dict[str, Any]]:
        """What was seen, in order."""
        return [
            {"category": category, "message": text, "line": line}
            for category, text, line in self.seen
        ]


def _name(category: type) -> str:
    module = category.__module__
    name = category.__qualname__
    return name if module in ("builtins", "__main__") else f"{module}.{name}"
