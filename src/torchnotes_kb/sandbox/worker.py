"""The host's side of a worker: its process, and the runs that wait ready behind it."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import RuntimeInvalidError, SandboxError
from torchnotes_kb.sandbox.availability import explain_refusal, unprivileged_id
from torchnotes_kb.sandbox.layout import system_paths
from torchnotes_kb.sandbox.runtime import Runtime
from torchnotes_kb.sandbox.slot import Slot, inside_limits

__all__ = ["START_TIMEOUT_S", "Worker"]

INSIDE = Path(__file__).parent / "inside"
START_TIMEOUT_S = 120.0
"""torch's import on a cold disk takes tens of seconds."""
CLOSE_TIMEOUT_S = 5.0
MAX_ANSWER = 65536
SPARES = 2
"""Runs that wait locked down. Setting one up takes longer than a short snippet runs."""
BOOT = "import sys; sys.path.insert(0, '/kb'); from inside.worker import main; import json; main(int(sys.argv[1]), json.loads(sys.argv[2]))"  # noqa: E501 - one argument of a command
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - the sandbox's own
    "LANG": "C.UTF-8",
    # No thread may start while torch is imported: a fork would lose it.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Threads that wait for work sleep: two that spin on one core stand in each other's way.
    "OMP_WAIT_POLICY": "PASSIVE",
}


class Worker:
    """The process with torch imported, and the runs that wait ready behind it."""

    def __init__(self, runtime: Runtime, limits: Limits) -> None:
        self._usual = inside_limits(limits)
        self._lock = Lock()
        self._spares: deque[Slot] = deque()
        self._closed = False
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            _command(runtime, theirs.fileno()),
            pass_fds=[theirs.fileno()],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        self.warm = Event()
        """Set when what programs make torch import late is there as well."""
        self._attendant = Thread(target=self._attend, name="sandbox-worker", daemon=True)
        try:
            self.facts: dict[str, str] = self._await_ready(runtime)
        except BaseException:
            self.close()
            raise
        self._prepare()
        self._attendant.start()

    @property
    def alive(self) -> bool:
        """Whether it can be given runs: its process is there and listens."""
        return not self.ends_within(0)

    def ends_within(self, timeout_s: float) -> bool:
        """Whether it is gone by then. One that was killed may take a moment to go."""
        if self._closed or self.process.poll() is not None:
            return True
        poll = select.poll()
        try:
            poll.register(self._control, 0)  # only its end is of interest
        except ValueError:
            return True  # closed since
        return bool(poll.poll(timeout_s * 1000))

    def slot(self, limits: Limits) -> Slot:
        """A run that is locked down and waits; the spare one if it has these limits."""
        wanted = inside_limits(limits)
        spare = None
        if wanted == self._usual:
            with self._lock:
                spare = self._spares.popleft() if self._spares else None
        slot = spare or Slot(self._control, wanted)
        try:
            slot.await_ready()
        except SandboxError:
            slot.close()
            raise
        self._prepare()
        return slot

    def close(self) -> None:
        """End the sandbox: with its socket closed, its pid 1 leaves, and all go with it."""
        with self._lock:
            self._closed = True
            spares = list(self._spares)
            self._spares.clear()
        for spare in spares:
            spare.close()
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        self.process.terminate()
        try:
            self.process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _prepare(self) -> None:
        with self._lock:
            while len(self._spares) < SPARES and self.alive and not self._closed:
                try:
                    self._spares.append(Slot(self._control, self._usual))
                except SandboxError:
                    return  # the next run finds out why

    def _attend(self) -> None:
        """Set up the waiting runs again once the worker is fully warm; see to it when it ends."""
        with suppress(OSError, SandboxError):
            if b"warm" in self._control.recv(MAX_ANSWER):
                self._renew()
            while self._control.recv(MAX_ANSWER):
                pass
        self.process.wait()  # no zombie is left, whoever killed it

    def _renew(self) -> None:
        fresh = deque(Slot(self._control, self._usual) for _ in range(SPARES))
        with self._lock:
            cold = fresh if self._closed else self._spares
            self._spares = deque() if self._closed else fresh
        for slot in cold:
            slot.close()
        self.warm.set()

    def _await_ready(self, runtime: Runtime) -> dict[str, str]:
        self._control.settimeout(START_TIMEOUT_S)
        try:
            said: dict[str, Any] = json.loads(self._control.recv(MAX_ANSWER) or b"{}")
        except TimeoutError as error:
            problem = f"torch was not imported within {START_TIMEOUT_S:.0f} s"
            raise SandboxError(problem) from error
        except (OSError, ValueError) as error:
            raise SandboxError(f"the worker said something unknown: {error}") from error
        self._control.settimeout(None)
        if "refused" in said:
            raise explain_refusal(said["refused"])
        if "failed" in said:
            raise RuntimeInvalidError(runtime.name, f"torch cannot be imported: {said['failed']}")
        if "ready" not in said:
            raise SandboxError("the worker ended before it was ready")
        return {name: str(said["ready"][name]) for name in ("torch", "python", "platform")}


def _command(runtime: Runtime, control: int) -> list[str]:
    binds = [(str(path), str(path)) for path in (*system_paths(), *runtime.binds)]
    binds.append((str(INSIDE), "/kb/inside"))
    worker = {
        "site_dirs": [str(path) for path in runtime.site_dirs],
        "binds": binds,
        "path": f"{runtime.path.parent}:/usr/bin:/bin",
    }
    config = {
        "control": control,
        "binds": binds,
        "outside_id": unprivileged_id(),
        "exec": [str(runtime.path), "-I", "-B", "-c", BOOT, str(control), json.dumps(worker)],
        "env": ENVIRONMENT,
    }
    launch = str(INSIDE / "launch.py")
    return [os.path.realpath(sys.executable), "-I", "-S", "-B", launch, json.dumps(config)]
