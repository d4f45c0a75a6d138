"""Whatever comes out of a run is an outcome or a `SandboxError`: never a crash, never a lie."""

import json
import signal
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import SandboxError
from torchnotes_kb.sandbox.ending import end_of_run
from torchnotes_kb.sandbox.model import Outcome, Run
from torchnotes_kb.sandbox.slot import Observation, Stop

LIMITS = Limits(cpu_s=2, memory_mib=512)
FACTS = {"torch": "2.13.0", "python": "3.11.7", "platform": "Linux-x86_64"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def seen(
    final: Any, report: bytes = b"", *, stop: Stop | None = None, status: bytes | None = None
) -> Observation:
    body = json.dumps(final).encode()
    sent = struct.pack(">I", len(body)) + body + report if status is None else status
    streams = {"stdout": bytearray(b"out"), "stderr": bytearray(b"\xff")}
    return Observation(stop=stop, status=bytearray(sent), streams=streams, duration_ms=1.0)


def end(observation: Observation) -> Run:
    return end_of_run(observation, limits=LIMITS, facts=FACTS, isolation="namespaces")


@given(st.binary(max_size=200))
def test_any_bytes_for_pid_1_are_an_outcome_or_an_error(status: bytes) -> None:
    try:
        run = end(seen({}, status=status))
    except SandboxError:
        return
    assert run.outcome in Outcome


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_report_of_the_snippets_process_leaves_pid_1s_word_standing(report: bytes) -> None:
    assert end(seen({"status": 7}, report)).outcome is Outcome.EXITED
    assert end(seen({"status": -11}, report)).outcome is Outcome.SIGNALLED
    assert end(seen({"status": 0, "why": "memory"}, report)).outcome is Outcome.OUT_OF_MEMORY
    assert end(seen({"status": 0}, report, stop=Stop.WALL)).outcome is Outcome.TIMED_OUT
    assert end(seen({"status": 0}, report)).outcome in (Outcome.OK, Outcome.EXITED)


@given(JSON)
def test_any_account_of_the_end_is_an_outcome_or_an_error(final: Any) -> None:
    try:
        run = end(seen(final))
    except SandboxError:
        assert not isinstance(final, dict)
        return
    assert run.outcome in Outcome


@pytest.mark.parametrize(
    ("status", "report", "outcome"),
    [
        (0, {"end": "ok"}, Outcome.OK),
        (0, {"end": "raised", "exception": {"type": "E", "message": "m"}}, Outcome.EXITED),
        (1, {"end": "ok"}, Outcome.EXITED),
        (1, {"end": "raised", "exception": {"type": "E", "message": "m"}}, Outcome.RAISED),
        (1, {"end": "raised"}, Outcome.EXITED),
        (0, {}, Outcome.EXITED),
    ],
)
def test_a_report_counts_only_where_it_agrees_with_the_status(
    status: int, report: dict[str, Any], outcome: Outcome
) -> None:
    assert end(seen({"status": status}, json.dumps(report).encode())).outcome is outcome


def test_output_that_is_no_utf_8_is_kept_readable() -> None:
    assert end(seen({"status": 0})).stderr == r"\xff"


def test_a_cut_through_a_character_leaves_no_half_of_it() -> None:
    observation = seen({"status": 0})
    observation.streams["stdout"] = bytearray("错误".encode()[:4])
    assert end(observation).stdout == r"错\xe8"
    observation.truncated.add("stdout")
    assert end(observation).stdout == "错"


@pytest.mark.parametrize(("cpu_s", "outcome"), [(2.9, Outcome.TIMED_OUT), (0.1, Outcome.SIGNALLED)])
def test_the_signal_for_too_much_processor_time_counts_when_it_was_used(
    cpu_s: float, outcome: Outcome
) -> None:
    final = {"status": -signal.SIGXCPU, "cpu_s": cpu_s}
    assert end(seen(final)).outcome is outcome


PLAIN = ("MemoryError", "", "")
TORCH = ("RuntimeError", "can't allocate memory: you tried to allocate 4096 bytes", "")
ABSURD = ("RuntimeError", f"can't allocate memory: you tried to allocate {10**14} bytes", "")
OWN = ("MemoryError", "said the program", "")
NUMPY = ("numpy._core._exceptions._ArrayMemoryError", "Unable to allocate", "MemoryError")


@pytest.mark.parametrize(
    ("raised", "peak_mib", "outcome"),
    [
        (PLAIN, 1, Outcome.OUT_OF_MEMORY),
        (TORCH, 1, Outcome.OUT_OF_MEMORY),
        (ABSURD, 1, Outcome.RAISED),
        (ABSURD, 500, Outcome.RAISED),
        (OWN, 1, Outcome.RAISED),
        (OWN, 300, Outcome.OUT_OF_MEMORY),
        (NUMPY, 1, Outcome.RAISED),
        (NUMPY, 300, Outcome.OUT_OF_MEMORY),
        (("ValueError", "no", ""), 500, Outcome.RAISED),
    ],
)
def test_memory_is_the_outcome_where_the_limit_was_the_reason(
    raised: tuple[str, str, str], peak_mib: int, outcome: Outcome
) -> None:
    kind, message, base = raised
    report = {"end": "raised", "exception": {"type": kind, "message": message, "bases": [base]}}
    final = {"status": 1, "peak_kib": peak_mib * 1024}
    assert end(seen(final, json.dumps(report).encode())).outcome is outcome


@given(JSON, JSON)
def test_any_numbers_of_pid_1_are_an_outcome(duration: Any, peak: Any) -> None:
    run = end(seen({"status": 3, "duration_ms": duration, "peak_kib": peak}))
    assert run.outcome is Outcome.EXITED


def test_a_run_whose_pid_1_had_to_be_killed_at_the_deadline_is_timed_out() -> None:
    run = end(seen({}, status=b"", stop=Stop.WALL))
    assert (run.outcome, run.stdout) == (Outcome.TIMED_OUT, "out")


def test_text_that_no_encoding_has_is_spelled_out_and_can_be_sent_on() -> None:
    said = {"type": "ValueError", "message": "\udc80", "bases": [], "notes": [], "frames": []}
    run = end(seen({"status": 1}, json.dumps({"end": "raised", "exception": said}).encode()))
    assert run.exception is not None
    assert run.exception.message == r"\udc80"
    assert r"\\udc80" in run.model_dump_json()
