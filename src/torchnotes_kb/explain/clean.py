"""A paste, line by line, without what terminals, loggers and launchers put around it.

Every pattern is anchored and bounded, so that the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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
LEVEL = re.compile(
    r"\s{0,4}(?:[-|:]\s?)?\[?(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL|stderr|stdout)\]?"
    r"(?:\s?[-|:])?"
    r"(?: (?![\w.]{0,60}(?:Error|Exception|Warning|Interrupt))[\w.]{1,60}(?:\s?[-|:]))?"
    r"(?=\s|$)"
)
GUTTER = re.compile(r"(?:\s{0,6}[|>\u2502] ?){1,4}(?!\s*\d{1,3}\s*$)")
PYTEST = re.compile(r"E(?: {3}|$)")


def clean_lines(text: str) -> Iterator[tuple[str, str]]:
    """Each line as (rank, text): what interleaved processes wrote can be told apart by rank."""
    for raw in text.replace("\r\n", "\n").split("\n"):
        line = ANSI.sub("", raw) if "\x1b" in raw else raw
        if "\r" in line:
            line = line.rstrip("\r").rpartition("\r")[2]
        yield _strip(line)


def _strip(line: str) -> tuple[str, str]:
    rank = ""
    stripped = line
    for _ in range(3):
        before = stripped
        time = TIME.match(stripped)
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
        if stripped == before:
            break
    test = PYTEST.match(stripped)
    return rank, stripped[test.end() :] if test else stripped
