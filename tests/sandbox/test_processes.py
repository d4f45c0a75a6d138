"""Promise 3: sees, signals and traces its own processes only, and all of them die with it."""

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from torchnotes_kb.sandbox.model import Outcome, Run
from torchnotes_kb.sandbox.pool import Sandbox

Runs = Callable[..., Run]


def test_no_process_of_the_host_is_seen_or_signalled(run: Runs) -> None:
    code = (
        "import os\nprint(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))\n"
        f"try:\n    os.kill({os.getpid()}, 9)\nexcept (ProcessLookupError, PermissionError):\n"
        "    print('no')\n"
    )
    lines = run(code).stdout.splitlines()
    assert lines[-1] == "no"
    assert len(eval(lines[0])) <= 3  # noqa: S307 - a list of numbers


def test_daemons_die_with_the_run(run: Runs) -> None:
    mark = f"torchnotes-daemon-{os.getpid()}"
    code = (
        "import os, subprocess, sys\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        f"        os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(60)', "
        f"'{mark}'])\n    os._exit(0)\nimport time; time.sleep(0.5)\n"
    )
    assert run(code).outcome is Outcome.OK
    left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _read(p)]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_pid_1_cannot_be_killed_or_looked_into(run: Runs) -> None:
    code = (
        "import os, signal\n"
        "for n in (9, 15, 19):\n"
        "    try:\n        os.kill(1, n)\n    except PermissionError:\n        pass\n"
        "try:\n    open('/proc/1/mem', 'rb')\nexcept OSError as e: print(type(e).__name__)\n"
        "try:\n    os.readlink('/proc/1/fd/1')\nexcept OSError as e: print(type(e).__name__)\n"
    )
    done = run(code)
    assert done.outcome is Outcome.OK, done
    assert done.stdout == "PermissionError\nPermissionError\n"


@pytest.mark.parametrize(
    "call",
    [
        "os.setpriority(os.PRIO_PROCESS, 1, 19)",
        "os.setpriority(os.PRIO_USER, 0, 19)",
        "os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))",
        "os.sched_setaffinity(1, os.sched_getaffinity(0))",
    ],
)
def test_the_process_that_watches_cannot_be_slowed_down(run: Runs, call: str) -> None:
    done = run(f"import os\n{call}")
    assert done.exception is not None
    assert done.exception.type == "PermissionError"


def test_a_program_may_slow_itself_down(run: Runs) -> None:
    code = "import os\nos.nice(3)\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    assert run(code).outcome is Outcome.OK


def test_two_runs_cannot_see_or_reach_each_other(sandbox: Sandbox) -> None:
    """Signals to everyone, ports and abstract sockets of one, while the other is there."""
    victim = (
        "import socket, time\ns = socket.create_server(('127.0.0.1', 5555))\n"
        "u = socket.socket(socket.AF_UNIX); u.bind('\\0victim'); u.listen()\n"
        "s.settimeout(2)\ntry:\n    s.accept()\nexcept socket.timeout:\n    print('alone')"
    )
    attack = (
        "import os, signal, socket, time\nsignal.signal(15, signal.SIG_IGN)\n"
        "reached, until = 0, time.monotonic() + 1.5\nwhile time.monotonic() < until:\n"
        "    for pid in (-1, *range(3, 400)):\n"
        "        try:\n            os.kill(pid, 15); reached += pid > 0\n"
        "        except OSError:\n            pass\n"
        "    for kind, to in (2, ('127.0.0.1', 5555)), (1, '\\0victim'):\n"
        "        with socket.socket(kind) as s:\n"
        "            reached += s.connect_ex(to) == 0\n"
        "print(reached)"
    )
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(sandbox.run, (victim, attack))
    assert (first.outcome, first.stdout) == (Outcome.OK, "alone\n")
    assert (second.outcome, second.stdout) == (Outcome.OK, "0\n")


@pytest.mark.parametrize("call", ["kill({pid}, 0)", "ptrace(16, {pid}, 0, 0)", "getpgid({pid})"])
def test_a_process_of_the_host_that_is_there_is_not_there_inside(run: Runs, call: str) -> None:
    """One that anybody who sees it may ask for; outside the question is answered."""
    with subprocess.Popen(["/bin/sleep", "60"]) as sleeper:
        libc = "__import__('ctypes').CDLL(None)."
        question = libc + call.format(pid=sleeper.pid)
        answer = eval(question)  # noqa: S307 - the same question, out here
        if call.startswith("ptrace"):
            os.waitpid(sleeper.pid, os.WUNTRACED)
        inside = run(f"print({question})").stdout
        sleeper.kill()
    assert answer >= 0
    assert inside == "-1\n"
