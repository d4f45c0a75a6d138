"""Fairness and limits of the queue before the sandbox."""

from __future__ import annotations

import pytest

from torchnotes_kb.server.gate import BusyError, Gate


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_slots_are_given_in_turn_between_clients() -> None:
    gate = Gate(slots=1, queue=10)
    first = gate.join("greedy")
    greedy = [gate.join("greedy") for _ in range(3)]
    modest = gate.join("modest")
    order = []
    running = first
    for _ in range(4):
        gate.leave(running)
        running = next(t for t in (*greedy, modest) if t.ready.is_set() and t not in order)
        order.append(running)
    assert order == [greedy[0], modest, greedy[1], greedy[2]]


def test_a_ticket_knows_how_many_are_ahead() -> None:
    gate = Gate(slots=1, queue=10)
    gate.join("a")
    waiting = [gate.join("a"), gate.join("a"), gate.join("b")]
    assert [gate.ahead(ticket) for ticket in waiting] == [0, 2, 1]


def test_a_full_queue_says_when_to_come_back_from_how_long_runs_take() -> None:
    clock = Clock()
    gate = Gate(slots=1, queue=1, clock=clock)
    slow = gate.join("a")
    clock.now = 11.0
    gate.leave(slow)  # the average moves a fifth of the way from 1 s to 11 s: 3 s
    gate.join("a")
    gate.join("a")
    with pytest.raises(BusyError) as caught:
        gate.join("b")
    assert caught.value.retry_after_s == 6


def test_giving_up_in_the_queue_lets_the_next_one_in() -> None:
    gate = Gate(slots=1, queue=10)
    running, given_up, last = gate.join("a"), gate.join("b"), gate.join("c")
    gate.leave(given_up)
    gate.leave(running)
    assert last.ready.is_set()
    assert (gate.running, gate.waiting) == (1, 0)


def test_one_client_cannot_hold_more_than_its_share() -> None:
    gate = Gate(slots=4, queue=10, per_client=2)
    held = [gate.join("a"), gate.join("a")]
    with pytest.raises(BusyError, match="2 runs of yours"):
        gate.join("a")
    gate.join("b")
    gate.leave(held[0])
    assert gate.join("a").ready.is_set()


def test_runs_of_a_minute_come_back_with_time() -> None:
    clock = Clock()
    gate = Gate(slots=10, queue=10, per_minute=2, clock=clock)
    gate.leave(gate.join("a"))
    gate.leave(gate.join("a"))
    with pytest.raises(BusyError) as caught:
        gate.join("a")
    assert caught.value.retry_after_s == 30
    clock.now = 30.0
    gate.leave(gate.join("a"))
    gate.leave(gate.join("b"))


def test_clients_that_have_rested_are_forgotten() -> None:
    clock = Clock()
    gate = Gate(slots=1, queue=10, per_minute=60, clock=clock)
    for number in range(100):
        gate.leave(gate.join(f"client {number}"))
    clock.now = 60.0
    gate.leave(gate.join("last"))
    assert list(gate._allowance) == ["last"]
