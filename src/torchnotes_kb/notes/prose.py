"""Prose of notes: which language a paragraph is in, and values put into it. No Markdown here."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torchnotes_kb.notes.model import Language

__all__ = ["captures_used", "fill", "language_of", "slug"]

PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\|([^{}]*)\}\}")
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
CODE_SPAN = re.compile(r"(`+).*?\1", re.DOTALL)


def language_of(text: str) -> Language:
    """Chinese if any Chinese character stands outside code spans, else English."""
    return Language.ZH if HAN.search(CODE_SPAN.sub("", text)) else Language.EN


def fill(text: str, captured: Mapping[str, str] | None = None) -> str:
    """Put captured values into `{{name|fallback}}`; a value that is missing reads as its fallback.

    Example:
        >>> fill("got {{found|another size}}", {"found": "512"}), fill("got {{found|another size}}")
        ('got 512', 'got another size')
    """
    values = captured or {}
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[2]), text)


def captures_used(text: str) -> set[str]:
    """The names that `{{name|fallback}}` refers to."""
    return {match[1] for match in PLACEHOLDER.finditer(text)}


def slug(text: str, *, most: int = 60) -> str:
    """A heading as part of an id: lower case, words joined by `-`, Chinese kept."""
    words = re.findall(r"[^\W_]+", text.lower())
    return "-".join(words)[:most].strip("-") or "section"
