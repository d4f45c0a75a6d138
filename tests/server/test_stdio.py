"""`kb serve` as assistants start it: a process, its children, its end, and what it imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from .clients import eventually, text_of

pytestmark = pytest.mark.anyio

SERVE = [sys.executable, "-m", "torchnotes_kb", "serve"]
MOST_S = 60.0
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
FOREVER = "import time\nprint('here', flush=True)\ntime.sleep(50)"


class Process:
    """A server spoken to line by line, so that every byte it writes is seen."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._number = 0

    def send(self, message: dict[str, Any] | bytes) -> None:
        """Write a message, or bytes as they are."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def ask(self, method: str, **params: object) -> dict[str, Any]:
        """The answer to one request; notifications before it are passed over."""
        self._number += 1
        number = self._number
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        while (answer := self.read()).get("id") != number:
            pass
        return answer

    def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """The result of a tool."""
        result = self.ask("tools/call", name=tool, arguments=arguments)["result"]
        assert isinstance(result, dict)
        assert not result.get("isError"), result["content"]
        return result

    def begin(self, code: str) -> None:
        """Start a run and wait until its sandbox is at work on it."""
        arguments = {"code": code, "timeout_s": 60}
        params = {"name": "verify_snippet", "arguments": arguments, "_meta": {"progressToken": "p"}}
        self.send({"jsonrpc": "2.0", "id": "run", "method": "tools/call", "params": params})
        while self.read().get("method") != "notifications/progress":
            pass

    def read(self) -> dict[str, Any]:
        """The next message; anything else on standard output fails the test here."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server closed its output"
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        assert isinstance(message, dict)
        return message


