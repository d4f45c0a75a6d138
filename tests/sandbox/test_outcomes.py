"""What happened is told by pid 1, whatever the snippet says of itself."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer

import pytest

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import SandboxError, SnippetTooLargeError
from torchnotes_kb.sandbox.model import Outcome, Run
from torchnotes_kb.sandbox.pool import Sandbox

from .processes import descendants

Runs = Callable[..., Run]


@pytest.mark.parametrize(
    ("code", "outcome", "status"),
    [
        ("print(1)", Outcome.OK, 0),
        ("raise ValueError('a')", Outcome.RAISED, 1),
        ("def f(:", Outcome.RAISED, 1),
        ("class E(BaseException): pass\nraise E()", Outcome.RAISED, 1),
        ("raise SystemExit", Outcome.EXITED, 0),
        ("raise SystemExit(3)", Outcome.EXITED, 3),
        ("import os; os._exit(0)", Outcome.EXITED, 0),
        ("import os; os._exit(7)", Outcome.EXITED, 7),
        ("import sys; sys.stdout = sys.stderr = None", Outcome.OK, 0),
        ("import sys; sys.stdout.close()", Outcome.OK, 0),
        ("import os; os.closerange(0, 1000)", Outcome.OK, 0),
        ("import builtins; builtins.__dict__.clear()", Outcome.OK, 0),
        ("import sys; sys.modules.clear()", Outcome.OK, 0),
        ("import json; json.dumps = lambda *a, **k: 'x'\nraise KeyError(1)", Outcome.RAISED, 1),
        ("import os\nif os.fork() == 0: raise ValueError\nos.wait()", Outcome.OK, 0),
    ],
)
def test_every_way_to_end_has_its_outcome(
    run: Runs, code: str, outcome: Outcome, status: int
) -> None:
    done = run(code)
    assert (done.outcome, done.exit_code) == (outcome, status), done


@pytest.mark.parametrize(
    ("code", "signal"),
    [
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os.abort()", "SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import signal; signal.raise_signal(signal.SIGTERM)", "SIGTERM"),
        ("import signal; signal.raise_signal(signal.SIGXCPU)", "SIGXCPU"),
    ],
)
def test_a_signal_is_named(run: Runs, code: str, signal: str) -> None:
    done = run("print('before', flush=True)\n" + code)
    assert (done.outcome, done.signal) == (Outcome.SIGNALLED, signal)
    assert done.stdout == "before\n"


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
        (
            "import signal\nfor n in range(1, 65):\n  try: signal.signal(n, signal.SIG_IGN)\n"
            "  except (OSError, ValueError): pass\nwhile True: pass"
        ),
        "import os\nwhile os.fork() == 0: pass\nimport time; time.sleep(60)",
    ],
)
def test_what_does_not_end_is_stopped_and_its_output_kept(sandbox: Sandbox, code: str) -> None:
    limits = Limits(wall_s=1, cpu_s=8, memory_mib=512, processes=32)
    done = sandbox.run("print('before', flush=True)\n" + code, limits=limits)
    assert done.outcome in (Outcome.TIMED_OUT, Outcome.SIGNALLED, Outcome.RAISED), done
    assert done.stdout.startswith("before\n")


COUNTED = {
    "processes": "    if os.fork() == 0:\n        time.sleep(9)\n",
    "threads": "    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n",
}


@pytest.mark.parametrize("kind", COUNTED)
def test_processes_and_threads_are_limited_together(sandbox: Sandbox, kind: str) -> None:
    """Whoever runs this: the kernel itself does not count what belongs to root."""
    code = f"import os, threading, time\nfor n in range(40):\n    print(n)\n{COUNTED[kind]}"
    done = sandbox.run(code, limits=Limits(wall_s=8, memory_mib=512, processes=8))
    assert done.outcome is Outcome.RAISED
    assert int(done.stdout.split()[-1]) <= 7


def test_processes_that_ask_for_more_all_at_once_get_no_more(sandbox: Sandbox) -> None:
    code = (
        "import os, time\nlibc = __import__('ctypes').CDLL(None)\nuntil = time.monotonic() + 2\n"
        "while time.monotonic() < until:\n    libc.fork()\n    libc.sched_yield()\n"
        "if os.getpid() == 2: print(len([p for p in os.listdir('/proc') if p.isdigit()]))\n"
    )
    done = sandbox.run(code, limits=Limits(wall_s=8, cpu_s=8, memory_mib=512, processes=16))
    assert done.outcome is Outcome.OK
    assert int(done.stdout) <= 17


def test_processor_time_is_limited_over_all_processes(sandbox: Sandbox) -> None:
    code = "import os\nos.fork()\nwhile True: pass"
    done = sandbox.run(code, limits=Limits(wall_s=8, cpu_s=1))
    assert done.outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize(
    "code",
    [
        "x = bytearray(2 << 30)",
        "import torch; x = torch.ones(2 << 28)",
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
        (
            "import os, time\nfor _ in range(8):\n  if os.fork() == 0:\n"
            "    x = bytearray(200 << 20)\n    time.sleep(5)\n    os._exit(0)\ntime.sleep(5)"
        ),
    ],
)
def test_memory_of_the_whole_tree_is_limited(run: Runs, code: str) -> None:
    assert run(code).outcome is Outcome.OUT_OF_MEMORY


def test_what_no_machine_could_give_is_the_programs_error(run: Runs) -> None:
    done = run("import torch\ntorch.empty(10**14)")
    assert done.outcome is Outcome.RAISED
    assert done.exception is not None
    assert "you tried to allocate 400000000000000 bytes" in done.exception.message


def test_bytes_that_are_no_text_are_kept_spelled_out(run: Runs) -> None:
    assert run(r"import os; os.write(1, b'\xff\xfe ok\n')").stdout == "\\xff\\xfe ok\n"


def test_disk_is_limited(run: Runs) -> None:
    done = run("with open('x', 'wb') as f:\n  while True: f.write(bytes(1 << 20))")
    assert done.exception is not None
    assert done.exception.type == "OSError"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_is_cut_and_said_so(sandbox: Sandbox, stream: str) -> None:
    code = f"import sys\nwhile True: sys.{stream}.write('x' * 65536)"
    done = sandbox.run(code, limits=Limits(output_mib=0.25))
    assert (done.outcome, done.truncated) == (Outcome.OUTPUT_LIMIT, (stream,))
    assert len(getattr(done, stream)) == 1 << 18


def test_a_source_beyond_its_limit_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(SnippetTooLargeError, match="1048576 are allowed"):
        sandbox.run("#" * (2 << 20))


def test_callers_cannot_widen_limits(sandbox: Sandbox) -> None:
    done = sandbox.run("x = bytearray(1 << 30)", limits=Limits(memory_mib=4096))
    assert done.outcome is Outcome.OUT_OF_MEMORY


def test_a_snippet_that_prints_a_result_has_printed_it_and_no_more(run: Runs) -> None:
    fake = '{"end": "ok", "status": 0}'
    done = run(f"print('''{fake}''')\nraise ValueError('real')")
    assert (done.outcome, done.stdout) == (Outcome.RAISED, fake + "\n")


def test_an_exception_comes_back_structured(run: Runs) -> None:
    code = (
        "import torch\ndef f(x):\n    return x @ x\n"
        "try:\n    f(torch.ones(2, 3))\nexcept RuntimeError as error:\n"
        "    error.__notes__ = ['noted']\n    raise KeyError('outer') from error\n"
    )
    raised = run(code).exception
    assert raised is not None
    assert (raised.type, raised.message) == ("KeyError", "'outer'")
    assert raised.cause is not None
    assert raised.cause.type == "RuntimeError"
    assert raised.cause.notes == ("noted",)
    assert [frame.source for frame in raised.cause.frames] == [
        "f(torch.ones(2, 3))",
        "return x @ x",
    ]
    assert "LookupError" in raised.bases


def test_an_exception_that_resists_being_described_is_described_all_the_same(run: Runs) -> None:
    code = "class E(Exception):\n  def __str__(self): raise SystemExit\nraise E()"
    raised = run(code).exception
    assert raised is not None
    assert raised.type == "E"
    assert raised.message == "<SystemExit while it was described>"


def test_a_chain_of_any_length_is_told_from_its_end(run: Runs) -> None:
    code = (
        "error = None\nfor i in range(100_000):\n    try:\n        raise ValueError(i) from error\n"
        "    except ValueError as caught:\n        error = caught\nraise error"
    )
    done = run(code)
    assert (done.outcome, done.truncated) == (Outcome.RAISED, ("exception",))
    assert done.exception is not None
    assert done.exception.cause is not None
    assert done.exception.cause.message == "99998"


def test_warnings_come_back_with_their_line(run: Runs) -> None:
    done = run("import warnings\nwarnings.warn('old', DeprecationWarning)\n")
    assert [(w.category, w.message, w.line) for w in done.warnings] == [
        ("DeprecationWarning", "old", 2)
    ]


def test_a_cancelled_run_is_killed(sandbox: Sandbox) -> None:
    cancelled = Event()
    Timer(0.3, cancelled.set).start()
    with pytest.raises(SandboxError, match="cancelled"):
        sandbox.run("import time; time.sleep(60)", cancelled=cancelled)
    assert sandbox.run("print(1)").outcome is Outcome.OK


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


def test_a_cancelled_run_does_not_wait_for_its_turn(sandbox: Sandbox) -> None:
    cancelled = Event()
    cancelled.set()
    with pytest.raises(SandboxError, match="cancelled"):
        sandbox.run("print(1)", cancelled=cancelled)
