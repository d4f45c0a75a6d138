"""The `kb` command, one module a command group."""

from __future__ import annotations

import gc
import io
import os
import sys

__all__ = ["main"]

USAGE, INTERRUPTED = 2, 130
"""Two of `cli.common.Exit`, whose module needs typer."""


def main() -> None:
    """Run `kb` with the arguments of this process; never returns."""
    # Imports make objects that stay; looking through them again and again is an eighth of a query.
    gc.set_threshold(100_000, 20, 20)
    _mend_streams()
    try:
        if sys.argv[1:] == ["serve"]:
            _serve()
        from torchnotes_kb.cli.app import run  # noqa: PLC0415 - see `_serve`

        run()
    except KeyboardInterrupt:
        # While modules were imported: no command had begun.
        sys.stderr.write("kb: interrupted\n")
        sys.exit(INTERRUPTED)


def _serve() -> None:
    """An assistant waits for the first answer: only the SDK is imported before it."""
    from torchnotes_kb.config import Settings  # noqa: PLC0415 - see above
    from torchnotes_kb.errors import ConfigError  # noqa: PLC0415 - see above
    from torchnotes_kb.server.stdio import serve_stdio  # noqa: PLC0415 - see above

    try:
        settings = Settings.from_env(prove_sandbox=True)
    except ConfigError as error:
        sys.stderr.write(f"kb: {error}\n")
        sys.exit(USAGE)
    serve_stdio(settings)


def _mend_streams() -> None:
    """Standard streams that are closed are empty; what a narrow encoding can't say is replaced."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        stream = getattr(sys, name)
        if stream is None:
            # The lowest free number is this one: no file that is opened later may get it.
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - a descriptor that stays open
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
