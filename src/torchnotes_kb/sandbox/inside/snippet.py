"""The snippet's process: locks itself down, waits for the source, and is that program.

After the last line of `become` runs code that nobody trusts. What this process then says of
its end is data; how it ended is told by pid 1.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import io
import json
import linecache
import os
import posix
import random
import resource
import signal
import socket
import sys
import threading
import traceback
import types
from contextlib import suppress
from typing import Any, NoReturn

from . import headcount, kernel, landlock, reserve, rootfs, seccomp
from .recorder import Recorder
from .report import Describer, message, print_as_python

HOME = "/tmp/work"
MIB = 1 << 20
SOURCE_FD, READY_FD = 250, 251
SPARE_MIB, SPARE_FILES = 64, 16
"""Kept back from the snippet so that its end can be described."""
THREADS = 2
"""Torch's threads within one run."""
WARM_UP = b"class A:\n    pass\nA()\n"


def become(fds: list[int], limits: dict[str, Any], worker: dict[str, Any]) -> NoReturn:
    """Turn this process into the snippet's.

    Args:
        fds: The source's pipe, stdout, stderr, and the socket that says ready.
        limits: Of this run.
        worker: What the worker measured of itself, and its binds.
    """
    try:
        _take_descriptors(*fds)
        _reset_signals()
        _set_environment(worker["path"])
        _be_fresh_interpreter()
        listeners = lock_down(limits, worker)
        _assert_locked_down()
        program = _Program()
        program.execute(WARM_UP)  # takes the interpreter's copy-on-write faults ahead of time
        _say_ready(listeners)
    except BaseException as error:
        os.write(READY_FD, f"{type(error).__name__}: {error}".encode())
        os._exit(70)
    os.close(READY_FD)
    name, source = _receive()
    program.prepare(name, source)
    program.run(source)


def _say_ready(descriptors: list[int]) -> None:
    with socket.socket(fileno=os.dup(READY_FD)) as ready:
        socket.send_fds(ready, [b"ready"], descriptors)
    for descriptor in descriptors:
        os.close(descriptor)


def _take_descriptors(source: int, out: int, err: int, ready: int) -> None:
    """Standard streams at 0 to 2, ours above everything, nothing else open."""
    os.setsid()
    os.dup2(out, 1)
    os.dup2(err, 2)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(source, SOURCE_FD, inheritable=False)
    os.dup2(ready, READY_FD, inheritable=False)
    os.closerange(3, SOURCE_FD)
    os.closerange(READY_FD + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _reset_signals() -> None:
    """As Python itself sets them up."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _set_environment(path: str) -> None:
    os.environ.clear()
    os.environ.update(
        PATH=path,
        HOME="/tmp",
        USER="sandbox",
        LANG="C.UTF-8",
        OMP_NUM_THREADS=str(THREADS),
        OMP_WAIT_POLICY="PASSIVE",
    )
    os.mkdir(HOME)
    os.chdir(HOME)


def _be_fresh_interpreter() -> None:
    """Undo what distinguishes a fork of the worker from a Python that just started."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8")  # type: ignore[misc]
    # Unbuffered as with `python -u`: what was printed before a crash is kept.
    sys.stdout = sys.__stdout__ = _stream(1, "strict")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "backslashreplace")  # type: ignore[misc]
    sys.path[:] = [HOME] + [entry for entry in sys.path if entry and not entry.startswith("/kb")]
    sys.dont_write_bytecode = False
    for name in [name for name in sys.modules if name.split(".")[0] == "inside"]:
        del sys.modules[name]
    random.seed()
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].__dict__["tempdir"] = None
    if "multiprocessing.process" in sys.modules:
        sys.modules["multiprocessing.process"].current_process().authkey = os.urandom(32)
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    reserve.reseed()
    torch = sys.modules["torch"]
    torch.default_generator.seed()
    torch.set_num_threads(THREADS)


def _stream(fd: int, errors: str) -> io.TextIOWrapper:
    raw = open(fd, "wb", buffering=0, closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, write_through=True)  # type: ignore[type-var, unused-ignore]


