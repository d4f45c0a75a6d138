"""Promise 5: every limit ends a run with an outcome of its own."""

import platform
from collections.abc import Callable

import pytest

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import SnippetTooLargeError
from torchnotes_kb.sandbox.model import Outcome, Run
from torchnotes_kb.sandbox.pool import Sandbox

Runs = Callable[..., Run]


COUNTED = {
    "processes": "    if os.fork() == 0:\n        time.sleep(9)\n",
    "threads": "    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n",
}


@pytest.mark.parametrize("kind", COUNTED)
def test_processes_and_threads_are_limited_together(sandbox: Sandbox, kind: str) -> None:
    """Whoever runs this: the kernel itself does not count what belongs to root."""
    code = f"import os, threading, time\nfor n in range(40):\n    print(n)\n{COUNTED[kind]}"
    done = sandbox.run(code, limits=Limits(wall_s=30, memory_mib=512, processes=8))
    assert done.outcome is Outcome.RAISED
    assert int(done.stdout.split()[-1]) <= 7


def test_processes_that_ask_for_more_all_at_once_get_no_more(sandbox: Sandbox) -> None:
    code = (
        "import os, time\nlibc = __import__('ctypes').CDLL(None)\nuntil = time.monotonic() + 2\n"
        "while time.monotonic() < until:\n    libc.fork()\n    libc.sched_yield()\n"
        "if os.getpid() == 2: print(len([p for p in os.listdir('/proc') if p.isdigit()]))\n"
    )
    done = sandbox.run(code, limits=Limits(wall_s=30, cpu_s=30, memory_mib=512, processes=16))
    assert done.outcome is Outcome.OK
    assert int(done.stdout) <= 17


def test_whoever_never_stops_asking_for_processes_keeps_no_limit_from_holding(
    sandbox: Sandbox,
) -> None:
    """By calls that fail: where pid 1 has to answer each, it has other things to do as well."""
    clone = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    code = (
        "import ctypes, os, time\nlibc = ctypes.CDLL(None)\nfor _ in range(6):\n"
        f"    if os.fork() == 0:\n        while True: libc.syscall({clone}, 0x10000, 0, 0, 0, 0)\n"
        "time.sleep(1)\nfor _ in range(4):\n    if os.fork() == 0:\n"
        "        x = bytearray(b'x' * (100 << 20)); time.sleep(60)\ntime.sleep(60)"
    )
    done = sandbox.run(code, limits=Limits(wall_s=30, cpu_s=60, memory_mib=256, processes=16))
    assert done.outcome is Outcome.OUT_OF_MEMORY


def test_processor_time_is_limited_over_all_processes(sandbox: Sandbox) -> None:
    code = "import os\nos.fork()\nwhile True: pass"
    done = sandbox.run(code, limits=Limits(wall_s=8, cpu_s=1))
    assert done.outcome is Outcome.TIMED_OUT


def test_processor_time_of_children_that_nobody_waits_for_counts(sandbox: Sandbox) -> None:
    """Who ignores their end gets no account of them from the kernel, and neither does pid 1."""
    code = (
        "import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "while True:\n    if os.fork() == 0:\n"
        "        while time.process_time() < 0.3: pass\n        os._exit(0)\n"
        "    try: os.wait()\n    except ChildProcessError: pass\n"
    )
    done = sandbox.run(code, limits=Limits(wall_s=60, cpu_s=1))
    assert done.outcome is Outcome.TIMED_OUT
    assert done.duration_ms < 30_000


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
        (  # each first thread ends; what is left of such a process shows no memory of its own
            "import ctypes, os, threading, time\ndef grow():\n    time.sleep(0.3)\n"
            "    x = bytearray(b'x' * (100 << 20))\n    time.sleep(9)\n"
            "for _ in range(8):\n  if os.fork() == 0:\n    threading.Thread(target=grow).start()\n"
            "    ctypes.CDLL(None).pthread_exit(None)\ntime.sleep(9)"
        ),
    ],
)
def test_memory_of_the_whole_tree_is_limited(run: Runs, code: str) -> None:
    assert run(code).outcome is Outcome.OUT_OF_MEMORY


def test_a_fork_does_not_count_what_it_shares_with_the_worker(run: Runs) -> None:
    code = (
        "import os, time\nfor _ in range(4):\n    if os.fork() == 0: time.sleep(0.3); os._exit(0)\n"
        "for _ in range(4): os.wait()\nclass MyMemoryError(Exception): pass\nraise MyMemoryError"
    )
    done = run(code)
    assert done.outcome is Outcome.RAISED
    assert done.peak_mib is not None
    assert done.peak_mib < 64


def test_what_no_machine_could_give_is_the_programs_error(run: Runs) -> None:
    done = run("import torch\ntorch.empty(10**14)")
    assert done.outcome is Outcome.RAISED
    assert done.exception is not None
    assert "you tried to allocate 400000000000000 bytes" in done.exception.message


