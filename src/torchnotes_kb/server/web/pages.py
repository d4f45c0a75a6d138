"""The routes of the page for people. Each answers a whole page, or only its changing part."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from torchnotes_kb import __version__
from torchnotes_kb.errors import KbError, NoteNotFoundError
from torchnotes_kb.notes.model import Language, Note, NoteKind
from torchnotes_kb.notes.proof import Proof, VerdictKind
from torchnotes_kb.server.gate import BusyError
from torchnotes_kb.server.http.login import COOKIE, LASTS_S, Sessions
from torchnotes_kb.server.http.tokens import Tokens
from torchnotes_kb.server.service import Service
from torchnotes_kb.server.web.markup import prose_html, snippet_html
from torchnotes_kb.server.web.view import view_note
from torchnotes_kb.server.web.words import EXAMPLES, words_in

__all__ = ["Pages"]

HERE = Path(__file__).parent
PARTIAL = "X-Partial"
"""Header with which our script asks for the changing part only."""
HITS = 10
SURE = 0.995
TOPICS_SHOWN = 40
E = TypeVar("E", bound=StrEnum)


class Pages:
    """Search, read, explain, run, and come in."""

    def __init__(self, service: Service, *, tokens: Tokens, sessions: Sessions) -> None:
        self._service = service
        self._tokens = tokens
        self._sessions = sessions
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "prose": prose_html,
            "marked": snippet_html,
            "percent": _percent,
        }
        self._templates.globals["version"] = __version__

    @property
    def routes(self) -> list[Route | Mount]:
        """Where everything is."""
        return [
            Route("/", self._home),
            Route("/notes/{note_id}", self._note),
            Route("/explain", self._explain, methods=["GET", "POST"]),
            Route("/run", self._run, methods=["GET", "POST"]),
            Route("/login", self._login, methods=["GET", "POST"]),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ]

    @property
    def exception_handlers(self) -> Mapping[Any, Callable[[Request, Any], Awaitable[Response]]]:
        """Errors as pages that say what to do next."""
        return {HTTPException: self._http_error, KbError: self._kb_error}

    async def _home(self, request: Request) -> Response:
        query = request.query_params.get("q", "").strip()
        kind = _one_of(NoteKind, request.query_params.get("kind"))
        tag = request.query_params.get("tag", "")
        found = None
        if query:
            found = await self._service.search(
                query,
                kind=kind,
                tags=(tag,) if tag else (),
                language=_language(request),
                limit=HITS,
            )
        part: dict[str, Any] = {"query": query, "kind": kind, "tag": tag, "found": found}
        part["tagged"] = await self._tagged(tag) if tag and not query else ()
        if PARTIAL in request.headers:
            return self._page(request, "_hits.html", **part)
        return self._page(
            request,
            "home.html",
            **part,
            corpus=_count(await self._service.notes()),
            examples=EXAMPLES[_language(request)],
        )

    async def _tagged(self, tag: str) -> list[Note]:
        return [note for note, _ in await self._service.notes() if tag in note.tags]

    async def _note(self, request: Request) -> Response:
        note, proofs = await self._service.note(request.path_params["note_id"])
        view = view_note(note, language=_language(request), proofs=proofs)
        see_also = []
        for other in note.see_also:
            with contextlib.suppress(NoteNotFoundError):
                see_also.append((await self._service.note(other))[0])
        return self._page(request, "note.html", view=view, see_also=see_also)

    async def _explain(self, request: Request) -> Response:
        form = await _form(request)
        text, code, diagnosis = _field(form, "text"), _field(form, "code"), None
        if text.strip():
            diagnosis = await self._service.explain(
                text, code=code or None, language=_language(request)
            )
        part: dict[str, Any] = {"diagnosis": diagnosis}
        if PARTIAL in request.headers:
            return self._page(request, "_diagnosis.html", **part)
        return self._page(request, "explain.html", **part, text=text, code=code)

    async def _run(self, request: Request) -> Response:
        form = await _form(request)
        code, expect = _field(form, "code"), _field(form, "expect").strip() or "no exception"
        part: dict[str, Any] = {"result": None, "diagnosis": None, "claim": expect}
        if code.strip():
            part |= await self._ran(request, code, expect)
        if PARTIAL in request.headers:
            return self._page(request, "_result.html", **part)
        return self._page(request, "run.html", **part, code=code)

    async def _ran(self, request: Request, code: str, expect: str) -> dict[str, Any]:
        # Reading on is how a server hears that a browser has hung up.
        listening = asyncio.ensure_future(_until_gone(request))
        try:
            result = await self._service.verify(
                code, client=request.state.client, expect=expect, gone=request.state.gone
            )
        finally:
            listening.cancel()
        raised = result.run.exception if result.run else None
        diagnosis = None
        if raised is not None:
            text = raised.traceback or f"{raised.type}: {raised.message}"
            diagnosis = await self._service.explain(text, code=code, language=_language(request))
        return {"result": result, "diagnosis": diagnosis}

    async def _login(self, request: Request) -> Response:
        there = _own_path(request.query_params.get("next", "/"))
        if request.method == "GET":
            return self._page(request, "login.html", wrong=False, there=there)
        name = self._tokens.name_of(_field(await _form(request), "token").strip())
        if name is None:
            return self._page(request, "login.html", status=403, wrong=True, there=there)
        response = RedirectResponse(there, status_code=303)
        response.set_cookie(
            COOKIE,
            self._sessions.cookie_for(name),
            max_age=LASTS_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    def _page(
        self, request: Request, template: str, *, status: int = 200, **values: object
    ) -> Response:
        language = _language(request)
        text = self._templates.get_template(template).render(
            t=words_in(language),
            lang=language.value,
            other_url=_in_other_language(request, language),
            path=request.url.path,
            **values,
        )
        headers = {"Cache-Control": "no-store", "Vary": f"Accept-Language, {PARTIAL}"}
        return HTMLResponse(text, status_code=status, headers=headers)

    async def _http_error(self, request: Request, error: HTTPException) -> Response:
        words = words_in(_language(request))
        said = words.not_found if error.status_code == 404 else error.detail  # noqa: PLR2004 - Not Found
        return self._failed(request, said, status=error.status_code, near=())

    async def _kb_error(self, request: Request, error: KbError) -> Response:
        if isinstance(error, NoteNotFoundError):
            said = words_in(_language(request)).not_found_note
            return self._failed(request, said, status=404, near=error.near)
        if isinstance(error, BusyError):
            response = self._failed(request, str(error), status=429, near=())
            response.headers["Retry-After"] = str(error.retry_after_s)
            return response
        return self._failed(request, str(error), status=422, near=())

    def _failed(
        self, request: Request, said: str, *, status: int, near: tuple[str, ...]
    ) -> Response:
        template = "_error.html" if PARTIAL in request.headers else "error.html"
        return self._page(request, template, status=status, said=said, near=near)


@dataclass(frozen=True)
class _Corpus:
    """The numbers on the first page."""

    notes: int
    examples: int
    proven: int
    torch: str
    topics: tuple[tuple[str, int], ...]


def _count(pairs: tuple[tuple[Note, tuple[Proof, ...]], ...]) -> _Corpus:
    tags = Counter(tag for note, _ in pairs for tag in note.tags)
    proven = [
        proof
        for _, proofs in pairs
        for proof in proofs
        if proof.verdict.kind is VerdictKind.PROVEN and not proof.stale
    ]
    return _Corpus(
        notes=len(pairs),
        examples=sum(len(note.examples) for note, _ in pairs),
        proven=len({proof.example for proof in proven}),
        torch=", ".join(sorted({proof.torch for proof in proven})),
        topics=tuple(tags.most_common(TOPICS_SHOWN)),
    )


def _language(request: Request) -> Language:
    """`?lang=`, else what the browser prefers."""
    asked = _one_of(Language, request.query_params.get("lang"))
    if asked is not None:
        return asked
    preferred = request.headers.get("accept-language", "").lower()
    return Language.ZH if preferred.startswith("zh") else Language.EN


def _in_other_language(request: Request, language: Language) -> str:
    other = Language.EN if language is Language.ZH else Language.ZH
    kept = {name: value for name, value in request.query_params.items() if name != "lang"}
    return f"{request.url.path}?{urlencode(kept | {'lang': other.value})}"


def _one_of(kind: type[E], value: str | None) -> E | None:
    return kind(value) if value in list(kind) else None


def _percent(score: float) -> str:
    """A probability for people; nothing is certain."""
    return ">99%" if score >= SURE else f"{score:.0%}"


def _own_path(path: str) -> str:
    """A path of this server; anything else would send a person to another site."""
    sound = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if sound and path.isprintable() else "/"


async def _form(request: Request) -> FormData:
    return await request.form() if request.method == "POST" else FormData()


def _field(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
