"""Start-up, overhead and load of `kb serve`.

    python benchmarks/server.py                  # everything, five minutes of load
    python benchmarks/server.py start overhead   # parts
    python benchmarks/server.py load --seconds 30

Bars: start-up to the answer to `initialize` at most 1.25 of a ten-line server of the SDK's, both
started in turn; under load no error, search's p99 at most 10 times its idle p50, memory within 5%
after warm-up, verify fair. The load is people and assistants, not a siege: each of 64 clients
searches, reads for two seconds on average and searches again, while four others verify without
pause. `--think 0` is the siege, and says how many searches a second the process gives at most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from torchnotes_kb.kb import KnowledgeBase

KB = str(Path(sys.executable).parent / "kb")
TEN_LINES = """\
from mcp.server import MCPServer

server = MCPServer("ten lines")


@server.tool()
def add(a: int, b: int) -> int:
    return a + b


server.run()
"""
PARTS = ("start", "overhead", "load")
QUERIES = (
    "broken pipe",
    "one of the variables needed for gradient computation has been modified",
    "eval and no_grad",
    "expected target dtype to be Long",
    "反向传播 原地修改",
    "state_dict 多了 module.",
    "scatter one hot index",
    "register buffer or parameter",
    "how to bake bread",
)
SNIPPET = "import torch\nx = torch.randn(64, 64, requires_grad=True)\n(x @ x).sum().backward()\n"
CLIENTS, VERIFIERS = 64, 4
WARM_UP_S = 10.0
MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seconds", type=float, default=300.0, help="of load")
    parser.add_argument("--think", type=float, default=2.0, help="mean seconds between searches")
    parser.add_argument("--rounds", type=int, default=15, help="starts of each server")
    options = parser.parse_args()
    parts = options.parts or PARTS
    if "start" in parts:
        measure_start(options.rounds)
    if "overhead" in parts:
        measure_overhead()
    if "load" in parts:
        with serving() as (url, pid):
            asyncio.run(measure_load(url, pid, seconds=options.seconds, think_s=options.think))


def measure_start(rounds: int) -> None:
    """Both servers in turn, so that a busy machine is busy for both."""
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        theirs.append(start_s([sys.executable, "-c", TEN_LINES]))
        ours.append(start_s([KB, "serve"]))
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"start to initialize: kb {said(ours)}; ten lines {said(theirs)}; ratio {ratio:.2f}")
    with stdio() as ask:
        began = time.perf_counter()
        ask("tools/call", name="search_notes", arguments={"query": QUERIES[0]})
        print(f"first search, sandbox still warming: {(time.perf_counter() - began) * 1e3:.0f} ms")


def start_s(command: Sequence[str]) -> float:
    """Seconds from starting the command to its answer to `initialize`."""
    began = time.perf_counter()
    with stdio(command):
        return time.perf_counter() - began


def measure_overhead() -> None:
    """The same searches by the library, over stdio and over HTTP, one at a time."""
    with KnowledgeBase.open() as kb:
        kb.search(QUERIES[0])
        library = timed(kb.search, QUERIES * 20)
    with stdio() as ask:

        def over_stdio(query: str) -> None:
            ask("tools/call", name="search_notes", arguments={"query": query})

        over_stdio(QUERIES[0])
        time.sleep(WARM_UP_S)
        local = timed(over_stdio, QUERIES * 20)
    with serving() as (url, _), httpx2.Client() as http:

        def over_http(query: str) -> None:
            assert call(http.post(url, **request("search_notes", query=query)))

        time.sleep(WARM_UP_S)
        remote = timed(over_http, QUERIES * 20)
    for name, times in (("library", library), ("stdio", local), ("HTTP", remote)):
        print(f"search, {name}: {said(times)}")


@dataclass
class Seen:
    """What the clients of a load saw."""

    searches: list[float] = field(default_factory=list)
    runs: dict[int, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    memory_mib: list[tuple[float, float]] = field(default_factory=list)


async def measure_load(url: str, pid: int, *, seconds: float, think_s: float) -> None:
    async with httpx2.AsyncClient(timeout=60, limits=httpx2.Limits(max_connections=None)) as http:
        idle = Seen()
        until = time.monotonic() + WARM_UP_S
        await searches(http, url, idle, until=until, think_s=0.05)
        idle_p50 = statistics.median(idle.searches[len(idle.searches) // 2 :])
        seen = Seen()
        until = time.monotonic() + seconds
        work = [searches(http, url, seen, until=until, think_s=think_s) for _ in range(CLIENTS)]
        work += [runs(http, url, seen, number, until=until) for number in range(VERIFIERS)]
        await asyncio.gather(*work, watch_memory(pid, seen, until=until))
    report(seen, idle_p50, seconds)


async def searches(
    http: httpx2.AsyncClient, url: str, seen: Seen, *, until: float, think_s: float
) -> None:
    await asyncio.sleep(random.uniform(0, think_s))  # noqa: S311 - clients do not start at once
    while time.monotonic() < until:
        query = random.choice(QUERIES)  # noqa: S311 - any of them
        began = time.perf_counter()
        await asked(http, url, seen, "search_notes", query=query)
        seen.searches.append(time.perf_counter() - began)
        await asyncio.sleep(random.expovariate(1 / think_s) if think_s else 0)


async def runs(
    http: httpx2.AsyncClient, url: str, seen: Seen, number: int, *, until: float
) -> None:
    times = seen.runs.setdefault(number, [])
    while time.monotonic() < until:
        began = time.perf_counter()
        await asked(http, url, seen, "verify_snippet", code=SNIPPET)
        times.append(time.perf_counter() - began)


async def asked(
    http: httpx2.AsyncClient, url: str, seen: Seen, tool: str, **arguments: object
) -> None:
    try:
        call(await http.post(url, **request(tool, **arguments)))
    except (httpx2.HTTPError, AssertionError) as error:
        seen.errors.append(f"{tool}: {error!r}")


async def watch_memory(pid: int, seen: Seen, *, until: float) -> None:
    began = time.monotonic()
    while time.monotonic() < until:
        seen.memory_mib.append((time.monotonic() - began, resident_mib(pid)))
        await asyncio.sleep(1)


def report(seen: Seen, idle_p50: float, seconds: float) -> None:
    p99 = statistics.quantiles(seen.searches, n=100)[98]
    counts = [len(times) for times in seen.runs.values()]
    late = [mib for at, mib in seen.memory_mib if at > min(60.0, seconds / 3)]
    drift = late[-1] / late[0] - 1
    every = [time_s for times in seen.runs.values() for time_s in times]
    print(f"load: {CLIENTS} searching, {VERIFIERS} verifying, {seconds:.0f} s")
    print(f"  searches {len(seen.searches)} ({len(seen.searches) / seconds:.0f}/s)", end="")
    print(f", {said(seen.searches)}, p99 {p99 * 1e3:.0f} ms")
    print(f"  idle p50 {idle_p50 * 1e3:.1f} ms; p99 is {p99 / idle_p50:.1f} times that")
    print(f"  runs {sum(counts)}, {said(every)}; per client {min(counts)} to {max(counts)}")
    print(f"  memory {late[0]:.0f} to {late[-1]:.0f} MiB ({drift:+.1%} after warm-up)")
    print(f"  errors {len(seen.errors)}" + (f", first {seen.errors[0]}" if seen.errors else ""))


def request(tool: str, **arguments: object) -> dict[str, Any]:
    """A call of the current protocol, as `post` takes it."""
    params = {"name": tool, "arguments": arguments, "_meta": META}
    return {
        "json": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        "headers": {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": MODERN,
            "mcp-method": "tools/call",
            "mcp-name": tool,
        },
    }


def call(response: httpx2.Response) -> bool:
    """Whether a tool answered; an error of any kind fails."""
    assert response.status_code == 200, response.text[:200]
    line = next(line for line in response.text.splitlines() if '"result"' in line)
    result = json.loads(line.removeprefix("data:"))["result"]
    assert not result.get("isError"), result["content"][0]["text"]
    return True


def timed(work: Callable[[str], object], queries: Sequence[str]) -> list[float]:
    times = []
    for query in queries:
        began = time.perf_counter()
        work(query)
        times.append(time.perf_counter() - began)
    return times


def said(times: Sequence[float]) -> str:
    """Median and 95th percentile."""
    p95 = statistics.quantiles(times, n=20)[18]
    return f"p50 {statistics.median(times) * 1e3:.1f} ms, p95 {p95 * 1e3:.1f} ms"


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def stdio(command: Sequence[str] = (KB, "serve")) -> Iterator[Callable[..., dict[str, Any]]]:
    """A server over stdio that has answered `initialize`."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def ask(method: str, **params: object) -> dict[str, Any]:
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        stdin.write(json.dumps(message).encode() + b"\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        assert "result" in answer, answer
        return dict(answer)

    try:
        info = {"name": "benchmark", "version": "1"}
        ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=info)
        yield ask
    finally:
        process.kill()
        process.wait()


@contextmanager
def serving() -> Iterator[tuple[str, int]]:
    """The URL and process id of `kb serve --http`, without limits per client."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Path(__file__).with_name("server.toml")
    process = subprocess.Popen(
        [KB, "serve", "--http", f"127.0.0.1:{port}"],
        stderr=subprocess.DEVNULL,
        env={"KB_CONFIG": str(settings), "PATH": ""},
    )
    try:
        until = time.monotonic() + 60
        while True:
            try:
                if httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    break
            except httpx2.HTTPError:
                assert time.monotonic() < until, "the server does not come up"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/mcp", process.pid
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
