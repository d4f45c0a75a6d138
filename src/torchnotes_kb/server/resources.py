"""Resources: notes by id and language, the catalogue, the ledger of proofs; and completion."""

from __future__ import annotations

import json
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.types import (
    Annotations,
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from torchnotes_kb.errors import KbError, NoteNotFoundError
from torchnotes_kb.notes.model import Language
from torchnotes_kb.notes.render import render_markdown
from torchnotes_kb.server.service import Service

__all__ = ["add_resources"]

MOST_COMPLETIONS = 100
"""The protocol's limit."""


def add_resources(server: MCPServer[Any], service: Service) -> None:
    """Offer the notes and what is known of them."""
    _add_notes(server, service)
    _add_lists(server, service)
    _add_completion(server, service)


def _add_notes(server: MCPServer[Any], service: Service) -> None:
    @server.resource("note://{id}", title="A note, in English", mime_type="text/markdown")
    async def note(id: str) -> str:  # noqa: A002 - the name in the template
        """One whole note as Markdown, each example with what running it has shown."""
        return await _markdown(service, id, Language.EN)

    @server.resource(
        "note://{id}/{language}", title="A note, in a language", mime_type="text/markdown"
    )
    async def note_in(id: str, language: str) -> str:  # noqa: A002 - likewise
        """One whole note as Markdown, in `en` or `zh`."""
        if language not in list(Language):
            raise ResourceNotFoundError(f"notes are in en and zh, not {language!r}")
        return await _markdown(service, id, Language(language))


def _add_lists(server: MCPServer[Any], service: Service) -> None:
    lists = Annotations(audience=["assistant", "user"], priority=0.5)

    @server.resource(
        "kb://catalogue", title="All notes", mime_type="application/json", annotations=lists
    )
    async def catalogue() -> str:
        """Id, kind, titles in both languages and tags of every note."""
        rows = [
            {
                "note_id": note.id,
                "kind": note.kind,
                "title": note.title,
                "title_zh": note.title_zh,
                "tags": note.tags,
                "uri": f"note://{note.id}",
            }
            for note, _ in await service.notes()
        ]
        return json.dumps(rows, ensure_ascii=False)

    @server.resource(
        "kb://ledger", title="Ledger of proofs", mime_type="application/json", annotations=lists
    )
    async def ledger() -> str:
        """The last verdict on every example, with the torch, Python and platform that gave it."""
        rows = [
            proof.model_dump(mode="json") for _, proofs in await service.notes() for proof in proofs
        ]
        return json.dumps(rows, ensure_ascii=False)


def _add_completion(server: MCPServer[Any], service: Service) -> None:
    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        del context
        if argument.name == "language":
            return _matching(argument.value, tuple(Language))
        if isinstance(ref, ResourceTemplateReference) and argument.name == "id":
            return _matching(argument.value, await service.note_ids())
        return None


async def _markdown(service: Service, note_id: str, language: Language) -> str:
    try:
        note, proofs = await service.note(note_id)
    except NoteNotFoundError as error:
        near = f"; near ids: {', '.join(error.near)}" if error.near else ""
        raise ResourceNotFoundError(f"no note {note_id!r}{near}") from error
    except KbError as error:
        raise ResourceError(str(error)) from error
    return render_markdown(note, language=language, proofs=proofs)


def _matching(typed: str, known: tuple[str, ...]) -> Completion:
    """What starts with the typed text first, then what contains it."""
    text = typed.lower()
    starts = sorted(value for value in known if value.startswith(text))
    contains = sorted(value for value in known if text in value and not value.startswith(text))
    found = [str(value) for value in (*starts, *contains)]
    return Completion(
        values=found[:MOST_COMPLETIONS],
        total=len(found),
        has_more=len(found) > MOST_COMPLETIONS,
    )
