"""What the notes are about, as an answer that fits a budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from torchnotes_kb.notes.model import Note, NoteKind
from torchnotes_kb.notes.proof import Proof
from torchnotes_kb.server.answers.budget import tokens
from torchnotes_kb.server.answers.model import Topic, TopicsAnswer
from torchnotes_kb.server.answers.proofs import count_proofs, describe_proofs

__all__ = ["topics_answer", "topics_text"]

SHOWN_IDS = 4
"""Per topic; enough to see what a tag means."""


def topics_answer(notes: Iterable[Note], proofs: Iterable[Proof], *, most: int) -> TopicsAnswer:
    """The tags with their notes, largest first, as many as fit."""
    listed = tuple(notes)
    by_tag: dict[str, list[str]] = defaultdict(list)
    for note in listed:
        for tag in note.tags:
            by_tag[tag].append(note.id)
    ranked = sorted(by_tag.items(), key=lambda item: (-len(item[1]), item[0]))
    count = count_proofs(proofs)
    for shown_ids in range(SHOWN_IDS, -1, -1):
        topics = tuple(
            Topic(tag=tag, notes=len(ids), examples=tuple(sorted(ids)[:shown_ids]))
            for tag, ids in ranked
        )
        answer = TopicsAnswer(
            notes=len(listed),
            errors=_kinds(listed, NoteKind.ERROR),
            idioms=_kinds(listed, NoteKind.IDIOM),
            pages=_kinds(listed, NoteKind.PAGE),
            proof=count,
            topics=topics,
            left_out=("most ids: search_notes(query, tags=[tag]), or the resource kb://catalogue",)
            if any(topic.notes > shown_ids for topic in topics)
            else (),
        )
        if _cost(answer) <= most:
            break
    return _largest(answer, most)


def topics_text(answer: TopicsAnswer) -> str:
    """The same facts for a reader."""
    kinds = f"{answer.errors} errors, {answer.idioms} idioms"
    kinds += f", {answer.pages} pages of the user's own" if answer.pages else ""
    lines = [f"{answer.notes} notes ({kinds}); {describe_proofs(answer.proof)}.", ""]
    for topic in answer.topics:
        more = ", …" if topic.notes > len(topic.examples) > 0 else ""
        lines.append(f"- {topic.tag} ({topic.notes}) {', '.join(topic.examples)}{more}".rstrip())
    return "\n".join([*lines, "", *(f"Left out: {text}" for text in answer.left_out)]).rstrip()


def _largest(answer: TopicsAnswer, most: int) -> TopicsAnswer:
    """Without as many of the smallest topics as do not fit: pages of a user's may have any tags."""
    whole = answer
    while answer.topics and _cost(answer) > most:
        kept = answer.topics[: len(answer.topics) * 9 // 10]
        said = f"{len(whole.topics) - len(kept)} smaller topics: the resource kb://catalogue"
        answer = whole.model_copy(update={"topics": kept, "left_out": (*whole.left_out, said)})
    return answer


def _cost(answer: TopicsAnswer) -> int:
    return max(tokens(topics_text(answer)), tokens(answer.model_dump_json()))


def _kinds(notes: Iterable[Note], kind: NoteKind) -> int:
    return sum(note.kind is kind for note in notes)