@contextmanager
def serving(*before: str, initialized: bool = True) -> Iterator[Process]:
    """A server, with `before` in front of its command."""
    process = subprocess.Popen(
        [*before, *SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    server = Process(process)
    try:
        if initialized:
            server.send(INITIALIZE)
            server.read()
            server.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield server
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def below(pid: int) -> set[int]:
    """The processes below a process."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: set[int] = set()
    new = [pid]
    while new:
        new = [child for parent in new for child in children.get(parent, ())]
        found.update(new)
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that run still; a zombie has ended."""
    running = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        except OSError:
            continue
        if state.split()[0] != "Z":
            running.add(pid)
    return running


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_an_assistant_searches_reads_explains_and_verifies(era: Any) -> None:
    command = StdioServerParameters(command=SERVE[0], args=SERVE[1:], env=dict(os.environ))
    with open(os.devnull, "w", encoding="utf-8") as errors:  # noqa: ASYNC230, PTH123 - the SDK takes a file
        async with Client(stdio_client(command, errlog=errors), mode=era) as client:
            found = await client.call_tool("search_notes", {"query": "broken pipe", "limit": 1})
            note = await client.call_tool("get_note", {"id": "broken-pipe-num-workers"})
            code = "import torch\ntorch.ones(2, 3) @ torch.ones(2, 3)"
            expect = "raises RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"
            proof = await client.call_tool("verify_snippet", {"code": code, "expect": expect})
    assert found.structured_content is not None
    assert found.structured_content["hits"][0]["note_id"] == "broken-pipe-num-workers"
    assert text_of(note).startswith("# ")
    assert text_of(proof).startswith("PROVEN: raises RuntimeError")


async def test_a_search_is_answered_before_the_first_worker_is_there() -> None:
    with serving() as server:
        order = []
        run = {"name": "verify_snippet", "arguments": {"code": "import torch"}}
        search = {"name": "search_notes", "arguments": {"query": "broken pipe"}}
        for number, params in (("run", run), ("search", search)):
            server.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
        order = [server.read()["id"] for _ in range(2)]
    assert order == ["search", "run"]


@pytest.mark.parametrize("way", ["end of input", "SIGTERM", "SIGINT"])
async def test_leaving_ends_every_child(way: str) -> None:
    with serving() as server:
        server.begin(FOREVER)
        await eventually(lambda: len(below(server.process.pid)) > 1)
        children = below(server.process.pid)
        if way == "end of input":
            assert server.process.stdin is not None
            server.process.stdin.close()
        else:
            server.process.send_signal(getattr(signal, way))
        assert server.process.wait(MOST_S) == 0
        await eventually(lambda: not alive(children))
        assert server.process.stderr is not None
        assert b"Traceback" not in server.process.stderr.read()


async def test_a_killed_server_leaves_no_child() -> None:
    with serving() as server:
        server.begin(FOREVER)
        await eventually(lambda: len(below(server.process.pid)) > 1)
        children = below(server.process.pid)
        server.process.kill()
        await eventually(lambda: not alive(children))


async def test_a_killed_worker_is_replaced_and_the_next_answer_is_right() -> None:
    with serving() as server:
        assert (
            server.call("verify_snippet", code="print(1)")["structuredContent"]["stdout"] == "1\n"
        )
        for pid in below(server.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        again = server.call("verify_snippet", code="print(2)", timeout_s=30)
        assert again["structuredContent"]["stdout"] == "2\n"
        server.call("search_notes", query="broken pipe")


async def test_a_run_whose_worker_is_killed_says_so_and_the_next_is_right() -> None:
    with serving() as server:
        server.call("verify_snippet", code="print(1)")
        server.begin(FOREVER)
        assert server.read()["method"] == "notifications/progress"  # it has run for a second
        for pid in below(server.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while (answer := server.read()).get("id") != "run":
            pass
        assert answer["result"]["isError"]
        assert "sandbox" in answer["result"]["content"][0]["text"]
        again = server.call("verify_snippet", code="print(2)", timeout_s=30)
        assert again["structuredContent"]["stdout"] == "2\n"


FULL_DISK = """
mount --rbind / /mnt
for place in /tmp /var/tmp /usr/tmp; do
    if [ -d $place ]; then mount -t tmpfs -o size=64k none $place; fi
done
while [ "$1" != -- ]; do  # what the server is made of stays where it was
    if [ ! -e "$1" ]; then mkdir -p "$1" && mount --rbind "/mnt$1" "$1"; fi
    shift
done
shift
for place in /tmp /var/tmp; do cat /dev/zero >$place/full 2>/dev/null; done
export HOME=/tmp
cd /tmp
exec "$@" 2>/dev/full
"""
"""Every place that temporary files go to is full, and the log."""
MADE_OF = sorted((sys.prefix, sys.base_prefix, str(Path(__file__).parents[2])), key=len)


def test_a_full_disk_stops_neither_searches_nor_runs() -> None:
    with serving("unshare", "-Urm", "sh", "-c", FULL_DISK, "sh", *MADE_OF, "--") as server:
        found = server.call("search_notes", query="broken pipe")
        proof = server.call("verify_snippet", code="print(1)", timeout_s=30)
    assert found["structuredContent"]["hits"][0]["note_id"] == "broken-pipe-num-workers"
    assert proof["structuredContent"]["verdict"] == "proven", proof


async def test_a_cancelled_run_is_killed() -> None:
    with serving() as server:
        idle_before = server.call("verify_snippet", code="1")
        assert idle_before["structuredContent"]["verdict"] == "proven"
        server.begin(FOREVER)
        cancel = {"requestId": "run"}
        began = time.monotonic()
        server.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})
        codes = [server.call("verify_snippet", code="print(3)") for _ in range(3)]
        assert [code["structuredContent"]["stdout"] for code in codes] == ["3\n"] * 3
        # Far less than the fifty seconds that the snippet would have slept, on any machine.
        assert time.monotonic() - began < MOST_S / 2


def test_garbage_on_the_input_is_passed_over() -> None:
    with serving() as server:
        for junk in (b"not json\n", b"[]\n", b"\n", b"\xff\xfe\n", b'{"jsonrpc":"1.0","id":1}\n'):
            server.send(junk)
        tools = server.ask("tools/list")["result"]["tools"]
    assert tools[0]["name"] == "search_notes"


HEAVY = ("torch", "numpy", "faiss", "onnxruntime", "tantivy", "typer", "jinja2")


def test_nothing_heavy_is_imported_before_the_first_answer() -> None:
    program = (
        "import sys\n"
        "from torchnotes_kb.config import Settings\n"
        "from torchnotes_kb.server import stdio\n"
        "from torchnotes_kb.server.build import build_server\n"
        "from torchnotes_kb.server.gate import Gate\n"
        "from torchnotes_kb.server.service import Service\n"
        "knowledge = stdio._open(Settings())\n"
        "build_server(Service(knowledge, Settings(), gate=Gate(slots=1, queue=1)))\n"
        "print(' '.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert sorted(set(HEAVY) & set(done.stdout.split())) == []
