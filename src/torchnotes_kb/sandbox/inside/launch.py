"""The outer walls: from the host's namespaces into the sandbox's, then exec the worker.

Run by the trusted interpreter as `python -I -S -B launch.py CONFIG` with an empty environment.
CONFIG is JSON: `control` (descriptor of the worker's socket), `binds`, `outside_id` (an
unprivileged host id to run under when started as root, else null), `exec` and `env`.
A refusal by the machine goes over the control socket as `{"refused": {step, errno, problem}}`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Any, NoReturn

if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from inside import kernel, rootfs

INSIDE_ID = 1000
MAX_FD = 65536


class Refusal(Exception):
    """The machine refused a step."""

    def __init__(self, step: str, error: OSError) -> None:
        super().__init__(str(error))
        self.step = step
        self.error = error


def main() -> NoReturn:
    """Set the walls up and wait for the worker behind them."""
    config = json.loads(sys.argv[1])
    control = config["control"]
    _close_all_but(control)
    _prefer_to_be_killed()
    try:
        enter_namespaces(config["outside_id"])
    except Refusal as refusal:
        _refuse(control, refusal)
    worker = os.fork()
    if worker:
        _wait(worker)
    try:
        wall_in(config)
    except Refusal as refusal:
        _refuse(control, refusal)
    os.set_inheritable(control, True)
    os.execve(config["exec"][0], config["exec"], config["env"])


def _close_all_but(control: int) -> None:
    os.closerange(3, control)
    os.closerange(control + 1, MAX_FD)


def _prefer_to_be_killed() -> None:
    """When the machine runs out of memory, it is the snippets that go first."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("900")
    except OSError:
        pass  # a restricted /proc; the limits do not depend on it


def enter_namespaces(outside_id: int | None) -> None:
    """New namespaces, with ids mapped by a child that stays outside for that.

    As root two ids are mapped: root, which builds the mounts (a Python under /root is readable
    for nobody else), and an unprivileged one for everything after.
    """
    owner = os.getpid()
    read_go, write_go = os.pipe()
    read_done, write_done = os.pipe()
    mapper = os.fork()
    if mapper == 0:
        os.close(write_go)
        os.read(read_go, 1)
        _map_ids(owner, outside_id, write_done)
    os.close(write_done)
    try:
        kernel.unshare(kernel.NEW_ALL)
    except OSError as error:
        raise Refusal("unshare", error) from error
    os.close(write_go)
    answer = os.read(read_done, 100)
    os.waitpid(mapper, 0)
    if answer != b"ok":
        raise Refusal("id maps", OSError(int(answer or b"1"), "id maps cannot be written"))
    os.close(read_go)
    os.close(read_done)


def _map_ids(owner: int, outside_id: int | None, done: int) -> NoReturn:
    """Write the id maps of `owner` and say `ok` or the errno."""
    uid, gid = os.getuid(), os.getgid()
    try:
        if outside_id is None:
            _write(f"/proc/{owner}/setgroups", "deny")
            uids, gids = f"{INSIDE_ID} {uid} 1", f"{INSIDE_ID} {gid} 1"
        else:
            uids = gids = f"0 0 1\n{INSIDE_ID} {outside_id} 1"
        _write(f"/proc/{owner}/uid_map", uids)
        _write(f"/proc/{owner}/gid_map", gids)
        os.write(done, b"ok")
    except OSError as error:
        os.write(done, str(error.errno or 1).encode())
    os._exit(0)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def wall_in(config: dict[str, Any]) -> None:
    """In the new pid namespace: the root, the user, no privileges."""
    try:
        kernel.set_hostname("sandbox")
        rootfs.build(config["binds"])
        rootfs.seal()
    except OSError as error:
        raise Refusal("mounts", error) from error
    try:
        if config["outside_id"] is not None:
            os.setgroups([])
        os.setresgid(INSIDE_ID, INSIDE_ID, INSIDE_ID)
        os.setresuid(INSIDE_ID, INSIDE_ID, INSIDE_ID)
        kernel.die_with_parent()
        kernel.forbid_privileges()
        kernel.limit("CORE", 1)
    except OSError as error:
        raise Refusal("user", error) from error
    os.chdir("/tmp")


def _refuse(control: int, refusal: Refusal) -> NoReturn:
    message = {
        "step": refusal.step,
        "errno": refusal.error.errno,
        "problem": str(refusal),
    }
    with socket.socket(fileno=control) as sock:
        sock.send(json.dumps({"refused": message}).encode())
    os._exit(3)


def _wait(worker: int) -> NoReturn:
    """Stay until the worker is gone, so that nobody else must reap it; SIGTERM ends it."""
    os.closerange(0, MAX_FD)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(worker, signal.SIGKILL))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, status = os.waitpid(worker, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
