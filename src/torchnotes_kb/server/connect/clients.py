"""Assistants that speak MCP: where each keeps its configuration and how an entry looks there.

From the clients' own documentation and, for Claude Code, Codex and Gemini CLI, from what their
`mcp add` writes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from torchnotes_kb.config import VARIABLES
from torchnotes_kb.errors import ConfigError

__all__ = ["Client", "ClientName", "Server", "client_named", "here"]

CODEX_START_S = 30
"""Codex gives a server 10 s to start unless told otherwise; a cold disk can need them."""
CODEX_CALL_S = 120
PATHS = frozenset({"KB_CONFIG", "KB_CORPUS", "KB_HOME", "KB_INDEX"})


class ClientName(StrEnum):
    """The assistants that `kb connect` knows."""

    CLAUDE_CODE = "claude-code"
    CLAUDE_DESKTOP = "claude-desktop"
    CURSOR = "cursor"
    VSCODE = "vscode"
    CODEX = "codex"
    GEMINI = "gemini"
    ZED = "zed"


@dataclass(frozen=True, kw_only=True)
class Server:
    """How this server is reached: a command to start, or the URL of one that runs."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str]
    url: str = ""
    token_variable: str = ""
    """Environment variable of the client's that holds the token."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One assistant."""

    name: ClientName
    file: Path
    container: str
    """The member of the file that holds the servers by name."""
    is_toml: bool = False

    def entry(self, server: Server) -> dict[str, Any]:
        """What stands under the server's name.

        Raises:
            ConfigError: this client cannot reach a server by URL.
        """
        return self._by_url(server) if server.url else self._by_command(server)

    def _by_command(self, server: Server) -> dict[str, Any]:
        started: dict[str, Any] = {"command": server.command, "args": list(server.args)}
        if server.env:
            started["env"] = dict(server.env)
        if self.name in {ClientName.CLAUDE_CODE, ClientName.CURSOR, ClientName.VSCODE}:
            return {"type": "stdio"} | started
        if self.name is ClientName.CODEX:
            waits = {"startup_timeout_sec": CODEX_START_S, "tool_timeout_sec": CODEX_CALL_S}
            return started | waits
        return started

    def _by_url(self, server: Server) -> dict[str, Any]:
        variable = server.token_variable
        if self.name is ClientName.CLAUDE_DESKTOP:
            raise ConfigError(
                "--url", "Claude Desktop takes URLs in Settings → Connectors, not in its file"
            )
        if self.name is ClientName.CODEX:
            token = {"bearer_token_env_var": variable} if variable else {}
            return {"url": server.url, "tool_timeout_sec": CODEX_CALL_S} | token
        place = "httpUrl" if self.name is ClientName.GEMINI else "url"
        entry: dict[str, Any] = {place: server.url}
        if self.name in {ClientName.CLAUDE_CODE, ClientName.CURSOR, ClientName.VSCODE}:
            entry = {"type": "http"} | entry
        if variable:
            entry["headers"] = {"Authorization": f"Bearer {self._expanded(variable)}"}
        return entry

    def _expanded(self, variable: str) -> str:
        """How this client is told to take a value from its environment."""
        if self.name in {ClientName.CURSOR, ClientName.VSCODE}:
            return f"${{env:{variable}}}"
        if self.name is ClientName.ZED:
            raise ConfigError(
                "--token-variable",
                "Zed takes no variables in its settings: leave this out and write the token there",
            )
        return f"${{{variable}}}"


def client_named(
    name: ClientName, *, home: Path, env: Mapping[str, str], platform: str = sys.platform
) -> Client:
    """A client with the path of its file on this system."""
    config = _config_dir(home, env, platform)
    files: dict[ClientName, tuple[Path, str]] = {
        ClientName.CLAUDE_CODE: (
            Path(env.get("CLAUDE_CONFIG_DIR") or home) / ".claude.json",
            "mcpServers",
        ),
        ClientName.CLAUDE_DESKTOP: (config / "Claude/claude_desktop_config.json", "mcpServers"),
        ClientName.CURSOR: (home / ".cursor/mcp.json", "mcpServers"),
        ClientName.VSCODE: (config / "Code/User/mcp.json", "servers"),
        ClientName.CODEX: (
            Path(env.get("CODEX_HOME") or home / ".codex") / "config.toml",
            "mcp_servers",
        ),
        ClientName.GEMINI: (home / ".gemini/settings.json", "mcpServers"),
        ClientName.ZED: (_zed_dir(home, config, platform) / "settings.json", "context_servers"),
    }
    file, container = files[name]
    is_toml = name is ClientName.CODEX
    return Client(name=name, file=file, container=container, is_toml=is_toml)


def _config_dir(home: Path, env: Mapping[str, str], platform: str) -> Path:
    if platform == "darwin":
        return home / "Library/Application Support"
    if platform == "win32":
        return Path(env.get("APPDATA") or home / "AppData/Roaming")
    return Path(env.get("XDG_CONFIG_HOME") or home / ".config")


def _zed_dir(home: Path, config: Path, platform: str) -> Path:
    if platform == "darwin":
        return home / ".config/zed"
    return config / ("Zed" if platform == "win32" else "zed")


def here(env: Mapping[str, str] = os.environ) -> Server:
    """This installation, as a command that needs no PATH, directory or activated environment.

    Variables that are settings go with it, their paths made absolute. Nothing else does: a
    variable of the user's own, such as one for `--token-variable`, may hold a secret.
    """
    script = Path(sys.executable).parent / ("kb.exe" if sys.platform == "win32" else "kb")
    given = {name: env[name] for name in sorted(VARIABLES) if env.get(name)}
    env = {name: _from_anywhere(name, value) for name, value in given.items()}
    if script.is_file():
        return Server(command=str(script), args=("serve",), env=env)
    return Server(command=sys.executable, args=("-m", "torchnotes_kb", "serve"), env=env)


def _from_anywhere(name: str, value: str) -> str:
    """A value that means the same in whatever directory the client starts the server."""
    is_path = name in PATHS or (name == "KB_RUNTIME" and os.sep in value)
    return str(Path(value).absolute()) if is_path else value
