"""Named bearer tokens: read from a file or the environment, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torchnotes_kb.errors import ConfigError

__all__ = ["ENVIRONMENT", "Tokens"]

ENVIRONMENT = "KB_TOKENS"
SHORTEST = 16
"""Characters; a token is a password that a program types, so nothing speaks for a short one."""
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


class Tokens:
    """Who may come in. Keeps digests only."""

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        self._digests = {name: _digest(token) for name, token in (tokens or {}).items()}

    @classmethod
    def load(cls, file: Path | None, environment: str = "") -> Tokens:
        """Read `name: token` lines of a file and `name=token,…` of an environment variable.

        Raises:
            ConfigError: the file cannot be read, a line is not in that form, a name is given
                twice, or a token is too short.
        """
        pairs: list[tuple[str, str, str]] = []
        if file is not None:
            pairs += _from_lines(str(file), _read(file).splitlines(), ":")
        pairs += _from_lines(ENVIRONMENT, environment.split(","), "=")
        tokens: dict[str, str] = {}
        for source, name, token in pairs:
            if name in tokens:
                raise ConfigError(source, f"the name {name!r} is given twice")
            tokens[name] = token
        return cls(tokens)

    def __bool__(self) -> bool:
        """Whether a token is asked for at all."""
        return bool(self._digests)

    def name_of(self, token: str) -> str | None:
        """Whose token it is. Takes the same time whichever it is, and if it is none."""
        digest, found = _digest(token), None
        for name, known in self._digests.items():
            if hmac.compare_digest(known, digest):
                found = name
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(file), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), "is not UTF-8") from error


def _from_lines(source: str, lines: Iterable[str], mark: str) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, token = (part.strip() for part in line.partition(mark))
        if NAME.fullmatch(name) is None or len(token) < SHORTEST or not token.isascii():
            # The line itself is not shown: it may be a token.
            wanted = f"`name{mark} token`, the token of at least {SHORTEST} ASCII characters"
            raise ConfigError(source, f"entry {number} is not {wanted}")
        found.append((source, name, token))
    return found
