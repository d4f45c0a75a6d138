"""A note as an answer that fits a budget."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torchnotes_kb.notes.model import Language, Note
from torchnotes_kb.notes.proof import Proof
from torchnotes_kb.notes.render import render_markdown
from torchnotes_kb.server.answers.budget import clip, tokens
from torchnotes_kb.server.answers.model import NoteAnswer
from torchnotes_kb.server.answers.proofs import count_proofs, describe_proofs

__all__ = ["note_answer", "note_text"]

OVERHEAD_TOKENS = 160
"""Of everything but the Markdown."""
JSON_GROWTH = 1.06
"""Newlines and quotes are escaped in JSON; measured on the corpus."""
LEAST_TOKENS = 120


def note_answer(
    note: Note, *, language: Language, proofs: Sequence[Proof], most: int
) -> NoteAnswer:
    """As many whole sections as fit; the others are named."""
    markdown = render_markdown(note, language=language, proofs=proofs)
    room = max(LEAST_TOKENS, int((most - OVERHEAD_TOKENS) / JSON_GROWTH))
    kept, left_out = _fit(markdown, room)
    return NoteAnswer(
        note_id=note.id,
        kind=note.kind,
        title=note.title_in(language),
        language=language,
        torch=note.torch,
        markdown=kept,
        proof=count_proofs(proofs),
        left_out=(_how(", ".join(left_out), note.id, tokens(markdown)),) if left_out else (),
    )


def note_text(answer: NoteAnswer) -> str:
    """The Markdown with what running its examples has shown."""
    lines = [answer.markdown.rstrip(), "", f"({describe_proofs(answer.proof)})"]
    lines += [f"Left out: {text}" for text in answer.left_out]
    return "\n".join(lines)


def _fit(markdown: str, room: int) -> tuple[str, list[str]]:
    """As many sections as fit, in order, the last of them cut; and what is missing."""
    head, *sections = re.split(r"(?m)^(?=## )", markdown)
    if tokens(head) > room:
        return clip(head, room), ["the middle of the beginning", *map(_heading, sections)]
    kept, used = [head], tokens(head)
    for number, section in enumerate(sections):
        cost = tokens(section)
        if used + cost > room:
            return _cut("".join(kept), sections[number:], room - used)
        kept.append(section)
        used += cost
    return "".join(kept), []


def _cut(kept: str, rest: Sequence[str], room: int) -> tuple[str, list[str]]:
    """The beginning and the end of the next section, where there is room worth using."""
    if room < LEAST_TOKENS:
        return kept, [_heading(section) for section in rest]
    missing = [f"the middle of {_heading(rest[0])}", *map(_heading, rest[1:])]
    return f"{kept}{clip(rest[0], room)}\n", missing


def _heading(section: str) -> str:
    return f"“{section.partition(chr(10))[0].removeprefix('## ')}”"


def _how(what: str, note_id: str, whole: int) -> str:
    enough = int((whole + OVERHEAD_TOKENS) * JSON_GROWTH) + 100
    return f'{what}: get_note(id="{note_id}", max_tokens={enough}) or the resource note://{note_id}'
