"""The YAML between two `---` lines at the top of a file, with the line of each key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchnotes_kb.errors import NoteError

__all__ = ["FrontMatter", "read_front_matter"]

BLOCK = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class FrontMatter:
    """Values, their lines, and the text with the block blanked out, so that lines keep."""

    values: Mapping[str, Any]
    lines: Mapping[str, int]
    body: str
    findings: tuple[NoteError, ...] = field(default=())

    def line_of(self, key: str) -> int:
        """1-based line of a key, or of the opening `---`."""
        return self.lines.get(key, 1)


def read_front_matter(text: str, *, path: Path) -> FrontMatter:
    """Split a file into front matter and body."""
    import yaml  # noqa: PLC0415 - a search needs no YAML

    block = BLOCK.match(text)
    if block is None:
        missing = NoteError(path, 1, "no front matter", "begin with --- id: … ---")
        return FrontMatter({}, {}, text, (missing,))
    body = "\n" * block.group().count("\n") + text[block.end() :]
    try:
        # libyaml, where PyYAML was built with it, is ten times as fast.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(block[1])
        root = loader.get_single_node()
        values = None if root is None else loader.construct_document(root)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: the 45th day of a month
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else 1
        problem = f"front matter is not YAML: {getattr(error, 'problem', error)}"
        return FrontMatter({}, {}, body, (NoteError(path, line, problem, "quote the value"),))
    if not isinstance(root, yaml.MappingNode) or not isinstance(values, dict):
        shape = NoteError(path, 1, "front matter is no mapping", "write `key: value` lines")
        return FrontMatter({}, {}, body, (shape,))
    lines = {str(key.value): key.start_mark.line + 2 for key, _ in root.value}
    return FrontMatter({str(key): value for key, value in values.items()}, lines, body)
