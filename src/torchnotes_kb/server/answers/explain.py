"""A diagnosis as an answer that fits a budget."""

from __future__ import annotations

from torchnotes_kb.explain.model import Diagnosis
from torchnotes_kb.server.answers.budget import clip, fitted, tokens
from torchnotes_kb.server.answers.model import (
    DiagnosisAnswer,
    FrameAnswer,
    NearAnswer,
    SiteAnswer,
)
from torchnotes_kb.server.answers.proofs import count_proofs, describe_proofs

__all__ = ["cause_text", "explain_answer", "explain_text", "note_next"]

LIKELY = 0.5
"""Below this a note is more likely wrong than right, and said to be."""
UNEXPLAINED_NEXT = (
    "Next: search_notes with the message's key words, or verify_snippet with a small program that "
    "reproduces it."
)
MESSAGE_SHARE = 0.2
"""Of the budget: messages of torch.compile can be pages long."""
EXPLANATION_SHARE = 0.35
REMEDY_SHARE = 0.3
VALUE_SHARE = 0.05
"""Of one value out of the message."""
WORDING_SHARE = 0.1
"""Of one release's wording."""


def explain_answer(diagnosis: Diagnosis, *, most: int) -> DiagnosisAnswer:
    """The diagnosis with alternatives dropped from the end and long texts cut until it fits."""
    return fitted(
        lambda room: _drop_alternatives(_cut(diagnosis, room), most), cost=_cost, most=most
    )


def _cut(diagnosis: Diagnosis, most: int) -> DiagnosisAnswer:
    """The diagnosis with every text within its share of `most`."""
    left_out: list[str] = []

    def cut(name: str, text: str, share: float) -> str:
        room = int(most * share)
        if tokens(text) > room:
            left_out.append(f"the middle of the {name}: ask again with a larger max_tokens")
        return clip(text, room)

    return DiagnosisAnswer(
        found=diagnosis.note is not None,
        error_type=clip(diagnosis.error_type, 40),
        message=cut("message", diagnosis.message, MESSAGE_SHARE),
        note_id=diagnosis.note or "",
        title=diagnosis.title,
        score=round(diagnosis.score, 3),
        by_message=diagnosis.signature is not None,
        unexplained=clip(diagnosis.unexplained, 60),
        undecided=diagnosis.undecided,
        tell=clip(diagnosis.tell, 60),
        language=diagnosis.language,
        explanation=cut("explanation", diagnosis.explanation, EXPLANATION_SHARE),
        remedy=cut("remedy", diagnosis.remedy, REMEDY_SHARE),
        captured={
            name: clip(value, min(40, int(most * VALUE_SHARE)))
            for name, value in diagnosis.captured.items()
        },
        user_frame=_frames(diagnosis),
        torch_frames=diagnosis.torch_frames,
        alternatives=_alternatives(diagnosis),
        site=_sites(diagnosis),
        wordings=tuple(
            clip(sentence, min(120, int(most * WORDING_SHARE))) for sentence in diagnosis.wordings
        ),
        proof=count_proofs(diagnosis.proof),
        left_out=tuple(left_out),
    )


def explain_text(answer: DiagnosisAnswer) -> str:
    """The same facts for a reader."""
    name = ": ".join(part for part in (answer.error_type, answer.message) if part)
    lines = [name or "No error found in the text."]
    lines += [_where(frame) for frame in answer.user_frame]
    if answer.torch_frames:
        plural = "s" * (answer.torch_frames > 1)
        lines.append(f"({answer.torch_frames} frame{plural} of torch folded)")
    return "\n".join([*lines, "", cause_text(answer), "", _next(answer)])


def cause_text(answer: DiagnosisAnswer) -> str:
    """What an error means, for a reader who has it before their eyes."""
    lines = _explained(answer) if answer.found else _unexplained(answer)
    also = "Other cause" if answer.found else "Near, but not believed to be the cause"
    lines += [
        f"- {also}: {other.title} (id {other.note_id}, {other.score:.2f})"
        + (f", if {other.tell}" if other.tell else "")
        for other in answer.alternatives
    ]
    return "\n".join([*lines, *(f"Left out: {text}" for text in answer.left_out)]).rstrip()


