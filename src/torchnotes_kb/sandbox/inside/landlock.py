"""A second wall around the file system, underneath the mounts, where the kernel has Landlock.

If a mount were ever wrong, only the paths named here could be opened all the same. From its
sixth version on it also keeps signals and abstract sockets inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable

from . import kernel

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
RULE_PATH_BENEATH = 1
VERSION_FLAG = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
FIRST_VERSION_RIGHTS = (1 << 13) - 1
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
SCOPES = 3
"""Abstract unix sockets and signals."""


def version() -> int:
    """The version of Landlock in this kernel; 0 where there is none."""
    try:
        return kernel.syscall(
            CREATE_RULESET, "landlock", None, ctypes.c_size_t(0), ctypes.c_uint(VERSION_FLAG)
        )
    except OSError:
        return 0


def restrict(read: Iterable[str], write: Iterable[str]) -> int:
    """Open only what lies beneath these paths from now on.

    Returns:
        The version in force; 0 where the kernel has no Landlock.
    """
    abi = version()
    if not abi:
        return 0
    handled = FIRST_VERSION_RIGHTS
    handled |= REFER if abi >= 2 else 0
    handled |= TRUNCATE if abi >= 3 else 0
    handled |= IOCTL_DEV if abi >= 5 else 0
    # struct landlock_ruleset_attr grew: file system, network, scope.
    fields = [handled] + [0] * (abi >= 4) + [SCOPES] * (abi >= 6)
    attr = (ctypes.c_uint64 * len(fields))(*fields)
    rules = kernel.syscall(
        CREATE_RULESET,
        "landlock_create_ruleset",
        ctypes.byref(attr),
        ctypes.c_size_t(ctypes.sizeof(attr)),
        ctypes.c_uint(0),
    )
    for path in read:
        _allow(rules, path, READ)
    for path in write:
        _allow(rules, path, handled)
    kernel.syscall(RESTRICT_SELF, "landlock_restrict_self", rules, ctypes.c_uint(0))
    os.close(rules)
    return abi


def _allow(rules: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not os.path.isdir(path):
            rights &= FILE_RIGHTS
        packed = ctypes.c_char_p(struct.pack("=Qi", rights, beneath))
        kernel.syscall(
            ADD_RULE, f"landlock {path}", rules, RULE_PATH_BENEATH, packed, ctypes.c_uint(0)
        )
        os.close(beneath)
