"""`kb connect`: enter this server into an assistant's configuration."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torchnotes_kb.cli.common import Exit, guarded, one_of, stop, warn

if TYPE_CHECKING:
    from torchnotes_kb.server.connect.clients import Client

__all__ = ["connect"]

NAME = "torchnotes"
CLIENTS = "claude-code, claude-desktop, cursor, vscode, codex, gemini or zed"


@guarded
def connect(
    client: Annotated[str, typer.Argument(help=f"One of {CLIENTS}.")],
    *,
    write: Annotated[bool, typer.Option("--write", help="Put it into the client's file.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take it out of that file.")] = False,
    name: Annotated[str, typer.Option(help="What the client calls this server.")] = NAME,
    file: Annotated[
        Path | None, typer.Option(help="Another file than the client's own, e.g. a project's.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="A server that runs already: http://HOST:8900/mcp.")
    ] = None,
    token_variable: Annotated[
        str, typer.Option(help="Variable of the client's environment that holds the token.")
    ] = "",
) -> int:
    """Print what an assistant needs to use these notes, or write it into its own file.

    Nothing else in that file changes, comments included; the old file is kept beside it.

    \b
    Examples:
      kb connect claude-code
      kb connect vscode --write
      kb connect claude-code --write --file .mcp.json
      kb connect codex --url https://kb.example.com/mcp --token-variable KB_TOKEN --write
      kb connect zed --remove
    """
    from torchnotes_kb.server.connect.clients import (  # noqa: PLC0415 - start-up time
        ClientName,
        Server,
        client_named,
        here,
    )

    if write and remove:
        raise stop("--write and --remove: choose one")
    if token_variable and not url:
        raise stop("--token-variable is for a server that runs already: give its --url")
    if url and not url.startswith(("http://", "https://")):
        raise stop(f"--url {url}: begins with neither http:// nor https://")
    wanted = one_of(ClientName, client, "connect") or ClientName.CLAUDE_CODE
    found = client_named(wanted, home=Path.home(), env=os.environ)
    if file is not None:
        from dataclasses import replace  # noqa: PLC0415 - likewise

        found = replace(found, file=file)
    if remove:
        return _remove(found, name)
    server = Server(url=url, token_variable=token_variable, env={}) if url else here()
    entry = found.entry(server)
    return _write(found, name, entry) if write else _print(found, name, entry)


def _print(client: Client, name: str, entry: dict[str, Any]) -> int:
    from torchnotes_kb.server.connect.files import snippet  # noqa: PLC0415 - start-up time

    warn(f"merge this into {client.file}, or run this again with --write")
    sys.stdout.write(snippet(client, name, entry))
    return Exit.OK


def _write(client: Client, name: str, entry: dict[str, Any]) -> int:
    from torchnotes_kb.server.connect.files import with_entry, write  # noqa: PLC0415 - likewise

    before, after = with_entry(client, name, entry)
    if before == after:
        warn(f"{client.file} has it already")
        return Exit.OK
    copy = write(client, before, after)
    warn(f"wrote {client.file}" + (f"; the old one is {copy}" if copy else ""))
    warn(f"restart {client.name} to see {name}")
    return Exit.OK


def _remove(client: Client, name: str) -> int:
    from torchnotes_kb.server.connect.files import without_entry, write  # noqa: PLC0415 - likewise

    before, after = without_entry(client, name)
    if before == after:
        warn(f"{client.file} has no {name}")
        return Exit.NOTHING
    copy = write(client, before, after)
    warn(f"took {name} out of {client.file}; the old one is {copy}")
    return Exit.OK
