"""Pid 1 of a run: outside the snippet's process, inside the run's walls.

It starts the snippet's process, watches what the tree uses, receives the report that the
process makes of its end, and tells the host how it really ended. Nothing that the snippet can do
reaches it: signals from inside its own namespace do not touch pid 1, its memory cannot be opened,
and its connection to the host is held by no other process.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import time
from typing import Any, NoReturn

from . import headcount, kernel, rootfs, snippet, usage

TICK_S = 0.025
MAX_REPORT = 512 * 1024
BACKUP_S = 5.0
"""The host ends a run at its deadline; pid 1 does this much later, should the host not."""


def start(request: dict[str, Any], fds: list[int], worker: dict[str, Any]) -> NoReturn:
    """Become a run. Called in a fresh fork of the worker; never returns.

    Args:
        request: The limits of this run.
        fds: The status socket, the source's pipe, stdout and stderr.
        worker: What the worker measured of itself, and its binds.
    """
    status = socket.socket(fileno=fds[0])
    try:
        _reset_signals()
        _enter_namespaces()
        if os.fork():
            os._exit(0)
        _Supervisor(request, status, worker).run(fds[1:])
    except BaseException as error:
        with contextlib.suppress(OSError):  # the host is gone; so are we, soon
            _send(status, {"failed": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(71)


def _reset_signals() -> None:
    """Pid 1 gets no signal that has no handler; Python's own SIGINT handler would be one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _enter_namespaces() -> None:
    uid, gid = os.getuid(), os.getgid()
    kernel.set_dumpable(True)  # its /proc files are root's otherwise
    kernel.unshare(kernel.NEW_ALL)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


