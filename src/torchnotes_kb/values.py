"""The base of every value type. Imports nothing of ours."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Frozen"]


class Frozen(BaseModel):
    """A value: immutable, compared by content, unknown fields refused.

    Its validator is built when it is first used: a command uses few of the types it imports.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
