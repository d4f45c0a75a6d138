"""The notes that a message can mean, best first: its own words decide, then the traceback."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from torchnotes_kb.explain.tells import borrowers, tell, weigh
from torchnotes_kb.index.signatures import template_words
from torchnotes_kb.notes.model import Language
from torchnotes_kb.notes.template import Template
from torchnotes_kb.sandbox.model import Frame
from torchnotes_kb.search.signatures import SignatureMatch

__all__ = ["Meant", "rank_notes", "undecided"]

NEAR_FROM = 0.75
"""Score from which a near match of a template names the note: below, other messages of the same
family match too."""
SHARED = 4
"""Words that a near match must have in common with its template: "division by zero" ends a sentence
of torch's about matrices, and is Python's own."""
NAMES = re.compile(r"'(\w+)'|\b(\w+)\(\)")
"""What a message is about: "'DataLoader' object is not subscriptable" is not about 'NoneType'."""
ALIKE = 4
"""Fixed characters by which templates of the same words may differ and still say the same."""


@dataclass(frozen=True)
class Meant:
    """A note that a message matches, by its best template and with the values of all of them."""

    note_id: str
    template: str
    captured: dict[str, str]
    exact: bool
    score: float
    words: frozenset[str]
    """Fixed words of the template."""
    size: int
    """Fixed characters of it."""
    borrowed: bool
    """The template is another note's; this one explains its message in some places too."""
    weight: int
    """How much the frames speak for the note."""


def rank_notes(
    message: str, matches: Sequence[SignatureMatch], frames: Sequence[Frame]
) -> list[Meant]:
    """One candidate per note.

    Near ones count where none is exact. A template that says all that another says and more is
    the better one ("got Float and BFloat16" beside "got {first} and {second}"); else what the
    frames speak for; else the longer.

    Args:
        message: What was said.
        matches: Templates of notes that it matches, best first.
        frames: Where it was raised.
    """
    templates: dict[str, list[SignatureMatch]] = {}
    for match in matches:
        if match.exact or (match.score >= NEAR_FROM and _says_it(message, match.template)):
            templates.setdefault(match.note_id, []).append(match)
    found = [_meant(own, frames, message) for own in templates.values()]
    found += _borrowed(message, set(templates), frames) if found else []
    if any(meant.exact for meant in found):
        found = [meant for meant in found if meant.exact]
    return sorted(found, key=lambda m: (_generality(m, found), -m.weight, m.borrowed, -m.score))


def _says_it(message: str, template: str) -> bool:
    """Whether a message that is near a template can mean the same."""
    literal = Template.parse(template).literal
    names = {quoted or called for quoted, called in NAMES.findall(literal)}
    shared = set(template_words(literal)) & set(template_words(message))
    return len(shared) >= SHARED and all(name in message for name in names)


def undecided(found: Sequence[Meant]) -> bool:
    """Whether the second could be meant as well as the first, and only the reader can tell."""
    if len(found) <= 1:
        return False
    first, second = found[:2]
    same = first.exact == second.exact and first.words == second.words
    alike = abs(first.size - second.size) <= ALIKE and not (first.borrowed or second.borrowed)
    known = all(tell(meant.note_id, Language.EN) for meant in (first, second))
    return same and alike and known and first.weight == second.weight


def _meant(own: Sequence[SignatureMatch], frames: Sequence[Frame], message: str) -> Meant:
    best = next((match for match in own if match.captured and _alike(match, own[0])), own[0])
    captured, words = dict(best.captured), _words(best)
    for match in own:
        more = _words(match)
        if match.exact and not more <= words:  # another sentence of the message
            captured = {**match.captured, **captured}
            words |= more
    return Meant(
        note_id=best.note_id,
        template=best.template,
        captured=captured,
        exact=best.exact,
        score=best.score,
        words=_words(best),
        size=best.size,
        borrowed=False,
        weight=weigh(best.note_id, frames, message),
    )


def _borrowed(message: str, own: set[str], frames: Sequence[Frame]) -> list[Meant]:
    """Notes that explain this message in some places, unless the frames speak against them."""
    return [
        Meant(
            note_id=note_id,
            template=template,
            captured=captured,
            exact=True,
            score=1.0,
            words=frozenset(template_words(Template.parse(template).literal)),
            size=len(Template.parse(template).literal),
            borrowed=True,
            weight=weight,
        )
        for note_id, template, captured in borrowers(message)
        if note_id not in own and (weight := weigh(note_id, frames, message)) >= 0
    ]


def _words(match: SignatureMatch) -> frozenset[str]:
    return frozenset(template_words(Template.parse(match.template).literal))


def _alike(match: SignatureMatch, best: SignatureMatch) -> bool:
    """Whether two templates have the same fixed words, so that the one with values says more."""
    return match.exact == best.exact and _words(match) == _words(best)


def _generality(meant: Meant, found: Sequence[Meant]) -> int:
    """How many of the others say all that this one says, and more."""
    return sum(meant.words < other.words for other in found if other.exact)
