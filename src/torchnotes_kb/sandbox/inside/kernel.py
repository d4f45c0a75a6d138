"""The Linux calls that Python lacks, through ctypes. x86-64 and aarch64.

Every function raises OSError with the call's name when the kernel refuses. Policy (what is
mounted, denied or limited) lives in the modules that call these.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import resource
import socket
import struct

MACHINE = platform.machine()
MACHINES = ("x86_64", "aarch64")

NEW_NS = 0x0002_0000
NEW_CGROUP = 0x0200_0000
NEW_UTS = 0x0400_0000
NEW_IPC = 0x0800_0000
NEW_USER = 0x1000_0000
NEW_PID = 0x2000_0000
NEW_NET = 0x4000_0000
NEW_ALL = NEW_NS | NEW_CGROUP | NEW_UTS | NEW_IPC | NEW_USER | NEW_PID | NEW_NET

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18

# Attributes of mount_setattr(2); not the MS_ numbers by more than luck.
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, ATTR_NOEXEC = 1, 2, 4, 8

# One number on every architecture since Linux 5.x.
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SYS_SECCOMP = {"x86_64": 317, "aarch64": 277}

AT_FDCWD = -100
AT_EMPTY_PATH, AT_RECURSIVE = 0x1000, 0x8000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, 0x80000
MOVE_MOUNT_F_EMPTY_PATH = 4
MNT_DETACH = 2
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
MADV_COLLAPSE = 25

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_SECUREBITS = 1, 4, 24, 28
PR_GET_SECUREBITS = 27
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
SECUREBITS = 0x2F
"""NOROOT, NO_SETUID_FIXUP, both locked, and NO_CAP_AMBIENT_RAISE (capabilities(7))."""
CAPABILITY_VERSION_3 = 0x20080522
LAST_CAP = 63

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """`result`, or the OSError that errno tells."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, what: str, *args: object) -> int:
    """A system call by number."""
    return check(int(libc.syscall(ctypes.c_long(number), *args)), what)


def _path(path: str | None) -> ctypes.c_char_p:
    return ctypes.c_char_p(None if path is None else os.fsencode(path))


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` name for new ones."""
    check(libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    result = libc.mount(
        _path(source), _path(target), _path(kind), ctypes.c_ulong(flags), _path(options)
    )
    check(result, f"mount {kind or 'flags'} on {target}")


def clone_tree(path: str, attributes: int) -> int:
    """A descriptor of a detached copy of the mounts at `path`, all of them with `attributes`."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE
    tree = syscall(SYS_OPEN_TREE, f"open_tree {path}", AT_FDCWD, _path(path), ctypes.c_uint(flags))
    attr = (ctypes.c_uint64 * 4)(attributes, 0, MS_PRIVATE, 0)
    syscall(
        SYS_MOUNT_SETATTR,
        f"mount_setattr {path}",
        tree,
        ctypes.c_char_p(b""),
        ctypes.c_uint(AT_EMPTY_PATH | AT_RECURSIVE),
        ctypes.byref(attr),
        ctypes.c_size_t(ctypes.sizeof(attr)),
    )
    return tree


def attach(tree: int, target: str) -> None:
    """Mount what `clone_tree` gave on `target`, and close its descriptor."""
    syscall(
        SYS_MOVE_MOUNT,
        f"move_mount {target}",
        tree,
        ctypes.c_char_p(b""),
        AT_FDCWD,
        _path(target),
        ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH),
    )
    os.close(tree)


def pivot_into(root: str) -> None:
    """Make `root` the root directory and let go of the old one."""
    os.chdir(root)
    here = ctypes.c_char_p(b".")
    syscall(SYS_PIVOT_ROOT[MACHINE], "pivot_root", here, here)
    check(libc.umount2(here, MNT_DETACH), "umount of the old root")
    os.chdir("/")


def set_hostname(name: str) -> None:
    """Name this UTS namespace."""
    check(libc.sethostname(os.fsencode(name), len(name)), "sethostname")


def loopback_up() -> None:
    """Bring up `lo` of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP_RUNNING))


def bound_socket_buffers(most: int) -> None:
    """Bound TCP in this network namespace, which takes 4 to 6 MiB a socket otherwise."""
    for name in ("tcp_rmem", "tcp_wmem"):
        with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
            file.write(f"4096 {min(65536, most)} {most}")


def prctl(option: int, what: str, *args: int) -> int:
    """prctl(2)."""
    full = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    return check(int(libc.prctl(ctypes.c_int(option), *full)), f"prctl {what}")


def set_dumpable(dumpable: bool) -> None:
    """Whether others of this uid may trace this process and read its /proc files."""
    prctl(PR_SET_DUMPABLE, "dumpable", int(dumpable))


def die_with_parent() -> None:
    """Be killed when the thread that forked this process ends."""
    prctl(PR_SET_PDEATHSIG, "pdeathsig", 9)


def forbid_privileges() -> None:
    """No exec gives more than there is now (no_new_privs)."""
    prctl(PR_SET_NO_NEW_PRIVS, "no_new_privs", 1)


def drop_capabilities() -> None:
    """Give up every capability, in every set, for good."""
    for capability in range(LAST_CAP + 1):
        if libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0):
            break
    prctl(PR_CAP_AMBIENT, "cap_ambient", PR_CAP_AMBIENT_CLEAR_ALL)
    if prctl(PR_GET_SECUREBITS, "get securebits") != SECUREBITS:  # else inherited, and locked
        prctl(PR_SET_SECUREBITS, "securebits", SECUREBITS)
    header = struct.pack("II", CAPABILITY_VERSION_3, 0)
    check(libc.capset(header, struct.pack("6I", 0, 0, 0, 0, 0, 0)), "capset")


def limit(name: str, soft: int, hard: int | None = None) -> None:
    """Lower a resource limit; never above what is already allowed."""
    which = getattr(resource, "RLIMIT_" + name)
    most = resource.getrlimit(which)[1]
    top = soft if hard is None else hard
    if most != resource.RLIM_INFINITY:
        top = min(top, most)
    resource.setrlimit(which, (min(soft, top), top))


def collapse_heap() -> None:
    """Back the heap with huge pages, which makes fork several times cheaper (Linux >= 6.1).

    Only an optimisation: an older kernel refuses and nothing is lost.
    """
    huge = 2 << 20
    with open("/proc/self/maps", encoding="utf-8") as maps:
        lines = maps.readlines()
    for line in lines:
        fields = line.split()
        if not fields[1].startswith("rw") or (len(fields) > 5 and fields[5] != "[heap]"):
            continue
        start, end = (int(part, 16) for part in fields[0].split("-"))
        start, end = -(-start // huge) * huge, end // huge * huge
        if 0 < end - start < 1 << 30:
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_COLLAPSE)
