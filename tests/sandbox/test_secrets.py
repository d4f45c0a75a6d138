"""Promise 4: nothing of who runs it and with what."""

import ctypes
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from torchnotes_kb.config import Limits
from torchnotes_kb.sandbox.model import Outcome, Run
from torchnotes_kb.sandbox.pool import Sandbox

Runs = Callable[..., Run]


def test_no_secret_of_the_environment_and_no_descriptor_gets_in(
    run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHNOTES_SECRET", "hunter2")
    code = "import os\nprint(sorted(os.environ))\nprint(sorted(os.listdir('/proc/self/fd')))"
    names, fds = run(code).stdout.splitlines()
    assert names == "['HOME', 'LANG', 'OMP_NUM_THREADS', 'OMP_WAIT_POLICY', 'PATH', 'USER']"
    assert fds == "['0', '1', '2', '3']"  # 3 is the directory being listed


def test_host_name_user_and_ids_are_made_up(run: Runs) -> None:
    done = run("import os, socket; print(socket.gethostname(), os.getuid(), os.getgid())")
    assert done.stdout == "sandbox 1000 1000\n"


def test_keys_that_the_kernel_keeps_for_the_user_are_not_named(run: Runs) -> None:
    """Of an ordinary user the kernel lists them, with his id, in any namespace that maps it."""
    number = {"x86_64": 248, "aarch64": 217}[platform.machine()]
    process_keyring = -2
    ctypes.CDLL(None).syscall(number, b"user", b"torchnotes-key", b"x", 1, process_keyring)
    files = [file for file in ("/proc/keys", "/proc/key-users") if Path(file).exists()]
    done = run(f"for file in {files}: print(open(file).read(), end='')")
    assert (done.outcome, done.stdout) == (Outcome.OK, "")


SCAN = """
needle = {backwards!r}[::-1].encode()
found = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in list(maps):
        span, rights = line.split()[:2]
        if "r" not in rights or "[v" in line:
            continue
        start, end = (int(part, 16) for part in span.split("-"))
        try:
            memory.seek(start)
            found += needle in memory.read(end - start)
        except OSError:
            continue
print(found > {known})
"""


def test_no_secret_is_left_in_the_memory_that_a_run_inherits(
    monkeypatch: pytest.MonkeyPatch, run_limits: Limits
) -> None:
    """A run is a fork of a process that was started by one that knows it."""
    secret = "a-token-that-nobody-else-has"  # noqa: S105 - made up
    monkeypatch.setenv("TORCHNOTES_TOKEN", secret)
    # The needle itself is in memory: once as text, once as bytes.
    scan = SCAN.format(backwards=secret[::-1], known=2)
    control = f"kept = [{secret!r} + str(n) for n in range(9)]\n" + scan.replace("> 2", "> 0")
    with Sandbox.open(limits=run_limits) as opened:
        for code, found in ((scan, "False\n"), (control, "True\n")):
            assert opened.run(code).stdout == found


def test_the_command_line_is_the_programs(run: Runs) -> None:
    done = run("import sys\nprint(sys.argv, getattr(sys, 'orig_argv', [0, *sys.argv])[1:])")
    assert done.stdout == "['/tmp/work/snippet.py'] ['/tmp/work/snippet.py']\n"
