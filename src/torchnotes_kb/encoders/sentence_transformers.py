"""The second encoder: any model that sentence-transformers loads, by name or local path."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torchnotes_kb.encoders.model import EncoderIdentity, TextKind, unit_rows
from torchnotes_kb.errors import EncoderError

if TYPE_CHECKING:
    from torchnotes_kb.encoders.model import Vectors

__all__ = ["SentenceTransformersEncoder"]


class SentenceTransformersEncoder:
    """A model of sentence-transformers, with the prompts that the model itself declares."""

    def __init__(self, model: Any, identity: EncoderIdentity) -> None:  # noqa: ANN401 - untyped package
        self._model = model
        self.identity = identity

    @classmethod
    def open(cls, model: str) -> SentenceTransformersEncoder:
        """Load a model by its name on the hub, or from a local directory.

        Raises:
            EncoderError: it is not there, or is no model.
        """
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - imports torch

        name = f"sentence-transformers:{model}"
        try:
            loaded = SentenceTransformer(model, device="cpu")
        except Exception as error:
            reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
            problem = f"cannot be loaded ({reason}): name a model or a directory that holds one"
            raise EncoderError(name, problem) from error
        prompts = dict(loaded.prompts or {})
        identity = EncoderIdentity(
            name=name,
            revision=_revision(loaded),
            dim=int(loaded.get_embedding_dimension() or 0),
            query_prefix=prompts.get("query") or "",
            passage_prefix=prompts.get("passage") or prompts.get("document") or "",
        )
        return cls(loaded, identity)

    def encode(self, texts: Sequence[str], *, kind: TextKind) -> Vectors:
        """Embed texts in batches; see `Encoder.encode`."""
        import numpy as np  # noqa: PLC0415 - start-up time

        if not texts:
            return np.zeros((0, self.identity.dim), dtype=np.float32)
        known = self.identity
        prefix = known.query_prefix if kind is TextKind.QUERY else known.passage_prefix
        clean = [prefix + text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        vectors = self._model.encode(clean, prompt="", show_progress_bar=False)
        return unit_rows(np.asarray(vectors, dtype=np.float32), encoder=known.name)


def _revision(model: Any) -> str:  # noqa: ANN401 - untyped package
    """Hash of the weights themselves: two directories of one name are two revisions."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]
