"""The base of every value type, and what text must be to be one. Imports nothing of ours."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Frozen", "encodable"]


class Frozen(BaseModel):
    """A value: immutable, compared by content, unknown fields refused.

    Its validator is built when it is first used: a command uses few of the types it imports.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def encodable(text: str) -> str:
    """The text with a question mark for each lone surrogate, which UTF-8 cannot write."""
    return text.encode(errors="replace").decode()