def lock_down(limits: dict[str, Any], worker: dict[str, Any]) -> list[int]:
    """Give up, for good, all that the limits and the walls forbid.

    Returns:
        What pid 1 answers requests for processes on, where it has to (`headcount`).
    """
    kernel.drop_capabilities()
    kernel.forbid_privileges()
    read = [at for _, at in worker["binds"]] + ["/etc", "/proc", "/dev", "/kb"]
    landlock.restrict(read, ["/tmp", "/dev/shm", "/dev/null", "/dev/full"])
    memory = limits["memory_mib"] * MIB
    data = worker["data"] * 1024 + memory
    files = limits["open_files"]
    cpu = int(limits["cpu_s"]) + 1
    # With 0 a core handler of the host's would be started all the same; not with 1 (core(5)).
    kernel.limit("CORE", 1)
    kernel.limit("NPROC", limits["processes"] + 1)  # and pid 1
    kernel.limit("NOFILE", files, files + SPARE_FILES)
    kernel.limit("FSIZE", limits["disk_mib"] * MIB)
    kernel.limit("CPU", cpu, cpu + 1)
    kernel.limit("MEMLOCK", 8 * MIB)
    kernel.limit("MSGQUEUE", 0)
    kernel.limit("STACK", 8 * MIB, 64 * MIB)
    kernel.limit("SIGPENDING", 256)
    kernel.limit("RTPRIO", 0)
    kernel.limit("NICE", 0)
    # Private memory exactly; a loose lid on all mappings, of which torch makes far more than
    # it uses.
    kernel.limit("DATA", data, data + SPARE_MIB * MIB)
    kernel.limit("AS", worker["vm"] * 1024 + 2 * memory + 2048 * MIB)
    listeners = [headcount.install()] if worker["headcount"] else []
    seccomp.install()
    return listeners


def _assert_locked_down() -> None:
    """Read back from the kernel what `lock_down` asked of it."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        fields = dict(line.rstrip("\n").split(":", 1) for line in file if ":" in line)
    expected = {"NoNewPrivs": "1", "Seccomp": "2"}
    expected.update(dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16))
    for field, value in expected.items():
        if fields.get(field, "").strip() != value:
            raise RuntimeError(f"{field} is {fields.get(field, 'missing').strip()}, not {value}")


def _receive() -> tuple[str, bytes]:
    """The program's file name and source: the first line and the rest."""
    received = bytearray()
    while True:
        chunk = os.read(SOURCE_FD, MIB)
        if not chunk:
            break
        received += chunk
    os.close(SOURCE_FD)
    if not received:
        os._exit(0)  # the host has no work any more
    name, _, source = bytes(received).partition(b"\n")
    return name.decode("ascii"), source


