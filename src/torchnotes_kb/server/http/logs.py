"""The server's log: one JSON object a line, each with the id of the request it belongs to."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

__all__ = ["REQUEST_ID", "log_json"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""What every record has; the rest was given by us."""


class JsonLines(logging.Formatter):
    """A record as JSON: time, level, logger, message, request_id and what `extra` gave."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        row: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            row["request_id"] = request_id
        row |= {name: value for name, value in vars(record).items() if name not in KNOWN}
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row, ensure_ascii=False, default=str)


def log_json(level: int = logging.INFO) -> None:
    """Send the log of this process to stderr as JSON lines; called once, before the SDK's own."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("mcp", "sse_starlette", "asyncio"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
