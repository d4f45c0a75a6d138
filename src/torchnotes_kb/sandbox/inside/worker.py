"""The warm worker: pid 1 of the sandbox, with torch imported, that forks one run per request.

It runs under the runtime's interpreter, as `from inside.worker import main; main(fd, config)`.
It takes nothing back from the runs it forks: their sockets lead to the host, and it does not
even wait for them. It starts no thread, for a fork would lose it.

Once it is ready it imports what many programs make torch import late (`reserve`). Until that is
done a deputy, a fork of it as it was, serves in its place: nobody waits for it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import platform
import select
import signal
import site
import socket
import sys
import time
import weakref
from typing import Any, NoReturn

from . import headcount, kernel, supervisor, usage
from .reserve import Reserve

PRELOAD = (
    "torch",
    "torch.utils.data",
    "torch.multiprocessing",
    "multiprocessing.popen_fork",
)
OPTIONAL = ("numpy.random",)
RESERVE = (
    ("multiprocessing.queues", "multiprocessing.synchronize"),
    ("torch.utils._device", "torch.utils.serialization"),
    ("torch.fx.experimental.symbolic_shapes",),  # gradcheck
    ("torch.fx.experimental.proxy_tensor", "torch._library.custom_ops"),  # torch.testing, jit.trace
    ("torch.distributed.fsdp",),
    ("torch._dynamo",),  # every optimizer, torch.func, checkpoint
    (  # the first torch.compile
        "torch._functorch.aot_autograd",
        "torch._dynamo.backends.debugging",
        "torch._dynamo.repro.after_dynamo",
        "torch._inductor.compiler_bisector",
        "torch.export._trace",
    ),
)
"""What programs make torch import late, each group with what those before it have brought. Nothing
here may start a thread: torch._inductor.async_compile does."""
MAX_REQUEST = 65536
FDS = 4


def main(control_fd: int, config: dict[str, Any]) -> NoReturn:
    """Warm up, say so on the control socket, and fork runs until it is closed."""
    control = socket.socket(fileno=control_fd)
    os.set_inheritable(control_fd, False)
    started = time.monotonic()
    try:
        config["headcount"] = headcount.is_needed()
        facts = _import(config)
        _warm_up()
    except BaseException as error:
        _say(control, {"failed": f"{type(error).__name__}: {error}"})
        os._exit(4)
    worker = {**config, **_settle()}
    facts["warm_s"] = time.monotonic() - started
    facts["threads"] = len(os.listdir("/proc/self/task"))
    _hide()
    _say(control, {"ready": facts})
    with _Deputy(control, worker):
        Reserve().fill(*RESERVE)
        worker.update(_settle())
    _say(control, {"warm": {"warm_s": time.monotonic() - started}})
    _serve(control, worker)


def _import(config: dict[str, Any]) -> dict[str, Any]:
    for directory in config["site_dirs"]:
        site.addsitedir(directory)
    for name in PRELOAD:
        importlib.import_module(name)
    for name in OPTIONAL:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    torch: Any = sys.modules["torch"]
    return {
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
    }


def _warm_up() -> None:
    """First calls of the dispatcher, the BLAS and autograd, on one thread: no pool is started."""
    torch: Any = sys.modules["torch"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    x = torch.randn(64, 64, requires_grad=True)
    (x @ x).relu().sum().backward()
    layers = (torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 2))
    torch.nn.Sequential(*layers)(torch.randn(2, 3, 8, 8)).sum().backward()
    str(x)
    torch.set_num_threads(threads)


def _settle() -> dict[str, int]:
    """Make forks cheap, then measure: `vm`, `data`, `rss`, `anon` in KiB."""
    # torch registers hundreds, at 40-70 ms for every child's exit.
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        finalizer.atexit = False
    gc.collect()
    gc.freeze()
    kernel.collapse_heap()
    return usage.own()


def _hide() -> None:
    """Nothing below may look in, and children that end leave no zombie."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    kernel.set_dumpable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


class _Deputy:
    """A fork that serves while its parent is busy; for good if what the parent did fails."""

    def __init__(self, control: socket.socket, worker: dict[str, Any]) -> None:
        relieved, self._relieve = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(self._relieve)
            _serve(control, worker, until=relieved)
        os.close(relieved)
        self._pidfd = os.pidfd_open(pid)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            select.select([self._pidfd], [], [])
            os._exit(0)
        os.close(self._pidfd)
        os.close(self._relieve)


def _serve(control: socket.socket, worker: dict[str, Any], until: int | None = None) -> NoReturn:
    """Fork a run per request; leave when the host is gone or `until` is closed at its other end."""
    waited_for: list[Any] = [control] if until is None else [control, until]
    while True:
        ready = select.select(waited_for, [], [])[0]
        if until in ready:
            os._exit(0)
        try:
            body, fds, _, _ = socket.recv_fds(control, MAX_REQUEST, FDS, socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue  # the other one took it
        if not body:
            os._exit(0)  # the host is gone, and with pid 1 goes the whole sandbox
        if len(fds) == FDS and os.fork() == 0:
            control.close()
            supervisor.start(json.loads(body), fds, worker)
        for fd in fds:
            os.close(fd)


def _say(control: socket.socket, message: dict[str, Any]) -> None:
    control.send(json.dumps(message).encode())
