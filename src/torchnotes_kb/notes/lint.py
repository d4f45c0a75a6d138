"""What the parser cannot see from one line: a note as a whole, and the notes together."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from torchnotes_kb.errors import NoteError
from torchnotes_kb.notes.corpus import note_files, parse_files
from torchnotes_kb.notes.model import Note, NoteKind, Role
from torchnotes_kb.notes.overlap import overlaps
from torchnotes_kb.notes.prose import captures_used
from torchnotes_kb.notes.tags import TAGS
from torchnotes_kb.notes.template import Template

__all__ = ["lint"]

SECTIONS = {
    NoteKind.ERROR: (("Symptom", "Fails", "Why", "Works"), ("Also",)),
    NoteKind.IDIOM: (("Question", "Answer", "Shows"), ("Pitfall", "Also")),
}
"""Per kind: the sections it must have, in order, and those it may have after them."""

PLATFORMS = ("windows", "macos", "linux")
ASKED_MOST = 120
MAX_CODE_LINES = 40
MAX_CODE_WIDTH = 100
"""Of the house style; a page or a terminal shows no wider line without scrolling."""
CHINESE = re.compile(r"[\u3400-\u9fff]")
MAX_NOTE_LINES = 200
"""Nobody reads more in the middle of an error; the longest note that reviews accepted has 190."""


def lint(paths: Iterable[Path], *, root: Path | None = None) -> list[NoteError]:
    """Every finding in these files and directories, by path and line.

    Args:
        paths: Files or directories of notes.
        root: The whole corpus, when `paths` are a part of it: links are looked up there.
    """
    paths = tuple(paths)
    files = [file for path in paths for file in note_files(path)]
    notes, findings = parse_files(files)
    if not files:
        findings = [NoteError(path, 1, "no notes here", "name Markdown files") for path in paths]
    findings += [finding for note in notes for finding in lint_note(note)]
    known = notes if root is None else notes + parse_files(note_files(root))[0]
    findings += _lint_together(notes, known)
    return sorted(set(findings), key=lambda finding: (str(finding.path), finding.line))


def lint_note(note: Note) -> list[NoteError]:
    """Findings that one note alone shows."""
    return [finding for check in CHECKS for finding in check(note)]


def _at(note: Note, problem: str, remedy: str, *, line: int = 1) -> NoteError:
    return NoteError(note.path, line, problem, remedy)


def _identity(note: Note) -> Iterator[NoteError]:
    if note.id != note.path.stem:
        yield _at(note, f"id is {note.id}, file is {note.path.name}", "give both the same name")
    folder = note.path.parent.name
    if folder in {"errors", "idioms"} and folder != f"{note.kind}s":
        yield _at(note, f"a note of kind {note.kind} in {folder}/", f"move it to {note.kind}s/")
    for name in ("title", "title_zh"):
        if not getattr(note, name).strip():
            yield _at(note, f"`{name}` is empty", "give the note a title in both languages")


def _asked(note: Note) -> Iterator[NoteError]:
    for text in note.asked:
        if len(text) > ASKED_MOST:
            yield _at(note, f"`asked` of {len(text)} characters", f"use at most {ASKED_MOST}")
    if len(set(note.asked)) < len(note.asked):
        yield _at(note, "`asked` says one thing twice", "keep it once")


def _vocabulary(note: Note) -> Iterator[NoteError]:
    for tag in note.tags:
        if tag not in TAGS:
            yield _at(note, f"unknown tag `{tag}`", "docs/tags.md lists them")
    if not note.tags:
        yield _at(note, "no tags", "docs/tags.md lists them")
    for platform in note.platforms:
        if platform not in PLATFORMS:
            yield _at(note, f"unknown platform `{platform}`", f"use {', '.join(PLATFORMS)}")
    if not note.sources:
        yield _at(note, "no sources", "name what backs the claims")
    for source in note.sources:
        if not source.startswith("https://"):
            yield _at(note, f"source `{source}` is no https address", "give a full address")


def _versions(note: Note) -> Iterator[NoteError]:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - lint only

    try:
        SpecifierSet(note.torch)
    except InvalidSpecifier:
        yield _at(note, f"torch `{note.torch}` is no version specifier", 'write torch: ">=2.6"')


def _sections(note: Note) -> Iterator[NoteError]:
    if note.kind not in SECTIONS:
        yield _at(note, f"kind {note.kind} is for imported pages", "use error or idiom")
        return
    must, may = SECTIONS[note.kind]
    headings = [section.heading for section in note.sections]
    for section in note.sections:
        if section.heading not in must + may:
            yield _at(
                note,
                f"section `{section.heading}` is not one of {note.kind}'s",
                f"use {', '.join(must + may)}",
                line=section.line,
            )
    for heading in must:
        if heading not in headings:
            yield _at(note, f"no section {heading}", f"add ## {heading}")
    in_order = [heading for heading in must + may if heading in headings]
    known = [heading for heading in headings if heading in must + may]
    if known != in_order and sorted(known) == sorted(in_order):
        yield _at(note, "sections out of order", f"order them {', '.join(in_order)}")
    for heading, count in Counter(headings).items():
        if count > 1:
            yield _at(note, f"section {heading} stands {count} times", "make them one")


def _prose(note: Note) -> Iterator[NoteError]:
    required = {"Symptom", "Why", "Question", "Answer"}
    names = {name for text in note.signatures for name in _names(text)}
    for section in note.sections:
        if section.heading in required and not section.text:
            remedy = "say it in both languages"
            yield _at(note, f"section {section.heading} says nothing", remedy, line=section.line)
        for name in captures_used(section.text + section.text_zh) - names:
            yield _at(
                note, f"`{{{{{name}|…}}}}` is in no signature", "name a capture", line=section.line
            )
    lines = len(note.path.read_text(encoding="utf-8").splitlines())
    if lines > MAX_NOTE_LINES:
        yield _at(note, f"{lines} lines, more than {MAX_NOTE_LINES}", "split it, or say less")


def _names(signature: str) -> tuple[str, ...]:
    try:
        return Template.parse(signature).names
    except ValueError:
        return ()


def _signatures(note: Note) -> Iterator[NoteError]:
    if note.kind is NoteKind.ERROR and not note.signatures:
        yield _at(note, "no signatures", "give the message as a template")
    for text in note.signatures:
        try:
            template = Template.parse(text)
        except ValueError as problem:
            yield _at(note, f"signature `{text}`: {problem}", "mend the braces")
            continue
        if len(template.literal) < MIN_LITERAL:
            yield _at(note, f"signature `{text}` says too little", "give more of the message")


MIN_LITERAL = 10
"""Fewer fixed characters match messages of other causes: `list index` has 10."""


def _examples(note: Note) -> Iterator[NoteError]:
    roles = {example.role for example in note.examples}
    needed = {NoteKind.ERROR: (Role.FAILS, Role.WORKS), NoteKind.IDIOM: (Role.SHOWS,)}
    for role in needed.get(note.kind, ()):
        if role not in roles and Role.FRAGMENT not in roles:
            yield _at(note, f"no `{role}` example", f"add ```python {role} (or say why not)")
    templates = [Template.parse(text) for text in note.signatures if _parses(text)]
    for example in note.examples:
        if len(example.code.splitlines()) > MAX_CODE_LINES:
            problem = f"example longer than {MAX_CODE_LINES} lines"
            yield _at(note, problem, "show only what matters", line=example.line)
        if example.role is Role.FRAGMENT:
            continue
        try:
            compile(example.code, "example", "exec", dont_inherit=True)
        except SyntaxError as error:
            yield _at(note, f"example is not Python: {error.msg}", "mend it", line=example.line)
            continue
        for problem, line in _style(example.code):
            yield _at(note, problem, "write it in the house style", line=example.line + line)
        for name in ("raises", "warns"):
            said = getattr(example.expectation, name)
            if note.kind is NoteKind.ERROR and said and not _could_match(templates, said):
                problem = f"no signature can match what the example {name}"
                yield _at(note, problem, f"make {name}= and a signature agree", line=example.line)


def _style(code: str) -> Iterator[tuple[str, int]]:
    """What can be seen without a formatter: (problem, line of the code)."""
    for number, line in enumerate(code.splitlines(), start=1):
        if len(line) > MAX_CODE_WIDTH:
            yield f"a line of {len(line)} characters, more than {MAX_CODE_WIDTH}", number
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            yield "import * hides what is used", node.lineno
    starts = Counter(node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt))
    yield from (("several statements on one line", n) for n, count in starts.items() if count > 1)
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT and CHINESE.search(token.string):
            yield "comments are in English", token.start[0]


def _parses(signature: str) -> bool:
    try:
        Template.parse(signature)
    except ValueError:
        return False
    return True


def _could_match(templates: list[Template], said: str) -> bool:
    """Whether a literal claim and some template share their beginning, as far as both go."""
    message = said.partition(":")[2].strip()
    if not templates or not message or message.startswith("/"):
        return True
    for template in templates:
        first = template.parts[0]
        if not isinstance(first, str):
            return True
        size = min(len(first), len(message))
        if first[:size].split() == message[:size].split() or first in message:
            return True
    return False


def _lint_together(notes: Iterable[Note], known: Iterable[Note]) -> Iterator[NoteError]:
    by_id: dict[str, set[Path]] = defaultdict(set)
    owners: dict[str, set[str]] = defaultdict(set)
    for note in known:
        by_id[note.id].add(note.path.resolve())
        for signature in note.signatures:
            owners[signature].add(note.id)
    for note in notes:
        if len(by_id[note.id]) > 1:
            yield _at(note, f"id {note.id} is used twice", "rename one of them")
        for other in note.see_also:
            if other not in by_id or other == note.id:
                yield _at(note, f"see_also `{other}` leads nowhere", "name another note's id")
        for signature in note.signatures:
            if len(owners[signature]) > 1:
                others = ", ".join(sorted(owners[signature] - {note.id}))
                yield _at(note, f"signature `{signature}` is also {others}'s", "keep it in one")
    yield from _lint_overlaps(notes, known)


def _lint_overlaps(notes: Iterable[Note], known: Iterable[Note]) -> Iterator[NoteError]:
    """Notes that can mean one message must name each other: a reader of either may need both."""
    links = {note.id: set(note.see_also) for note in known}
    shared: dict[tuple[str, str], str] = {}
    for found in overlaps(known):
        shared.setdefault((found.note_id, found.other), found.signature)
        shared.setdefault((found.other, found.note_id), found.signature)
    for note in notes:
        for (here, other), signature in shared.items():
            if here == note.id and other not in links[note.id]:
                problem = f"`{signature}` can be a message of {other} too"
                yield _at(note, problem, f"name {other} in see_also, or say more in a signature")


CHECKS: tuple[Callable[[Note], Iterator[NoteError]], ...] = (
    _identity,
    _asked,
    _vocabulary,
    _versions,
    _sections,
    _prose,
    _signatures,
    _examples,
)