class _Supervisor:
    def __init__(
        self, request: dict[str, Any], status: socket.socket, worker: dict[str, Any]
    ) -> None:
        self._limits = request
        self._status = status
        self._worker = worker
        self._limit_kib = request["memory_mib"] * 1024
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._report: socket.socket | None = None
        self._report_bytes = bytearray()
        self._peak_kib = 0
        self._own_cpu_s: dict[tuple[str, str], float] = {}
        """As last seen of every process: of one whose parent ignores its end nobody is told."""
        self._snippet = 0
        self._ended: tuple[int, Any] | None = None
        self._headcount: list[int] = []
        """Where processes are asked for, if the kernel does not count them (`headcount`)."""

    def run(self, fds: list[int]) -> NoReturn:
        kernel.bound_socket_buffers(usage.SOCKET_KIB * 1024 // 2)
        rootfs.build_private(
            self._worker["binds"], disk_mib=self._limits["disk_mib"], serve=self._listener.bind
        )
        self._listener.listen(4)
        self._listener.setblocking(False)
        kernel.loopback_up()
        kernel.drop_capabilities()
        kernel.forbid_privileges()
        own_pidfd = os.pidfd_open(os.getpid())
        ready, theirs = socket.socketpair()
        self._snippet = os.fork()
        if self._snippet == 0:
            kernel.die_with_parent()
            snippet.become([*fds, theirs.fileno()], self._limits, self._worker)
        # From here on the snippet's process exists: it must not be able to look in.
        kernel.set_dumpable(False)
        theirs.close()
        for fd in fds:
            os.close(fd)
        self._announce(ready, own_pidfd)
        self._await_start()
        self._watch()

    def _announce(self, ready: socket.socket, own_pidfd: int) -> None:
        """Tell the host that the snippet's process is locked down, or what failed."""
        said, self._headcount, _, _ = socket.recv_fds(ready, 4096, 1)
        ready.close()
        if said != b"ready":
            raise RuntimeError(said.decode("utf-8", "replace") or "lock-down ended early")
        _send(self._status, {"ready": True}, [own_pidfd])
        os.close(own_pidfd)

    def _await_start(self) -> None:
        """Sleep until the host hands out work; leave if it has none any more."""
        if self._status.recv(1) != b"G":
            os._exit(0)
        self._status.send(b"B")

    def _watch(self) -> NoReturn:
        started = time.monotonic()
        why = self._until_end(started)
        _kill_everyone()  # whoever is left could go on sending reports
        self._reap(block=True)
        self._drain()
        code, rusage = self._ended or (None, None)
        if rusage is not None:
            grown = rusage.ru_maxrss - self._worker["rss"]
            self._peak_kib = max(self._peak_kib, grown)
        final = {
            "status": code,
            "why": why,
            "duration_ms": (time.monotonic() - started) * 1000,
            "peak_kib": self._peak_kib,
            "cpu_s": rusage.ru_utime + rusage.ru_stime if rusage else 0.0,
        }
        self._status.setblocking(True)
        _send(self._status, final)
        self._status.sendall(self._report_bytes)
        os._exit(0)

    def _until_end(self, started: float) -> str | None:
        """Watch until the snippet's process ends, or a limit does; says which."""
        poll = select.poll()
        ended = os.pidfd_open(self._snippet)
        poll.register(ended, select.POLLIN)
        poll.register(self._status, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        for fd in self._headcount:
            poll.register(fd, select.POLLIN)
        due = started + TICK_S
        while True:
            events = dict(poll.poll(max(0.0, due - time.monotonic()) * 1000))
            if ended in events:
                return None
            if self._status.fileno() in events:
                return "stopped"
            for fd in events.keys() & set(self._headcount):
                headcount.answer(fd, self._limits["processes"])
            if self._listener.fileno() in events:
                self._accept(poll)
            if self._report is not None and self._report.fileno() in events:
                self._receive(poll)
            if time.monotonic() < due:
                continue
            self._reap(block=False)
            why = self._over_limit(started)
            if why:
                return why
            due = time.monotonic() + TICK_S

    def _over_limit(self, started: float) -> str | None:
        now = usage.tree(limit_kib=self._limit_kib, inherited_kib=self._worker["anon"])
        self._peak_kib = max(self._peak_kib, now.grown_kib)
        if now.exact and now.memory_kib > self._limit_kib:
            return "memory"
        times = os.times()
        self._own_cpu_s.update(now.own_cpu_s)
        waited_for = now.cpu_s + times.children_user + times.children_system
        if max(waited_for, sum(self._own_cpu_s.values())) > self._limits["cpu_s"]:
            return "cpu"
        if len(now.own_cpu_s) > 2 * self._limits["processes"]:
            return "processes"
        if time.monotonic() - started > self._limits["wall_s"] + BACKUP_S:
            return "wall"
        return None

    def _accept(self, poll: select.poll) -> None:
        """Take a report from the snippet's own process; the latest one counts.

        It is made after the snippet's end, over a connection opened only then: while the
        snippet runs, its process holds no descriptor but its standard streams.
        """
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if struct.unpack("3i", credentials)[0] != self._snippet:
            peer.close()
            return
        if self._report is not None:
            poll.unregister(self._report)
            self._report.close()
        self._report = peer
        self._report_bytes.clear()
        peer.setblocking(False)
        poll.register(peer, select.POLLIN)

    def _receive(self, poll: select.poll) -> None:
        assert self._report is not None
        try:
            chunk = self._report.recv(65536)
        except BlockingIOError:
            if self._ended is None:
                return
            chunk = b""  # nobody is left to send more
        except OSError:
            chunk = b""
        room = MAX_REPORT - len(self._report_bytes)
        self._report_bytes += chunk[:room]
        if not chunk or len(chunk) > room:
            poll.unregister(self._report)
            self._report.close()
            self._report = None

    def _drain(self) -> None:
        """What was sent before the end but not yet read."""
        waiting = select.poll()
        waiting.register(self._listener, select.POLLIN)
        poll = select.poll()
        if self._report is not None:
            poll.register(self._report, select.POLLIN)
        while self._report is not None or waiting.poll(0):
            if self._report is None or waiting.poll(0):
                self._accept(poll)
            if self._report is not None:
                self._receive(poll)

    def _reap(self, *, block: bool) -> None:
        """Wait for whoever ended; with `block` until nobody is left or the snippet has."""
        while True:
            try:
                flags = 0 if block and self._ended is None else os.WNOHANG
                pid, status, rusage = os.wait4(-1, flags)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._snippet:
                self._ended = (os.waitstatus_to_exitcode(status), rusage)


def _kill_everyone() -> None:
    """Every process of this namespace but pid 1."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _send(status: socket.socket, message: dict[str, Any], fds: list[int] | None = None) -> None:
    body = json.dumps(message).encode()
    socket.send_fds(status, [struct.pack(">I", len(body)) + body], fds or [])
