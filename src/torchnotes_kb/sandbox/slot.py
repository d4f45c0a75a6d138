"""One run, set up ahead of time: its pipes, its pid 1, and the loop that sees it through.

A slot waits, locked down, until it is given a source. Everything that comes out of it is
bounded here and judged elsewhere (`ending`).
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event
from typing import Any

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import SandboxError

__all__ = ["CANCEL_CHECK_S", "Observation", "Slot", "Stop", "inside_limits"]

MIB = 1 << 20
CHUNK = 65536
MAX_STATUS = 1 << 20
READY_TIMEOUT_S = 30.0
STOP_GRACE_S = 1.0
"""How long pid 1 has to end a run and say what it used, before it is killed itself."""
GONE_TIMEOUT_S = 10.0
CANCEL_CHECK_S = 0.05


class Stop(StrEnum):
    """Why the host ended a run."""

    WALL = "wall"
    OUTPUT = "output"
    CANCELLED = "cancelled"


@dataclass
class Observation:
    """What was seen of a run from outside."""

    stop: Stop | None = None
    status: bytearray = field(default_factory=bytearray)
    """What pid 1 sent."""
    streams: dict[str, bytearray] = field(default_factory=dict)
    truncated: set[str] = field(default_factory=set)
    duration_ms: float = 0.0


def inside_limits(limits: Limits) -> dict[str, Any]:
    """The limits that are set up inside, before a source is there."""
    names = ("wall_s", "cpu_s", "memory_mib", "disk_mib", "processes", "open_files")
    return {name: getattr(limits, name) for name in names}


class Slot:
    """A run that waits for its source. Used once, then closed."""

    def __init__(self, control: socket.socket, limits: dict[str, Any]) -> None:
        self.limits = limits
        self.started = False
        """Whether any of a source was handed over: from then on nothing may be repeated."""
        self._pidfd: int | None = None
        self._status, status = socket.socketpair()
        self._source, source, self._out, out, self._err, err = -1, -1, -1, -1, -1, -1
        try:
            source, self._source = os.pipe()
            self._out, out = os.pipe()
            self._err, err = os.pipe()
            fds = [status.fileno(), source, out, err]
            socket.send_fds(control, [json.dumps(limits).encode()], fds)
        except OSError as error:
            self.close()
            raise SandboxError(f"a run could not be set up: {error}") from error
        finally:
            status.close()
            _close(source, out, err)

    def await_ready(self) -> None:
        """Wait until the snippet's process is locked down.

        Raises:
            SandboxError: it did not get that far.
        """
        self._status.settimeout(READY_TIMEOUT_S)
        try:
            message, fds, _, _ = socket.recv_fds(self._status, CHUNK, 1)
            said = json.loads(message[4:]) if message else {"failed": "it ended at once"}
        except (OSError, ValueError) as error:
            raise SandboxError(f"a run did not become ready: {error}") from error
        if not fds:
            raise SandboxError(f"a run could not be locked down: {said.get('failed')}")
        self._pidfd = fds[0]

    def execute(
        self, name: str, source: bytes, *, limits: Limits, cancelled: Event | None
    ) -> Observation:
        """Hand the source over and watch until nothing of the run is left.

        Raises:
            SandboxError: something of the run did not go away.
        """
        try:
            self._status.send(b"G")
            if self._status.recv(1) != b"B":  # nothing is handed over to one that is not there
                raise SandboxError("a run ended before it began")
        except OSError as error:
            raise SandboxError(f"a run ended before it began: {error}") from error
        self._status.settimeout(None)
        self.started = True
        seen = _Watch(self, f"{name}\n".encode() + source, limits, cancelled).until_end()
        self._await_gone()
        return seen

    def kill(self) -> None:
        """End everything in the run at once."""
        if self._pidfd is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Let go of the run; one that still waits leaves by itself."""
        self.kill()
        self._status.close()
        _close(self._source, self._out, self._err, self._pidfd)
        self._source = self._out = self._err = -1
        self._pidfd = None

    def _await_gone(self) -> None:
        self.kill()
        if self._pidfd is None or not _readable(self._pidfd, GONE_TIMEOUT_S):
            raise SandboxError(f"a run was still there {GONE_TIMEOUT_S:.0f} s after its end")


