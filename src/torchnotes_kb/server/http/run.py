"""The process that serves over HTTP: listen, serve, finish what runs, leave."""

from __future__ import annotations

import os
import signal
import socket
import sys
from types import FrameType

import uvicorn

from torchnotes_kb.config import Settings
from torchnotes_kb.errors import ConfigError
from torchnotes_kb.server.http.address import Address, is_loopback
from torchnotes_kb.server.http.app import App
from torchnotes_kb.server.http.logs import log_json
from torchnotes_kb.server.http.tokens import ENVIRONMENT, Tokens
from torchnotes_kb.server.knowledge import Knowledge

__all__ = ["serve_http"]

IDLE_S = 30
"""An idle connection is closed; clients open a new one."""


def serve_http(settings: Settings, address: Address, *, knowledge: Knowledge | None = None) -> None:
    """Serve until a signal comes; then what runs is finished, up to `drain_s`.

    Raises:
        ConfigError: the address is taken or reachable from elsewhere without a token, or the
            tokens cannot be used.
    """
    tokens = Tokens.load(settings.server.token_file, os.environ.get(ENVIRONMENT, ""))
    if not tokens and not is_loopback(address.host):
        raise ConfigError(
            "--http",
            f"{address.host} is reachable from other machines and no token is set: give tokens in "
            f"{ENVIRONMENT} or in token_file under [server] in kb.toml, or listen on 127.0.0.1",
        )
    listener = _listen(address)
    log_json()
    app = App(knowledge or _open(settings), settings, tokens=tokens, address=address)
    config = uvicorn.Config(
        app.asgi,
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=settings.server.connections,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=int(settings.server.drain_s),
        proxy_headers=bool(settings.server.proxies),
        forwarded_allow_ips=list(settings.server.proxies),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again when it has finished; leaving is not a failure.
        signal.signal(number, _finished)
    host, port = listener.getsockname()[:2]
    sys.stderr.write(f"kb: serving http://{Address(host, port)}/ (MCP at /mcp)\n")
    sys.stderr.flush()
    _Server(config, app).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells the application when leaving begins."""

    def __init__(self, config: uvicorn.Config, app: App) -> None:
        super().__init__(config)
        self._leaving = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._leaving.leave()
        super().handle_exit(sig, frame)


def _finished(number: int, frame: FrameType | None) -> None:
    del number, frame


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # asyncio turns Nagle's delay off only for sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise ConfigError("--http", f"cannot listen on {address}: {error.strerror}") from error
    return listener


def _open(settings: Settings) -> Knowledge:
    from torchnotes_kb.kb import KnowledgeBase  # noqa: PLC0415 - tests give their own

    return KnowledgeBase.open(settings)
