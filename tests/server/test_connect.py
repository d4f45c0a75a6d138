"""An entry is put into a client's file and nothing else of it changes."""
# ruff: noqa: E501 - paths in snapshots

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from torchnotes_kb.errors import ConfigError
from torchnotes_kb.server.connect.clients import Client, ClientName, Server, client_named, here
from torchnotes_kb.server.connect.files import snippet, with_entry, without_entry, write
from torchnotes_kb.server.connect.jsonc import JsoncError, get_member, remove_member, set_member

LOCAL = Server(command="/opt/kb/bin/kb", args=("serve",), env={})
REMOTE = Server(url="https://kb.example.com/mcp", token_variable="KB_TOKEN", env={})  # noqa: S106 - a variable's name

COMMENTED = """\
// Settings of mine
{
  "theme": "One Dark", // dark at night
  /* fonts */
  "buffer_font_size": 15,
  "context_servers": {
    // the other one
    "other": { "command": "x", "args": ["a // b", "]"] }, // keep
  },
  "last": [1, 2, {"a": "}"}] // no comma
}
"""


def client(name: ClientName, home: Path, platform: str = "linux") -> Client:
    return client_named(name, home=home, env={}, platform=platform)


def connect(it: Client, server: Server = LOCAL) -> Path | None:
    before, after = with_entry(it, "torchnotes", it.entry(server))
    return write(it, before, after)


@pytest.mark.parametrize("name", list(ClientName))
def test_what_is_printed_is_what_the_client_reads(tmp_path: Path, name: ClientName) -> None:
    it = client(name, tmp_path)
    text = snippet(it, "torchnotes", it.entry(LOCAL))
    read = tomllib.loads(text) if it.is_toml else json.loads(text)
    assert read[it.container]["torchnotes"]["command"] == "/opt/kb/bin/kb"
    assert read[it.container]["torchnotes"]["args"] == ["serve"]


def test_entries_are_in_each_clients_own_form(tmp_path: Path) -> None:
    entries = {name.value: client(name, tmp_path).entry(LOCAL) for name in ClientName}
    assert entries == snapshot(
        {
            "claude-code": {"type": "stdio", "command": "/opt/kb/bin/kb", "args": ["serve"]},
            "claude-desktop": {"command": "/opt/kb/bin/kb", "args": ["serve"]},
            "cursor": {"type": "stdio", "command": "/opt/kb/bin/kb", "args": ["serve"]},
            "vscode": {"type": "stdio", "command": "/opt/kb/bin/kb", "args": ["serve"]},
            "codex": {
                "command": "/opt/kb/bin/kb",
                "args": ["serve"],
                "startup_timeout_sec": 30,
                "tool_timeout_sec": 120,
            },
            "gemini": {"command": "/opt/kb/bin/kb", "args": ["serve"]},
            "zed": {"command": "/opt/kb/bin/kb", "args": ["serve"]},
        }
    )


def test_entries_of_a_running_server_are_in_each_clients_own_form(tmp_path: Path) -> None:
    refused = {ClientName.CLAUDE_DESKTOP, ClientName.ZED}
    entries = {
        name.value: client(name, tmp_path).entry(REMOTE)
        for name in ClientName
        if name not in refused
    }
    assert entries == snapshot(
        {
            "claude-code": {
                "type": "http",
                "url": "https://kb.example.com/mcp",
                "headers": {"Authorization": "Bearer ${KB_TOKEN}"},
            },
            "cursor": {
                "type": "http",
                "url": "https://kb.example.com/mcp",
                "headers": {"Authorization": "Bearer ${env:KB_TOKEN}"},
            },
            "vscode": {
                "type": "http",
                "url": "https://kb.example.com/mcp",
                "headers": {"Authorization": "Bearer ${env:KB_TOKEN}"},
            },
            "codex": {
                "url": "https://kb.example.com/mcp",
                "tool_timeout_sec": 120,
                "bearer_token_env_var": "KB_TOKEN",
            },
            "gemini": {
                "httpUrl": "https://kb.example.com/mcp",
                "headers": {"Authorization": "Bearer ${KB_TOKEN}"},
            },
        }
    )
    for name in refused:
        with pytest.raises(ConfigError):
            client(name, tmp_path).entry(REMOTE)


