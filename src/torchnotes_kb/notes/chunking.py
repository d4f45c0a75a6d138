"""Notes into chunks: one per section and language, with an id that outlives rebuilds."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torchnotes_kb.notes.model import Chunk, Language, Note, Section
from torchnotes_kb.notes.prose import fill, slug

__all__ = ["chunk_note"]


def chunk_note(note: Note, *, root: Path | None = None) -> tuple[Chunk, ...]:
    """The chunks of one note, in order of section and language.

    A section without prose but with code is kept in every language that the note speaks.

    Args:
        note: The note.
        root: What `source` is relative to; None: the file's own directory.
    """
    spoken = tuple(lang for lang in Language if any(_text(s, lang) for s in note.sections))
    chunks: list[Chunk] = []
    seen: dict[str, int] = {}
    for section in note.sections:
        name = slug(section.heading)
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name}-{seen[name]}"
        chunks += [
            _chunk(note, section, name, lang, root)
            for lang in spoken or (Language.EN,)
            if _text(section, lang) or section.examples
        ]
    return tuple(chunks)


def _chunk(note: Note, section: Section, name: str, lang: Language, root: Path | None) -> Chunk:
    text = fill(_text(section, lang))
    code = "\n".join(example.code for example in section.examples)
    title = note.title_in(lang)
    path = note.path.relative_to(root) if root else Path(note.path.name)
    whole = f"{lang}\0{title}\0{section.heading}\0{text}\0{code}"
    return Chunk(
        id=f"{note.id}#{name}@{lang}",
        note_id=note.id,
        section=section.heading,
        lang=lang,
        title=title,
        text=text,
        code=code,
        source=f"{path.as_posix()}:{section.line}",
        sha256=hashlib.sha256(whole.encode()).hexdigest(),
    )


def _text(section: Section, lang: Language) -> str:
    return section.text_zh if lang is Language.ZH else section.text
