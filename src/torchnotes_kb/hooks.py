"""Explanations beneath uncaught exceptions: `install()` for programs, an extension for IPython.

The original error is shown first and as ever. The explanation is made by another process, so that
nothing of this package is imported beside the program's torch and nothing costs until it fails.
"""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["install", "load_ipython_extension", "unload_ipython_extension"]

TIMEOUT_S = 60
MARK = "_torchnotes_kb"
MOST = 8
"""Explanations per program: a pool whose threads all fail is not slowed down by each of them. A
notebook has no limit: each of its errors is one that somebody waits at."""
COUNT = itertools.count()


def install() -> None:
    """Explain uncaught exceptions of this process, of its threads too. Safe to call twice."""
    if getattr(sys.excepthook, MARK, False):
        return
    before = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        _explain_to_stderr(kind, error, trace)

    thread_before = threading.excepthook

    def show_thread(failed: threading.ExceptHookArgs) -> None:
        thread_before(failed)
        if failed.exc_value is not None:
            _explain_to_stderr(failed.exc_type, failed.exc_value, failed.exc_traceback)

    setattr(show, MARK, True)
    sys.excepthook = show
    threading.excepthook = show_thread


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - IPython is not a dependency
    """`%load_ext torchnotes_kb`: explain what a cell raises, beneath its traceback."""
    shell.set_custom_exc((Exception,), _show_in_shell)


def unload_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - likewise
    """`%unload_ext torchnotes_kb`."""
    shell.set_custom_exc((), None)


def _show_in_shell(
    shell: Any,  # noqa: ANN401 - likewise
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    _quietly(lambda: _display(shell, explanation(kind, error, trace)))


def _display(shell: Any, text: str) -> None:  # noqa: ANN401 - likewise
    if not text:
        return
    if not hasattr(shell, "kernel"):
        print(text, file=sys.stderr)  # noqa: T201 - a terminal
        return
    import html  # noqa: PLC0415 - notebooks only

    shown = importlib.import_module("IPython.display")
    first, _, rest = text.partition("\n")
    summary = f"<summary><b>torchnotes</b>: {html.escape(first)}</summary>"
    body = f"<pre style='white-space:pre-wrap'>{html.escape(rest.strip())}</pre>"
    shown.display(shown.HTML(f"<details>{summary}{body}</details>"))


def explanation(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> str:
    """What `kb explain` says of an exception; empty for one that is no error."""
    if not issubclass(kind, Exception):
        return ""
    from torchnotes_kb.bootstrap import explainers_environment  # noqa: PLC0415 - nothing until now

    text = "".join(traceback.format_exception(kind, error, trace))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "torchnotes_kb", "explain", "-"],
        input=text.encode("utf-8", "replace"),
        capture_output=True,
        timeout=TIMEOUT_S,
        env=explainers_environment(),
        check=False,
    )
    return done.stdout.decode("utf-8", "replace")


def _explain_to_stderr(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    def show() -> None:
        if not issubclass(kind, Exception) or next(COUNT) >= MOST:
            return
        text = explanation(kind, error, trace)
        if text:
            sys.stderr.write("\n" + text)

    _quietly(show)


def _quietly(action: Callable[[], None]) -> None:
    """An explanation that fails is none: the error it is about must not be lost in another."""
    with suppress(Exception, KeyboardInterrupt):
        action()
