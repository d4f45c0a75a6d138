"""`NotesServer`: the SDK's server, strict about arguments and plain about what was wrong with them.

The SDK ignores unknown arguments (`{"limt": 3}` passes) and answers bad ones with pydantic's own
text, which names internal models and a web page. A model learns nothing from either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, ToolAnnotations
from pydantic import ValidationError

__all__ = ["NotesServer", "make_tool"]


def make_tool(function: Callable[..., Any], *, title: str, annotations: ToolAnnotations) -> Tool:
    """A tool whose schemas say only what a client needs; its docstring is its description."""
    tool = Tool.from_function(function, title=title, annotations=annotations)
    tool.description = " ".join(
        line.strip() or "\n\n" for line in tool.description.strip().splitlines()
    ).replace(" \n\n ", "\n\n")
    tool.parameters = _without_titles(tool.parameters) | {"additionalProperties": False}
    if tool.fn_metadata.output_schema is not None:
        tool.fn_metadata.output_schema = _without_titles(tool.fn_metadata.output_schema)
    return tool


class NotesServer(MCPServer[Any]):
    """An MCP server that refuses what it does not know and says what it accepts."""

    def __init__(self, name: str, *, tools: Sequence[Tool], **options: Any) -> None:  # noqa: ANN401 - the SDK's own
        super().__init__(name, tools=list(tools), **options)
        self._accepted = {tool.name: tool.parameters["properties"] for tool in tools}

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> Any:  # noqa: ANN401 - the SDK's union of results
        """Call a tool; null counts as not given, since some models fill every argument in.

        Raises:
            ToolError: there is no such tool, or an argument is wrong; the text says what is right.
        """
        if name not in self._accepted:
            raise ToolError(f"no tool {name!r}: there are {', '.join(sorted(self._accepted))}")
        given = {key: value for key, value in arguments.items() if value is not None}
        accepted = self._accepted[name]
        if unknown := sorted(set(given) - set(accepted)):
            raise ToolError(
                f"{name} does not take {', '.join(unknown)}: it takes {', '.join(accepted)}"
            )
        try:
            return await super().call_tool(name, given, context)
        except ToolError as error:
            crashed = isinstance(error, UnexpectedToolError)
            if isinstance(error.__cause__, ValidationError) and not crashed:
                raise ToolError(f"{name}: {_problems(error.__cause__)}") from error.__cause__
            if isinstance(error.__cause__, ToolError) and not crashed:
                # Without the SDK's "Error executing tool …: ": the result is marked as an error.
                raise error.__cause__ from error
            raise

    async def get_prompt(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        context: Context[Any, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - the SDK's union of results
        """Render a prompt.

        Raises:
            MCPError: there is no such prompt, or an argument is missing or unknown.
        """
        prompts = {prompt.name: prompt for prompt in await self.list_prompts()}
        if name not in prompts:
            known = ", ".join(sorted(prompts))
            raise MCPError(INVALID_PARAMS, f"no prompt {name!r}: there are {known}")
        takes = {argument.name: argument.required for argument in prompts[name].arguments or ()}
        given = set(arguments or ())
        missing = [argument for argument, required in takes.items() if required]
        if (missing := [argument for argument in missing if argument not in given]) or (
            given - set(takes)
        ):
            wrong = ", ".join([*missing, *sorted(given - set(takes))])
            said = f"{name} takes {', '.join(takes)}; missing or unknown: {wrong}"
            raise MCPError(INVALID_PARAMS, said)
        return await super().get_prompt(name, arguments, context)


def _problems(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
        for problem in error.errors()
    )


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without the titles that pydantic derives from field names."""
    return {
        key: {name: _clean(value) for name, value in item.items()}
        if key in {"properties", "$defs"}
        else _clean(item)
        for key, item in schema.items()
        if key != "title"
    }


def _clean(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return _without_titles(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
