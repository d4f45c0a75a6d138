"""The tools. Their docstrings and parameter descriptions are their interface to a model.

No `from __future__ import annotations` here: the SDK would look names of a closure up as globals.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from torchnotes_kb.errors import KbError, NoteNotFoundError
from torchnotes_kb.explain.model import Diagnosis
from torchnotes_kb.notes.model import Language, NoteKind
from torchnotes_kb.server.answers.budget import DEFAULT_TOKENS, LEAST_TOKENS, MOST_TOKENS
from torchnotes_kb.server.answers.explain import explain_answer, explain_text
from torchnotes_kb.server.answers.model import (
    Answer,
    DiagnosisAnswer,
    NoteAnswer,
    SearchAnswer,
    TopicsAnswer,
    VerifyAnswer,
)
from torchnotes_kb.server.answers.note import note_answer, note_text
from torchnotes_kb.server.answers.search import search_answer, search_text
from torchnotes_kb.server.answers.topics import topics_answer, topics_text
from torchnotes_kb.server.answers.verify import verify_answer, verify_text
from torchnotes_kb.server.protocol import make_tool
from torchnotes_kb.server.service import Service
from torchnotes_kb.verify.model import Result

__all__ = ["LOCAL_CLIENT", "make_tools"]

LOCAL_CLIENT = "local"
"""The name of whoever is at the other end of stdio."""

MaxTokens = Annotated[
    int,
    Field(
        ge=LEAST_TOKENS,
        le=MOST_TOKENS,
        description="Budget of the answer. What does not fit is named in left_out.",
    ),
]
AnyLanguage = Annotated[
    Literal["auto", "en", "zh"],
    Field(description="Language of the answer; auto: that of the question."),
]
Code = Annotated[str, Field(min_length=1, max_length=1_000_000, description="Python source.")]


def make_tools(service: Service) -> list[Tool]:
    """The five tools, speaking to one service."""
    reads = ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    runs = ToolAnnotations(
        read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
    )
    return [
        make_tool(_search_notes(service), title="Search PyTorch notes", annotations=reads),
        make_tool(_explain_error(service), title="Explain a PyTorch error", annotations=reads),
        make_tool(_get_note(service), title="Read a note", annotations=reads),
        make_tool(_verify_snippet(service), title="Run code and check a claim", annotations=runs),
        make_tool(_list_topics(service), title="List what the notes cover", annotations=reads),
    ]


def _search_notes(service: Service) -> Callable[..., Any]:
    async def search_notes(
        *,
        query: Annotated[
            str,
            Field(
                min_length=1,
                max_length=10_000,
                description="A question, key words or one error message, in English or Chinese. "
                'Example: "register_buffer or Parameter"',
            ),
        ],
        kind: Annotated[
            Literal["any", "error", "idiom", "page"],
            Field(
                description="error: causes of messages; idiom: how to do a thing; page: the "
                "user's own Markdown."
            ),
        ] = "any",
        tags: Annotated[
            list[str], Field(description="Only notes that have all of these; see list_topics.")
        ] = [],  # noqa: B006 - pydantic copies it, and the schema shows it
        language: AnyLanguage = "auto",
        torch: Annotated[
            str, Field(description='Only notes that speak of this version, e.g. "2.6"; empty: all.')
        ] = "",
        limit: Annotated[int, Field(ge=1, le=20, description="Hits at most.")] = 5,
        max_tokens: MaxTokens = DEFAULT_TOKENS,
    ) -> Annotated[CallToolResult, SearchAnswer]:
        """Find notes about PyTorch errors and idioms, in English or Chinese.

        Use it for "how do I…", "what is the difference between…" and "why does…" questions about
        PyTorch, before answering from memory: every note carries code that was run, with the
        version of torch it was proven on. Do not use it for a traceback (explain_error reads it
        better) or for things that are not PyTorch. Returns ids with calibrated scores; read the
        best with get_note. No hits means that no note covers it.
        """
        with _told():
            result = await service.search(
                query,
                kind=None if kind == "any" else NoteKind(kind),
                tags=tuple(tags),
                language=_language(language),
                torch=torch or None,
                limit=limit,
            )
        answer = search_answer(result, most=max_tokens)
        return _reply(answer, search_text(answer))

    return search_notes


def _explain_error(service: Service) -> Callable[..., Any]:
    async def explain_error(
        *,
        text: Annotated[
            str,
            Field(
                min_length=1,
                max_length=200_000,
                description="The whole traceback, a log that contains it, or just the message.",
            ),
        ],
        code: Annotated[
            str, Field(max_length=1_000_000, description="The source that raised it, if at hand.")
        ] = "",
        language: AnyLanguage = "auto",
        max_tokens: MaxTokens = DEFAULT_TOKENS,
    ) -> Annotated[CallToolResult, DiagnosisAnswer]:
        """Say what a PyTorch error or warning means and what to change, in the user's own values.

        Use it whenever a traceback or error message of a PyTorch program is at hand; paste it
        whole and unedited. Do not use it for questions without an error (search_notes) or to run
        code (verify_snippet explains what the code raises by itself). found=false means that no
        note explains it: do not present the alternatives as the cause.
        """
        with _told():
            diagnosis = await service.explain(text, code=code or None, language=_language(language))
        answer = explain_answer(diagnosis, most=max_tokens)
        return _reply(answer, explain_text(answer))

    return explain_error


def _get_note(service: Service) -> Callable[..., Any]:
    async def get_note(
        *,
        id: Annotated[  # noqa: A002 - the name that search results give it
            str,
            Field(
                min_length=1,
                max_length=200,
                description='As search_notes or explain_error gives it, e.g. "eval-vs-no-grad".',
            ),
        ],
        language: Annotated[Literal["en", "zh"], Field(description="English or Chinese.")] = "en",
        max_tokens: MaxTokens = DEFAULT_TOKENS,
    ) -> Annotated[CallToolResult, NoteAnswer]:
        """Read one note: the cause, code that fails, code that works, and what running them showed.

        Use it after search_notes or explain_error, before quoting a note or its code. Do not guess
        ids.
        """
        with _told():
            note, proofs = await service.note(id)
        answer = note_answer(note, language=Language(language), proofs=proofs, most=max_tokens)
        return _reply(answer, note_text(answer))

    return get_note


def _verify_snippet(service: Service) -> Callable[..., Any]:
    longest_s, default_s = service.longest_timeout_s, service.default_timeout_s

    async def verify_snippet(
        *,
        context: Context[Any, Any],
        code: Code,
        expect: Annotated[
            str,
            Field(
                max_length=10_000,
                description="The claim to prove or refute: `raises TypeError: start of the "
                "message`, `warns UserWarning: …`, `prints the exact output`, or `no exception`.",
            ),
        ] = "no exception",
        runtime: Annotated[
            str,
            Field(
                description="A runtime that the server's operator has named; empty: the default."
            ),
        ] = "",
        timeout_s: Annotated[
            float, Field(gt=0, le=longest_s, description="Seconds after which the run is killed.")
        ] = default_s,
        max_tokens: MaxTokens = DEFAULT_TOKENS,
    ) -> Annotated[CallToolResult, VerifyAnswer]:
        """Run Python in an isolated, real PyTorch and prove or refute a claim about what it does.

        Use it before telling a user that code works, raises or prints something, and to reproduce
        an error in a few lines. The code must be complete (imports included). It has a CPU, no
        network, no files of the user's and no state from earlier calls: do not use it to change
        anything, to download, or to train for longer than the limit. What the code raises is
        explained in the same answer.
        """
        with _told():
            result = await service.verify(
                code,
                client=_state(context, "client") or LOCAL_CLIENT,
                expect=expect,
                runtime=runtime,
                timeout_s=timeout_s,
                progress=context.report_progress,
                gone=_state(context, "gone"),
            )
            diagnosis = await _diagnose(service, result, code=code)
        answer = verify_answer(result, claim=expect, diagnosis=diagnosis, most=max_tokens)
        return _reply(answer, verify_text(answer))

    return verify_snippet


def _list_topics(service: Service) -> Callable[..., Any]:
    async def list_topics() -> Annotated[CallToolResult, TopicsAnswer]:
        """Say what the notes are about: tags, how many notes each has, some of their ids.

        Use it to see whether a subject is covered at all, or for tags to narrow a search. Do not
        use it to answer a question: search_notes does that.
        """
        with _told():
            pairs = await service.notes()
        answer = topics_answer(
            (note for note, _ in pairs),
            (proof for _, proofs in pairs for proof in proofs),
            most=DEFAULT_TOKENS,
        )
        return _reply(answer, topics_text(answer))

    return list_topics


async def _diagnose(service: Service, result: Result, *, code: str) -> Diagnosis | None:
    """What the exception of a run means, if it raised one."""
    raised = result.run.exception if result.run else None
    if raised is None:
        return None
    text = raised.traceback or f"{raised.type}: {raised.message}"
    return await service.explain(text, code=code)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Errors made for callers, as the SDK passes them on: with what to do next."""
    try:
        yield
    except NoteNotFoundError as error:
        near = f" Near ids: {', '.join(error.near)}." if error.near else ""
        raise ToolError(f"no note {error.note_id!r}.{near} Find ids with search_notes.") from error
    except KbError as error:
        raise ToolError(str(error)) from error


def _reply(answer: Answer, text: str) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=answer.model_dump(mode="json"),
    )


def _language(name: str) -> Language | None:
    return None if name == "auto" else Language(name)


def _state(context: Context[Any, Any], name: str) -> Any:  # noqa: ANN401 - as it was put there
    """What the HTTP door knows of this request; None at stdio."""
    request = context.request_context.request
    return getattr(getattr(request, "state", None), name, None)
