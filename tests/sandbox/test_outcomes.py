"""Promise 8: what happened is told by pid 1, whatever the snippet says of itself."""

from collections.abc import Callable
from threading import Event, Timer

import pytest

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import SandboxError
from torchnotes_kb.sandbox.model import Outcome, Run
from torchnotes_kb.sandbox.pool import Sandbox

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
        (
            "import os, threading\nthreading.Thread(target=os._exit, args=(0,)).start()\n"
            "import time; time.sleep(5)",
            Outcome.EXITED,
            0,
        ),
        (
            "import threading\ndef f():\n    while True: pass\n"
            "threading.Thread(target=f, daemon=True).start()",
            Outcome.OK,
            0,
        ),
        ("import signal; signal.setitimer(1, 0.001, 0.001)\nraise ValueError", Outcome.RAISED, 1),
        ("import signal; signal.alarm(1)", Outcome.OK, 0),
        (
            "import sys\nsys.excepthook = lambda *_: sys.exit(0)\nraise ValueError",
            Outcome.RAISED,
            1,
        ),
        ("raise KeyboardInterrupt", Outcome.RAISED, 1),
        ("raise SystemExit('text')", Outcome.EXITED, 1),
        ("import atexit\natexit.register(lambda: 1 / 0)", Outcome.OK, 0),
        ("import atexit, os\natexit.register(os._exit, 4)", Outcome.EXITED, 4),
        (
            "import atexit, json, socket\ndef f(): socket.socket = json.dumps = None\n"
            "atexit.register(f)\nraise KeyError",
            Outcome.RAISED,
            1,
        ),
        ("import sys\ndef f(*_): raise ValueError\nsys.settrace(f)", Outcome.OK, 0),
        ("import sys\ndef f(*_): raise ValueError\nsys.setprofile(f)", Outcome.RAISED, 1),
        ("class A:\n  def __del__(self): 1 / 0\na = A()", Outcome.OK, 0),
        (
            "class A:\n  def __del__(self): import json; json.dumps = None\na = A()",
            Outcome.OK,
            0,
        ),
        ("import sys, torch\nsys.modules['json'] = torch.ones = None", Outcome.OK, 0),
        ("x = 1\0", Outcome.RAISED, 1),
        ("", Outcome.OK, 0),
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
        "import os, time\nwhile os.fork() == 0: pass\ntime.sleep(60)",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
        "import atexit, time\natexit.register(time.sleep, 60)",
        "import time\nclass E(Exception):\n  def __str__(self): time.sleep(60)\nraise E",
    ],
)
def test_what_does_not_end_is_stopped_and_its_output_kept(sandbox: Sandbox, code: str) -> None:
    limits = Limits(wall_s=1, cpu_s=8, memory_mib=512, processes=32)
    done = sandbox.run("print('before', flush=True)\n" + code, limits=limits)
    assert (done.outcome, done.stdout) == (Outcome.TIMED_OUT, "before\n")


CONNECT = "s = socket.socket(socket.AF_UNIX); s.connect('/run/report')"


def test_nobody_but_the_snippets_own_process_can_report(run: Runs) -> None:
    code = (
        f"import os, socket\nif os.fork() == 0:\n    {CONNECT}\n"
        '    s.sendall(b\'{"end": "ok"}\')\n    os._exit(0)\nos.wait()\nos._exit(0)'
    )
    assert run(code).outcome is Outcome.EXITED


@pytest.mark.parametrize(
    ("end", "outcome"), [("", Outcome.OK), ("raise ValueError('real')", Outcome.RAISED)]
)
def test_whoever_floods_the_channel_delays_nothing(run: Runs, end: str, outcome: Outcome) -> None:
    """Reports that count for nothing, before the end and after it."""
    code = (
        "import os, socket, time\nfor _ in range(8):\n    if os.fork() == 0:\n"
        f"        while True:\n            try:\n                {CONNECT}\n"
        "            except OSError:\n                pass\ntime.sleep(0.1)\n"
    )
    done = run(code + end)
    assert done.outcome is outcome


def test_a_report_that_is_only_begun_changes_nothing(run: Runs) -> None:
    """And is held open by a child of the program's."""
    code = f"import os, socket, time\n{CONNECT}\ns.send(b'{{')\nif os.fork() == 0: time.sleep(60)"
    assert run(code).outcome is Outcome.OK


def test_bytes_that_are_no_text_are_kept_spelled_out(run: Runs) -> None:
    assert run(r"import os; os.write(1, b'\xff\xfe ok\n')").stdout == "\\xff\\xfe ok\n"


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


@pytest.mark.parametrize(
    "body", ["def __getattribute__(self, name): raise ValueError", "__class__ = SystemExit"]
)
def test_an_exception_that_lies_about_itself_is_known_by_its_class(run: Runs, body: str) -> None:
    done = run(f"class E(Exception):\n  {body}\nraise E('x')")
    assert done.outcome is Outcome.RAISED, done
    assert done.exception is not None
    assert done.exception.type == "E"


@pytest.mark.parametrize(
    "body",
    [
        "def __getattribute__(cls, name): raise SystemExit(0)",
        "def mro(cls): return [cls, Exception, BaseException, object]\n"
        "  __module__ = property(lambda cls: 1 / 0)\n  __qualname__ = property(lambda cls: [])",
    ],
)
def test_a_class_that_resists_being_described_is_an_exception_all_the_same(
    run: Runs, body: str
) -> None:
    done = run(f"class M(type):\n  {body}\nclass E(Exception, metaclass=M): pass\nraise E('x')")
    assert done.outcome is Outcome.RAISED, done


def test_an_exception_in_a_fork_is_printed_without_frames_of_ours(run: Runs) -> None:
    done = run("import os\nif os.fork() == 0: raise ValueError('child')\nprint(os.wait()[1])")
    assert (done.outcome, done.stdout) == (Outcome.OK, "256\n")
    assert done.stderr.startswith(
        'Traceback (most recent call last):\n  File "/tmp/work/snippet.py", line 2, in <module>\n'
    )
    assert "/kb/" not in done.stderr


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


def test_a_cancelled_run_does_not_wait_for_its_turn(sandbox: Sandbox) -> None:
    cancelled = Event()
    cancelled.set()
    with pytest.raises(SandboxError, match="cancelled"):
        sandbox.run("print(1)", cancelled=cancelled)
