"""Who may run a snippet now, who waits, and who is told to come back: fair between clients.

Slots are given round-robin between the clients that wait, in each client's own order, so that
one that sends a hundred snippets does not hold up another that sends one.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

import anyio

from torchnotes_kb.errors import KbError

__all__ = ["BusyError", "Gate", "Ticket"]

FIRST_GUESS_S = 1.0
"""Duration of a run before any was seen."""
SMOOTHING = 0.2
"""Weight of the latest run in the moving average."""


class BusyError(KbError):
    """No run can be started now; `retry_after_s` says when to ask again."""

    def __init__(self, problem: str, *, retry_after_s: int) -> None:
        super().__init__(f"busy: {problem}; ask again in {retry_after_s} s")
        self.problem = problem
        self.retry_after_s = retry_after_s


class Ticket:
    """One run's place: `ready` is set when it may start."""

    def __init__(self, client: str) -> None:
        self.client = client
        self.ready = anyio.Event()
        self.started = 0.0


class Gate:
    """A bounded number of runs, a bounded fair queue before them, and limits per client."""

    def __init__(
        self,
        *,
        slots: int,
        queue: int,
        per_client: int = 0,
        per_minute: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set the bounds.

        Args:
            slots: Runs at the same time.
            queue: Runs that may wait.
            per_client: Runs that one client may have running or waiting; 0: no limit.
            per_minute: Runs that one client may start in a minute; 0: no limit.
            clock: Seconds; tests give their own.
        """
        self._slots, self._queue = slots, queue
        self._per_client, self._per_minute = per_client, per_minute
        self._clock = clock
        self._running: set[Ticket] = set()
        self._waiting: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._held: Counter[str] = Counter()
        self._allowance: dict[str, tuple[float, float]] = {}
        self._mean_s = FIRST_GUESS_S

    @property
    def running(self) -> int:
        """Runs that hold a slot."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Runs in the queue."""
        return sum(len(tickets) for tickets in self._waiting.values())

    def join(self, client: str) -> Ticket:
        """Take a place.

        Raises:
            BusyError: the queue is full, or this client has used up its share.
        """
        if self._per_client and self._held[client] >= self._per_client:
            raise BusyError(
                f"{self._held[client]} runs of yours are running or waiting",
                retry_after_s=math.ceil(self._mean_s),
            )
        if len(self._running) >= self._slots and self.waiting >= self._queue:
            wait_s = self._mean_s * (self.waiting + 1) / self._slots
            raise BusyError(f"{self.waiting} runs wait already", retry_after_s=math.ceil(wait_s))
        self._spend(client)
        ticket = Ticket(client)
        self._held[client] += 1
        self._waiting.setdefault(client, deque()).append(ticket)
        self._admit()
        return ticket

    def ahead(self, ticket: Ticket) -> int:
        """How many runs will start before this one if nobody else comes."""
        if ticket.ready.is_set():
            return 0
        mine = self._waiting[ticket.client].index(ticket)
        clients = list(self._waiting)
        turn = clients.index(ticket.client)
        others = sum(
            min(len(self._waiting[client]), mine + (place < turn))
            for place, client in enumerate(clients)
            if place != turn
        )
        return mine + others

    def leave(self, ticket: Ticket) -> None:
        """Give the place back, used or not."""
        if ticket in self._running:
            self._running.remove(ticket)
            took_s = self._clock() - ticket.started
            self._mean_s += SMOOTHING * (took_s - self._mean_s)
        else:
            tickets = self._waiting[ticket.client]
            tickets.remove(ticket)
            if not tickets:
                del self._waiting[ticket.client]
        self._held[ticket.client] -= 1
        if not self._held[ticket.client]:
            del self._held[ticket.client]
        self._admit()

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._slots:
            client, tickets = self._waiting.popitem(last=False)
            ticket = tickets.popleft()
            if tickets:
                self._waiting[client] = tickets
            ticket.started = self._clock()
            self._running.add(ticket)
            ticket.ready.set()

    def _spend(self, client: str) -> None:
        """Take one of the client's runs of this minute (a token bucket)."""
        if not self._per_minute:
            return
        now, per_s = self._clock(), self._per_minute / 60
        self._forget_rested(now, per_s)
        left, when = self._allowance.get(client, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - when) * per_s)
        if left < 1:
            raise BusyError(
                f"{self._per_minute} runs a minute are allowed",
                retry_after_s=math.ceil((1 - left) / per_s),
            )
        self._allowance[client] = (left - 1, now)

    def _forget_rested(self, now: float, per_s: float) -> None:
        """Drop clients whose allowance is whole again, so that memory stays bounded."""
        rested = [
            client
            for client, (left, when) in self._allowance.items()
            if left + (now - when) * per_s >= self._per_minute
        ]
        for client in rested:
            del self._allowance[client]
