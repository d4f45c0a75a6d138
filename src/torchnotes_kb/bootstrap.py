"""Runs a program as its interpreter would and, if it dies of an exception, has that explained.

Started by `kb run` as `RUNTIME bootstrap.py KB_PYTHON [-m MODULE | SCRIPT] ARGUMENTS…`, in a
runtime that need not have this package: the standard library of Python 3.9 is all there is.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import traceback
import types

EXPLAIN_TIMEOUT_S = 60


def main() -> None:
    """Become the program."""
    explainer, target = sys.argv[1], sys.argv[2]
    if target == "-m":
        sys.argv[:] = sys.argv[3:]
        first_on_path(os.getcwd())
        hook(explainer)
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    sys.argv[:] = sys.argv[2:]
    target = os.path.abspath(target)  # as Python itself does since 3.9
    first_on_path(os.path.dirname(os.path.realpath(target)))
    program = types.ModuleType("__main__")
    program.__file__ = target
    program.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = program
    hook(explainer)
    with open(target, "rb") as file:
        source = file.read()
    exec(compile(source, target, "exec", dont_inherit=True), program.__dict__)


def first_on_path(folder: str) -> None:
    """Put the program's folder where this file's is; with PYTHONSAFEPATH neither is there."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = folder


def hook(explainer: str) -> None:
    """After the traceback as ever, an explanation; whatever goes wrong with that stays silent."""

    def explain(
        kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
    ) -> None:
        trace = without_this_file(trace)
        sys.__excepthook__(kind, error.with_traceback(trace), trace)
        if not issubclass(kind, Exception):
            return
        try:
            sys.stderr.flush()
            text = "".join(traceback.format_exception(kind, error, trace))
            subprocess.run(
                [explainer, "-P", "-m", "torchnotes_kb", "explain", "-"],
                input=text.encode("utf-8", "replace"),
                stdout=2,
                stderr=subprocess.DEVNULL,
                timeout=EXPLAIN_TIMEOUT_S,
                env=explainers_environment(),
                check=False,
            )
        except BaseException:  # the program's own end must not change
            pass

    sys.excepthook = explain


def explainers_environment() -> dict[str, str]:
    """The program's, but for what makes Python look for modules among the program's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    kept["PYTHONPATH"] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return kept


def without_this_file(trace: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback from the program's own first frame on; None where it does not even parse."""
    own = {__file__, runpy.__file__, "<frozen runpy>"}
    at = trace
    while at is not None and at.tb_frame.f_code.co_filename in own:
        at = at.tb_next
    return at


if __name__ == "__main__":
    main()
