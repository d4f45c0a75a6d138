"""Every request gets an id, a line in the log, a count, and headers that keep browsers strict."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from torchnotes_kb.server.http.logs import REQUEST_ID
from torchnotes_kb.server.http.metrics import Metrics

__all__ = ["Trace"]

LOG = logging.getLogger("torchnotes_kb.http")
SOUND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked for every few seconds; counted, not logged."""
ROUTES = ("/mcp", "/notes/", "/static/", "/explain", "/run", "/login", "/topics", *sorted(QUIET))


class Trace:
    """The outermost layer."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if SOUND_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.perf_counter(), 500

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        mark = REQUEST_ID.set(request_id)
        try:
            await self._app(scope, receive, answer)
        finally:
            self._note(scope, status, time.perf_counter() - began)
            REQUEST_ID.reset(mark)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        path, method = scope["path"], scope["method"]
        route = next((known for known in ROUTES if path.startswith(known)), "/")
        known = method if method in {"GET", "HEAD", "POST", "DELETE", "OPTIONS"} else "OTHER"
        self._metrics.answered(method=known, route=route, status=status, seconds=seconds)
        if path in QUIET:
            return
        # The query string stays out of the log: it may be what somebody searched for.
        LOG.info(
            "answered",
            extra={
                "client": scope["state"].get("client", ""),
                "method": method,
                "path": path,
                "status": status,
                "duration_ms": round(seconds * 1000, 1),
            },
        )
