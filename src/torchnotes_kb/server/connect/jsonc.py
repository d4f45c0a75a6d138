"""Changing one member of a JSON text and no other byte of it.

Editors keep comments and trailing commas in their settings, which a parser and a printer would
lose. So the text is only scanned for where things are, and the change is cut in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["JsoncError", "get_member", "remove_member", "set_member"]

SPACE = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")
INDENT = "  "


class JsoncError(ValueError):
    """The text is not JSON (with comments) at a line."""

    def __init__(self, problem: str, text: str, at: int) -> None:
        super().__init__(f"line {text.count(chr(10), 0, at) + 1}: {problem}")


@dataclass
class _Member:
    start: int
    """Of the key."""
    value: _Value
    comma: int | None
    """Where the comma after it is, if there is one."""


@dataclass
class _Value:
    start: int
    end: int
    is_object: bool = False
    members: dict[str, _Member] = field(default_factory=dict)


def get_member(text: str, path: Sequence[str]) -> str | None:
    """The text of a member's value, None where there is none.

    Raises:
        JsoncError: the text is not JSON, or something above the member is no object.
    """
    value = _scan(text)
    for key in path:
        member = _members(value, text).get(key)
        if member is None:
            return None
        value = member.value
    return text[value.start : value.end]


def set_member(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    """The text with the member at `path` set; objects above it are made where missing.

    Raises:
        JsoncError: the text is not JSON, or something above the member is no object.
    """
    text = text if text.strip() else "{}\n"
    here = _scan(text)
    unit = _indent_of(text, here)
    for depth, key in enumerate(path):
        member = _members(here, text).get(key)
        if member is None:
            wanted: Any = value
            for above in reversed(path[depth + 1 :]):
                wanted = {above: wanted}
            return _insert(text, here, key, wanted, unit=unit, depth=depth + 1)
        here = member.value
    return text[: here.start] + _written(value, unit, len(path)) + text[here.end :]


def remove_member(text: str, path: Sequence[str]) -> str:
    """The text without the member at `path`; unchanged where there is none.

    Raises:
        JsoncError: the text is not JSON, or something above the member is no object.
    """
    if not text.strip():
        return text
    here = _scan(text)
    for key in path[:-1]:
        member = _members(here, text).get(key)
        if member is None:
            return text
        here = member.value
    members = list(_members(here, text).items())
    names = [name for name, _ in members]
    if path[-1] not in names:
        return text
    place = names.index(path[-1])
    gone = members[place][1]
    start = len(text[: gone.start].rstrip())
    if gone.comma is not None:
        return text[:start] + text[gone.comma + 1 :]
    before = members[place - 1][1].comma if place else None
    if before is None:
        return text[:start] + text[gone.value.end :]
    return text[:before] + text[before + 1 : start] + text[gone.value.end :]


def _insert(text: str, into: _Value, key: str, value: Any, *, unit: str, depth: int) -> str:  # noqa: ANN401 - any JSON value
    """Put a member last, after comments that belong to the one before."""
    close = into.end - 1
    last = list(into.members.values())[-1] if into.members else None
    if last is not None and last.comma is None:
        text = text[: last.value.end] + "," + text[last.value.end :]
        close += 1
    head, tail = text[:close].rstrip(), text[close:]
    entry = f"{unit * depth}{json.dumps(key)}: {_written(value, unit, depth)}"
    entry += "," if last is not None and last.comma is not None else ""
    return f"{head}\n{entry}\n{unit * (depth - 1)}{tail}"


def _written(value: Any, unit: str, depth: int) -> str:  # noqa: ANN401 - any JSON value
    text = json.dumps(value, indent=unit, ensure_ascii=False)
    return text.replace("\n", "\n" + unit * depth)


def _indent_of(text: str, root: _Value) -> str:
    """What one level is indented by, as the first member shows."""
    if not root.members:
        return INDENT
    start = next(iter(root.members.values())).start
    before = text[text.rfind("\n", 0, start) + 1 : start]
    return before if before and not before.strip() else INDENT


def _members(value: _Value, text: str) -> dict[str, _Member]:
    if not value.is_object:
        raise JsoncError("an object is expected here", text, value.start)
    return value.members


def _scan(text: str) -> _Value:
    value = _value(text, _skip(text, int(text.startswith("\ufeff"))))
    end = _skip(text, value.end)
    if end != len(text):
        raise JsoncError("something follows the end", text, end)
    return value


def _skip(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def _value(text: str, at: int) -> _Value:
    opening = text[at : at + 1]
    if opening == "{":
        return _object(text, at)
    if opening == "[":
        return _array(text, at)
    found = STRING.match(text, at) or SCALAR.match(text, at)
    if found is None:
        raise JsoncError("a value is expected here", text, at)
    return _Value(at, found.end())


def _object(text: str, at: int) -> _Value:
    members: dict[str, _Member] = {}
    here = _skip(text, at + 1)
    while text[here : here + 1] != "}":
        key = STRING.match(text, here)
        if key is None:
            raise JsoncError("a name in quotes is expected here", text, here)
        colon = _skip(text, key.end())
        if text[colon : colon + 1] != ":":
            raise JsoncError("a colon is expected here", text, colon)
        value = _value(text, _skip(text, colon + 1))
        after = _skip(text, value.end)
        comma = after if text[after : after + 1] == "," else None
        members[json.loads(key[0])] = _Member(key.start(), value, comma)
        here = _next(text, after, "}")
    return _Value(at, here + 1, is_object=True, members=members)


def _array(text: str, at: int) -> _Value:
    here = _skip(text, at + 1)
    while text[here : here + 1] != "]":
        here = _next(text, _skip(text, _value(text, here).end), "]")
    return _Value(at, here + 1)


def _next(text: str, at: int, close: str) -> int:
    """After a comma, or at the close."""
    if text[at : at + 1] == ",":
        return _skip(text, at + 1)
    if text[at : at + 1] != close:
        raise JsoncError(f"a comma or {close} is expected here", text, at)
    return at