def note_next(answer: DiagnosisAnswer) -> str:
    """The call that reads the note of an explained error."""
    return f'Next: get_note(id="{answer.note_id}") for proven failing and working code.'


def _next(answer: DiagnosisAnswer) -> str:
    return note_next(answer) if answer.found else UNEXPLAINED_NEXT


def _where(frame: FrameAnswer) -> str:
    function = f"In {frame.function} at" if frame.function else "At"
    source = f": {frame.source.strip()}" if frame.source else ""
    return f"{function} {frame.file}:{frame.line}{source}"


def _explained(answer: DiagnosisAnswer) -> list[str]:
    hedge = "" if answer.score >= LIKELY else "Possibly, and more likely not: "
    lines = [
        f"{hedge}{answer.title} (id {answer.note_id}, score {answer.score:.2f})",
        describe_proofs(answer.proof),
        *(
            [f"This came before {answer.unexplained}, which no note explains."]
            if answer.unexplained
            else []
        ),
        *([] if answer.by_message else ["No note lists this message; its words led to this one."]),
        *(
            [f"Other notes list this message too; this is the one if {answer.tell}."]
            * answer.undecided
        ),
        *_raised_at(answer),
        "",
        answer.explanation,
    ]
    if answer.captured:
        values = ", ".join(f"{name} = {value}" for name, value in answer.captured.items())
        lines.append(f"From the message: {values}")
    lines += [
        f"Other releases: {sentence.removeprefix('Wordings: ')}" for sentence in answer.wordings
    ]
    return [*lines, "", "What to change:", answer.remedy, ""] if answer.remedy else [*lines, ""]


def _unexplained(answer: DiagnosisAnswer) -> list[str]:
    lines = ["No note explains this; what follows is not an explanation by the notes."]
    return [*lines, *_raised_at(answer), ""]


def _raised_at(answer: DiagnosisAnswer) -> list[str]:
    return [
        f"torch raises it in {site.function} ({site.file}:{site.line})"
        + (f" when `{site.condition}`" if site.condition else "")
        for site in answer.site
    ]


def _frames(diagnosis: Diagnosis) -> tuple[FrameAnswer, ...]:
    frame = diagnosis.user_frame
    if frame is None:
        return ()
    return (
        FrameAnswer(
            file=clip(frame.file, 60),
            line=frame.line,
            function=clip(frame.function, 40),
            source=clip(frame.source, 60),
        ),
    )


def _alternatives(diagnosis: Diagnosis) -> tuple[NearAnswer, ...]:
    return tuple(
        NearAnswer(
            note_id=other.note_id,
            title=other.title,
            score=round(other.score, 3),
            tell=clip(other.tell, 60),
        )
        for other in diagnosis.alternatives
    )


def _sites(diagnosis: Diagnosis) -> tuple[SiteAnswer, ...]:
    site = diagnosis.site
    if site is None:
        return ()
    return (
        SiteAnswer(
            file=site.file,
            line=site.line,
            function=site.function,
            condition=clip(site.condition, 80),
        ),
    )


def _drop_alternatives(answer: DiagnosisAnswer, most: int) -> DiagnosisAnswer:
    whole = answer
    while answer.alternatives and _cost(answer) > most:
        kept = answer.alternatives[:-1]
        dropped = ", ".join(other.note_id for other in whole.alternatives[len(kept) :])
        said = f"other causes {dropped}: ask again with a larger max_tokens"
        answer = whole.model_copy(
            update={"alternatives": kept, "left_out": (*whole.left_out, said)}
        )
    return answer


def _cost(answer: DiagnosisAnswer) -> int:
    return max(tokens(explain_text(answer)), tokens(answer.model_dump_json()))
