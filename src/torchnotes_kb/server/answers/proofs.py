"""Proofs, counted and in one line."""

from __future__ import annotations

from collections.abc import Iterable

from torchnotes_kb.notes.proof import Proof, VerdictKind
from torchnotes_kb.server.answers.model import ProofCount

__all__ = ["count_proofs", "describe_proofs"]


def count_proofs(proofs: Iterable[Proof]) -> ProofCount:
    """What running has shown, in numbers."""
    listed = tuple(proofs)
    fresh = [proof for proof in listed if not proof.stale]
    ran = [proof for proof in listed if proof.verdict.kind is not VerdictKind.SKIPPED]
    return ProofCount(
        proven=_count(fresh, VerdictKind.PROVEN),
        refuted=_count(fresh, VerdictKind.REFUTED),
        skipped=_count(fresh, VerdictKind.SKIPPED),
        stale=len(listed) - len(fresh),
        torch=tuple(sorted({proof.torch for proof in ran})),
        when=max((proof.when.date().isoformat() for proof in listed), default=""),
    )


def describe_proofs(count: ProofCount) -> str:
    """The same in a line of text."""
    named = [
        f"{number} {word}"
        for word, number in (
            ("proven", count.proven),
            ("refuted", count.refuted),
            ("skipped", count.skipped),
            ("stale", count.stale),
        )
        if number
    ]
    if not named:
        return "examples not run yet"
    where = f" on torch {', '.join(count.torch)}" if count.torch else ""
    when = f", {count.when}" if count.when else ""
    return f"examples: {', '.join(named)}{where}{when}"


def _count(proofs: Iterable[Proof], kind: VerdictKind) -> int:
    return sum(proof.verdict.kind is kind for proof in proofs)
