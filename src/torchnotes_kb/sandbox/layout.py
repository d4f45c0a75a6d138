"""Which paths of the host a runtime needs in order to run: what the sandbox binds, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["interpreter_paths", "system_paths"]

SYSTEM = ("/usr/lib", "/usr/lib64", "/etc/ld.so.cache")
MERGED = ("/lib", "/lib64")
"""Links into /usr on most systems; directories of their own on some."""
STORES = ("/nix/store", "/gnu/store")
"""Package stores whose parts link to one another by absolute path."""
SHARED_PREFIXES = (Path("/"), Path("/usr"), Path("/usr/local"))
"""Prefixes whose `bin` belongs to everyone: only the interpreter itself is taken from there."""
OF_A_PREFIX = ("bin", "lib", "lib64", "pyvenv.cfg")
"""Not the prefix itself: a virtual environment made in a project's own directory has it all."""
MAX_LINKS = 40


def system_paths() -> list[Path]:
    """The system's libraries and the dynamic linker's cache."""
    own = [path for path in map(Path, MERGED) if path.is_dir() and not path.is_symlink()]
    return [path for path in map(Path, SYSTEM) if path.exists()] + own


def interpreter_paths(
    executable: Path, prefixes: Iterable[Path], imports: Iterable[Path]
) -> list[Path]:
    """What an interpreter needs besides the system's libraries.

    Args:
        executable: Its path, links and all.
        prefixes: Its own prefix and the one of the Python it is based on.
        imports: Directories and archives that it imports from.

    Returns:
        Existing paths, none of them inside another.
    """
    wanted: list[Path] = []
    for prefix in prefixes:
        if prefix not in SHARED_PREFIXES:
            wanted += [prefix / name for name in OF_A_PREFIX]
        elif prefix == Path("/usr/local"):
            wanted.append(prefix / "lib")
    wanted += imports
    wanted += _links(executable)
    wanted += [Path(store) for store in STORES if str(executable.resolve()).startswith(store)]
    existing = [path for path in wanted if path.exists()]
    return outermost([*existing, *(path.resolve() for path in existing)])


def outermost(paths: Iterable[Path]) -> list[Path]:
    """The paths that are not inside another of them, sorted."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return kept


def _links(path: Path) -> Iterator[Path]:
    """A path and every link on the way to what it names."""
    for _ in range(MAX_LINKS):
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()
