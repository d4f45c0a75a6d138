"""Rooms import downward only, and what the command line must not load stays unloaded."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import torchnotes_kb

ROOT = Path(torchnotes_kb.__file__).parent
ORDER = (
    ("errors",),
    ("values",),
    ("config",),
    ("resources",),
    ("notes",),
    ("encoders",),
    ("index",),
    ("search",),
    ("sandbox",),
    ("verify",),
    ("explain",),
    ("evaluation",),
    ("library",),
    ("kb",),
    ("hooks", "bootstrap"),
    ("server",),
    ("cli",),
)
"""From the bottom up; a room imports from those before it and from itself."""
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}
ADAPTERS = {"mcp", "typer", "rich", "starlette", "uvicorn"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room not in {"__init__", "__main__"}:
            yield room, path


def imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module, node.lineno


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=str)
def test_no_module_imports_upward(room: str, path: Path) -> None:
    for name, line in imports(path):
        parts = name.split(".")
        if parts[0] != "torchnotes_kb" or len(parts) == 1:
            continue
        assert LEVEL[parts[1]] <= LEVEL[room], f"{path}:{line} imports {name}"


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=str)
def test_adapters_packages_stay_in_the_adapters(room: str, path: Path) -> None:
    if room not in {"server", "cli"}:
        found = {name.split(".")[0] for name, _ in imports(path)} & ADAPTERS
        assert not found, f"{path} imports {found}"


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=str)
def test_no_module_is_longer_than_anyone_reads(room: str, path: Path) -> None:
    del room
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
