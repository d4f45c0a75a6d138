"""Counts processes where the kernel does not: it lets the machine's root start any number.

Runs belong to root when the sandbox is in a user namespace that maps nobody else (`unshare -Ur`
as root). There every call that makes a process or a thread stops until pid 1 of the run has
counted and answered (seccomp_unotify(2)), one at a time. The answer depends on nothing that the
caller could change meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import struct
import time

from . import kernel, seccomp

MAKING = {"x86_64": (56, 57, 58), "aarch64": (220,)}
"""clone, fork and vfork. clone3 answers ENOSYS."""
USER_NOTIF = 0x7FC00000
NEW_LISTENER = 8
RECEIVE, SEND = 0xC0502100, 0xC0182101
NOTICE, ANSWER = struct.Struct("=QII64x"), struct.Struct("=QqiI")
CONTINUE = 1
LANDS_WITHIN_S = 0.05
"""How long a call that was let through may take to be carried out, or to fail."""


def is_needed() -> bool:
    """Whether a process that may have no other can have one. Forks."""
    probe = os.fork()
    if probe == 0:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
            if os.fork() == 0:
                os._exit(0)
            os.wait()
        except BlockingIOError:
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(probe, 0)[1]) != 0


def install() -> int:
    """Make this process and all it starts ask; returns the descriptor for whoever answers."""
    code = [(seccomp.LOAD, 0, 0, seccomp.NUMBER_AT)]
    for number in MAKING[kernel.MACHINE]:
        code += [(seccomp.EQUAL, 0, 1, number), (seccomp.RETURN, 0, 0, USER_NOTIF)]
    code.append((seccomp.RETURN, 0, 0, seccomp.ALLOW))
    return seccomp.load(seccomp.assemble(code), NEW_LISTENER)


def answer(listener: int, most: int) -> None:
    """Answer one who asks: yes if there is room for one more, else EAGAIN.

    Only one: those who never stop asking must not keep pid 1 from all else that it does.
    """
    room, before = most - _tasks(), _last_pid()
    asked = select.poll()
    asked.register(listener, select.POLLIN)
    if not any(event & select.POLLIN for _, event in asked.poll(0)):
        return
    notice = bytearray(NOTICE.size)
    try:
        fcntl.ioctl(listener, RECEIVE, notice)
        said = (0, CONTINUE) if room > 0 else (-errno.EAGAIN, 0)
        fcntl.ioctl(listener, SEND, ANSWER.pack(NOTICE.unpack(notice)[0], 0, *said))
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINTR):
            raise
        return  # it was killed, or it will ask again
    if room > 0:
        _await_another_than(before)


def _await_another_than(last_pid: bytes) -> None:
    """Until one more process is there to be counted: its id is given out before that."""
    until = time.monotonic() + LANDS_WITHIN_S
    while time.monotonic() < until:
        latest = _last_pid()
        if latest != last_pid and os.path.exists(b"/proc/" + latest):
            return
        time.sleep(0.0001)


def _last_pid() -> bytes:
    """The id that was given out last in this pid namespace (proc_loadavg(5))."""
    with open("/proc/loadavg", "rb") as file:
        return file.read().split()[-1]


def _tasks() -> int:
    """Processes and threads of this pid namespace, without pid 1."""
    found = 0
    for name in os.listdir("/proc"):
        if name.isdigit() and name != "1":
            try:
                found += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue  # it ended
    return found