class _Program:
    """One program: `__main__`, its file, its warnings and its end."""

    # Kept from before the program could replace them.
    _exit = staticmethod(posix._exit)
    _getpid = staticmethod(posix.getpid)
    _set_profile = staticmethod(sys.setprofile)
    _set_trace = staticmethod(sys.settrace)
    _collect = staticmethod(gc.collect)
    _objects = staticmethod(gc.get_objects)
    _text_file = io.TextIOWrapper

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._builtins = dict(builtins.__dict__)
        self._mend_builtins = builtins.__dict__.update
        self._main = types.ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins
        self._main.__dict__["__annotations__"] = {}
        sys.modules["__main__"] = self._main
        self._path = ""
        self._recorder = Recorder("")
        self._error: BaseException | None = None
        # Modules that describing the end needs; the program may have changed them.
        used = (builtins, os, posix, json, json.encoder, linecache, traceback, socket, resource, io)
        self._pristine = [(module.__dict__, dict(module.__dict__)) for module in used]

    def prepare(self, name: str, source: bytes) -> None:
        """Write the program's file and make everything name it."""
        self._path = f"{HOME}/{name}"
        with open(self._path, "wb") as file:
            file.write(source)
        self._main.__dict__.clear()
        self._main.__dict__.update(
            __name__="__main__",
            __doc__=None,
            __package__=None,
            __loader__=None,
            __spec__=None,
            __annotations__={},
            __builtins__=builtins,
            __file__=self._path,
            __cached__=None,
        )
        sys.argv[:] = [self._path]
        getattr(sys, "orig_argv", [])[:] = [sys.executable, self._path]  # Python >= 3.10
        self._recorder = Recorder(self._path)
        self._recorder.install()

    def execute(self, source: bytes) -> None:
        """Run the program's code."""
        code = compile(source, self._path or "<warm-up>", "exec", dont_inherit=True)
        try:
            exec(code, self._main.__dict__)
        finally:
            self._mend_builtins(self._builtins)  # a program may have cleared them

    def run(self, source: bytes) -> NoReturn:
        """Run the program to its end, as `python FILE` would, and report."""
        try:
            self.execute(source)
        except BaseException as error:
            self._error = error
        # What watches every call of the program would watch, or break, ours from here on.
        try:
            self._set_profile(None)
        except BaseException:
            pass  # what watched raised it, and is thereby gone
        self._set_trace(None)
        if self._getpid() != self._pid:
            self._end_child()
        self._print_if_hooked()
        try:
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
        except BaseException:
            traceback.print_exc()
        self._flush()
        self._finish()

    def _end_child(self) -> NoReturn:
        """A fork of the program came to its end: no report, its parent's business."""
        error = self._error
        code = _exit_code(error) if _is_exit(error) else int(error is not None)
        try:
            if error is not None and not _is_exit(error):
                print_as_python(error)
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            self._flush()
        finally:
            self._exit(code)

    def _print_if_hooked(self) -> None:
        """A program's own excepthook is called; Python's is not, the report tells it."""
        error, hook = self._error, sys.excepthook
        if error is None or _is_exit(error) or hook is sys.__excepthook__:
            return
        try:
            hook(type(error), error, error.__traceback__)
        except BaseException:
            traceback.print_exc()

    def _flush(self) -> None:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            try:
                stream.flush()  # type: ignore[union-attr]
            except BaseException:  # noqa: S112 - a replaced or closed stream
                continue

    def _finish(self) -> NoReturn:
        """Report how the program ended and leave with the status that goes with it."""
        self._mend_modules()
        for name in ("DATA", "NOFILE"):
            which = getattr(resource, "RLIMIT_" + name)
            hard = resource.getrlimit(which)[1]
            resource.setrlimit(which, (hard, hard))
        signal.setitimer(signal.ITIMER_REAL, 0)
        code = 1
        try:
            code, report = self._describe()
            self._let_go()
            self._mend_modules()
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.connect(rootfs.REPORT_SOCKET)
                connection.sendall(json.dumps(report).encode())
        finally:
            self._exit(code)

    def _mend_modules(self) -> None:
        for live, saved in self._pristine:
            live.update(saved)

    def _let_go(self) -> None:
        """Finalise what the program leaves, as Python does at its end: `__del__`, open files."""
        self._error = None
        del self._main
        try:
            sys.modules.pop("__main__", None)
            self._flush_files()
            self._collect()
        except BaseException:
            traceback.print_exc()
        self._flush()

    def _flush_files(self) -> None:
        """Write what open text files hold: in a cycle they may go after what they write through."""
        for each in self._objects():
            if type(each) is self._text_file:
                with suppress(ValueError, OSError):  # closed, detached, or nobody reads
                    each.flush()

    def _describe(self) -> tuple[int, dict[str, Any]]:
        """The exit status and the report."""
        error = self._error
        report: dict[str, Any] = {"end": "ok", "warnings": self._recorder.describe()}
        if error is None:
            return 0, report
        if _is_exit(error):
            code = _exit_code(error)
            report.update(end="exited", code=code)
            return code, report
        describer = Describer(HOME)
        try:
            exception = describer.describe(error)
        except BaseException as other:
            problem = f"<{type(other).__name__} while it was described>"
            exception = {"type": describer.name(error), "message": problem}
        report.update(end="raised", exception=exception, cut=describer.cut)
        return 1, report


def _is_exit(error: object) -> bool:
    """Asked of its type: `isinstance` would ask the object as well, which may raise."""
    return issubclass(type(error), SystemExit)


def _exit_code(error: Any) -> int:
    """As the interpreter reads it: nothing is 0, a number itself, anything else 1 and printed."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(message(error), file=sys.stderr)
    return 1
