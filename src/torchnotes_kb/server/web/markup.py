"""Text into HTML that is safe to show: prose from Markdown, code in colours."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from pygments.formatter import Formatter

__all__ = ["code_html", "prose_html", "snippet_html"]

INLINE_CODE = re.compile(r"`([^`\n]+)`")


def prose_html(text: str) -> Markup:
    """Markdown as HTML; HTML in it is shown, not obeyed, and links are http(s) or our own."""
    return Markup(_markdown().render(text))  # noqa: S704 - rendered with html=False


def snippet_html(text: str) -> Markup:
    """A piece of a note with its code marked; a piece can end anywhere, so no more of Markdown."""
    return Markup(INLINE_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped


def code_html(code: str) -> Markup:
    """Python as spans with classes; everything else of it is escaped."""
    from pygments import highlight  # noqa: PLC0415 - only pages need it
    from pygments.lexers import PythonLexer  # noqa: PLC0415 - likewise

    text = highlight(code.rstrip() + "\n", PythonLexer(stripnl=False), _formatter())
    return Markup(text)  # noqa: S704 - the formatter escapes


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


@cache
def _formatter() -> Formatter[str]:
    from pygments.formatters import HtmlFormatter  # noqa: PLC0415 - only pages need it

    return HtmlFormatter(nowrap=True)