class _Watch:
    """The loop over everything that comes out of a run, until all of it has come."""

    def __init__(self, slot: Slot, source: bytes, limits: Limits, cancelled: Event | None) -> None:
        self._slot = slot
        self._source = memoryview(source)
        self._cancelled = cancelled
        self._began = time.monotonic()
        self._deadline = self._began + limits.wall_s
        self._kill_at: float | None = None
        self._most = int(limits.output_mib * MIB)
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], bool]] = {}
        self._seen = Observation(streams={"stdout": bytearray(), "stderr": bytearray()})

    def until_end(self) -> Observation:
        slot = self._slot
        self._add(slot._status.fileno(), select.POLLIN, self._read_status)  # noqa: SLF001
        self._add(slot._out, select.POLLIN, lambda: self._read(slot._out, "stdout"))  # noqa: SLF001
        self._add(slot._err, select.POLLIN, lambda: self._read(slot._err, "stderr"))  # noqa: SLF001
        self._add(slot._source, select.POLLOUT, self._write_source)  # noqa: SLF001
        while self._handlers:
            for fd, _ in self._poll.poll(self._pause_ms()):
                if fd in self._handlers and not self._handlers[fd]():
                    self._poll.unregister(fd)
                    del self._handlers[fd]
            self._check_time()
        self._seen.duration_ms = (time.monotonic() - self._began) * 1000
        return self._seen

    def _add(self, fd: int, events: int, handler: Callable[[], bool]) -> None:
        os.set_blocking(fd, False)
        self._poll.register(fd, events)
        self._handlers[fd] = handler

    def _pause_ms(self) -> float:
        until = self._deadline if self._kill_at is None else self._kill_at
        pause = max(0.0, until - time.monotonic())
        if self._cancelled is not None:
            pause = min(pause, CANCEL_CHECK_S)
        return pause * 1000 + 1

    def _check_time(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._slot.kill()
                self._kill_at = now + GONE_TIMEOUT_S
        elif self._cancelled is not None and self._cancelled.is_set():
            self._stop(Stop.CANCELLED)
        elif now >= self._deadline:
            self._stop(Stop.WALL)

    def _stop(self, why: Stop) -> None:
        """Ask pid 1 to end the run: the end of our side of its connection."""
        if self._seen.stop is None:
            self._seen.stop = why
            self._kill_at = time.monotonic() + STOP_GRACE_S
            with suppress(OSError):
                self._slot._status.shutdown(socket.SHUT_WR)  # noqa: SLF001 - one class in two

    def _read_status(self) -> bool:
        try:
            chunk = self._slot._status.recv(CHUNK)  # noqa: SLF001
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._seen.status += chunk[: MAX_STATUS - len(self._seen.status)]
        return bool(chunk)

    def _read(self, fd: int, name: str) -> bool:
        try:
            chunk = os.read(fd, CHUNK)
        except BlockingIOError:
            return True
        kept = self._seen.streams[name]
        room = self._most - len(kept)
        kept += chunk[:room]
        if len(chunk) > room:
            self._seen.truncated.add(name)
            self._stop(Stop.OUTPUT)
        return bool(chunk)

    def _write_source(self) -> bool:
        """Push what the pipe takes; its end, or a reader's, ends it."""
        try:
            written = os.write(self._slot._source, self._source)  # noqa: SLF001
        except BlockingIOError:
            return True
        except OSError:
            written = len(self._source)
        self._source = self._source[written:]
        if self._source:
            return True
        self._poll.unregister(self._slot._source)  # noqa: SLF001
        del self._handlers[self._slot._source]  # noqa: SLF001
        _close(self._slot._source)  # noqa: SLF001
        self._slot._source = -1  # noqa: SLF001
        return True


def _readable(fd: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _close(*fds: int | None) -> None:
    for fd in fds:
        if fd is not None and fd >= 0:
            with suppress(OSError):
                os.close(fd)


def parse_status(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Pid 1's last message and the report that follows it.

    Raises:
        SandboxError: it is not one.
    """
    try:
        (length,) = struct.unpack_from(">I", data)
        final = json.loads(data[4 : 4 + length])
    except (struct.error, ValueError, RecursionError) as error:
        raise SandboxError("a run's pid 1 ended without saying how") from error
    if not isinstance(final, dict):
        raise SandboxError("a run's pid 1 said something unknown")
    return final, bytes(data[4 + length :])
