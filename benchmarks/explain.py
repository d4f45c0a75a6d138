"""What an explanation costs: of a long traceback, and of a message that no note has.

    python benchmarks/explain.py                 # everything, a minute
    python benchmarks/explain.py warm            # parts: warm, sites
    python benchmarks/explain.py warm --runs 20

Bars, all at the median: a traceback of 200 lines explained in 30 ms, warm; torch's raise sites read
in 15 s, once per version; looked up in 5 ms. Each beside a measure in the same run:
Python's own formatting of a traceback as long; reading the same files without parsing them, and
parsing them without looking; grep over the sources for the words of the message.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles

from torchnotes_kb.explain.raise_sites import RaiseSites
from torchnotes_kb.explain.traceback import parse
from torchnotes_kb.kb import KnowledgeBase

PARTS = ("warm", "sites")
PASTES = Path(__file__).parents[1] / "evals/tracebacks/tracebacks.jsonl"
LINES = 200
BAR_WARM_MS, BAR_BUILD_S, BAR_FIND_MS = 30, 15, 5
MESSAGES = (
    "lr as a Tensor is not supported for capturable=False and foreach=True",
    "Module [Net] is missing the required forward function",
    "expected input to have 4 dimensions but this is none of torch's own messages at all",
    "Invalid value 'x' of an option that nobody has",
)


def timed(action: Callable[[], object]) -> float:
    """Milliseconds that an action takes."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def said(values: Sequence[float]) -> str:
    """Median and 95th percentile."""
    return f"p50 {median(values):.2f} ms, p95 {quantiles(values, n=20)[-1]:.2f} ms"


def bar(value: float, limit: float, unit: str) -> str:
    """Whether a number is within its bar."""
    return f"bar {limit:g} {unit}: {'met' if value <= limit else 'MISSED'}"


def long_traceback() -> str:
    """A traceback of 200 lines: a real paste, its frames repeated as in a deep model."""
    text: str = json.loads(PASTES.read_text(encoding="utf-8").splitlines()[0])["text"]
    lines = text.splitlines()
    frames = lines[1:-1]
    deep = (frames * (LINES // len(frames) + 1))[: LINES - 2]
    return "\n".join([lines[0], *deep, lines[-1], ""])


def raised(depth: int) -> Exception:
    """An exception from so many frames down."""

    def down(left: int) -> None:
        if not left:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied (64x9216 and 4096x128)")
        down(left - 1)

    try:
        down(depth)
    except RuntimeError as error:
        return error
    raise AssertionError


def measure_warm(runs: int) -> None:
    """One explanation after another, in one process."""
    text = long_traceback()
    with KnowledgeBase.open() as kb:
        cold = timed(lambda: kb.explain(text))
        warm = [timed(lambda: kb.explain(text)) for _ in range(runs)]
        short = [timed(lambda: kb.explain(MESSAGE)) for _ in range(runs)]
    reading = median([timed(lambda: parse(text)) for _ in range(runs)])
    error = raised(LINES // 2)
    python = [timed(lambda: "".join(traceback.format_exception(error))) for _ in range(runs)]
    print(f"{text.count(chr(10))} lines, cold              {cold:.0f} ms (opens index and notes)")
    print(
        f"{text.count(chr(10))} lines, warm              {said(warm)}, of it reading {reading:.1f}"
    )
    print(f"  {bar(median(warm), BAR_WARM_MS, 'ms')}")
    print(f"the message alone            {said(short)}")
    print(
        f"traceback.format_exception   {said(python)} for as many frames; "
        f"explaining takes {median(warm) / median(python):.1f} times as long"
    )


MESSAGE = "mat1 and mat2 shapes cannot be multiplied (64x9216 and 4096x128)"


def measure_sites(runs: int) -> None:
    """Reading torch's sources, once, and looking messages up."""
    with KnowledgeBase.open() as kb:
        runtime = kb._probe(None)  # noqa: SLF001 - where its torch is, without starting a sandbox
    torch = runtime.torch_dir
    assert torch is not None
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        opened: list[RaiseSites] = []
        build = timed(lambda: opened.append(RaiseSites.open(torch, runtime.torch, cache=cache)))
        again = [
            timed(lambda: RaiseSites.open(torch, runtime.torch, cache=cache)) for _ in range(5)
        ]
    sites = opened[0]
    files = [file for file in torch.rglob("*.py") if "testing/_internal" not in str(file)]
    read = timed(lambda: [file.read_bytes() for file in files])
    parsed = timed(lambda: [ast.parse(file.read_bytes()) and None for file in files])
    print(f"torch {runtime.torch}: {len(sites)} raise sites in {len(files)} files")
    print(
        f"read and kept                {build / 1000:.1f} s; {bar(build / 1000, BAR_BUILD_S, 's')}"
    )
    print(f"  reading the bytes alone    {read / 1000:.1f} s: {read / build:.3f} of it")
    print(f"  parsing all and no more    {parsed / 1000:.1f} s: {parsed / build:.2f} of it")
    print(f"opened from the cache        {said(again)}")
    found = [timed(lambda text=text: sites.find(text)) for text in MESSAGES for _ in range(runs)]
    print(f"looked up                    {said(found)}; {bar(median(found), BAR_FIND_MS, 'ms')}")
    grep = shutil.which("grep")
    if grep is None:
        print("grep                         NOT MEASURED: there is none on PATH")
        return
    command = [grep, "-rlF", "--include=*.py", "is not supported for capturable=False", str(torch)]
    grepped = median(
        [
            timed(lambda: subprocess.run(command, check=False, stdout=subprocess.DEVNULL))
            for _ in range(3)
        ]
    )
    print(
        f"grep over the same sources   {grepped:.0f} ms, knowing the words; "
        f"a look-up is {grepped / median(found):.0f} times as fast"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    parts = options.parts or PARTS
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if "warm" in parts:
        measure_warm(options.runs)
    if "sites" in parts:
        measure_sites(options.runs)


if __name__ == "__main__":
    main()