@pytest.mark.parametrize(
    ("name", "variable", "file"),
    [
        (ClientName.CLAUDE_CODE, "CLAUDE_CONFIG_DIR", "/elsewhere/.claude.json"),
        (ClientName.CODEX, "CODEX_HOME", "/elsewhere/config.toml"),
        (ClientName.ZED, "XDG_CONFIG_HOME", "/elsewhere/zed/settings.json"),
    ],
)
def test_a_file_that_its_user_has_moved_is_found(
    name: ClientName, variable: str, file: str
) -> None:
    env = {variable: "/elsewhere"}
    found = client_named(name, home=Path("/home/me"), env=env, platform="linux")
    assert found.file.as_posix() == file


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_files_are_where_the_clients_keep_them(platform: str) -> None:
    files = {
        name.value: client(name, Path("/home/me"), platform).file.as_posix() for name in ClientName
    }
    assert (
        files
        == {
            "linux": snapshot(
                {
                    "claude-code": "/home/me/.claude.json",
                    "claude-desktop": "/home/me/.config/Claude/claude_desktop_config.json",
                    "cursor": "/home/me/.cursor/mcp.json",
                    "vscode": "/home/me/.config/Code/User/mcp.json",
                    "codex": "/home/me/.codex/config.toml",
                    "gemini": "/home/me/.gemini/settings.json",
                    "zed": "/home/me/.config/zed/settings.json",
                }
            ),
            "darwin": snapshot(
                {
                    "claude-code": "/home/me/.claude.json",
                    "claude-desktop": "/home/me/Library/Application Support/Claude/claude_desktop_config.json",
                    "cursor": "/home/me/.cursor/mcp.json",
                    "vscode": "/home/me/Library/Application Support/Code/User/mcp.json",
                    "codex": "/home/me/.codex/config.toml",
                    "gemini": "/home/me/.gemini/settings.json",
                    "zed": "/home/me/.config/zed/settings.json",
                }
            ),
            "win32": snapshot(
                {
                    "claude-code": "/home/me/.claude.json",
                    "claude-desktop": "/home/me/AppData/Roaming/Claude/claude_desktop_config.json",
                    "cursor": "/home/me/.cursor/mcp.json",
                    "vscode": "/home/me/AppData/Roaming/Code/User/mcp.json",
                    "codex": "/home/me/.codex/config.toml",
                    "gemini": "/home/me/.gemini/settings.json",
                    "zed": "/home/me/AppData/Roaming/Zed/settings.json",
                }
            ),
        }[platform]
    )


def test_comments_and_commas_of_others_stay(tmp_path: Path) -> None:
    it = client(ClientName.ZED, tmp_path)
    it.file.parent.mkdir(parents=True)
    it.file.write_text(COMMENTED, encoding="utf-8")
    connect(it)
    assert it.file.read_text(encoding="utf-8") == snapshot("""\
// Settings of mine
{
  "theme": "One Dark", // dark at night
  /* fonts */
  "buffer_font_size": 15,
  "context_servers": {
    // the other one
    "other": { "command": "x", "args": ["a // b", "]"] }, // keep
    "torchnotes": {
      "command": "/opt/kb/bin/kb",
      "args": [
        "serve"
      ]
    },
  },
  "last": [1, 2, {"a": "}"}] // no comma
}
""")


@pytest.mark.parametrize("name", list(ClientName))
def test_connecting_twice_changes_nothing_the_second_time(tmp_path: Path, name: ClientName) -> None:
    it = client(name, tmp_path)
    connect(it)
    before, after = with_entry(it, "torchnotes", it.entry(LOCAL))
    assert before == after


@pytest.mark.parametrize("text", [COMMENTED, COMMENTED.replace('},\n  "last', '}, "last')])
def test_removing_gives_back_every_byte(tmp_path: Path, text: str) -> None:
    it = client(ClientName.ZED, tmp_path)
    it.file.parent.mkdir(parents=True)
    it.file.write_text(text, encoding="utf-8")
    connect(it)
    write(it, *without_entry(it, "torchnotes"))
    assert it.file.read_text(encoding="utf-8") == text


def test_toml_of_others_stays(tmp_path: Path) -> None:
    it = client(ClientName.CODEX, tmp_path)
    it.file.parent.mkdir(parents=True)
    text = '# mine\nmodel = "x"  # fast\n\n[mcp_servers.other]\ncommand = "y"\n\n[tui]\na = 1\n'
    it.file.write_text(text, encoding="utf-8")
    connect(it)
    connected = it.file.read_text(encoding="utf-8")
    assert tomllib.loads(connected)["mcp_servers"]["torchnotes"]["args"] == ["serve"]
    assert all(line in connected for line in text.splitlines())
    write(it, *without_entry(it, "torchnotes"))
    assert tomllib.loads(it.file.read_text(encoding="utf-8")) == tomllib.loads(text)


