"""What a sandbox sees of the file system: the outer root, and each run's own part of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from . import kernel

ETC = {
    "passwd": "sandbox:x:1000:1000:sandbox:/tmp:/bin/false\n",
    "group": "sandbox:x:1000:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
DEVICES = ("null", "full", "random", "urandom")
"""Not zero: mapped as shared it is memory that belongs to no process."""
LINKS = {
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "dev/fd": "/proc/self/fd",
    "dev/stdin": "/proc/self/fd/0",
    "dev/stdout": "/proc/self/fd/1",
    "dev/stderr": "/proc/self/fd/2",
}
DIRECTORIES = ("dev/shm", "etc", "proc", "run", "tmp", "usr")
STAGE = "/tmp"
"""Where the new root is put together; covered by it, so nothing of the host's is touched."""
COVERED = ("keys", "key-users")
"""Of /proc: they name the keys of whoever runs this, and his id."""
READ_ONLY = kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV
REPORT_SOCKET = "/run/report"


def build(binds: Iterable[tuple[str, str]]) -> None:
    """Replace this mount namespace's root by one that holds copies of `binds` and little else.

    Args:
        binds: Pairs of a path outside and its place inside; read-only, with all beneath.
    """
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    # Copies are taken before the stage covers what may lie beneath it.
    trees = [(inside, kernel.clone_tree(outside, READ_ONLY)) for outside, inside in binds]
    device = kernel.ATTR_NOSUID | kernel.ATTR_NOEXEC
    devices = [(f"/dev/{name}", kernel.clone_tree(f"/dev/{name}", device)) for name in DEVICES]
    options = "size=4m,mode=755,nr_inodes=8k"
    kernel.mount("tmpfs", STAGE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    for directory in DIRECTORIES:
        os.makedirs(f"{STAGE}/{directory}")
    # Imports of torch's make directories; no run ever sees this one.
    private = "size=1m,mode=1777,nr_inodes=64"
    kernel.mount("tmpfs", f"{STAGE}/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, private)
    bound = {inside.lstrip("/") for inside, _ in trees}
    for link, target in LINKS.items():
        if link not in bound:
            os.symlink(target, f"{STAGE}/{link}")
    for name, text in ETC.items():
        _write(f"{STAGE}/etc/{name}", text)
    for inside, tree in trees + devices:
        _attach(tree, STAGE + inside)
    # While the old /proc is in sight: without one the kernel refuses (mount_too_revealing).
    sealed = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", f"{STAGE}/proc", "proc", sealed)
    kernel.pivot_into(STAGE)


def seal() -> None:
    """Make the root itself read-only."""
    flags = kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY
    kernel.mount("none", "/", None, flags | kernel.MS_NOSUID | kernel.MS_NODEV)


def build_private(binds: Iterable[tuple[str, str]], *, disk_mib: int, serve: object) -> None:
    """A run's own /tmp, /dev/shm, /run and /proc, in a mount namespace of its own.

    /tmp and /dev/shm are one tmpfs, so that one limit bounds both.

    Args:
        binds: As given to `build`; those beneath /tmp stay in sight.
        disk_mib: Size of that tmpfs.
        serve: Called with the path at which to create the report's socket; what it makes there
            is found at `REPORT_SOCKET`, which nobody can remove.
    """
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    below = [(at, kernel.clone_tree(at, READ_ONLY)) for _, at in binds if at.startswith("/tmp/")]
    options = f"size={disk_mib}m,nr_inodes=20k,mode=1777"
    sealed = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", "/dev/shm", "tmpfs", sealed, options)
    for name, mode in (("tmp", 0o1777), ("shm", 0o1777), ("run", 0o755)):
        os.mkdir(f"/dev/shm/{name}")
        os.chmod(f"/dev/shm/{name}", mode)
    assert callable(serve)
    serve(f"/dev/shm/{os.path.relpath(REPORT_SOCKET, '/')}")
    own = kernel.ATTR_NOSUID | kernel.ATTR_NODEV
    kernel.attach(kernel.clone_tree("/dev/shm/tmp", own), "/tmp")
    kernel.attach(kernel.clone_tree("/dev/shm/run", own | kernel.ATTR_RDONLY), "/run")
    kernel.attach(kernel.clone_tree("/dev/shm/shm", own | kernel.ATTR_NOEXEC), "/dev/shm")
    for at, tree in below:
        _attach(tree, at)
    sealed |= kernel.MS_RDONLY | kernel.MS_NOEXEC
    kernel.mount("proc", "/proc", "proc", sealed)
    for name in COVERED:
        if os.path.exists(f"/proc/{name}"):
            kernel.attach(kernel.clone_tree("/dev/null", kernel.ATTR_RDONLY), f"/proc/{name}")


def _attach(tree: int, target: str) -> None:
    """Attach a copy of a file or a directory, making what it is put on."""
    if stat.S_ISDIR(os.fstat(tree).st_mode):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _write(target, "")
    kernel.attach(tree, target)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
