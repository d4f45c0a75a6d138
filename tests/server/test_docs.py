"""The transcripts in docs/mcp.md are what the server answers, and what notes promise are claims."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp import Client

from torchnotes_kb.config import Settings
from torchnotes_kb.kb import KnowledgeBase
from torchnotes_kb.server.build import build_server
from torchnotes_kb.server.gate import Gate
from torchnotes_kb.server.service import Service
from torchnotes_kb.server.web.view import claim_of
from torchnotes_kb.verify.judge import parse_expect

from .clients import text_of

DOCS = Path(__file__).parents[2] / "docs/mcp.md"
FENCE = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"(?m)^(?=[a-z]+_[a-z]+\()")
Transcript = tuple[str, dict[str, object], str]


def transcripts() -> Iterator[Transcript]:
    """Tool, arguments and the answer shown, where “…” stands for anything."""
    for fence in FENCE.findall(DOCS.read_text(encoding="utf-8")):
        for exchange in CALL.split(fence)[1:]:
            written, _, shown = exchange.partition("\n\n")
            call = ast.parse(written, mode="eval").body
            assert isinstance(call, ast.Call)
            assert isinstance(call.func, ast.Name)
            given = {word.arg or "": ast.literal_eval(word.value) for word in call.keywords}
            yield call.func.id, given, shown


def loosely(text: str) -> str:
    """Without what changes with the corpus, the clock and the width of the page."""
    settled = re.sub(r", \d+ (?:skipped|refuted|stale)", "", text)
    return " ".join(re.sub(r"\d+(?:[.-]\d+)*", "N", settled).split())


def test_every_tool_has_a_transcript() -> None:
    assert {tool for tool, _, _ in transcripts()} == {
        "search_notes",
        "explain_error",
        "get_note",
        "verify_snippet",
        "list_topics",
    }


@pytest.mark.anyio
async def test_transcripts_are_what_the_server_answers() -> None:
    settings = Settings()
    service = Service(KnowledgeBase.open(settings), settings, gate=Gate(slots=1, queue=1))
    try:
        async with Client(build_server(service)) as client:
            for tool, given, shown in transcripts():
                answer = loosely(text_of(await client.call_tool(tool, given)))
                pattern = ".*".join(map(re.escape, loosely(shown).split("…")))
                assert re.fullmatch(pattern, answer), f"{tool}({given}) answers\n{answer}"
    finally:
        service.close()


def test_what_notes_promise_can_be_claimed_of_a_snippet() -> None:
    with KnowledgeBase.open() as kb:
        examples = [
            example
            for note in kb.notes()
            for section in note.sections
            for example in section.examples
        ]
    said = [example for example in examples if claim_of(example) != "no exception"]
    assert said
    for example in said:
        claimed, promised = parse_expect(claim_of(example)), example.expectation
        assert (claimed.raises, claimed.warns) == (promised.raises, promised.warns)
        assert (claimed.stdout or "").rstrip() == (promised.stdout or "").rstrip()
