"""The sandbox of one runtime: a warm worker behind the outer walls, and runs forked from it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock, Thread
from types import TracebackType
from typing import Self

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import SandboxError, SandboxUnavailableError, SnippetTooLargeError
from torchnotes_kb.sandbox.availability import check_machine
from torchnotes_kb.sandbox.ending import end_of_run
from torchnotes_kb.sandbox.model import Run
from torchnotes_kb.sandbox.runtime import Runtime
from torchnotes_kb.sandbox.selftest import Finding, self_test
from torchnotes_kb.sandbox.slot import CANCEL_CHECK_S, Observation, Stop
from torchnotes_kb.sandbox.worker import START_TIMEOUT_S, Worker

__all__ = ["Sandbox"]

MIB = 1 << 20
DIES_WITHIN_S = 0.5
"""How much later than the first of its runs a killed worker is gone."""


class Sandbox:
    """Runs snippets in one runtime, each in a child of its own. Thread-safe."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        limits: Limits,
        ceiling: Limits,
        isolation: str,
        workers: int,
        prove: bool,
    ) -> None:
        self.runtime = runtime
        self._limits = limits
        self._ceiling = ceiling
        self._isolation = isolation
        self._turns = BoundedSemaphore(workers)
        self._lock = Lock()
        self._worker: Worker | None = None
        self._started = False
        self.restarts = 0
        """Workers started in place of one that ended."""
        self._prove = prove
        self._proving = Lock()
        self._warming = Thread(target=self._warm, name="sandbox-warm", daemon=True)

    @classmethod
    def open(
        cls,
        runtime: Runtime | Path | None = None,
        *,
        limits: Limits | None = None,
        ceiling: Limits | None = None,
        isolation: str = "namespaces",
        workers: int = 1,
        prove: bool = False,
    ) -> Self:
        """Open the sandbox and begin to warm its worker in the background.

        Args:
            runtime: The interpreter; None: the one that runs this.
            limits: What a run gets unless its caller asks for less.
            ceiling: What a caller may ask for at most; None: `limits`.
            isolation: The mode; docs/sandbox.md names them.
            workers: Runs at the same time.
            prove: Prove that the walls hold before anything else runs (`selftest`).

        Raises:
            RuntimeInvalidError: the interpreter cannot run snippets.
            SandboxUnavailableError: this machine cannot isolate them.
        """
        check_machine(isolation)
        probed = runtime if isinstance(runtime, Runtime) else Runtime.probe(runtime)
        usual = limits or Limits()
        sandbox = cls(
            probed,
            limits=usual,
            ceiling=ceiling or usual,
            isolation=isolation,
            workers=workers,
            prove=prove,
        )
        sandbox._warming.start()
        return sandbox

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def ready(self, *, fully: bool = False) -> None:
        """Wait until the worker has imported torch.

        Args:
            fully: And what programs make torch import late. It never has to be waited for: a run
                before that imports it itself.

        Raises:
            SandboxUnavailableError: this machine denies isolation.
            RuntimeInvalidError: torch cannot be imported in the runtime.
            SandboxError: the worker did not start.
        """
        worker = self._current()
        if fully:
            worker.warm.wait(START_TIMEOUT_S)

    def run(
        self,
        code: str,
        *,
        limits: Limits | None = None,
        cancelled: Event | None = None,
        filename: str = "snippet.py",
    ) -> Run:
        """Run a program to its end, or to a limit.

        Args:
            code: Its source.
            limits: Tighter ones than usual; looser ones only up to the ceiling.
            cancelled: Set it to end the run.
            filename: What its file is called.

        Raises:
            SnippetTooLargeError: the source is beyond its limit.
            SandboxUnavailableError, RuntimeInvalidError, SandboxError: nothing is known of it.
        """
        wanted = (limits or self._limits).capped(self._ceiling)
        source = code.encode("utf-8", "surrogatepass")
        if len(source) > wanted.source_mib * MIB:
            raise SnippetTooLargeError(len(source), int(wanted.source_mib * MIB))
        self._prove_walls()
        name = filename if filename.isascii() and filename.isprintable() else "snippet.py"
        self._take_turn(cancelled)
        try:
            return self._run(name.replace("/", "_"), source, wanted, cancelled)
        finally:
            self._turns.release()

    def _take_turn(self, cancelled: Event | None) -> None:
        """Wait until fewer than `workers` runs are on; a cancelled one does not wait on."""
        if cancelled is None:
            self._turns.acquire()
            return
        while not cancelled.is_set():
            if self._turns.acquire(timeout=CANCEL_CHECK_S):
                return
        raise SandboxError("the run was cancelled")

    def findings(self) -> tuple[Finding, ...]:
        """Attack every wall and limit now, and say which held."""
        return self_test(_Unproven(self))

    def close(self) -> None:
        """End the worker and with it everything that runs."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def _prove_walls(self) -> None:
        """Once, before the first run: a wall that does not hold refuses all of them.

        Raises:
            SandboxUnavailableError: an attack succeeded.
        """
        if not self._prove:
            return
        with self._proving:
            if not self._prove:
                return
            broken = [finding for finding in self.findings() if not finding.holds]
            if broken:
                listed = "; ".join(f"{f.name} ({f.detail})" for f in broken)
                raise SandboxUnavailableError(
                    f"a wall does not hold here: {listed}", "`kb doctor` shows all of them."
                )
            self._prove = False

    def _run(self, name: str, source: bytes, limits: Limits, cancelled: Event | None) -> Run:
        """Run once; again only if a worker died before anything of the snippet had started."""
        for attempt in (1, 2):
            worker = self._current()
            slot = None
            try:
                slot = worker.slot(limits)
                seen = slot.execute(name, source, limits=limits, cancelled=cancelled)
            except SandboxError:
                self._drop(worker)
                if attempt == 1 and (slot is None or not slot.started):
                    continue
                raise
            finally:
                if slot is not None:
                    slot.close()
            return self._judge(seen, worker, limits)
        raise SandboxError("two workers died before the run could start")

    def _judge(self, seen: Observation, worker: Worker, limits: Limits) -> Run:
        if seen.stop is Stop.CANCELLED:
            raise SandboxError("the run was cancelled")
        return end_of_run(seen, limits=limits, facts=worker.facts, isolation=self._isolation)

    def _current(self) -> Worker:
        """The live worker, started if there is none."""
        with self._lock:
            if self._worker is not None and not self._worker.alive:
                self._worker.close()
                self._worker = None
            if self._worker is None:
                self._worker = Worker(self.runtime, self._limits)
                self.restarts += self._started
                self._started = True
            return self._worker

    def _drop(self, worker: Worker) -> None:
        """Let go of a worker whose run failed, if that is because it ended."""
        if not worker.ends_within(DIES_WITHIN_S):
            return
        with self._lock:
            if self._worker is worker:
                self._worker = None
        worker.close()

    def _warm(self) -> None:
        with suppress(Exception):  # whoever runs something first is told
            self._current()
            self._prove_walls()


class _Unproven:
    """A sandbox as its own self-test uses it: without waiting for that test."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def run(self, code: str, *, limits: Limits | None = None) -> Run:
        wanted = (limits or Limits()).capped(self._sandbox._ceiling)  # noqa: SLF001 - one class in two
        with self._sandbox._turns:  # noqa: SLF001 - likewise
            return self._sandbox._run("attack.py", code.encode(), wanted, None)  # noqa: SLF001
