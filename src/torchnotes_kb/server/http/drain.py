"""Hanging up and leaving: a client that goes is noticed, a server that goes lets listeners go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Drain"]


class Drain:
    """Sets `scope["state"]["gone"]` when the client of a request has hung up.

    Ends streams that never end by themselves (a client's GET /mcp) once leaving has begun.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Begin; safe to call twice."""
        self._leaving.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; a stream that listens is told that its client has gone."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        gone = scope.setdefault("state", {})["gone"] = asyncio.Event()

        async def watched() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                gone.set()
            return message

        listens = scope["method"] == "GET" and scope["path"] == "/mcp"
        await self._app(scope, self._until_leaving(watched) if listens else watched, send)

    def _until_leaving(self, receive: Receive) -> Receive:
        async def next_message() -> Message:
            waiting = asyncio.ensure_future(_as_coroutine(receive()))
            leaving = asyncio.ensure_future(self._leaving.wait())
            try:
                await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
                return waiting.result() if waiting.done() else {"type": "http.disconnect"}
            finally:
                waiting.cancel()
                leaving.cancel()

        return next_message


async def _as_coroutine(message: Awaitable[Message]) -> Message:
    return await message
