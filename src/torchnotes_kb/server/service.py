"""The verbs of a knowledge base for an event loop: threads, limits, the queue, cancellation.

The MCP tools and the page for people both speak to this; neither calls the knowledge base itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any, TypeVar

import anyio

from torchnotes_kb.config import Limits, Settings
from torchnotes_kb.errors import KbError, RuntimeInvalidError, SandboxUnavailableError
from torchnotes_kb.explain.model import Diagnosis
from torchnotes_kb.notes.model import Language, Note, NoteKind
from torchnotes_kb.notes.proof import Proof
from torchnotes_kb.search.model import SearchResult
from torchnotes_kb.server.gate import BusyError, Gate, Ticket
from torchnotes_kb.server.knowledge import Knowledge
from torchnotes_kb.server.observer import Observer, Silent
from torchnotes_kb.verify.model import Result

__all__ = ["ClientGoneError", "Progress", "Service"]

LOG = logging.getLogger("torchnotes_kb.service")

Progress = Callable[[float, float, str], Awaitable[None]]
"""Told `(seconds so far, seconds at most, what is happening)`."""
R = TypeVar("R")

TELL_EVERY_S = 1.0
"""Hosts drop a call they hear nothing of for tens of seconds; a person looks every second."""
WARM_AFTER_S = 0.05
"""Long enough for the first answer to be written; short enough that nobody notices."""
RUNS_NICENESS = 10
"""A ninth of the weight of a search where both want the same core."""
READERS = max(2, os.cpu_count() or 2)
"""Threads that search: more of them only wait for a core, and for each other."""


class ClientGoneError(KbError):
    """Whoever asked has hung up; what was under way for it was ended."""

    def __init__(self) -> None:
        super().__init__("the client hung up before the run had ended")


class Service:
    """One knowledge base, shared by every client of this process."""

    def __init__(
        self,
        knowledge: Knowledge,
        settings: Settings,
        *,
        gate: Gate,
        observer: Observer | None = None,
    ) -> None:
        self._knowledge = knowledge
        self._settings = settings
        self.gate = gate
        self._observer = observer or Silent()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="kb-read")
        self._warming: asyncio.TimerHandle | None = None
        self._runners = ThreadPoolExecutor(
            settings.workers, thread_name_prefix="kb-run", initializer=_step_back
        )

    @property
    def default_timeout_s(self) -> float:
        """What a run gets unless its caller asks for less or more."""
        return self._settings.limits.wall_s

    @property
    def longest_timeout_s(self) -> float:
        """What a caller may ask for at most."""
        return self._settings.ceiling.wall_s

    async def search(
        self,
        query: str,
        *,
        kind: NoteKind | None = None,
        tags: Sequence[str] = (),
        language: Language | None = None,
        torch: str | None = None,
        limit: int = 5,
    ) -> SearchResult:
        """The notes that answer a question."""
        began = time.perf_counter()
        search = partial(
            self._knowledge.search,
            query,
            kind=kind,
            tags=tags,
            language=language,
            torch=torch,
            limit=limit,
        )
        result = await self._read(search)
        self._observer.searched(seconds=time.perf_counter() - began, found=bool(result.hits))
        return result

    async def explain(
        self, text: str, *, code: str | None = None, language: Language | None = None
    ) -> Diagnosis:
        """What a traceback or message means."""
        began = time.perf_counter()
        explain = partial(self._knowledge.explain, text, code=code, language=language)
        diagnosis = await self._read(explain)
        found = diagnosis.note is not None
        self._observer.explained(seconds=time.perf_counter() - began, found=found)
        return diagnosis

    async def note(self, note_id: str) -> tuple[Note, tuple[Proof, ...]]:
        """A note and the last proofs of its examples."""
        note = await self._read(partial(self._knowledge.note, note_id))
        return note, await self._read(partial(self._knowledge.proofs, note_id))

    async def note_ids(self) -> tuple[str, ...]:
        """The ids of all notes."""
        return await self._read(self._knowledge.note_ids)

    async def notes(self) -> tuple[tuple[Note, tuple[Proof, ...]], ...]:
        """All notes with the last proofs of their examples."""
        return await self._read(self._all_notes)

    async def verify(
        self,
        code: str,
        *,
        client: str,
        expect: str | None = None,
        runtime: str | None = None,
        timeout_s: float | None = None,
        progress: Progress | None = None,
        gone: asyncio.Event | None = None,
    ) -> Result:
        """Run a snippet when its turn comes; cancelling this kills the run.

        Args:
            code: A program.
            client: Whose share of the queue this is.
            expect: The claim to judge; None: that it runs to its end.
            runtime: A name that the settings give to an interpreter; None: the default.
            timeout_s: Seconds it may take, up to the ceiling; None: what the settings say.
            progress: Told every second how it goes.
            gone: Set when the client has hung up: nobody waits for the answer any more.

        Raises:
            BusyError: the queue is full, or the client has used up its share.
            ClientGoneError: the client hung up; the run was killed.
            KbError: the claim or the runtime cannot be used, or nothing can be run here.
        """
        if runtime and runtime not in self._settings.runtimes:
            known = ", ".join(sorted(self._settings.runtimes)) or "none is configured"
            raise RuntimeInvalidError(runtime, f"not offered by this server ({known})")
        limits = self._limits(timeout_s)
        run = partial(
            self._knowledge.verify_snippet,
            code,
            expect=expect,
            runtime=runtime or None,
            limits=limits,
        )
        said = {"client": client, "bytes": len(code)}
        said |= {"code": code} if self._settings.server.log_snippets else {}
        LOG.info("verify", extra=said)
        work = self._in_turn(run, client=client, limits=limits, progress=progress)
        return await (_unless(gone, work) if gone is not None else work)

    def warm_soon(self) -> None:
        """Start what the first run would wait for, once the answer under way has left."""
        loop = asyncio.get_running_loop()
        self._warming = loop.call_later(WARM_AFTER_S, self._runners.submit, self._knowledge.warm)

    def close(self) -> None:
        """End every process that was started."""
        if self._warming is not None:
            self._warming.cancel()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._runners.shutdown(wait=False, cancel_futures=True)
        self._knowledge.close()

    async def _in_turn(
        self,
        run: Callable[..., Result],
        *,
        client: str,
        limits: Limits,
        progress: Progress | None,
    ) -> Result:
        try:
            ticket = self.gate.join(client)
        except BusyError:
            self._observer.refused("busy")
            raise
        teller = asyncio.ensure_future(self._tell(ticket, limits.wall_s, progress))
        try:
            await ticket.ready.wait()
            return await self._run(run)
        finally:
            teller.cancel()
            self.gate.leave(ticket)

    def _limits(self, timeout_s: float | None) -> Limits:
        limits = self._settings.limits
        if timeout_s is not None:
            share = timeout_s / limits.wall_s
            limits = limits.model_copy(
                update={"wall_s": timeout_s, "cpu_s": limits.cpu_s * max(share, 1)}
            )
        return limits.capped(self._settings.ceiling)

    async def _read(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def _all_notes(self) -> tuple[tuple[Note, tuple[Proof, ...]], ...]:
        return tuple((note, self._knowledge.proofs(note.id)) for note in self._knowledge.notes())

    async def _run(self, run: Callable[..., Result]) -> Result:
        """Run in a thread; when cancelled, have the run killed and wait until it is."""
        began, cancelled = time.perf_counter(), Event()
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._runners, partial(run, cancelled=cancelled))
        try:
            result = await asyncio.shield(work)
        except asyncio.CancelledError:
            cancelled.set()
            self._observer.cancelled()
            with anyio.CancelScope(shield=True), contextlib.suppress(KbError):
                await work
            raise
        except SandboxUnavailableError:
            self._observer.refused("unavailable")
            raise
        except KbError:
            self._observer.refused("failed")
            raise
        self._observer.verified(result, seconds=time.perf_counter() - began)
        return result

    async def _tell(self, ticket: Ticket, most_s: float, progress: Progress | None) -> None:
        """Report how long it has waited or run, every second."""
        if progress is None:
            return
        began = time.monotonic()
        with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
            while True:
                passed = time.monotonic() - began
                if ticket.ready.is_set():
                    said = "running in the sandbox"
                else:
                    said = f"waiting for a free sandbox, {self.gate.ahead(ticket)} run(s) ahead"
                await progress(round(passed, 2), max(most_s, passed), said)
                await asyncio.sleep(TELL_EVERY_S)


def _step_back() -> None:
    """Let searches go first: a search lasts milliseconds and a person waits, a run lasts longer.

    On Linux niceness belongs to the thread, and processes started from it inherit it, so that the
    sandbox's workers and all their runs have it. Measured in docs/decisions/053.
    """
    if sys.platform == "linux":
        os.nice(RUNS_NICENESS)


async def _unless(gone: asyncio.Event, work: Coroutine[Any, Any, R]) -> R:
    """Do the work unless `gone` is set first; then it is cancelled, and waited for."""
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(gone.wait())
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGoneError
    finally:
        leaving.cancel()
        if not task.done():
            task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait({task})
