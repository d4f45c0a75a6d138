"""The bundled encoder: multilingual-e5-small in ONNX, on one thread.

One text is run at a time: activations are quantised per run, so a batch would make a text's
vector depend on its neighbours. The artefact is made by `tools/make_encoder.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchnotes_kb.encoders.model import EncoderIdentity, TextKind, unit_rows
from torchnotes_kb.errors import EncoderError

if TYPE_CHECKING:
    from torchnotes_kb.encoders.model import Vectors

__all__ = ["E5Encoder"]

ARTEFACT = Path(__file__).parent / "e5_small"
MODEL, WEIGHTS, VOCABULARY = "model.onnx", "weights.bin", "tokenizer.kit"
NAME = "e5-small"
DIM = 384
BEGIN, END = 0, 2
"""Ids of `<s>` and `</s>`. A text that spells them out is split like any other text."""
MAX_TOKENS = 512
"""Positions that the model was trained with."""
MAX_CHARACTERS = 16 * MAX_TOKENS
"""What is beyond cannot reach the model; a megabyte is not tokenised to find that out."""
TELEMETRY_OFF = "ORT_DISABLE_TELEMETRY"
"""Variable that onnxruntime reads while it is imported. A value that is set already stands."""
PREFIXES = {TextKind.QUERY: "query: ", TextKind.PASSAGE: "passage: "}
"""Wang et al., Multilingual E5 Text Embeddings, 2024: inputs without them embed worse."""


class E5Encoder:
    """Multilingual-e5-small; opens in a few tenths of a second and needs no torch."""

    def __init__(self, session: Any, tokenizer: Any, identity: EncoderIdentity) -> None:  # noqa: ANN401 - untyped packages
        self._session = session
        self._tokenizer = tokenizer
        self.identity = identity

    @classmethod
    def open(cls, directory: Path = ARTEFACT) -> E5Encoder:
        """Load the model.

        Raises:
            EncoderError: a file is missing or damaged.
        """
        from kitoken import Kitoken  # noqa: PLC0415 - start-up time

        with _no_telemetry():
            from onnxruntime import (  # noqa: PLC0415 - start-up time
                GraphOptimizationLevel,
                InferenceSession,
                SessionOptions,
            )

        identity = cls.identify(directory)
        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Its nodes are fused already: looking for more finds nothing and takes 14 ms of 33.
        options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        try:
            tokenizer = Kitoken.from_file(str(directory / VOCABULARY))
            model = str(directory / MODEL)
            session = InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            problem = f"cannot be loaded ({_first_line(error)}): reinstall torchnotes-kb"
            raise EncoderError(NAME, problem) from error
        return cls(session, tokenizer, identity)

    @classmethod
    def identify(cls, directory: Path = ARTEFACT) -> EncoderIdentity:
        """Who it is, without loading it.

        Raises:
            EncoderError: the artefact is not there.
        """
        try:
            hashes = json.loads((directory / "hashes.json").read_text(encoding="utf-8"))
            revision = "-".join(hashes[name][:12] for name in (MODEL, WEIGHTS, VOCABULARY))
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"{directory} is not complete: reinstall torchnotes-kb"
            raise EncoderError(NAME, problem) from error
        return EncoderIdentity(
            name=NAME,
            revision=revision,
            dim=DIM,
            query_prefix=PREFIXES[TextKind.QUERY],
            passage_prefix=PREFIXES[TextKind.PASSAGE],
        )

    def encode(self, texts: Sequence[str], *, kind: TextKind) -> Vectors:
        """Embed texts, one after the other; see `Encoder.encode`."""
        import numpy as np  # noqa: PLC0415 - start-up time

        vectors = np.zeros((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            ids = np.array([self.tokens(PREFIXES[kind] + text)], dtype=np.int64)
            vectors[row] = self._session.run(None, {"input_ids": ids})[0][0]
        return unit_rows(vectors, encoder=NAME)

    def tokens(self, text: str) -> list[int]:
        """Token ids, at most 512; what UTF-8 cannot say is replaced."""
        clean = text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        return [BEGIN, *self._tokenizer.encode(clean)[: MAX_TOKENS - 2], END]


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """Import onnxruntime without its telemetry; the environment is as before afterwards.

    Since 1.32 its import writes a device id into the home directory, queues an event with the
    interpreter's path and sends the queue to Microsoft. `disable_telemetry_events()` is too late.
    """
    if TELEMETRY_OFF in os.environ:
        yield
        return
    os.environ[TELEMETRY_OFF] = "1"
    try:
        yield
    finally:
        del os.environ[TELEMETRY_OFF]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
