"""`kb run`: the user's own program, as it is, with its death explained."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from torchnotes_kb.cli.common import guarded, stop

__all__ = ["run"]

CONTEXT = {"allow_interspersed_args": False, "ignore_unknown_options": True}


@guarded
def run(
    program: Annotated[
        list[str],
        typer.Argument(help="SCRIPT or -m MODULE, and its arguments.", metavar="SCRIPT …"),
    ],
    *,
    runtime: Annotated[
        str | None, typer.Option(help="Interpreter to run it with: a path or a name in kb.toml.")
    ] = None,
) -> None:
    """Run your program unsandboxed and explain the exception it dies of, beneath its traceback.

    Arguments, working directory, standard streams, signals and exit code are the program's own.

    \b
    Examples:
      kb run train.py --epochs 3
      kb run --runtime ~/project/.venv/bin/python train.py
      kb run -m mypackage.train
    """
    from torchnotes_kb import bootstrap  # noqa: PLC0415 - its path is all that is needed
    from torchnotes_kb.config import Settings  # noqa: PLC0415 - start-up time

    settings = Settings.from_env(runtime=runtime)
    named = settings.runtimes.get(settings.runtime)
    interpreter = str(named or settings.runtime or sys.executable)
    if not Path(interpreter).expanduser().is_file():
        raise stop(f"runtime {interpreter}: there is no such file")
    if program == ["-m"]:
        raise stop("-m names no module: kb run -m mypackage.train")
    if program[0] != "-m" and not Path(program[0]).is_file():
        raise stop(f"{program[0]}: there is no such file")
    command = [str(Path(interpreter).expanduser()), bootstrap.__file__, sys.executable, *program]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606 - the user's own program
