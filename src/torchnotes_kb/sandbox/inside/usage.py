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
FORKED_ONLY = 0x40
"""PF_FORKNOEXEC of a process's flags in proc_pid_stat(5)."""
FREE_SOCKETS = 64
"""Sockets that count for nothing; more are taken to be full."""


class Usage(NamedTuple):
    """What the tree uses at one moment."""

    memory_kib: int
    """Where it is not exact, no less than what is used: pages that a fork shares count twice."""
    grown_kib: int
    """Without what the processes have of the worker; likewise no less than that."""
    exact: bool
    cpu_s: float
    """Of those that are there, and of the children that they waited for."""
    own_cpu_s: dict[tuple[str, str], float]
    """Without those children: by process, as its id and when it began."""


def tree(*, limit_kib: int, inherited_kib: int) -> Usage:
    """Usage of every process of this pid namespace but pid 1, and of the private tmpfs.

    Args:
        limit_kib: What is below it need not be exact.
        inherited_kib: Memory that a process has from the worker unless it has executed another.
    """
    common = _tmpfs_kib() + _sockets_kib()
    memory, grown, cpu, own, holders = common, common, 0.0, {}, []
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == "1":
            continue
        holder, status = _holder(name)
        stat = _read(f"/proc/{name}/stat")
        if not status or not stat:
            continue
        fields = stat[stat.rindex(")") + 2 :].split()
        used = sum(_field(status, key) for key in OWN_MEMORY)
        memory += used
        grown += max(0, used - inherited_kib) if int(fields[6]) & FORKED_ONLY else used
        own[name, fields[19]] = _cpu_s(fields[11:13])
        cpu += _cpu_s(fields[11:15])
        holders.append(holder)
    if memory <= limit_kib:
        return Usage(memory, grown, False, cpu, own)
    exact = common + sum(_proportional_kib(holder) for holder in holders)
    return Usage(exact, min(exact, grown), True, cpu, own)


def _holder(pid: str) -> tuple[str, str]:
    """The thread of a process by which its memory can be read, and that one's status.

    A first thread that has ended shows none, whatever the others go on to use.
    """
    status = _read(f"/proc/{pid}/status")
    if not status or OWN_MEMORY[0] in status:
        return pid, status
    for thread in _listed(f"/proc/{pid}/task"):
        other = _read(f"/proc/{thread}/status")
        if OWN_MEMORY[0] in other:
            return thread, other
    return pid, status


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


def _cpu_s(ticks: list[str]) -> float:
    return sum(map(int, ticks)) * TICK_S


def _listed(directory: str) -> list[str]:
    """What is in a directory of /proc; nothing when its process is gone."""
    try:
        return os.listdir(directory)
    except OSError:
        return []


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
