"""OpenTelemetry: every call is a span that joins its client's trace, and holds no arguments."""

from __future__ import annotations

import json

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from .clients import connected
from .fakes import FakeKnowledge

pytestmark = pytest.mark.anyio


async def test_calls_are_spans_and_say_nothing_of_what_was_run(knowledge: FakeKnowledge) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    async with connected(knowledge) as client:
        await client.call_tool("verify_snippet", {"code": "secret = 1"})
        await client.call_tool("get_note", {"id": "nothing"})
    spans = [span for span in exporter.get_finished_spans() if span.kind.name == "SERVER"]
    named = {span.name: span for span in spans}
    assert {"tools/call verify_snippet", "tools/call get_note"} <= set(named)
    assert named["tools/call get_note"].status.status_code.name == "ERROR"
    assert "secret" not in json.dumps([dict(span.attributes or {}) for span in spans])
