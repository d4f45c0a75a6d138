"""Where to listen, and whether that is within this machine."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from torchnotes_kb.errors import ConfigError

__all__ = ["Address", "is_loopback", "is_plain_address", "parse_address"]

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8900
LOOPBACK_NAMES = frozenset({"localhost"})


class Address(NamedTuple):
    """A host and a port; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """As in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """`host:port`, `host`, `:port`, `[v6]:port` or nothing as an address.

    Raises:
        ConfigError: the port is no number from 0 to 65535.

    Example:
        >>> parse_address(""), parse_address("[::1]:80")
        (Address(host='127.0.0.1', port=8900), Address(host='::1', port=80))
    """
    if is_plain_address(text) and ":" in text:
        return Address(text, DEFAULT_PORT)
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "")
    if port and not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ConfigError("--http", f"{text!r} is no host:port")
    return Address(host.strip("[]") or DEFAULT_HOST, int(port) if port else DEFAULT_PORT)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host.lower() in LOOPBACK_NAMES:
        return True
    return is_plain_address(host) and ipaddress.ip_address(host).is_loopback


def is_plain_address(host: str) -> bool:
    """Whether it is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
