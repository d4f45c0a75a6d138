"""Who gets in: Host, Origin and token are checked before anything else sees a request.

Host: a page on the web can have its own name resolve to 127.0.0.1 and so reach a local server
(DNS rebinding); its requests carry that name. A plain address in Host cannot be rebound.
Origin: a page can send requests to a local server without reading the answers; browsers name the
page in Origin. Tokens: everything but the doors in `OPEN` asks for one, where there are any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from torchnotes_kb.server.http.address import is_loopback, is_plain_address
from torchnotes_kb.server.http.login import COOKIE, Sessions
from torchnotes_kb.server.http.tokens import Tokens

__all__ = ["OPEN", "Door"]

OPEN = frozenset({"/healthz", "/readyz", "/login"})
"""Paths that need no token: they say nothing that is worth one."""
OPEN_BELOW = "/static/"
HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]*)?")
"""uri-host [ ":" port ] of RFC 9110, without what no name or address has."""


class Door:
    """Lets a request in with the name of its client in `scope["state"]["client"]`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: Tokens,
        sessions: Sessions,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._sessions = sessions
        self._hosts = {host.lower() for host in hosts}
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._stranger(headers) or self._unknown(scope, headers)
        await (refusal or self._app)(scope, receive, send)

    def _stranger(self, headers: Headers) -> Response | None:
        """A refusal if the request was made for another server or by another site's page."""
        host = _host_of(headers.get("host", ""))
        if not (is_loopback(host) or is_plain_address(host) or host in self._hosts):
            problem = f"Host {host!r} is not this server: add it to hosts under [server] in kb.toml"
            return _refuse(421, "misdirected", problem)
        origin = headers.get("origin")
        if origin is None or self._is_ours(origin.lower(), headers.get("host", "").lower()):
            return None
        return _refuse(403, "forbidden_origin", f"pages of {origin!r} may not call this server")

    def _is_ours(self, origin: str, host: str) -> bool:
        scheme, _, page = origin.partition("://")
        if scheme not in {"http", "https"}:
            return False
        return (
            page == host
            or origin in self._origins
            # Another local tool, such as an inspector: it could call us without a browser too.
            or is_loopback(_host_of(page))
        )

    def _unknown(self, scope: Scope, headers: Headers) -> Response | None:
        """A refusal if a token is needed and missing; names the client otherwise."""
        state = scope.setdefault("state", {})
        peer = scope.get("client")
        state["client"] = peer[0] if peer else "unknown"
        if not self._tokens:
            return None
        path = scope["path"]
        name = self._tokens.name_of(_bearer(headers)) if _bearer(headers) else None
        if name is None and path != "/mcp":
            name = self._sessions.name_of(_cookie(headers))
        if name is not None:
            state["client"] = name
            # The SDK ties a session to the user that opened it.
            scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=name, scopes=[]))
            return None
        if path in OPEN or path.startswith(OPEN_BELOW):
            return None
        return _ask(scope, headers)


def _ask(scope: Scope, headers: Headers) -> Response:
    """Where a token is given: a form for people, a challenge for programs."""
    wants_page = "text/html" in headers.get("accept", "") and scope["method"] == "GET"
    if wants_page and scope["path"] not in {"/mcp", "/metrics"}:
        query = scope.get("query_string", b"").decode("latin-1")
        there = scope["path"] + (f"?{query}" if query else "")
        return RedirectResponse(f"/login?next={quote(there)}", status_code=303)
    problem = "send Authorization: Bearer TOKEN; whoever runs this server gives tokens out"
    challenge = {"WWW-Authenticate": 'Bearer realm="torchnotes-kb"'}
    return _refuse(401, "unauthorized", problem, challenge)


def _refuse(
    status: int, error: str, problem: str, headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse({"error": error, "problem": problem}, status_code=status, headers=headers)


def _host_of(host: str) -> str:
    """The name or address in a Host header, without its port; empty where it is neither."""
    found = HOST.fullmatch(host)
    return (found["v6"] or found["name"]).lower() if found else ""


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
