"""All reasoners, tried in the order of the list below: the first with something to say wins."""

from __future__ import annotations

from collections.abc import Sequence

from torchnotes_kb.explain.reasoners import shapes, state_dict, values
from torchnotes_kb.explain.reasoners.base import Case, Reason
from torchnotes_kb.sandbox.model import Frame

__all__ = ["reason_about"]

REASONERS = (*shapes.REASONERS, *state_dict.REASONERS, *values.REASONERS)


def reason_about(message: str, frames: Sequence[Frame] = ()) -> Reason | None:
    """What the values of a message say, or None where no family knows it."""
    for reasoner in REASONERS:
        captured = reasoner.template.search(message)
        if captured is not None:
            reason = reasoner.reason(Case(message, captured, frames))
            if reason is not None:
                return reason
    return None
