"""How much a run's processes use: read by its pid 1 from /proc, every few milliseconds.

Exact numbers are dear, so a cheap upper bound comes first: only when that is above the limit
is the proportional share (PSS) of every process read.
"""

from __future__ import annotations

import os
from typing import NamedTuple

KIB = 1024
TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
SOCKET_KIB = 212
"""What one socket's buffers can hold of the kernel's memory: net.core.wmem_default, and TCP's are
bounded to it."""
OWN_MEMORY = ("RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:", "HugetlbPages:")
FREE_SOCKETS = 64
"""Sockets that count for nothing; more are taken to be full."""


class Usage(NamedTuple):
    """What the tree uses at one moment."""

    memory_kib: int
    exact: bool
    cpu_s: float
    processes: int


def tree(*, limit_kib: int) -> Usage:
    """Usage of every process of this pid namespace but pid 1, and of the private tmpfs."""
    common = _tmpfs_kib() + _sockets_kib()
    memory, cpu, pids = common, 0.0, []
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == "1":
            continue
        status = _read(f"/proc/{name}/status")
        stat = _read(f"/proc/{name}/stat")
        if not status or not stat:
            continue
        pids.append(name)
        memory += sum(_field(status, key) for key in OWN_MEMORY)
        cpu += _cpu_s(stat)
    if memory <= limit_kib:
        return Usage(memory, False, cpu, len(pids))
    return Usage(common + sum(_proportional_kib(pid) for pid in pids), True, cpu, len(pids))


def _proportional_kib(pid: str) -> int:
    """PSS of anonymous and shared memory; RSS of a process that hides its own."""
    rollup, status = _read(f"/proc/{pid}/smaps_rollup"), _read(f"/proc/{pid}/status")
    if not rollup:
        return sum(_field(status, key) for key in OWN_MEMORY)
    alone = _field(status, "VmPTE:") + _field(status, "HugetlbPages:")
    return alone + sum(_field(rollup, key) for key in ("Pss_Anon:", "Pss_Shmem:", "SwapPss:"))


def own(pid: str = "self") -> dict[str, int]:
    """Sizes of one process in KiB: `vm`, `data`, `rss`, `anon`."""
    status = _read(f"/proc/{pid}/status")
    return {
        "vm": _field(status, "VmSize:"),
        "data": _field(status, "VmData:"),
        "rss": _field(status, "VmRSS:"),
        "anon": _field(status, "RssAnon:"),
    }


def _tmpfs_kib() -> int:
    used = os.statvfs("/tmp")
    return (used.f_blocks - used.f_bfree) * used.f_frsize // KIB


def _sockets_kib() -> int:
    """Kernel memory that this network namespace's sockets may hold."""
    for line in _read("/proc/net/sockstat").splitlines():
        if line.startswith("sockets: used "):
            return max(0, int(line.split()[2]) - FREE_SOCKETS) * SOCKET_KIB
    return 0


def _cpu_s(stat: str) -> float:
    """Of a process and the children it has waited for."""
    fields = stat[stat.rindex(")") + 2 :].split()
    return sum(int(field) for field in fields[11:15]) * TICK_S


def _field(text: str, name: str) -> int:
    at = text.find(name)
    if at < 0:
        return 0
    return int(text[at + len(name) :].split(None, 1)[0])


def _read(path: str) -> str:
    """A /proc file; empty when its process is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
