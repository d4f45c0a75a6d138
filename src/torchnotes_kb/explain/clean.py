"""A paste, line by line, without what terminals, loggers and launchers put around it.

Every pattern is anchored and bounded, so that the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["clean_lines"]

ANSI = re.compile(
    r"\x1b(?:\[[0-9;:?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[@-Z\\-_])"
)
RANK = re.compile(
    r"\s{0,8}(?:\[(?:rank|default|worker|trainer|local_rank)?[:=\s]{0,2}(\d{1,5})\]:?"
    r"|rank\s?(\d{1,5})[:|]|\((?:\w{1,40}\s)?pid=(\d{1,9})(?:, ip=[\d.]{1,40})?\))\s?",
    re.IGNORECASE,
)
TIME = re.compile(
    r"\[?\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?:Z|[+-]\d{2}:?\d{2})?\]?"
    r"|\[?\d{2}:\d{2}:\d{2}(?:[.,]\d{1,9})?\]?"
    r"|[IWEF]\d{4} \d{2}:\d{2}:\d{2}\.\d{1,9} \d{1,9} \S{1,80}\]"
)
NATIVE = re.compile(r"\[[IWEF]\d{3,4} \d{2}:\d{2}:\d{2}\.")
"""How torch's C++ begins a line of its log; what follows says more than the label."""
LEVEL = re.compile(
    r"\s{0,4}(?:[-|:]\s?)?\[?(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL|stderr|stdout)\]?"
    r"(?:\s?[-|:])?"
    r"(?: (?![\w.]{0,60}(?:Error|Exception|Warning|Interrupt))[\w.]{1,60}(?:\s?[-|:]))?"
    r"(?=\s|$)"
)
GUTTER = re.compile(r"(?:\s{0,6}[|>\u2502] ?){1,4}(?!\s*\d{1,3}\s*$)")
TELLING = re.compile(r'Traceback \(most recent call last\)|  File "[^"]{1,4000}", line \d')
"""What a traceback's lines hold: whatever stands before it may be a label."""
CLOCK = re.compile(r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?")
DIGITS = re.compile(r"\d+")
MAX_LABEL, MAX_LABELS, REPEATED_WITHIN = 120, 16, 8

Line = tuple[str, str]


def clean_lines(text: str) -> Iterator[Line]:
    """Each line as (rank, text): what interleaved processes wrote can be told apart by rank."""
    read = [_strip(_plain(raw)) for raw in text.replace("\r\n", "\n").split("\n")]
    lines = [line for line, _ in read]
    labels = _labels(lines)
    known = [_unlabelled(line, labels) for line in lines] if labels else lines
    was_logged: dict[str, bool] = {}
    for line, (_, logged) in zip(known, read, strict=True):
        if logged and not was_logged.get(line[0], True):
            yield line[0], ""  # a logger's line is no more of the message that was printed plainly
        was_logged[line[0]] = logged
        yield line


def _plain(raw: str) -> str:
    line = ANSI.sub("", raw) if "\x1b" in raw else raw
    return line.rstrip("\r").rpartition("\r")[2] if "\r" in line else line


def _strip(line: str) -> tuple[Line, bool]:
    """The line, and whether a logger wrote it, which is seen by its time."""
    rank, logged = "", False
    stripped = line
    for _ in range(3):
        before = stripped
        time = TIME.match(stripped)
        logged = logged or bool(time or NATIVE.match(stripped))
        if time:
            rest = stripped[time.end() :]
            level = LEVEL.match(rest)
            stripped = rest[level.end() :] if level else rest
            stripped = stripped.removeprefix(" ")
        found = RANK.match(stripped)
        if found:
            rank = next(group for group in found.groups() if group is not None)
            stripped = stripped[found.end() :]
        gutter = GUTTER.match(stripped)
        if gutter:
            stripped = stripped[gutter.end() :]
            if gutter[0].rstrip().endswith("\u2502"):
                stripped = stripped.rstrip().removesuffix("\u2502")  # a box has two sides
        if stripped == before:
            break
    return (rank, stripped), logged


def _labels(lines: Sequence[Line]) -> list[re.Pattern[str]]:
    """What else stands before the lines of a traceback: a pod, a task, syslog's host and program.

    Nobody can list every launcher; but what stands before a traceback's first line is a label if
    other lines near it begin alike, but for the digits.
    """
    known: dict[str, re.Pattern[str]] = {}
    for number, (_, line) in enumerate(lines):
        found = TELLING.search(line) if len(line) < MAX_LABEL + 4000 else None
        label = line[: found.start()] if found else ""
        if not label.strip() or len(label) > MAX_LABEL or len(known) >= MAX_LABELS:
            continue
        bare = label.rstrip()
        pattern = DIGITS.sub(r"\\d{1,20}", re.escape(bare))
        if pattern in known:
            continue
        compiled = re.compile(pattern + rf"(?: {{{len(label) - len(bare)}}}|\s*$)")
        around = [
            *lines[max(0, number - 2) : number],
            *lines[number + 1 : number + 1 + REPEATED_WITHIN],
        ]
        if any(compiled.match(other) for _, other in around):
            known[pattern] = compiled
    return list(known.values())


def _unlabelled(line: Line, labels: Sequence[re.Pattern[str]]) -> Line:
    rank, text = line
    for label in labels:
        found = label.match(text)
        if found:
            own = CLOCK.sub("", found[0]).strip(" :|")
            return f"{rank} {own}".strip(), text[found.end() :]
    return line
