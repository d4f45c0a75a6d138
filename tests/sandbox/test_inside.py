"""What runs under other people's interpreters stays within what the oldest of them understands."""

import ast
import sys
from pathlib import Path

import pytest

from torchnotes_kb.sandbox import inside
from torchnotes_kb.sandbox.runtime import OLDEST

FILES = sorted(Path(inside.__file__).parent.glob("*.py"))
OWN = {path.stem for path in FILES} | {"inside"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_the_worker_is_source_of_the_oldest_python(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_the_worker_imports_nothing_but_the_standard_library(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    names |= {
        str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level
    }
    assert {name.split(".")[0] for name in names} - OWN <= sys.stdlib_module_names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_annotation_of_the_worker_is_evaluated(path: Path) -> None:
    """`int | None` is an error at run time in the oldest Python."""
    text = path.read_text(encoding="utf-8")
    assert "from __future__ import annotations" in text or "->" not in text
