"""Settings, read once at the edge: defaults < kb.toml < KB_* environment < flags.

`kb.toml` is the file named by `KB_CONFIG`, else `./kb.toml`, else the one in the user's
configuration directory. Nothing below the adapters reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from torchnotes_kb.errors import ConfigError
from torchnotes_kb.values import Frozen

__all__ = ["BUNDLED_ENCODER", "VARIABLES", "Limits", "ServerSettings", "Settings"]

BUNDLED_ENCODER = "e5-small"
"""The encoder that ships with the package and needs no network."""
NAMES = ("corpus", "index", "home", "encoder", "runtime", "isolation", "workers")
"""Settings that a variable of the environment can give."""
VARIABLES = frozenset({"KB_CONFIG", *(f"KB_{name.upper()}" for name in NAMES)})
"""Of the environment; `KB_TOKENS`, which the server reads for itself, holds secrets."""


class Limits(Frozen):
    """What one run may use. Lower values are anyone's to ask for; higher ones the operator's."""

    wall_s: float = Field(default=10.0, gt=0, le=3600)
    cpu_s: float = Field(default=10.0, gt=0, le=3600)
    memory_mib: int = Field(default=1024, ge=64)
    """Of the whole tree of processes, with its tmpfs and shared memory."""
    disk_mib: int = Field(default=256, ge=1)
    processes: int = Field(default=64, ge=1)
    open_files: int = Field(default=512, ge=16)
    output_mib: float = Field(default=1.0, gt=0)
    """Of stdout and of stderr, each."""
    source_mib: float = Field(default=1.0, gt=0)

    def capped(self, ceiling: Limits) -> Limits:
        """These limits, none of them above the ceiling's."""
        mine, most = self.model_dump(), ceiling.model_dump()
        return Limits(**{name: min(value, most[name]) for name, value in mine.items()})


class ServerSettings(Frozen):
    """What the operator of `kb serve --http` can choose: the table `[server]` of kb.toml."""

    token_file: Path | None = None
    """Lines of `name: token`. Tokens may also come in `KB_TOKENS`, as `name=token,…`."""
    hosts: tuple[str, ...] = ()
    """Names that clients reach the server by, besides loopback and plain addresses."""
    origins: tuple[str, ...] = ()
    """Other origins whose pages may call the server, e.g. `https://tools.example.com`."""
    proxies: tuple[str, ...] = ()
    """Addresses of reverse proxies whose `X-Forwarded-For` and `-Proto` are believed."""
    body_mib: float = Field(default=4.0, gt=0)
    """Of one request."""
    connections: int = Field(default=512, ge=1)
    """Open at the same time; more are told to come back."""
    verify_queue: int = Field(default=32, ge=0)
    """Runs that may wait for a worker, of all clients together."""
    verify_per_client: int = Field(default=8, ge=0)
    """Runs that one client may have running or waiting; 0: no limit."""
    verify_per_minute: int = Field(default=120, ge=0)
    """Runs that one client may start in a minute; 0: no limit."""
    drain_s: float = Field(default=30.0, ge=0)
    """How long a shutdown waits for what is running."""
    log_snippets: bool = False
    """Whether the log carries the code that is run."""


class Settings(Frozen):
    """Everything that a person or an operator can choose."""

    corpus: Path | None = None
    """Directory of notes; None: the bundled ones."""
    index: Path | None = None
    """Directory of the index; None: the bundled one."""
    home: Path | None = None
    """Directory of the user's own pages, their index and proofs; None: the platform's place."""
    encoder: str = BUNDLED_ENCODER
    """`e5-small`, or `sentence-transformers:MODEL_OR_PATH`."""
    runtime: str = ""
    """Path of an interpreter, or a name in `runtimes`; empty: the one that runs `kb`."""
    runtimes: Mapping[str, Path] = Field(default_factory=dict)
    limits: Limits = Limits()
    """What a run gets unless its caller asks for less."""
    ceiling: Limits = Limits(wall_s=60, cpu_s=120, memory_mib=4096)
    """What a caller may ask for at most; only this configuration raises it."""
    isolation: str = "namespaces"
    """`namespaces`, or a weaker mode that docs/sandbox.md names."""
    prove_sandbox: bool = False
    """Attack every wall of the sandbox before the first run; servers always do."""
    workers: int = Field(default=2, ge=1, le=64)
    """Runs at the same time, in the server."""
    server: ServerSettings = ServerSettings()
    """Of `kb serve --http`."""

    @classmethod
    def from_env(
        cls,
        env: Mapping[str, str] = os.environ,
        **flags: Any,  # noqa: ANN401 - any field's value
    ) -> Settings:
        """Settings of this process.

        Args:
            env: The environment; `KB_CORPUS`, `KB_INDEX`, `KB_HOME`, `KB_ENCODER`,
                `KB_RUNTIME`, `KB_ISOLATION`, `KB_WORKERS` and `KB_CONFIG` are read.
            flags: Fields given on the command line; None means not given.

        Raises:
            ConfigError: a file cannot be read or a value cannot be used.
        """
        path = _config_file(env)
        values: dict[str, Any] = _read_toml(path) if path else {}
        source = str(path) if path else "settings"
        for name in NAMES:
            if value := env.get(f"KB_{name.upper()}"):
                values[name] = value
                source += f", KB_{name.upper()}"
        values |= {name: value for name, value in flags.items() if value is not None}
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigError(source, f"{where}: {first['msg']}") from error


def _config_file(env: Mapping[str, str]) -> Path | None:
    if named := env.get("KB_CONFIG"):
        return Path(named)
    here = Path("kb.toml")
    if here.is_file():
        return here
    import platformdirs  # noqa: PLC0415 - only where no file is nearer

    user = Path(platformdirs.user_config_dir("torchnotes-kb")) / "kb.toml"
    return user if user.is_file() else None


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - most runs have no file

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"is not TOML: {error}") from error
