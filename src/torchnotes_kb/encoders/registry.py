"""Encoders by the name that a user gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchnotes_kb.config import BUNDLED_ENCODER
from torchnotes_kb.errors import EncoderError

if TYPE_CHECKING:
    from torchnotes_kb.encoders.model import Encoder, EncoderIdentity

__all__ = ["identify_encoder", "open_encoder"]

PREFIX = "sentence-transformers:"


def open_encoder(spec: str) -> Encoder:
    """Open `e5-small` or `sentence-transformers:MODEL`.

    Raises:
        EncoderError: there is no such encoder, or it cannot be loaded.
    """
    if spec == BUNDLED_ENCODER:
        from torchnotes_kb.encoders.e5 import E5Encoder  # noqa: PLC0415 - start-up time

        return E5Encoder.open()
    if spec.startswith(PREFIX) and len(spec) > len(PREFIX):
        from torchnotes_kb.encoders.sentence_transformers import (  # noqa: PLC0415 - start-up time
            SentenceTransformersEncoder,
        )

        return SentenceTransformersEncoder.open(spec.removeprefix(PREFIX))
    raise EncoderError(spec, f"is unknown: use {BUNDLED_ENCODER} or {PREFIX}MODEL_OR_PATH")


def identify_encoder(spec: str) -> EncoderIdentity | None:
    """Who the encoder is if that can be said without loading it, else None."""
    if spec != BUNDLED_ENCODER:
        return None
    from torchnotes_kb.encoders.e5 import E5Encoder  # noqa: PLC0415 - start-up time

    return E5Encoder.identify()
