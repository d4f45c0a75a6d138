"""After every kind of ending nothing is left: no process, file, shared memory, socket or mount."""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Self

import pytest

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import SandboxError
from torchnotes_kb.sandbox.model import Outcome
from torchnotes_kb.sandbox.pool import Sandbox

from .processes import children, command, descendants

GONE_WITHIN_S = 20
MARK = f"torchnotes-{os.getpid()}"
HOUSEHOLD = (
    f"MARK = {MARK!r}\n"
    """
import mmap, os, socket, subprocess, sys, tempfile, threading, time
open("/tmp/left", "w").write("x")
open("/dev/shm/left", "w").write("x")
server = socket.socket(socket.AF_UNIX)
server.bind("\\0left")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        sleep = [sys.executable, "-S", "-c", "import time; time.sleep(60)", MARK]
        os.execv(sleep[0], sleep)
    os._exit(0)
os.wait()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""
)
"""A file, shared memory, a socket, a daemon and a thread; then something has to end it."""
ENDINGS = {
    "returns": ("", Outcome.OK),
    "raises": ("1 / 0", Outcome.RAISED),
    "exits": ("os._exit(5)", Outcome.EXITED),
    "is killed": ("os.kill(os.getpid(), 9)", Outcome.SIGNALLED),
    "hangs": ("time.sleep(60)", Outcome.TIMED_OUT),
    "stops itself": ("os.kill(os.getpid(), 19)", Outcome.TIMED_OUT),
    "floods": ("while True: print('x' * 4096)", Outcome.OUTPUT_LIMIT),
    "eats memory": ("x = [bytearray(1 << 24) for _ in range(99)]", Outcome.OUT_OF_MEMORY),
}
LOOK = """
import os
print(sorted(os.listdir("/tmp")), os.listdir("/dev/shm"))
print([p for p in os.listdir("/proc") if p.isdigit()])
print(open("/proc/net/unix").read().count("left"))
"""
LIMITS = Limits(wall_s=30, memory_mib=512, output_mib=0.1)
BRIEF = Limits(wall_s=1.5, memory_mib=512, output_mib=0.1)
"""Where the wall clock has to end it."""
SLEEPS = "import time\nprint('begun', flush=True)\ntime.sleep(60)"


def pidfds(root: int) -> list[int]:
    """A descriptor of every process below `root`."""
    found = []
    for pid in descendants(root) - {root}:
        with suppress(ProcessLookupError):
            found.append(os.pidfd_open(pid))
    return found


def all_end(fds: list[int]) -> bool:
    """Whether all of these processes end in time; closes the descriptors."""
    try:
        return all(select.select([fd], [], [], GONE_WITHIN_S)[0] for fd in fds)
    finally:
        for fd in fds:
            os.close(fd)


def sockets_and_mounts() -> tuple[list[str], str]:
    """Named sockets of the sandbox's or its snippets' in this network namespace, and all mounts."""
    sockets = Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()
    ours = [line for line in sockets if line.endswith(("@left", "/run/report", "/report"))]
    return ours, Path("/proc/self/mountinfo").read_text(encoding="utf-8")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_run_leaves_nothing_however_it_ends(sandbox: Sandbox, ending: str) -> None:
    code, outcome = ENDINGS[ending]
    before = sockets_and_mounts()
    assert before[0] == []
    found = sandbox.run(LOOK).stdout
    assert found.endswith("[]\n['1', '2']\n0\n")
    limits = BRIEF if outcome is Outcome.TIMED_OUT else LIMITS
    done = sandbox.run(HOUSEHOLD + code, limits=limits)
    assert done.outcome is outcome, done
    assert sandbox.run(LOOK).stdout == found
    assert sockets_and_mounts() == before
    for place in ("/tmp/left", "/dev/shm/left"):
        assert not Path(place).exists()
    assert not [pid for pid in descendants(1) if MARK.encode() in command(pid)]


def test_all_processes_of_a_run_are_gone_when_it_is(sandbox: Sandbox) -> None:
    cancelled = Event()
    with Running(sandbox, cancelled) as running:
        fds = pidfds(running.pid_1)
        cancelled.set()
    assert len(fds) >= 2
    assert all_end(fds)


class Running:
    """A run of the household above that goes on until something ends it."""

    def __init__(self, sandbox: Sandbox, cancelled: Event | None = None) -> None:
        self.failed: list[str] = []
        self._thread = Thread(target=self._run, args=(sandbox, cancelled))
        self._sandbox = sandbox

    def __enter__(self) -> Self:
        """Wait until its daemon is there, and find its pid 1, who inherited that."""
        self._sandbox.run("pass")
        assert self._sandbox._worker is not None
        self.launcher = self._sandbox._worker.process.pid
        (self.worker,) = children(self.launcher)
        self._thread.start()
        self.pid_1 = 0
        while not self.pid_1:
            marked = [p for p in descendants(self.launcher) if MARK.encode() in command(p)]
            candidates = [p for p in children(self.worker) if set(children(p)) & set(marked)]
            self.pid_1 = candidates[0] if candidates else 0
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self, sandbox: Sandbox, cancelled: Event | None) -> None:
        try:
            sandbox.run(HOUSEHOLD + "time.sleep(60)", cancelled=cancelled)
        except SandboxError as error:
            self.failed.append(str(error))


PROGRAM = f"""
from torchnotes_kb.sandbox.pool import Sandbox
with Sandbox.open(prove=True) as opened:
    opened.ready(fully=True)
    opened.run("pass")
    print("ready", flush=True)
    opened.run({SLEEPS!r})
"""


@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"])
def test_whatever_ends_the_program_ends_its_sandbox(number: str, tmp_path: Path) -> None:
    """SIGINT goes to the whole group, as from a terminal."""
    before = sockets_and_mounts()
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        below = pidfds(program.pid)
        assert len(below) >= 4
        kind = signal.Signals[number]
        if kind is signal.SIGINT:
            os.killpg(program.pid, kind)
        else:
            program.send_signal(kind)
    assert all_end(below)
    assert list(tmp_path.iterdir()) == []
    assert sockets_and_mounts() == before


@pytest.mark.parametrize("which", ["launcher", "worker", "pid_1"])
def test_killing_a_part_from_outside_ends_the_run_and_leaves_nothing(
    sandbox: Sandbox, which: str
) -> None:
    """It is the sandbox's failure, never the snippet's, and nothing is run a second time."""
    with Running(sandbox) as running:
        fds = pidfds(running.pid_1)
        os.kill(getattr(running, which), signal.SIGKILL)
    assert len(fds) >= 2
    assert all_end(fds)
    assert running.failed == ["the sandbox failed: a run's pid 1 ended without saying how"]
    assert sandbox.run("print(3)").stdout == "3\n"
