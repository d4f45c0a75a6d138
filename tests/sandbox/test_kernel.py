"""Promise 6: the kernel refuses what no snippet needs."""

import ctypes
import errno
import fcntl
import os
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from torchnotes_kb.sandbox.model import Outcome, Run

Runs = Callable[..., Run]


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


def test_no_capabilities_and_no_new_privileges(run: Runs) -> None:
    done = run("print(open('/proc/self/status').read())")
    fields = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert {fields[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


LIBC = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
FREE = {
    "memfd_create": "libc.memfd_create(b'x', 0)",
    "inotify_init": "libc.inotify_init1(0)",
    "personality": "libc.personality(0xFFFFFFFF)",
    "an attribute of a file": "os.setxattr(file.fileno(), 'user.x', b'x')",
    "a lease on a file": "fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)",
}


@pytest.mark.parametrize("name", FREE)
def test_what_anybody_may_call_outside_is_refused_inside(
    run: Runs, name: str, tmp_path: Path
) -> None:
    """The attack is one: it succeeds without the sandbox."""
    (tmp_path / "own").touch()
    with (tmp_path / "own").open() as file:
        names = {"fcntl": fcntl, "file": file, "os": os, "libc": ctypes.CDLL(None)}
        assert (eval(FREE[name], names) or 0) >= 0  # noqa: S307
    code = f"import fcntl, os\nopen('x', 'w').close()\nfile = open('x')\n{LIBC}print({FREE[name]})"
    done = run(code)
    assert done.stdout == "-1\n" or done.outcome is Outcome.RAISED, done


@pytest.mark.parametrize("family", [2, 16, 30, 38, 40])
def test_pairs_of_sockets_are_local_ones(run: Runs, family: int) -> None:
    """Asking for a family can make the kernel load a module."""
    code = f"{LIBC}print(libc.socketpair({family}, 1, 0, (ctypes.c_int * 2)()), ctypes.get_errno())"
    assert run(code).stdout == f"-1 {errno.EAFNOSUPPORT}\n"


@pytest.mark.parametrize("family", [16, 17, 29, 38, 40, 44])
def test_families_of_sockets_that_no_snippet_needs_do_not_exist(run: Runs, family: int) -> None:
    """Netlink (but its routes), packet, CAN, the kernel's ciphers, VSOCK, XDP."""
    code = f"{LIBC}print(libc.socket({family}, 3, 12))"
    assert run(code).stdout == "-1\n"


@pytest.mark.parametrize("number", ["435", "468", "1000", "0x40000000 + 39"])
def test_calls_that_were_not_reviewed_do_not_exist(run: Runs, number: str) -> None:
    """clone3, what is newer than the list, and x32's."""
    code = f"{LIBC}print(libc.syscall({number}, 0, 0), ctypes.get_errno())"
    assert run(code).stdout == f"-1 {errno.ENOSYS}\n"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86 code")
def test_a_32_bit_call_ends_the_run(run: Runs) -> None:
    code = (
        "import ctypes, mmap\npage = mmap.mmap(-1, 4096, flags=2 | 32, prot=7)\n"
        "page.write(bytes.fromhex('b814000000cd80c3'))\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()"
    )
    done = run(code)
    assert (done.outcome, done.signal) == (Outcome.SIGNALLED, "SIGSYS")


def test_no_core_handler_of_the_host_is_started(run: Runs) -> None:
    """A limit of 1 does that, 0 does not (core(5)); and nobody can set it to 0."""
    done = run("import resource as r\nprint(r.getrlimit(r.RLIMIT_CORE))\nr.setrlimit(4, (0, 0))")
    assert (done.outcome, done.stdout) == (Outcome.RAISED, "(1, 1)\n")


def test_no_new_namespace_by_any_call(run: Runs) -> None:
    flags = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
    clone = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    code = f"{LIBC}print({{libc.syscall({clone}, f | 17, 0, 0, 0, 0) for f in {flags}}})"
    assert run(code).stdout == "{-1}\n"
