"""The switch to a new generation: one replaced file, after which nothing needs the old ones."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from torchnotes_kb.index.manifest import MANIFEST, Manifest

__all__ = ["free_name", "publish", "sync_files"]


def free_name(path: Path, wanted: str) -> str:
    """`wanted`, or with a number where a generation of that name exists (it may be damaged)."""
    name, number = wanted, 1
    while (path / name).exists():
        number += 1
        name = f"{wanted}-{number}"
    return name


def sync_files(folder: Path) -> None:
    """Put every file on the disk before anything refers to it."""
    for path in (*sorted(folder.rglob("*")), folder):
        _sync(path)


def publish(path: Path, building: Path, manifest: Manifest) -> None:
    """Make `building` the generation that serves, and remove the others.

    Readers that hold an old generation keep their mapped files until they close them.
    """
    building.rename(path / manifest.generation)
    fresh = path / f".{MANIFEST}"
    manifest.save(fresh)
    _sync(fresh)
    _sync(path)
    fresh.replace(path / MANIFEST)
    _sync(path)
    for entry in path.iterdir():
        if entry.is_dir() and entry.name != manifest.generation:
            shutil.rmtree(entry, ignore_errors=True)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot sync a directory
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
