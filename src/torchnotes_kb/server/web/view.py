"""A note as a page shows it: its sections in rows, failing beside working, each example proven."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from torchnotes_kb.notes.model import (
    Example,
    Language,
    Note,
    Output,
    Prose,
    Role,
    Section,
)
from torchnotes_kb.notes.proof import Proof, VerdictKind
from torchnotes_kb.notes.prose import fill
from torchnotes_kb.notes.render import HEADINGS_ZH, describe_proof
from torchnotes_kb.server.web.markup import code_html, prose_html
from torchnotes_kb.server.web.words import words_in

__all__ = ["ExampleView", "NoteView", "SectionView", "claim_of", "view_note"]


@dataclass(frozen=True, kw_only=True)
class ExampleView:
    """One program on the page."""

    role: str
    label: str
    expected: str
    """What must happen, in words; empty: it runs to its end."""
    claim: str
    """The same as the sandbox is told it."""
    code: str
    html: Markup
    stdout: str
    status: str
    """`proven`, `refuted`, `skipped`, or `unproven`."""
    status_text: str
    when: str
    line: int


@dataclass(frozen=True, kw_only=True)
class SectionView:
    """One section on the page."""

    heading: str
    blocks: tuple[Markup | ExampleView, ...]
    """Prose and programs, in the order in which they are read."""


@dataclass(frozen=True, kw_only=True)
class NoteView:
    """One note on the page."""

    note: Note
    title: str
    other_title: str
    rows: tuple[tuple[SectionView, ...], ...]
    """Sections below each other; two in a row stand side by side."""
    sources: tuple[str, ...]


def view_note(note: Note, *, language: Language, proofs: Iterable[Proof]) -> NoteView:
    """The note in one language with its last proofs."""
    known = {proof.example: proof for proof in proofs}
    sections = [_section(section, note, language, known) for section in note.sections]
    other = Language.EN if language is Language.ZH else Language.ZH
    return NoteView(
        note=note,
        title=note.title_in(language),
        other_title=note.title_in(other),
        rows=tuple(_in_rows(note.sections, sections)),
        sources=tuple(url for url in note.sources if url.startswith(("https://", "http://"))),
    )


def claim_of(example: Example) -> str:
    """What an example promises, as `verify_snippet` takes it."""
    expectation = example.expectation
    if expectation.raises is not None:
        return f"raises {expectation.raises}"
    if expectation.warns is not None:
        return f"warns {expectation.warns}"
    return f"prints {expectation.stdout}" if expectation.stdout is not None else "no exception"


def _in_rows(
    sections: Sequence[Section], views: Sequence[SectionView]
) -> list[tuple[SectionView, ...]]:
    """Fails and Works in one row, where a note has both; the rest below each other."""
    by_heading = dict(zip((section.heading for section in sections), views, strict=True))
    pair = (by_heading.get("Fails"), by_heading.get("Works"))
    rows: list[tuple[SectionView, ...]] = []
    for section, view in zip(sections, views, strict=True):
        if pair[0] is None or pair[1] is None or section.heading not in {"Fails", "Works"}:
            rows.append((view,))
        elif section.heading == "Fails":
            rows.append((pair[0], pair[1]))
    return rows


def _section(
    section: Section, note: Note, language: Language, known: dict[str, Proof]
) -> SectionView:
    chinese = language is Language.ZH
    heading = HEADINGS_ZH.get(section.heading, section.heading) if chinese else section.heading
    return SectionView(
        heading="" if section.heading in {note.title, note.title_zh} else heading,
        blocks=tuple(_block(block, language, known) for block in section.read_in(language)),
    )


def _block(
    block: Prose | Example | Output, language: Language, known: dict[str, Proof]
) -> Markup | ExampleView:
    if isinstance(block, Prose):
        return prose_html(fill(block.text))
    if isinstance(block, Output):
        return Markup("<pre>{}</pre>").format(block.text.rstrip())
    return _example(block, language, known)


def _example(example: Example, language: Language, known: dict[str, Proof]) -> ExampleView:
    words, expectation = words_in(language), example.expectation
    proof = known.get(example.sha256)
    expected = ""
    if expectation.raises:
        expected = f"{words.must_raise} {expectation.raises}"
    elif expectation.warns:
        expected = f"{words.must_warn} {expectation.warns}"
    status, text = _status(example, proof, language)
    return ExampleView(
        role=example.role.value,
        label=words.wrong if expectation.wrong else getattr(words, example.role.value),
        expected=expected,
        claim=claim_of(example),
        code=example.code.rstrip(),
        html=code_html(example.code),
        stdout=(expectation.stdout or "").rstrip(),
        status=status,
        status_text=text,
        when=proof.when.date().isoformat() if proof else "",
        line=example.line,
    )


def _status(example: Example, proof: Proof | None, language: Language) -> tuple[str, str]:
    if example.role is Role.FRAGMENT:
        return "skipped", f"{words_in(language).skipped}: {example.expectation.because or ''}"
    if proof is None or (proof.stale and proof.verdict.kind is VerdictKind.PROVEN):
        return "unproven", describe_proof(proof, language)
    return proof.verdict.kind.value, describe_proof(proof, language)
