"""A token once, then a cookie: how a person's browser comes in where tokens are asked for."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

__all__ = ["COOKIE", "LASTS_S", "Sessions"]

COOKIE = "kb_session"
LASTS_S = 12 * 3600


class Sessions:
    """Signed cookies; the key lives and dies with the process, so a restart asks again."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def cookie_for(self, name: str) -> str:
        """What the browser keeps: name, end of validity, signature."""
        signed = f"{name}|{int(self._clock()) + LASTS_S}"
        return f"{signed}|{self._sign(signed)}"

    def name_of(self, cookie: str) -> str | None:
        """Whose cookie it is, if it is ours and still valid."""
        signed, _, signature = cookie.rpartition("|")
        if not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            return None
        name, _, until = signed.rpartition("|")
        return name if int(until) > self._clock() else None

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
