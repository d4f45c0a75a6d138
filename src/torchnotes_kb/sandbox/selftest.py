"""Proof, on this very machine, that each wall and each limit holds: attacks that must fail.

A server runs it before the first stranger's code; `kb doctor` prints it. It takes a second or
two with a warm worker.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from torchnotes_kb.config import Limits
from torchnotes_kb.sandbox.model import Outcome, Run
from torchnotes_kb.values import Frozen

__all__ = ["Finding", "self_test"]

SMALL = Limits(wall_s=5, cpu_s=5, memory_mib=128, disk_mib=8, output_mib=0.0625)
FEW = SMALL.model_copy(update={"processes": 8, "memory_mib": 512})
BRIEF = SMALL.model_copy(update={"wall_s": 0.5})
SYSTEM_FILES = ("/etc/machine-id", "/etc/hostname", "/etc/fstab", "/etc/profile")
ENVIRONMENT = {"HOME", "LANG", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "PATH", "USER"}


class Finding(Frozen):
    """One wall or limit, and whether it held."""

    name: str
    holds: bool
    detail: str = ""
    """What was seen instead."""


class Runs(Protocol):
    """What is tested."""

    def run(self, code: str, *, limits: Limits | None = None) -> Run:
        """Run an attack."""


@dataclass(frozen=True)
class _Attack:
    name: str
    code: str
    held: Callable[[Run], bool]
    limits: Limits = SMALL


def self_test(sandbox: Runs) -> tuple[Finding, ...]:
    """Attack a sandbox from inside, once per promise."""
    with _bait() as attacks:
        return tuple(_try(sandbox, attack) for attack in attacks)


def _try(sandbox: Runs, attack: _Attack) -> Finding:
    run = sandbox.run(attack.code, limits=attack.limits)
    if attack.held(run):
        return Finding(name=attack.name, holds=True)
    said = run.stdout[:200] or (run.exception.message[:200] if run.exception else "")
    return Finding(name=attack.name, holds=False, detail=f"{run.outcome}: {said}")


@contextmanager
def _bait() -> Iterator[list[_Attack]]:
    """The attacks, with a file and a listener on this machine for them to reach."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield _attacks(_canary(stack), server.getsockname()[1])


def _canary(stack: ExitStack) -> str:
    """A file that can be read out here: one of the system's, which nobody has to clean up."""
    readable = [path for path in SYSTEM_FILES if os.access(path, os.R_OK)]
    if readable:
        return readable[0]
    file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="kb-canary-"))  # noqa: SIM115
    file.write(b"canary")
    file.flush()
    return file.name


def _attacks(canary: str, port: int) -> list[_Attack]:
    return [
        _Attack("files of others cannot be read", f"open({canary!r})", _raised),
        _Attack("system files cannot be read", "open('/etc/shadow')", _raised),
        _Attack("nothing outside can be written", "open('/usr/lib/x', 'w')", _raised),
        _Attack(
            "the host's network cannot be reached",
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)",
            _raised,
        ),
        _Attack(
            "other processes cannot be seen",
            "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))",
            lambda run: run.stdout.strip() in {"2", "3"},
        ),
        _Attack(
            "other processes cannot be signalled", f"import os; os.kill({os.getpid()}, 0)", _raised
        ),
        _Attack(
            "the environment is empty",
            "import os; print(' '.join(os.environ))",
            lambda run: set(run.stdout.split()) <= ENVIRONMENT,
        ),
        _Attack(
            "no privileges, no capabilities, system calls filtered",
            "print(open('/proc/self/status').read())",
            _is_locked,
        ),
        _Attack(
            "no namespaces can be made",
            "import ctypes; print(ctypes.CDLL(None).unshare(0x10000000))",
            lambda run: run.stdout.strip() == "-1",
        ),
        _Attack("time is limited", "while True: pass", _ended(Outcome.TIMED_OUT), BRIEF),
        _Attack("memory is limited", "x = bytearray(1 << 29)", _ended(Outcome.OUT_OF_MEMORY)),
        _Attack("output is limited", "while True: print('x' * 4096)", _ended(Outcome.OUTPUT_LIMIT)),
        _Attack("disk is limited", "open('x', 'wb').write(bytes(16 << 20))", _raised),
        _Attack(
            "processes are limited",
            "import os, time\nfor _ in range(40):\n    os.fork() or (time.sleep(3), os._exit(0))",
            lambda run: run.outcome in (Outcome.RAISED, Outcome.SIGNALLED),
            FEW,
        ),
        _Attack(
            "a forged end is seen through",
            'import os; print(\'{"end": "ok"}\'); os._exit(3)',
            lambda run: (run.outcome, run.exit_code) == (Outcome.EXITED, 3),
        ),
    ]


def _raised(run: Run) -> bool:
    return run.outcome is Outcome.RAISED


def _ended(outcome: Outcome) -> Callable[[Run], bool]:
    return lambda run: run.outcome is outcome


def _is_locked(run: Run) -> bool:
    fields = dict(line.split(":\t", 1) for line in run.stdout.splitlines() if ":\t" in line)
    none = "0" * 16
    return (
        fields.get("NoNewPrivs") == "1"
        and fields.get("Seccomp") == "2"
        and all(fields.get(f"Cap{kind}") == none for kind in ("Prm", "Eff", "Bnd", "Inh", "Amb"))
    )
