"""`kb serve`: the MCP server, over standard input and output or over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from torchnotes_kb.cli.common import guarded, stop

__all__ = ["serve"]

DEFAULT = "127.0.0.1:8900"


@guarded
def serve(
    address: Annotated[
        str | None,
        typer.Argument(metavar="[HOST:PORT]", help=f"Where --http listens [default: {DEFAULT}]."),
    ] = None,
    *,
    http: Annotated[
        bool, typer.Option("--http", help="Streamable HTTP, with a page for people at /.")
    ] = False,
    runtime: Annotated[
        str | None, typer.Option(help="Interpreter that snippets run in: a path or a name.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Runs at the same time [default: 2].")
    ] = None,
) -> None:
    """Serve MCP to assistants, over standard input and output or over HTTP.

    Other machines reach it only with a token: KB_TOKENS=name=token,… or token_file under [server]
    in kb.toml. Exit code 2 when it is refused, 3 when this machine cannot.

    \b
    Examples:
      kb serve
      kb serve --http
      KB_TOKENS=team=$(openssl rand -hex 24) kb serve --http 0.0.0.0:8900
      kb connect claude-code --write
    """
    from torchnotes_kb.config import Settings  # noqa: PLC0415 - start-up time

    settings = Settings.from_env(runtime=runtime, workers=workers, prove_sandbox=True)
    if http:
        from torchnotes_kb.server.http.address import parse_address  # noqa: PLC0415 - likewise
        from torchnotes_kb.server.http.run import serve_http  # noqa: PLC0415 - likewise

        serve_http(settings, parse_address(address or ""))
        return
    if address is not None:
        raise stop(f"{address}: an address needs --http")
    from torchnotes_kb.server.stdio import serve_stdio  # noqa: PLC0415 - start-up time

    serve_stdio(settings)
