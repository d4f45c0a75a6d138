"""A note as Markdown for reading: one language, values filled in, proofs beside the examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torchnotes_kb.notes.model import Example, Language, Note, Output, Prose, Role
from torchnotes_kb.notes.proof import Proof, VerdictKind
from torchnotes_kb.notes.prose import fill

__all__ = ["describe_proof", "render_markdown"]

WORDS = {
    Language.EN: {
        "unproven": "not run yet",
        "proven": "proven on torch {torch}, Python {python}",
        "refuted": "refuted on torch {torch}: {reason}",
        "skipped": "not run: {reason}",
        "stale": "{text} (before the last change)",
        "must_raise": "must raise `{what}`",
        "must_warn": "must warn `{what}`",
        "wrong": "runs, and is wrong",
        "see_also": "See also",
        "sources": "Sources",
        "torch": "torch {torch}",
    },
    Language.ZH: {
        "unproven": "尚未运行",
        "proven": "已在 torch {torch}、Python {python} 上验证",
        "refuted": "在 torch {torch} 上不成立：{reason}",
        "skipped": "未运行：{reason}",
        "stale": "{text}（之后有改动）",
        "must_raise": "必须抛出 `{what}`",
        "must_warn": "必须警告 `{what}`",
        "wrong": "能运行，但结果是错的",
        "see_also": "另见",
        "sources": "来源",
        "torch": "torch {torch}",
    },
}
HEADINGS_ZH = {
    "Symptom": "现象",
    "Fails": "报错示例",
    "Why": "原因",
    "Works": "正确写法",
    "Also": "补充",
    "Question": "问题",
    "Answer": "回答",
    "Shows": "演示",
    "Pitfall": "陷阱",
}


def render_markdown(
    note: Note,
    *,
    language: Language,
    proofs: Sequence[Proof] = (),
    captured: Mapping[str, str] | None = None,
) -> str:
    """The note in one language.

    Args:
        note: The note.
        language: Which prose to show; a section that lacks it shows the other.
        proofs: The last proofs of its examples; each example says its own.
        captured: Values of the reader's own message for `{{name|fallback}}`.
    """
    return "\n\n".join(_blocks(note, language, proofs, captured or {})) + "\n"


def describe_proof(proof: Proof | None, language: Language) -> str:
    """One line that says what is proven, where, or why not."""
    words = WORDS[language]
    if proof is None:
        return words["unproven"]
    text = words[proof.verdict.kind].format(
        torch=proof.torch, python=proof.python, reason=proof.verdict.reason
    )
    stale = proof.stale and proof.verdict.kind is not VerdictKind.SKIPPED
    return words["stale"].format(text=text) if stale else text


def _blocks(
    note: Note, language: Language, proofs: Sequence[Proof], captured: Mapping[str, str]
) -> Iterator[str]:
    words = WORDS[language]
    by_example = {proof.example: proof for proof in proofs}
    yield f"# {note.title_in(language)}"
    about = [f"`{note.id}`"] + ([words["torch"].format(torch=note.torch)] if note.torch else [])
    yield " · ".join([*about, *note.tags])
    for section in note.sections:
        if section.heading != note.title_in(language):
            zh = HEADINGS_ZH.get(section.heading, section.heading)
            yield f"## {zh if language is Language.ZH else section.heading}"
        for block in section.read_in(language):
            if isinstance(block, Prose):
                yield fill(block.text, captured)
            elif isinstance(block, Output):
                yield _fenced(block.fence, block.text)
            else:
                yield _example(block, language)
                yield f"*{_status(block, by_example.get(block.sha256), language)}*"
    if note.see_also:
        yield f"{words['see_also']}: " + ", ".join(f"`{other}`" for other in note.see_also)
    if note.sources:
        yield f"{words['sources']}:\n" + "\n".join(f"- <{source}>" for source in note.sources)


def _example(example: Example, language: Language) -> str:
    block = _fenced("python", example.code)
    if example.expectation.stdout is not None:
        block += "\n\n" + _fenced("text", example.expectation.stdout)
    expected = _expected(example, language)
    return f"**{expected}**\n\n{block}" if expected else block


def _fenced(language: str, text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _expected(example: Example, language: Language) -> str:
    words, expectation = WORDS[language], example.expectation
    if expectation.raises:
        return words["must_raise"].format(what=expectation.raises)
    if expectation.warns:
        return words["must_warn"].format(what=expectation.warns)
    return words["wrong"] if expectation.wrong else ""


def _status(example: Example, proof: Proof | None, language: Language) -> str:
    if example.role is Role.FRAGMENT:
        return WORDS[language]["skipped"].format(reason=example.expectation.because)
    return describe_proof(proof, language)
