"""How the tests reach the server, and how they wait."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import uvicorn
from mcp import Client
from mcp.types import CallToolResult, TextContent

from torchnotes_kb.config import ServerSettings, Settings
from torchnotes_kb.server.build import build_server
from torchnotes_kb.server.gate import Gate
from torchnotes_kb.server.http.address import Address
from torchnotes_kb.server.http.app import App
from torchnotes_kb.server.http.tokens import Tokens
from torchnotes_kb.server.service import Service

from .fakes import FakeKnowledge

MOST_S = 20.0
"""A test that waits this long has failed."""


@asynccontextmanager
async def connected(
    knowledge: FakeKnowledge, *, era: Any = "auto", slots: int = 1, queue: int = 4
) -> AsyncIterator[Client]:
    """A client in memory, of the era of `initialize` or of the one after it."""
    settings = Settings(workers=slots)
    service = Service(knowledge, settings, gate=Gate(slots=slots, queue=queue))
    try:
        async with Client(build_server(service), mode=era) as client:
            yield client
    finally:
        service.close()


def text_of(result: CallToolResult) -> str:
    """The one block of text that every tool answers with."""
    assert len(result.content) == 1
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until another thread or process has got there."""
    with anyio.fail_after(MOST_S):
        while not holds():  # noqa: ASYNC110 - what is waited for is no coroutine's
            await anyio.sleep(0.002)


class Served:
    """A server on a free port of this machine, in this process."""

    def __init__(self, server: uvicorn.Server, app: App, port: int) -> None:
        self.server, self.app, self.port = server, app, port
        self.url = f"http://127.0.0.1:{port}"

    def http(self, **options: Any) -> httpx2.AsyncClient:
        """A plain HTTP client of it."""
        return httpx2.AsyncClient(base_url=self.url, **options)


@asynccontextmanager
async def serving(
    knowledge: FakeKnowledge, *, tokens: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[Served]:
    """Serve over HTTP as `kb serve --http` does, with these `[server]` options."""
    settings = Settings(workers=options.pop("workers", 2), server=ServerSettings(**options))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    address = Address(*listener.getsockname())
    app = App(knowledge, settings, tokens=Tokens(tokens), address=address)
    config = uvicorn.Config(app.asgi, log_config=None, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    serve = asyncio.ensure_future(server._serve([listener]))
    try:
        await eventually(lambda: server.started)
        yield Served(server, app, address.port)
    finally:
        app.leave()
        server.should_exit = True
        with anyio.CancelScope(shield=True):
            await serve
        listener.close()
