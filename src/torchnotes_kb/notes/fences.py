"""The info strings of a note's fences: a closed list, so that a typo cannot skip an example."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from torchnotes_kb.notes.model import Expectation, Role

__all__ = ["Fence", "FenceProblem", "parse_info"]

ATTRIBUTE = re.compile(r'\s*([a-z][a-z-]*)(?:="((?:[^"\\]|\\.)*)")?(?=\s|$)')
PLAIN = ("text", "console")
ALLOWED = {
    Role.FAILS: {"raises", "warns", "wrong", "needs"},
    Role.WORKS: {"needs"},
    Role.SHOWS: {"needs"},
    Role.FRAGMENT: {"because"},
}
NEED = re.compile(r"[a-z][a-z0-9_-]*(?:(?:[<>=!]=?|~=)\d[\w.]*)?")
SYNTAX = 'write `python fails raises="Type: message"`, `python works`, `python shows`, `text`, …'


class FenceProblem(ValueError):  # noqa: N818 - a finding in the making, not an error of its own
    """What is wrong with an info string; `remedy` says what to write."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


@dataclass(frozen=True)
class Fence:
    """A parsed info string; `role` is None for `text` and `console`."""

    language: str
    role: Role | None
    expectation: Expectation = field(default_factory=Expectation)
    needs: tuple[str, ...] = ()


def parse_info(info: str) -> Fence:
    """Read what follows the backticks of a fence.

    Raises:
        FenceProblem: it is not one of the list in docs/notes.md.
    """
    language, _, rest = info.strip().partition(" ")
    if language in PLAIN:
        if rest.strip():
            raise FenceProblem(f"`{language}` takes no attributes", f"write ```{language}")
        return Fence(language, None)
    if language != "python":
        raise FenceProblem(f"unknown fence `{info.strip()}`", SYNTAX)
    name, _, rest = rest.strip().partition(" ")
    if name not in {role.value for role in ALLOWED}:
        raise FenceProblem(f"unknown role `{name}`" if name else "the fence has no role", SYNTAX)
    role = Role(name)
    attributes = _attributes(rest, role)
    return Fence(language, role, _expectation(role, attributes), _needs(attributes.get("needs")))


def _attributes(text: str, role: Role) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    text = text.strip()
    while position < len(text):
        match = ATTRIBUTE.match(text, position)
        if match is None:
            raise FenceProblem(f"cannot read `{text[position:].strip()}`", 'write name="value"')
        name = match[1]
        if name not in ALLOWED[role] or name in found:
            again = "twice" if name in found else f"not one of `{role}`'s"
            raise FenceProblem(
                f"attribute `{name}` is {again}", f"use {', '.join(sorted(ALLOWED[role]))}"
            )
        if (match[2] is None) != (name == "wrong"):
            raise FenceProblem(
                f"attribute `{name}` is incomplete", 'write name="value", or `wrong`'
            )
        found[name] = (match[2] or "").replace('\\"', '"')
        position = match.end()
    return found


def _expectation(role: Role, attributes: dict[str, str]) -> Expectation:
    if role is Role.FAILS:
        how = [name for name in ("raises", "warns", "wrong") if name in attributes]
        if len(how) != 1:
            raise FenceProblem("`fails` does not say how", "give one of raises=, warns=, wrong")
        for name in ("raises", "warns"):
            if name in attributes:
                _check_pattern(name, attributes[name])
        return Expectation(
            raises=attributes.get("raises"), warns=attributes.get("warns"), wrong="wrong" in how
        )
    if role is Role.FRAGMENT:
        if not attributes.get("because", "").strip():
            raise FenceProblem("`fragment` does not say why it is not run", 'give because="…"')
        return Expectation(because=attributes["because"])
    return Expectation()


def _check_pattern(name: str, value: str) -> None:
    kind, _, message = value.partition(":")
    if not re.fullmatch(r"[A-Za-z_][\w.]*", kind):
        raise FenceProblem(f"{name} does not begin with a type", f'write {name}="Type: message"')
    message = message.strip()
    if len(message) > 1 and message[0] == message[-1] == "/":
        try:
            re.compile(message[1:-1])
        except re.error as error:
            raise FenceProblem(f"{name}: not a regular expression: {error}", "mend it") from error


def _needs(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    needs = tuple(re.split(r"[\s,]+", text.strip()))
    for need in needs:
        if not NEED.fullmatch(need):
            raise FenceProblem(f"cannot read needs `{need}`", 'write needs="cuda", "torch<2.6", …')
    return needs
