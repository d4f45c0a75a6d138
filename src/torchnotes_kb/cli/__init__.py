"""The `kb` command, one module a command group."""

from __future__ import annotations

import gc
import sys

__all__ = ["main"]


def main() -> None:
    """Run `kb` with the arguments of this process; never returns."""
    # Imports make objects that stay; looking through them again and again is an eighth of a query.
    gc.set_threshold(100_000, 20, 20)
    if sys.argv[1:] == ["serve"]:
        # An assistant waits for the first answer: only the SDK is imported before it.
        from torchnotes_kb.config import Settings  # noqa: PLC0415 - see above
        from torchnotes_kb.server.stdio import serve_stdio  # noqa: PLC0415 - see above

        serve_stdio(Settings.from_env(prove_sandbox=True))
    from torchnotes_kb.cli.app import run  # noqa: PLC0415 - see above

    run()
