"""Which notes a caller wants to see at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from torchnotes_kb.errors import ConfigError

if TYPE_CHECKING:
    from packaging.version import Version

    from torchnotes_kb.index.cards import NoteCard
    from torchnotes_kb.notes.model import NoteKind

__all__ = ["NoteFilter"]


@dataclass(frozen=True)
class NoteFilter:
    """All of its conditions must hold; none of them: every note passes."""

    kind: NoteKind | None = None
    tags: frozenset[str] = frozenset()
    torch: Version | None = None

    @classmethod
    def of(cls, *, kind: NoteKind | None, tags: Sequence[str], torch: str | None) -> Self:
        """The filter that a caller describes.

        Raises:
            ConfigError: `torch` is no version.
        """
        if torch is None:
            return cls(kind, frozenset(tags))
        from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - start-up time

        try:
            return cls(kind, frozenset(tags), Version(torch))
        except InvalidVersion as error:
            problem = f"{torch!r} is no version: write 2.13 or 2.13.0"
            raise ConfigError("torch", problem) from error

    @property
    def passes_all(self) -> bool:
        """Whether there is nothing to look at."""
        return self.kind is None and not self.tags and self.torch is None

    def passes(self, card: NoteCard) -> bool:
        """Whether a note is wanted; one that names no versions speaks of all."""
        if self.kind is not None and card.kind is not self.kind:
            return False
        if not self.tags <= set(card.tags):
            return False
        return self.torch is None or self._speaks_of(card.torch)

    def _speaks_of(self, versions: str) -> bool:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - see `of`

        assert self.torch is not None  # noqa: S101 - asked by the caller
        try:
            return SpecifierSet(versions).contains(self.torch, prereleases=True)
        except InvalidSpecifier:
            return True  # a user's own page may say anything there
