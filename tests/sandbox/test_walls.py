"""Attacks from inside, each looked at from outside."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from torchnotes_kb.sandbox.model import Outcome, Run
from torchnotes_kb.sandbox.pool import Sandbox

from .processes import descendants

Runs = Callable[..., Run]


def test_a_file_of_the_host_is_not_there(run: Runs, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret", encoding="utf-8")
    for path in (canary, Path(__file__), Path("/etc/shadow"), Path.home() / ".bashrc"):
        done = run(f"print(open({str(path)!r}).read())")
        assert done.exception is not None
        assert done.exception.type in ("FileNotFoundError", "PermissionError")


def test_etc_is_made_up(run: Runs) -> None:
    done = run("import os, pwd; print(os.listdir('/etc'), pwd.getpwuid(os.getuid()).pw_name)")
    assert "sandbox" in done.stdout
    assert "shadow" not in done.stdout


@pytest.mark.parametrize("place", ["/", "/usr/lib", "/etc", "/kb", "/proc/self"])
def test_nothing_can_be_written_but_the_own_directories(run: Runs, place: str) -> None:
    done = run(f"open('{place}/x', 'w')")
    assert done.outcome is Outcome.RAISED


def test_what_one_run_writes_the_next_does_not_see(run: Runs) -> None:
    for place in (f"/tmp/torchnotes-{os.getpid()}", f"/dev/shm/torchnotes-{os.getpid()}"):
        assert run(f"open('{place}', 'w').write('1')").outcome is Outcome.OK
        assert run(f"open('{place}')").outcome is Outcome.RAISED
        assert not Path(place).exists()


def test_a_listener_on_the_hosts_loopback_is_out_of_reach(run: Runs) -> None:
    reached = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        port = server.getsockname()[1]
        attack = f"import socket\nwith socket.create_connection(('127.0.0.1', {port}), 2): pass\n"

        def accept() -> None:
            with suppress(OSError):
                server.accept()[0].close()
                reached.set()

        listening = threading.Thread(target=accept)
        listening.start()
        done = run(attack)
        assert done.outcome is Outcome.RAISED
        assert not reached.is_set()
        exec(attack, {})  # outside it succeeds  # noqa: S102 - the proof that the attack is one
        listening.join()
        assert reached.is_set()


def test_an_abstract_socket_of_the_host_is_out_of_reach(run: Runs) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(f"\0torchnotes-{os.getpid()}")
        server.listen()
        attack = (
            "import socket\nwith socket.socket(socket.AF_UNIX) as s:\n"
            f"    s.connect('\\0torchnotes-{os.getpid()}')\n"
        )
        assert run(attack).outcome is Outcome.RAISED
        exec(attack, {})  # noqa: S102 - outside it succeeds


def test_there_is_no_name_to_resolve_and_no_route(run: Runs) -> None:
    assert run("import socket; socket.getaddrinfo('example.com', 80)").outcome is Outcome.RAISED
    attack = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
    assert run(attack).outcome is Outcome.RAISED


def test_the_own_loopback_works(run: Runs) -> None:
    code = (
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
        "c = socket.create_connection(s.getsockname())\nc.send(b'x')\n"
        "print(s.accept()[0].recv(1))"
    )
    assert run(code).stdout == "b'x'\n"


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


def test_no_secret_of_the_environment_and_no_descriptor_gets_in(
    run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHNOTES_SECRET", "hunter2")
    code = "import os\nprint(sorted(os.environ))\nprint(sorted(os.listdir('/proc/self/fd')))"
    names, fds = run(code).stdout.splitlines()
    assert names == "['HOME', 'LANG', 'OMP_NUM_THREADS', 'PATH', 'USER']"
    assert fds == "['0', '1', '2', '3']"  # 3 is the directory being listed


def test_host_name_user_and_ids_are_made_up(run: Runs) -> None:
    done = run("import os, socket; print(socket.gethostname(), os.getuid(), os.getgid())")
    assert done.stdout == "sandbox 1000 1000\n"


@pytest.mark.parametrize(
    "call",
    [
        "libc.unshare(0x10000000)",
        "libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)",
        "libc.ptrace(0, 0, 0, 0)",
        "libc.syscall(321, 0, 0, 0)",  # bpf
        "libc.syscall(425, 1, 0)",  # io_uring_setup
        "libc.syscall(323, 0)",  # userfaultfd
        "libc.syscall(250, 0, 0, 0)",  # keyctl
        "libc.syscall(298, 0, 0, 0, 0, 0)",  # perf_event_open
        "libc.setuid(0)",
        "libc.chroot(b'/tmp')",
        "libc.sethostname(b'x', 1)",
    ],
)
def test_the_kernel_refuses_what_no_snippet_needs(run: Runs, call: str) -> None:
    code = (
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        f"r = {call}\nprint(r, os.strerror(ctypes.get_errno()))"
    )
    done = run(code)
    assert done.stdout.startswith("-1 "), done


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


@pytest.mark.parametrize("protocol", [1, 132, 262])  # ICMP, SCTP, MPTCP
def test_the_loopback_speaks_tcp_and_udp_alone(run: Runs, protocol: int) -> None:
    done = run(f"import socket\nsocket.socket(socket.AF_INET, socket.SOCK_STREAM, {protocol})")
    assert done.exception is not None
    assert done.exception.message == "[Errno 1] Operation not permitted"


def test_no_capabilities_and_no_new_privileges(run: Runs) -> None:
    done = run("print(open('/proc/self/status').read())")
    fields = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert {fields[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


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
