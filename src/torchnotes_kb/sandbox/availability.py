"""Whether this machine can isolate a run; if not, which rule denies it and what would help."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchnotes_kb.errors import SandboxUnavailableError
from torchnotes_kb.sandbox.inside.kernel import MACHINES

__all__ = ["MODES", "check_machine", "explain_refusal", "unprivileged_id"]

MODES = ("namespaces",)
"""The isolation modes there are. A weaker one would have to be named here."""
OLDEST_LINUX = (5, 14)
"""mount_setattr is of 5.12; process limits per user namespace, which runs rely on, of 5.14."""
PREFERRED_ID = 1_900_000_000
"""Far from every id that accounts are given."""
CONTAINER = "see `In Docker` in docs/sandbox.md"


def check_machine(mode: str) -> None:
    """Refuse what cannot work before anything is started.

    Raises:
        SandboxUnavailableError: not Linux, too old, another processor, or no such mode.
    """
    if mode not in MODES:
        raise SandboxUnavailableError(
            f"there is no isolation mode {mode!r}", f"Set `isolation` to {' or '.join(MODES)}."
        )
    if platform.system() != "Linux":
        raise SandboxUnavailableError(
            f"{platform.system()} has no namespaces",
            "Run kb in Linux: a container, a VM, or WSL2 on Windows.",
        )
    if platform.machine() not in MACHINES:
        raise SandboxUnavailableError(
            f"no system call filter is known for {platform.machine()}",
            f"Use a machine with {' or '.join(MACHINES)}.",
        )
    release = tuple(int(part) for part in platform.release().split(".")[:2] if part.isdigit())
    if release < OLDEST_LINUX:
        raise SandboxUnavailableError(
            f"Linux {platform.release()} is too old", "Linux 5.14 or later is needed."
        )


def explain_refusal(refused: Mapping[str, Any]) -> SandboxUnavailableError:
    """What the launcher reported (`step`, `errno`, `problem`), as the rule behind it."""
    for name, denying, reason, remedy in SYSCTLS:
        if _sysctl(name) == denying and (name == USER_LIMIT or os.getuid() != 0):
            return SandboxUnavailableError(reason, remedy)
    step, number = refused.get("step"), refused.get("errno")
    if step == "unshare" and number in (errno.EPERM, errno.ENOSYS):
        reason = "user namespaces are denied, as by a container's default seccomp profile"
        remedy = f"Allow them to this container ({CONTAINER})."
    elif step == "unshare" and number in (errno.ENOSPC, errno.EUSERS):
        reason = "no more namespaces may be created"
        remedy = "Raise the sysctls user.max_*_namespaces."
    elif step == "mounts":
        reason = f"the container or its policy denies {refused.get('problem')}"
        remedy = f"A masked /proc or an AppArmor profile does this: {CONTAINER}."
    else:
        reason = f"{step} was refused ({refused.get('problem')})"
        remedy = f"In a container: {CONTAINER}."
    return SandboxUnavailableError(reason, remedy)


USER_LIMIT = "user/max_user_namespaces"
SYSCTLS = (
    (
        USER_LIMIT,
        "0",
        "user.max_user_namespaces is 0",
        "Run `sysctl user.max_user_namespaces=10000` as root.",
    ),
    (
        "kernel/unprivileged_userns_clone",
        "0",
        "kernel.unprivileged_userns_clone is 0",
        "Run `sysctl kernel.unprivileged_userns_clone=1` as root.",
    ),
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns)",
        (
            "Run `sysctl kernel.apparmor_restrict_unprivileged_userns=0` as root, "
            "or run kb as root, which drops to an unprivileged id."
        ),
    ),
)
"""Switches that deny namespaces: name, the value that does, reason and remedy. All but the first
do not bind root."""
FEW_IDS = 1000
"""A range of fewer ids is one account's, not a pool to take one from."""


def unprivileged_id() -> int | None:
    """A host id for snippets to run under when we are root; None when we are not, or cannot.

    It must be mapped where we are, and free; 1.9 billion is free everywhere, and where only
    a part of the ids is mapped the last but one of the largest range is taken.
    """
    if os.getuid() != 0:
        return None
    ranges = []
    for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines():
        first, _, count = (int(field) for field in line.split())
        ranges.append((count, first))
    count, first = max(ranges)
    if any(first <= PREFERRED_ID < first + count for count, first in ranges):
        return PREFERRED_ID + os.getpid() % 100_000_000
    return first + count - 2 if count > FEW_IDS else None


def _sysctl(name: str) -> str | None:
    try:
        return Path(f"/proc/sys/{name}").read_text(encoding="ascii").strip()
    except OSError:
        return None
