"""Promise 7: no run sees another, and the worker takes nothing back."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from torchnotes_kb.sandbox.model import Outcome, Run
from torchnotes_kb.sandbox.pool import Sandbox

from .processes import descendants

Runs = Callable[..., Run]


def test_what_one_run_writes_the_next_does_not_see(run: Runs) -> None:
    for place in (f"/tmp/torchnotes-{os.getpid()}", f"/dev/shm/torchnotes-{os.getpid()}"):
        assert run(f"open('{place}', 'w').write('1')").outcome is Outcome.OK
        assert run(f"open('{place}')").outcome is Outcome.RAISED
        assert not Path(place).exists()


def test_a_hundred_runs_leave_nothing_behind(sandbox: Sandbox) -> None:
    def state() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), len(descendants(os.getpid()))

    sandbox.run("pass")
    before = state()
    for _ in range(100):
        assert sandbox.run("pass").outcome is Outcome.OK
    after = state()
    assert after[0] == before[0]
    # A run that waits ready is two or three processes, depending on how far it is.
    assert abs(after[1] - before[1]) <= 6


def test_a_worker_that_dies_is_replaced(sandbox: Sandbox) -> None:
    worker = sandbox._worker
    assert worker is not None
    pid, restarts = worker.process.pid, sandbox.restarts
    os.kill(pid, signal.SIGKILL)
    worker._attendant.join(5)
    assert not Path(f"/proc/{pid}").exists()  # not even a zombie
    assert sandbox.run("print(1)").stdout == "1\n"
    assert sandbox.restarts == restarts + 1


def test_killing_a_worker_and_all_below_it_costs_the_next_run_nothing(sandbox: Sandbox) -> None:
    """Also where the runs that wait had said that they were ready."""
    sandbox.run("pass")
    worker = sandbox._worker
    assert worker is not None
    for pid in descendants(worker.process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert sandbox.run("print(2)").stdout == "2\n"


def test_what_one_run_does_to_the_interpreter_the_next_does_not_see(run: Runs) -> None:
    code = (
        "import builtins, json, os, sys, torch\ntorch.ones = json.dumps = None\n"
        "torch.set_default_dtype(torch.float64)\ntorch.use_deterministic_algorithms(True)\n"
        "torch.manual_seed(1)\nos.environ['X'] = '1'\nsys.path.clear()\nsys.setrecursionlimit(60)\n"
        "builtins.print = builtins.len = None\nsys.modules['torch'] = sys\n"
    )
    assert run(code).outcome is Outcome.OK
    look = (
        "import json, os, sys, torch\nprint(torch.ones(1).dtype, json.dumps(1), 'X' in os.environ,"
        " torch.are_deterministic_algorithms_enabled(), sys.getrecursionlimit())"
    )
    assert run(look).stdout == "torch.float32 1 False False 1000\n"


def test_two_runs_share_no_memory_to_write_to(run: Runs) -> None:
    """Not even in files that both have mapped."""
    code = (
        "print([line for line in open('/proc/self/maps') if 'w' in line.split()[1]"
        " and line.split()[1][3] == 's'])"
    )
    assert run(code).stdout == "[]\n"
