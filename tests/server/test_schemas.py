"""The schemas that clients are given: a change to schemas.json is a change to the interface."""

from __future__ import annotations

import json

import pytest
from inline_snapshot import external_file
from mcp import Client

from .clients import connected
from .fakes import FakeKnowledge

pytestmark = pytest.mark.anyio


async def schemas(client: Client) -> dict[str, object]:
    return {
        tool.name: {"input": tool.input_schema, "output": tool.output_schema}
        for tool in (await client.list_tools()).tools
    }


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_schemas_are_what_clients_were_told(knowledge: FakeKnowledge, era: str) -> None:
    async with connected(knowledge, era=era) as client:
        assert await schemas(client) == external_file("schemas.json")


async def test_every_parameter_is_described(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        tools = (await client.list_tools()).tools
    bare = [
        f"{tool.name}.{name}"
        for tool in tools
        for name, schema in tool.input_schema["properties"].items()
        if not schema.get("description")
    ]
    assert bare == []


async def test_no_schema_has_what_clients_type_as_unknown(knowledge: FakeKnowledge) -> None:
    async with connected(knowledge) as client:
        text = json.dumps(await schemas(client))
    assert "anyOf" not in text
    assert '"null"' not in text
