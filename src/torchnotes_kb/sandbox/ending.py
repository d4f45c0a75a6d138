"""What was seen of a run, and what it said of itself, as a `Run`.

Pid 1's account of the end outranks the report of the snippet's process: the report only says
which exception it was, never whether there was one.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import signal
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from torchnotes_kb.config import Limits
from torchnotes_kb.errors import SandboxError
from torchnotes_kb.sandbox.model import Outcome, RaisedException, RaisedWarning, Run
from torchnotes_kb.sandbox.slot import Observation, Stop, parse_status

__all__ = ["end_of_run"]

STOPS = {Stop.WALL: Outcome.TIMED_OUT, Stop.OUTPUT: Outcome.OUTPUT_LIMIT}
WHYS = {"memory": Outcome.OUT_OF_MEMORY, "cpu": Outcome.TIMED_OUT, "wall": Outcome.TIMED_OUT}
MAX_NUMBER = 1e15
"""Above any duration in ms and any size in KiB; keeps infinity and NaN out too."""
NO_MEMORY = ("can't allocate memory", "Cannot allocate memory")
"""How torch and the C library word a refused allocation."""
ASKED_FOR = re.compile(r"you tried to allocate (\d{1,30}) bytes")
KIB = 1024


def end_of_run(
    seen: Observation, *, limits: Limits, facts: Mapping[str, str], isolation: str
) -> Run:
    """The run as the caller gets it.

    Args:
        seen: What came out of it.
        limits: What it was given.
        facts: `torch`, `python` and `platform` of the worker that ran it.
        isolation: The mode in force.

    Raises:
        SandboxError: the run's own pid 1 ended without saying how.
    """
    final, sent = _last_words(seen)
    report = _report(sent)
    exception, warnings = _exception(report), _warnings(report)
    code = final.get("status")
    outcome = _outcome(seen, final, limits)
    if outcome is Outcome.EXITED:
        outcome = _own_end(final, report, exception, limits)
    truncated = sorted(seen.truncated) + (["exception"] if report.get("cut") is True else [])
    peak_kib = _number(final.get("peak_kib"))
    return Run(
        outcome=outcome,
        stdout=_text(seen, "stdout"),
        stderr=_text(seen, "stderr"),
        exception=exception if outcome in (Outcome.RAISED, Outcome.OUT_OF_MEMORY) else None,
        warnings=warnings,
        exit_code=code if isinstance(code, int) and code >= 0 else None,
        signal=_signal_name(code) if isinstance(code, int) and code < 0 else None,
        duration_ms=_number(final.get("duration_ms")) or seen.duration_ms,
        peak_mib=None if peak_kib is None else round(max(0.0, peak_kib) / KIB, 1),
        truncated=tuple(truncated),
        torch=facts["torch"],
        python=facts["python"],
        platform=facts["platform"],
        isolation=isolation,
    )


def _last_words(seen: Observation) -> tuple[dict[str, Any], bytes]:
    """Pid 1's message and the report; nothing when we had to kill pid 1 in order to stop a run."""
    try:
        return parse_status(bytes(seen.status))
    except SandboxError:
        if seen.stop is None:
            raise
        return {}, b""


def _outcome(seen: Observation, final: Mapping[str, Any], limits: Limits) -> Outcome:
    """How it ended as seen from outside: `EXITED` for every end that it came to itself."""
    if seen.stop in STOPS:
        return STOPS[seen.stop]
    why, code = final.get("why"), final.get("status")
    if why in WHYS:
        return WHYS[str(why)]
    if isinstance(code, int) and code >= 0:
        return Outcome.EXITED
    # The kernel's own limit on processor time; a program can send itself that signal as well.
    used = _number(final.get("cpu_s")) or 0.0
    is_limit = code == -signal.SIGXCPU and used >= limits.cpu_s
    return Outcome.TIMED_OUT if is_limit else Outcome.SIGNALLED


def _own_end(
    final: Mapping[str, Any],
    report: Mapping[str, Any],
    exception: RaisedException | None,
    limits: Limits,
) -> Outcome:
    code, end = final.get("status"), report.get("end")
    if code == 0 and end == "ok":
        return Outcome.OK
    if code != 1 or end != "raised" or exception is None:
        return Outcome.EXITED
    peak_mib = (_number(final.get("peak_kib")) or 0.0) / KIB
    is_near = peak_mib >= limits.memory_mib / 2
    return Outcome.OUT_OF_MEMORY if _is_memory(exception, is_near=is_near) else Outcome.RAISED


def _is_memory(exception: RaisedException, *, is_near: bool) -> bool:
    """Whether the limit on memory brought this about, and not the program all by itself.

    Args:
        exception: What it raised.
        is_near: Whether it used at least half of what it was given.
    """
    asked = ASKED_FOR.search(exception.message)
    if asked and exception.type == "RuntimeError":
        return int(asked[1]) <= _physical_bytes()  # more than that is refused everywhere
    if exception.type == "MemoryError" and not exception.message:
        return True  # as the interpreter raises it
    names = {exception.type, *exception.bases}
    is_named = any(name.endswith(("MemoryError", "OutOfMemoryError")) for name in names)
    return is_near and (is_named or any(words in exception.message for words in NO_MEMORY))


def _physical_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _text(seen: Observation, stream: str) -> str:
    """What it wrote; bytes that are no UTF-8 spelled out, half a character at a cut left out."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    return decoder.decode(bytes(seen.streams[stream]), final=stream not in seen.truncated)


def _report(sent: bytes) -> dict[str, Any]:
    """What the snippet's process sent; nothing where it is not what we would have sent."""
    try:
        report = _encodable(json.loads(sent)) if sent else {}
    except (ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}


def _encodable(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The same with every lone surrogate spelled out: nobody could print or send it on."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return value


def _exception(report: Mapping[str, Any]) -> RaisedException | None:
    try:
        return RaisedException.model_validate(report.get("exception"))
    except (ValidationError, RecursionError):
        return None


def _warnings(report: Mapping[str, Any]) -> tuple[RaisedWarning, ...]:
    listed = report.get("warnings")
    if not isinstance(listed, list):
        return ()
    found = []
    for entry in listed:
        try:
            found.append(RaisedWarning.model_validate(entry))
        except (ValidationError, RecursionError):
            continue
    return tuple(found)


def _number(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and abs(value) < MAX_NUMBER
    return float(value) if is_number else None  # type: ignore[arg-type]


def _signal_name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
