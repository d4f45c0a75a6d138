"""Whether the process lives, whether it can answer, and what it has counted."""

from __future__ import annotations

import asyncio
import logging

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from torchnotes_kb.errors import KbError
from torchnotes_kb.server.http.metrics import Metrics
from torchnotes_kb.server.service import Service

__all__ = ["Health"]

LOG = logging.getLogger("torchnotes_kb.health")
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """Ready once a search was answered; not ready any more once leaving has begun."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics
        self._problem = "opening the index"
        self._leaving = False
        self._opening: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Open the index in the background, and say how that went when asked."""
        self._opening = asyncio.ensure_future(self._open())

    def leave(self) -> None:
        """Be not ready: a load balancer sends nothing new."""
        self._leaving = True

    @property
    def routes(self) -> list[Route]:
        """`/healthz`, `/readyz`, `/metrics`."""
        return [
            Route("/healthz", self._live),
            Route("/readyz", self._ready),
            Route("/metrics", self._measured),
        ]

    async def _open(self) -> None:
        try:
            await self._service.search("tensor", limit=1)
        except KbError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                LOG.error("not ready", extra={"problem": self._problem})  # noqa: TRY400 - a line for the operator says it all
        else:
            self._problem = ""

    async def _live(self, request: Request) -> Response:
        del request
        return JSONResponse({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        del request
        if self._problem and self._opening is not None and self._opening.done():
            # Whoever runs it may have mended the index since.
            await self._open()
        problem = "shutting down" if self._leaving else self._problem
        status = "not ready" if problem else "ready"
        return JSONResponse(
            {"status": status, "problem": problem}, status_code=503 if problem else 200
        )

    async def _measured(self, request: Request) -> Response:
        del request
        return Response(self._metrics.text(), media_type=PROMETHEUS)
