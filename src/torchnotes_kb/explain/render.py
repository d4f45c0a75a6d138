"""A diagnosis as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from torchnotes_kb.explain.model import Diagnosis
from torchnotes_kb.notes.model import Language
from torchnotes_kb.notes.render import describe_proof

__all__ = ["render_text"]

WORDS = {
    Language.EN: {
        "where": "where",
        "fix": "fix",
        "note": "note",
        "if": "several notes have this message; this is the one if {tell}",
        "others": "or, if it looks otherwise:",
        "likely": "no note has this message; by its words this one may answer ({score:.0%} sure):",
        "unknown": "no note explains this message",
        "near": "nearest notes, not believed to answer:",
        "site": "torch raises it at {file}:{line} in {function}",
        "when": "when",
        "folded": "{count} frame{plural} of torch folded",
        "cut_off": "(the exception is missing: the text ends before it)",
        "later": "(this came before {said}, which no note explains)",
        "proof": "failing example: {text}",
        "wordings": "other releases",
        "same": "here: same message in this runtime (torch {torch})",
        "reworded": "here: worded differently in this runtime (torch {torch}): {said}",
        "other": "here: fails otherwise in this runtime (torch {torch}): {said}",
        "passes": "here: no longer fails in this runtime (torch {torch})",
        "cut": "here: ended without a message in this runtime (torch {torch}): {reason}",
        "skipped": "here: not run in this runtime: {reason}",
    },
    Language.ZH: {
        "where": "位置",
        "fix": "改法",
        "note": "条目",
        "if": "这条信息对应不止一个条目；如果{tell}，就是这一个",
        "others": "若情况不符，也可能是：",
        "likely": "没有条目收录这条信息；按字面看，下面这个可能回答它（把握 {score:.0%}）：",
        "unknown": "没有条目解释这条信息",
        "near": "最接近的条目（不确定能回答）：",
        "site": "torch 在 {file}:{line} 的 {function} 中抛出",
        "when": "条件",
        "folded": "折叠了 torch 的 {count} 个栈帧",
        "cut_off": "（缺少异常本身：文本在它之前就断了）",
        "later": "（在它之后还有 {said}，没有条目解释）",
        "proof": "报错示例：{text}",
        "wordings": "其他版本",
        "same": "本环境：报同样的信息（torch {torch}）",
        "reworded": "本环境：措辞不同（torch {torch}）：{said}",
        "other": "本环境：报的是别的错（torch {torch}）：{said}",
        "passes": "本环境：不再报错（torch {torch}）",
        "cut": "本环境：未给出信息就结束了（torch {torch}）：{reason}",
        "skipped": "本环境：没有运行：{reason}",
    },
}


MAX_HEADLINE = 2000
"""Characters: a message may hold all that was printed of a tensor or a file."""


def render_text(diagnosis: Diagnosis) -> str:
    """The diagnosis, shortest useful things first."""
    return "\n".join(_lines(diagnosis, WORDS[diagnosis.language]))


def _lines(diagnosis: Diagnosis, words: dict[str, str]) -> Iterator[str]:
    yield _headline(diagnosis) or words["cut_off"]
    frame = diagnosis.user_frame
    if frame is not None:
        code = f"    {frame.source}" if frame.source else ""
        folded = words["folded"].format(
            count=diagnosis.torch_frames, plural="s" * (diagnosis.torch_frames != 1)
        )
        more = f"  ({folded})" if diagnosis.torch_frames else ""
        yield f"{words['where']}: {frame.file}:{frame.line} {frame.function}{more}"
        if code:
            yield code
    yield ""
    if diagnosis.note is None and not diagnosis.explanation:
        yield words["unknown"]
    if diagnosis.note is not None and diagnosis.signature is None:
        yield words["likely"].format(score=diagnosis.score)
    if diagnosis.title:
        yield diagnosis.title
    if diagnosis.unexplained:
        yield words["later"].format(said=diagnosis.unexplained)
    if diagnosis.undecided and diagnosis.tell:
        yield words["if"].format(tell=diagnosis.tell)
    if diagnosis.explanation:
        yield diagnosis.explanation
    if diagnosis.remedy:
        yield ""
        yield f"{words['fix']}: {diagnosis.remedy}"
    yield from _rest(diagnosis, words)


def _headline(diagnosis: Diagnosis) -> str:
    first_line = diagnosis.message.partition("\n")[0]
    if len(first_line) > MAX_HEADLINE:
        first_line = f"{first_line[:MAX_HEADLINE]}…"
    return ": ".join(part for part in (diagnosis.error_type, first_line) if part)


def _rest(diagnosis: Diagnosis, words: dict[str, str]) -> Iterator[str]:
    if diagnosis.site is not None:
        site = diagnosis.site
        yield words["site"].format(file=site.file, line=site.line, function=site.function)
        if site.condition:
            yield f"  {words['when']}: {site.condition}"
    if diagnosis.note is not None:
        yield ""
        yield f"{words['note']}: kb show {diagnosis.note}"
    for sentence in diagnosis.wordings:
        yield f"{words['wordings']}: {sentence}"
    if diagnosis.reproduction is not None:
        here = diagnosis.reproduction
        first_line = here.said.partition("\n")[0]
        yield words[here.kind].format(torch=here.torch, said=first_line, reason=here.reason)
    proofs = (describe_proof(proof, diagnosis.language) for proof in diagnosis.proof)
    for text in dict.fromkeys(proofs):  # several examples may be proven alike
        yield words["proof"].format(text=text)
    if diagnosis.alternatives:
        yield ""
        yield words["others"] if diagnosis.note else words["near"]
        for other in diagnosis.alternatives:
            yield f"  {other.note_id}: {other.title}" + (f" ({other.tell})" if other.tell else "")
