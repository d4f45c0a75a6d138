"""The commands of `kb`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from torchnotes_kb import __version__
from torchnotes_kb.cli.connect import connect
from torchnotes_kb.cli.doctor import doctor
from torchnotes_kb.cli.eval import evaluate
from torchnotes_kb.cli.explain import explain
from torchnotes_kb.cli.index import index
from torchnotes_kb.cli.lint import lint
from torchnotes_kb.cli.query import query
from torchnotes_kb.cli.run import CONTEXT
from torchnotes_kb.cli.run import run as run_program
from torchnotes_kb.cli.serve import serve
from torchnotes_kb.cli.show import show
from torchnotes_kb.cli.verify import verify

__all__ = ["app", "run"]

app = typer.Typer(
    name="kb",
    help="What is this PyTorch error, and what is the right way to do it? "
    "Answers that were proven by running them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def _version(value: bool) -> None:  # noqa: FBT001 - typer's callback
    if value:
        typer.echo(f"torchnotes-kb {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    del version


for command in (query, explain, show, verify, index, lint, serve, connect, doctor):
    app.command()(command)
app.command("eval")(evaluate)
app.command("run", context_settings=CONTEXT)(run_program)


def run() -> None:
    """Run the command line and exit."""
    app()