def test_the_old_file_is_kept_and_its_mode_too(tmp_path: Path) -> None:
    it = client(ClientName.CURSOR, tmp_path)
    it.file.parent.mkdir(parents=True)
    it.file.write_text('{"mcpServers": {}}', encoding="utf-8")
    it.file.chmod(0o600)
    copy = connect(it)
    assert copy is not None
    assert copy.read_text(encoding="utf-8") == '{"mcpServers": {}}'
    assert it.file.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in it.file.parent.iterdir()} == {it.file.name, copy.name}


def test_two_changes_in_a_row_keep_two_copies(tmp_path: Path) -> None:
    it = client(ClientName.CURSOR, tmp_path)
    it.file.parent.mkdir(parents=True)
    it.file.write_text('{"mine": 1}', encoding="utf-8")
    first = connect(it)
    second = write(it, *without_entry(it, "torchnotes"))
    assert first is not None
    assert second is not None
    assert first.read_text(encoding="utf-8") == '{"mine": 1}'
    assert "torchnotes" in second.read_text(encoding="utf-8")


def test_a_linked_file_stays_a_link(tmp_path: Path) -> None:
    it = client(ClientName.CURSOR, tmp_path)
    it.file.parent.mkdir(parents=True)
    target = tmp_path / "dotfiles.json"
    target.write_text("{}", encoding="utf-8")
    it.file.symlink_to(target)
    connect(it)
    assert it.file.is_symlink()
    assert "torchnotes" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "line 1"), ('{\n"mcpServers": []}', "line 2: an object"), ("{} x", "line 1: something")],
)
def test_a_file_that_is_not_json_is_left_alone(tmp_path: Path, text: str, problem: str) -> None:
    it = client(ClientName.CURSOR, tmp_path)
    it.file.parent.mkdir(parents=True)
    it.file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=problem):
        connect(it)
    assert it.file.read_text(encoding="utf-8") == text


def test_a_change_by_another_program_is_not_written_over(tmp_path: Path) -> None:
    it = client(ClientName.CURSOR, tmp_path)
    before, after = with_entry(it, "torchnotes", it.entry(LOCAL))
    it.file.parent.mkdir(parents=True)
    it.file.write_text('{"new": 1}', encoding="utf-8")
    with pytest.raises(ConfigError, match="changed by another program"):
        write(it, before, after)
    assert it.file.read_text(encoding="utf-8") == '{"new": 1}'


@pytest.mark.parametrize("text", ["mcp_servers = 3\n", "[[mcp_servers]]\na = 1\n"])
def test_a_toml_file_whose_servers_are_no_table_is_left_alone(tmp_path: Path, text: str) -> None:
    it = client(ClientName.CODEX, tmp_path)
    it.file.parent.mkdir(parents=True)
    it.file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="mcp_servers is no table"):
        connect(it)
    with pytest.raises(ConfigError, match="mcp_servers is no table"):
        without_entry(it, "torchnotes")
    assert it.file.read_text(encoding="utf-8") == text


def test_settings_go_into_the_entry_and_hold_in_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        "KB_INDEX": "idx",
        "KB_CONFIG": "/etc/kb.toml",
        "KB_RUNTIME": ".venv/bin/python",
        "KB_WORKERS": "4",
        "KB_HOME": "",
    }
    assert here(given).env == {
        "KB_CONFIG": "/etc/kb.toml",
        "KB_INDEX": str(tmp_path / "idx"),
        "KB_RUNTIME": str(tmp_path / ".venv/bin/python"),
        "KB_WORKERS": "4",
    }
    assert here({"KB_RUNTIME": "mine"}).env == {"KB_RUNTIME": "mine"}


def test_secrets_in_the_environment_stay_out_of_the_entry() -> None:
    # docs/mcp.md names KB_TOKEN as a variable that holds a token for another server.
    assert here({"KB_TOKENS": "me=0123456789abcdef", "KB_TOKEN": "0123456789abcdef"}).env == {}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4), st.sampled_from([None, 2, "\t"]))
def test_any_json_keeps_its_other_members(document: dict[str, object], indent: object) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=False)  # type: ignore[arg-type]
    if not isinstance(document.get("servers", {}), dict):
        with pytest.raises(JsoncError):
            set_member(text, ("servers", "kb"), {"a": 1})
        return
    changed = set_member(text, ("servers", "kb"), {"a": [1, {"b": "c"}]})
    servers = {**document.get("servers", {}), "kb": {"a": [1, {"b": "c"}]}}  # type: ignore[dict-item]
    assert json.loads(changed) == {**document, "servers": servers}
    assert json.loads(get_member(changed, ("servers", "kb")) or "") == {"a": [1, {"b": "c"}]}
    del servers["kb"]
    assert json.loads(remove_member(changed, ("servers", "kb"))) == {**document, "servers": servers}
