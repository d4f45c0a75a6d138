"""MCP over standard input and output: one client, the process's whole life.

Imports the SDK and our types, nothing else: the client waits for the answer to its first request.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from torchnotes_kb.config import Settings
from torchnotes_kb.server.build import build_server
from torchnotes_kb.server.gate import Gate
from torchnotes_kb.server.knowledge import Knowledge
from torchnotes_kb.server.service import Service

__all__ = ["serve_stdio"]

QUEUE = 64
"""Runs that the one client may have waiting."""


def serve_stdio(settings: Settings, *, knowledge: Knowledge | None = None) -> NoReturn:
    """Serve until standard input ends or a signal comes, then end every child and leave.

    Args:
        settings: Of this process.
        knowledge: What to serve; None: the knowledge base of the settings.
    """
    service = Service(
        knowledge or _open(settings),
        settings,
        gate=Gate(slots=settings.workers, queue=QUEUE),
    )
    server = build_server(service)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        server.run("stdio")
    except KeyboardInterrupt:
        pass
    finally:
        service.close()
        sys.stderr.flush()
        # The SDK's reader thread blocks on standard input and cannot be joined.
        os._exit(0)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """The same way out for both signals: calls are cancelled, then `serve_stdio` cleans up."""
    del number, frame
    raise KeyboardInterrupt


def _open(settings: Settings) -> Knowledge:
    from torchnotes_kb.kb import KnowledgeBase  # noqa: PLC0415 - tests give their own

    return KnowledgeBase.open(settings)
