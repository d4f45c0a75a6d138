"""The log of what clients call: method, tool and time, never arguments."""

from __future__ import annotations

import logging
import time
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

__all__ = ["log_calls"]

LOG = logging.getLogger("torchnotes_kb.calls")


async def log_calls(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: one line per request."""
    began = time.perf_counter()
    result: HandlerResult = None
    try:
        result = await call_next(ctx)
        return result
    finally:
        if ctx.request_id is not None:
            state = getattr(ctx.request, "state", None)
            LOG.info(
                "called",
                extra={
                    "request_id": getattr(state, "request_id", ""),
                    "client": getattr(state, "client", ""),
                    "method": ctx.method,
                    "name_called": _name(ctx),
                    "duration_ms": round((time.perf_counter() - began) * 1000, 1),
                    "failed": _failed(result),
                },
            )


def _failed(result: HandlerResult) -> bool:
    """Whether there is no answer, or one that a tool marks as an error."""
    if isinstance(result, dict):
        return bool(result.get("isError"))
    return result is None or bool(getattr(result, "is_error", False))


def _name(ctx: ServerRequestContext[Any, Any]) -> str:
    params = ctx.params or {}
    return str(params.get("name") or params.get("uri") or "")[:200]
