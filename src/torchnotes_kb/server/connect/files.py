"""Writing an entry into a client's file: whole or not at all, with a copy of what was there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torchnotes_kb.errors import ConfigError
from torchnotes_kb.server.connect.clients import Client
from torchnotes_kb.server.connect.jsonc import JsoncError, remove_member, set_member

__all__ = ["snippet", "with_entry", "without_entry", "write"]


def snippet(client: Client, name: str, entry: dict[str, Any]) -> str:
    """The file that holds this entry alone, for a person to merge."""
    return _changed(client, "", name, entry)


def with_entry(client: Client, name: str, entry: dict[str, Any]) -> tuple[str, str]:
    """The client's file before and after the entry was put in.

    Raises:
        ConfigError: the file cannot be read, or is not what the client itself could read.
    """
    before = _read(client)
    return before, _changed(client, before, name, entry)


def without_entry(client: Client, name: str) -> tuple[str, str]:
    """The client's file before and after the entry was taken out.

    Raises:
        ConfigError: the file cannot be read, or is not what the client itself could read.
    """
    before = _read(client)
    return before, _changed(client, before, name, None)


def write(client: Client, before: str, after: str) -> Path | None:
    """Replace the file; returns the copy of the old one, None where there was none.

    Raises:
        ConfigError: somebody else changed it meanwhile, or it cannot be written.
    """
    # A file of dotfiles is often a link: the file it names is replaced, not the link.
    file = client.file.resolve()
    copy = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if _read(client) != before:
            raise ConfigError(str(file), "was changed by another program just now: run this again")
        if file.exists():
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
            copy = file.with_name(f"{file.name}.{stamp}.bak")
            shutil.copy2(file, copy)
        _replace(file, after)
    except OSError as error:
        raise ConfigError(str(file), f"cannot be written: {error.strerror}") from error
    return copy


def _replace(file: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if file.exists():
            shutil.copymode(file, new)
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def _read(client: Client) -> str:
    try:
        return client.file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(str(client.file), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(client.file), "is not UTF-8; nothing was written") from error


def _changed(client: Client, text: str, name: str, entry: dict[str, Any] | None) -> str:
    if client.is_toml:
        return _changed_toml(client, text, name, entry)
    path = (client.container, name)
    try:
        return remove_member(text, path) if entry is None else set_member(text, path, entry)
    except JsoncError as error:
        raise ConfigError(str(client.file), f"is not JSON, {error}; nothing was written") from error


def _changed_toml(client: Client, text: str, name: str, entry: dict[str, Any] | None) -> str:
    import tomlkit  # noqa: PLC0415 - one client of seven
    from tomlkit.exceptions import ParseError  # noqa: PLC0415 - likewise

    try:
        document = tomlkit.parse(text)
    except ParseError as error:
        raise ConfigError(str(client.file), f"is not TOML, {error}; nothing was written") from error
    servers = document.get(client.container)
    if not (servers is None or isinstance(servers, MutableMapping)):
        raise ConfigError(str(client.file), f"{client.container} is no table; nothing was written")
    if entry is None:
        if servers is None or name not in servers:
            return text
        del servers[name]
        if not servers:
            del document[client.container]
        return tomlkit.dumps(document)
    if servers is None:
        servers = tomlkit.table(is_super_table=True)
        document[client.container] = servers
    if servers.get(name) != entry:
        servers[name] = entry
    return tomlkit.dumps(document)
