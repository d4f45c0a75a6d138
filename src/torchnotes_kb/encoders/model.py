"""What an encoder is: text in, unit vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from torchnotes_kb.errors import EncoderError
from torchnotes_kb.values import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Encoder", "EncoderIdentity", "TextKind", "Vectors", "unit_rows"]

if TYPE_CHECKING:
    Vectors = NDArray[np.float32]


class TextKind(StrEnum):
    """Which side of a search a text is on; models of the E5 family prefix them differently."""

    QUERY = "query"
    PASSAGE = "passage"


class EncoderIdentity(Frozen):
    """Everything that must be equal for two vectors to be comparable."""

    name: str
    """As given to `--encoder`."""
    revision: str
    """Hash of the weights and of the tokenizer."""
    dim: int
    query_prefix: str = ""
    passage_prefix: str = ""


class Encoder(Protocol):
    """Turns texts into vectors."""

    @property
    def identity(self) -> EncoderIdentity:
        """What its vectors may be compared with."""

    def encode(self, texts: Sequence[str], *, kind: TextKind) -> Vectors:
        """Embed texts.

        Returns:
            float32 of shape (len(texts), dim), every row of length one.

        Raises:
            EncoderError: the model gave a vector that is not finite or has no direction.
        """


def unit_rows(vectors: Vectors, *, encoder: str) -> Vectors:
    """Rows scaled to length one.

    Raises:
        EncoderError: a row is not finite or is zero.
    """
    import numpy as np  # noqa: PLC0415 - start-up time

    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (norms == 0).any():
        raise EncoderError(encoder, "gave a vector that is zero or not finite")
    return np.asarray(vectors / norms, dtype=np.float32)