MAPPED = (
    "import mmap, os\n{file}\nm = mmap.mmap({number}, 1 << 31)\n"
    "for at in range(0, 1 << 31, 1 << 26):\n"
    "    m[at : at + (1 << 26)] = bytes(1 << 26)\n    m.madvise(mmap.MADV_DONTNEED, at, 1 << 26)\n"
)


@pytest.mark.parametrize(
    ("file", "number", "error"),
    [
        ("", "-1", "PermissionError"),
        ("zero = os.open('/dev/zero', os.O_RDWR)", "zero", "FileNotFoundError"),
    ],
)
def test_there_is_no_memory_that_no_process_holds(
    run: Runs, file: str, number: str, error: str
) -> None:
    """Shared pages that were written and let go of are in nobody's account."""
    done = run(MAPPED.format(file=file, number=number))
    assert done.exception is not None
    assert done.exception.type == error


def test_buffers_of_the_own_loopback_are_small(run: Runs) -> None:
    code = (
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
        "c = socket.create_connection(s.getsockname())\nd = s.accept()[0]\nc.setblocking(False)\n"
        "sent = 0\ntry:\n    while True: sent += c.send(bytes(65536))\n"
        "except BlockingIOError: print(sent)\n"
    )
    assert 0 < int(run(code).stdout) <= 212 * 1024


def test_no_buffer_of_a_socket_can_be_made_larger(run: Runs) -> None:
    """What it may hold is what is counted; whoever asks is told yes, as at a kernel's own limit."""
    code = (
        "import socket\na, b = socket.socketpair()\nsizes = []\n"
        "for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):\n"
        "    sizes.append(a.getsockopt(socket.SOL_SOCKET, option))\n"
        "    a.setsockopt(socket.SOL_SOCKET, option, 1 << 30)\n"
        "    sizes.append(a.getsockopt(socket.SOL_SOCKET, option))\n"
        "a.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "print(sizes[0] == sizes[1], sizes[2] == sizes[3])\n"
        "print(a.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))"
    )
    assert run(code).stdout == "True True\n1\n"


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


def test_files_without_content_are_limited_too(run: Runs) -> None:
    code = (
        "n = 0\ntry:\n    while True:\n        open(f'/tmp/{n}', 'w').close(); n += 1\n"
        "except OSError as error:\n    print(n < 21_000, error.errno)"
    )
    assert run(code).stdout == "True 28\n"


def test_open_files_are_limited(sandbox: Sandbox) -> None:
    code = "import os\nwhile True: print(os.dup(1))"
    done = sandbox.run(code, limits=Limits(open_files=40))
    assert done.exception is not None
    assert done.exception.message == "[Errno 24] Too many open files"
    assert done.stdout.split()[-1] == "39"


def test_what_sockets_hold_counts_as_memory(sandbox: Sandbox) -> None:
    """Also that of sockets that are on their way to nobody, which no process holds."""
    code = (
        "import os, socket\nwhile True:\n    if os.fork() == 0:\n        kept = []\n"
        "        while len(kept) < 200:\n            a, b = socket.socketpair()\n"
        "            a.setblocking(False)\n            kept += [a, b]\n"
        "            try:\n                while True: a.send(bytes(65536))\n"
        "            except BlockingIOError: pass\n        import time; time.sleep(60)\n"
    )
    done = sandbox.run(code, limits=Limits(wall_s=30, memory_mib=256, processes=40))
    assert done.outcome is Outcome.OUT_OF_MEMORY


def test_memory_in_files_counts_with_the_rest(sandbox: Sandbox) -> None:
    code = (
        "import time\nkept = bytearray(90 << 20)\nwith open('/dev/shm/x', 'wb') as file:\n"
        "    for _ in range(60): file.write(bytes(1 << 20))\ntime.sleep(5)"
    )
    done = sandbox.run(code, limits=Limits(wall_s=30, memory_mib=128, disk_mib=64))
    assert done.outcome is Outcome.OUT_OF_MEMORY


def test_the_text_of_an_exception_is_cut(run: Runs) -> None:
    done = run("raise ValueError('x' * (64 << 20))")
    assert (done.outcome, done.truncated) == (Outcome.RAISED, ("exception",))
    assert done.exception is not None
    assert len(done.exception.message) == 16_000


@pytest.mark.parametrize("name", ["NPROC", "NOFILE", "FSIZE", "CPU", "AS", "DATA", "STACK"])
def test_no_limit_can_be_lifted(run: Runs, name: str) -> None:
    code = f"import resource as r\nr.setrlimit(r.RLIMIT_{name}, (r.RLIM_INFINITY, r.RLIM_INFINITY))"
    assert run(code).outcome is Outcome.RAISED
