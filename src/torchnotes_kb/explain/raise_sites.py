"""Where the installed torch raises a message: every `raise` of its Python sources, parsed once.

Messages that torch raises from C++ are not here. The table is kept per torch version in the
user's cache; a damaged one is built anew.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from torchnotes_kb.explain.model import RaiseSite

__all__ = ["RaiseSites"]

FORMAT = 1
WORD = re.compile(r"[A-Za-z_]{3,40}")
RAISE = re.compile(rb"^[ \t]+raise[ (]", re.MULTILINE)
MIN_WORDS = 3
"""A message of fewer fixed words is everywhere."""
LEAST = 0.8
"""Share of a site's words that a message must hold, in order, to be its message."""
FEW, MOSTLY, PARTLY = 4, 0.8, 0.25
"""A site of few words must cover most of the message, or "list index out of range" would be the one
of torch's that says "index {} is out of range"; others a part, as values may be long."""
CANDIDATES = 50
MAX_MESSAGE = 2000
MAX_CONDITION = 300
REMOTE = ("/_", "/ao/", "/distributed/", "/testing/", "/onnx/", "/quantiz", "/functional_")
"""Parts of torch whose copies of a message few programs meet."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Site:
    file: str
    line: int
    function: str
    condition: str
    words: tuple[str, ...]
    """Fixed words of the message, in order."""


class RaiseSites:
    """Looks messages up among the raise sites of one torch."""

    def __init__(self, sites: list[_Site]) -> None:
        self._sites = sites
        self._postings: dict[str, list[int]] = defaultdict(list)
        for number, site in enumerate(sites):
            for word in set(site.words):
                self._postings[word].append(number)

    def __len__(self) -> int:
        """How many sites are known."""
        return len(self._sites)

    @classmethod
    def open(
        cls, torch: Path, version: str, *, cache: Path, progress: Progress | None = None
    ) -> RaiseSites:
        """The table of one torch, from the cache or parsed now.

        Args:
            torch: The package's directory.
            version: Its version, part of the cached file's name.
            cache: Directory of the cache.
            progress: Told how many of the files have been parsed.
        """
        file = cache / f"raise-sites-{FORMAT}-{re.sub(r'[^0-9A-Za-z.+]', '_', version)}.json"
        sites = _load(file)
        if sites is None:
            with _no_collections():
                sites = _parse_package(torch, progress or (lambda _done, _total: None))
            _save(file, sites)
        return cls(sites)

    def find(self, message: str) -> RaiseSite | None:
        """The site whose message this is, or None."""
        words = WORD.findall(message[:MAX_MESSAGE])
        if len(words) < MIN_WORDS:
            return None
        votes: dict[int, int] = defaultdict(int)
        for word in sorted(set(words), key=lambda w: len(self._postings.get(w, ())))[:8]:
            for number in self._postings.get(word, ()):
                votes[number] += 1
        likely = sorted(votes, key=lambda n: (-votes[n], n))[:CANDIDATES]
        scored = [(_in_order(self._sites[n].words, words), n) for n in likely]
        best = max(scored, key=lambda pair: (pair[0], self._nearness(pair[1])), default=None)
        if best is None or best[0] < LEAST:
            return None
        site = self._sites[best[1]]
        return RaiseSite(
            file=site.file, line=site.line, function=site.function, condition=site.condition
        )

    def _nearness(self, number: int) -> tuple[bool, int, int]:
        """Of several sites with one message the one that most programs meet is the greatest."""
        file = self._sites[number].file
        return not any(part in file for part in REMOTE), -file.count("/"), -number


def _in_order(wanted: tuple[str, ...], words: list[str]) -> float:
    """Share of `wanted` found in `words` in order, halved if that covers little of the message."""
    at = found = 0
    for word in wanted:
        try:
            at = words.index(word, at) + 1
        except ValueError:
            continue
        found += 1
    covered = found / len(words)
    enough = covered >= (MOSTLY if len(wanted) <= FEW else PARTLY)
    return found / len(wanted) * (1.0 if enough else 0.5)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Syntax trees hold no cycles; looking for some in millions of nodes doubles the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _parse_package(torch: Path, progress: Progress) -> list[_Site]:
    internal = torch / "testing" / "_internal"  # torch's own tests; no program meets them
    files = sorted(file for file in torch.rglob("*.py") if not file.is_relative_to(internal))
    sites: list[_Site] = []
    for number, file in enumerate(files, start=1):
        progress(number, len(files))
        try:
            source = file.read_bytes()
            tree = ast.parse(source) if RAISE.search(source) else None
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue  # what does not parse raises nothing at run time either
        if tree is not None:
            sites += _walk(tree.body, str(file.relative_to(torch.parent)), "<module>", None)
    return sites


def _walk(
    body: Iterable[ast.AST], file: str, function: str, condition: ast.expr | None
) -> Iterator[_Site]:
    """The raise sites among these statements and below them."""
    for node in body:
        if isinstance(node, ast.Raise):
            words = tuple(WORD.findall(_message(node.exc))) if node.exc is not None else ()
            if len(words) >= MIN_WORDS:
                test = ast.unparse(condition)[:MAX_CONDITION] if condition is not None else ""
                yield _Site(file, node.lineno, function, test, words)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = node.name if function == "<module>" else f"{function}.{node.name}"
            yield from _walk(node.body, file, name, None)
        elif isinstance(node, ast.If):
            yield from _walk(node.body, file, function, node.test)
            otherwise = ast.UnaryOp(op=ast.Not(), operand=node.test)
            yield from _walk(node.orelse, file, function, otherwise)
        elif isinstance(node, COMPOUND):
            yield from _walk(_blocks(node), file, function, condition)


COMPOUND = (
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.ExceptHandler,
    ast.Match,
    ast.match_case,
)


def _blocks(node: ast.AST) -> Iterator[ast.AST]:
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        yield from getattr(node, name, ())


def _message(node: ast.expr) -> str:
    """The fixed text among the arguments of a raised exception."""
    texts = [
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    return re.sub(r"%[-#0-9.]*[a-z]|\{[^{}]*\}", " ", " ".join(texts))


def _load(file: Path) -> list[_Site] | None:
    try:
        rows = json.loads(file.read_bytes())
        return [
            _Site(file, line, function, condition, tuple(words))
            for file, line, function, condition, words in rows
        ]
    except (OSError, ValueError, TypeError, IndexError, KeyError):
        return None


def _save(file: Path, sites: list[_Site]) -> None:
    """Keep the table; a cache that cannot be written is only slower next time."""
    rows = [[s.file, s.line, s.function, s.condition, s.words] for s in sites]
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(rows, separators=(",", ":")), encoding="utf-8")
        beside.replace(file)
    except OSError:
        with suppress(OSError):
            beside.unlink()
