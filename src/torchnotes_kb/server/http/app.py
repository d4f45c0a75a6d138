"""Everything that is served over HTTP, as one ASGI application."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator

from mcp.server.transport_security import RequestBodyLimitMiddleware, TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from torchnotes_kb.config import Settings
from torchnotes_kb.server.build import build_server
from torchnotes_kb.server.gate import Gate
from torchnotes_kb.server.http.address import Address
from torchnotes_kb.server.http.calls import log_calls
from torchnotes_kb.server.http.door import Door
from torchnotes_kb.server.http.drain import Drain
from torchnotes_kb.server.http.health import Health
from torchnotes_kb.server.http.login import Sessions
from torchnotes_kb.server.http.metrics import Metrics
from torchnotes_kb.server.http.tokens import Tokens
from torchnotes_kb.server.http.trace import Trace
from torchnotes_kb.server.knowledge import Knowledge
from torchnotes_kb.server.service import Service
from torchnotes_kb.server.web.pages import Pages

__all__ = ["App"]

MIB = 1 << 20


class App:
    """The application and what its process must tell it."""

    def __init__(
        self, knowledge: Knowledge, settings: Settings, *, tokens: Tokens, address: Address
    ) -> None:
        options = settings.server
        self._metrics = Metrics()
        gate = Gate(
            slots=settings.workers,
            queue=options.verify_queue,
            per_client=options.verify_per_client,
            per_minute=options.verify_per_minute,
        )
        self._metrics.watch(gate)
        self._metrics.watch_restarts(knowledge.sandbox_restarts)
        self._service = Service(knowledge, settings, gate=gate, observer=self._metrics)
        self._health = Health(self._service, self._metrics)
        sessions = Sessions()
        door = Door(
            self._routed(settings, tokens=tokens, sessions=sessions),
            tokens=tokens,
            sessions=sessions,
            hosts=[*options.hosts, address.host, socket.gethostname(), socket.getfqdn()],
            origins=options.origins,
        )
        self._drain = Drain(_shared_with(door, options.origins) if options.origins else door)
        self.asgi = Trace(self._drain, metrics=self._metrics)

    def leave(self) -> None:
        """Begin to shut down: take nothing new, let listeners go."""
        self._health.leave()
        self._drain.leave()

    def _routed(self, settings: Settings, *, tokens: Tokens, sessions: Sessions) -> ASGIApp:
        options = settings.server
        most = int(options.body_mib * MIB)
        server = build_server(self._service, watching=[log_calls])
        mcp = server.streamable_http_app(
            max_request_body_size=most,
            # Host and Origin are checked at the door, for every path.
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        pages = Pages(self._service, tokens=tokens, sessions=sessions)

        @contextlib.asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            del app
            async with server.session_manager.run():
                self._health.start()
                self._service.warm_soon()
                try:
                    yield
                finally:
                    self._service.close()

        app = Starlette(
            routes=[*self._health.routes, *pages.routes, *mcp.routes],
            lifespan=lifespan,
            exception_handlers=pages.exception_handlers,
        )
        return RequestBodyLimitMiddleware(app, most)


def _shared_with(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Let pages of these origins read the answers."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=[
            "authorization",
            "content-type",
            "last-event-id",
            "mcp-method",
            "mcp-name",
            "mcp-protocol-version",
            "mcp-session-id",
        ],
        expose_headers=["Mcp-Session-Id"],
    )
