"""What is told about the work done: to metrics over HTTP, to nobody over stdio."""

from __future__ import annotations

from typing import Protocol

from torchnotes_kb.verify.model import Result

__all__ = ["Observer", "Silent"]


class Observer(Protocol):
    """Hears of every piece of work."""

    def searched(self, *, seconds: float, found: bool) -> None:
        """A search was answered; not `found` is an abstention."""

    def explained(self, *, seconds: float, found: bool) -> None:
        """A message was explained, or no note covers it."""

    def verified(self, result: Result, *, seconds: float) -> None:
        """A snippet was run and judged."""

    def cancelled(self) -> None:
        """A run was killed because its client gave up."""

    def refused(self, reason: str) -> None:
        """A run was not started: `busy`, `unavailable` or `failed`."""


class Silent:
    """Tells nobody."""

    def searched(self, *, seconds: float, found: bool) -> None:
        """Say nothing."""

    def explained(self, *, seconds: float, found: bool) -> None:
        """Say nothing."""

    def verified(self, result: Result, *, seconds: float) -> None:
        """Say nothing."""

    def cancelled(self) -> None:
        """Say nothing."""

    def refused(self, reason: str) -> None:
        """Say nothing."""
