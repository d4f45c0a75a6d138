"""A search result as an answer that fits a budget."""

from __future__ import annotations

from torchnotes_kb.search.model import Hit, SearchResult, Why
from torchnotes_kb.server.answers.budget import clip, tokens
from torchnotes_kb.server.answers.model import HitAnswer, NearAnswer, SearchAnswer
from torchnotes_kb.server.answers.proofs import count_proofs, describe_proofs

__all__ = ["search_answer", "search_text"]

NOTHING_NEXT = (
    "Next: try the exact error message or other words, or list_topics() for what is covered. "
    "A traceback belongs to explain_error."
)
SNIPPET_TOKENS = 220
"""Of one hit; the whole section is in the note."""


def search_answer(result: SearchResult, *, most: int) -> SearchAnswer:
    """The hits that fit `most` tokens both as text and as JSON; the rest are named as left out."""
    hits = tuple(_hit(hit) for hit in result.hits)
    for count in range(len(hits), 0, -1):
        answer = _answer(result, hits[:count], left_out=hits[count:])
        if max(tokens(search_text(answer)), tokens(answer.model_dump_json())) <= most:
            return answer
    return _answer(result, hits[:1], left_out=hits[1:])


def search_text(answer: SearchAnswer) -> str:
    """The same facts for a reader."""
    if not answer.hits:
        return _nothing(answer)
    lines = [f"{len(answer.hits)} note(s), best first; score: probability that the note answers."]
    for number, hit in enumerate(answer.hits, start=1):
        lines += [
            "",
            f"{number}. {hit.title}",
            f"   {_about(hit)}",
            f"   {describe_proofs(hit.proof)}",
            *(f"   > {line}" for line in [f"{hit.section}:", *hit.snippet.splitlines()]),
        ]
    lines += ["", *(f"Left out: {text}" for text in answer.left_out)]
    lines.append(f'Next: get_note(id="{answer.hits[0].note_id}") for the cause and proven code.')
    return "\n".join(lines)


def _answer(
    result: SearchResult, hits: tuple[HitAnswer, ...], *, left_out: tuple[HitAnswer, ...]
) -> SearchAnswer:
    said: tuple[str, ...] = ()
    if left_out:
        ids = ", ".join(hit.note_id for hit in left_out)
        said = (f"{len(left_out)} more hit(s): {ids}. Ask again with a larger max_tokens.",)
    return SearchAnswer(
        query=clip(result.query, 60),
        language=result.language,
        hits=hits,
        near=tuple(
            NearAnswer(note_id=near.note_id, title=near.title, score=round(near.score, 3))
            for near in result.near
        )
        if not hits
        else (),
        left_out=said,
    )


def _hit(hit: Hit) -> HitAnswer:
    return HitAnswer(
        note_id=hit.note_id,
        title=hit.title,
        kind=hit.kind,
        section=hit.section,
        snippet=clip(hit.snippet, SNIPPET_TOKENS),
        score=round(hit.score, 3),
        found_by=_found_by(hit.why),
        proof=count_proofs(hit.proof),
    )


def _about(hit: HitAnswer) -> str:
    found_by = ", ".join(hit.found_by)
    return f"id {hit.note_id} · {hit.kind} · score {hit.score:.2f} · found by {found_by}"


def _found_by(why: Why) -> tuple[str, ...]:
    exact = "exact signature" if why.exact else "signature"
    ranks = ((exact, why.signature), ("words", why.lexical), ("meaning", why.dense))
    return tuple(f"{name} #{rank}" for name, rank in ranks if rank is not None)


def _nothing(answer: SearchAnswer) -> str:
    lines = [
        "No note covers this; do not answer from the titles below.",
        *(
            f"- near, but not believed to answer: {near.title} ({near.note_id})"
            for near in answer.near
        ),
        NOTHING_NEXT,
    ]
    return "\n".join(lines)
