"""The ledger: the last proof per example and runtime, as one JSON file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from torchnotes_kb.errors import ConfigError
from torchnotes_kb.notes.model import Note
from torchnotes_kb.notes.proof import Proof

__all__ = ["Ledger"]

Key = tuple[str, str, str, str, str]
PROOFS: TypeAdapter[tuple[Proof, ...]] = TypeAdapter(tuple[Proof, ...])


class Ledger:
    """Proofs by note. Reading never fails on a missing file: nothing is proven then."""

    def __init__(self, proofs: Iterable[Proof] = ()) -> None:
        self._by_note: dict[str, dict[Key, Proof]] = {}
        self.record(proofs)

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """Read a ledger.

        Raises:
            ConfigError: the file is there but is no ledger.
        """
        try:
            return cls(PROOFS.validate_json(path.read_bytes()))
        except FileNotFoundError:
            return cls()
        except (OSError, ValidationError) as error:
            raise ConfigError(str(path), "is no ledger: run `kb verify --save`") from error

    def of(self, note: Note) -> tuple[Proof, ...]:
        """The proofs of a note's examples, in their order; stale where the example changed."""
        order = {example.sha256: number for number, example in enumerate(note.examples)}
        lines = {example.line for example in note.examples}
        found = [
            proof.model_copy(update={"stale": proof.stale or proof.example not in order})
            for proof in self._of(note.id)
            if proof.example in order or proof.line in lines
        ]
        return tuple(sorted(found, key=lambda proof: (proof.line, proof.torch, proof.platform)))

    def of_examples(self, note_id: str, examples: Sequence[str]) -> tuple[Proof, ...]:
        """The proofs of these examples of a note, in their order, without the note at hand."""
        order = {example: number for number, example in enumerate(examples)}
        found = [proof for proof in self._of(note_id) if proof.example in order]
        return tuple(sorted(found, key=lambda proof: (order[proof.example], proof.torch)))

    def record(self, proofs: Iterable[Proof]) -> None:
        """Replace what is known of these examples in these runtimes."""
        for proof in proofs:
            self._by_note.setdefault(proof.note_id, {})[_key(proof)] = proof

    def keep(self, notes: Iterable[Note]) -> None:
        """Forget proofs of examples that no note has any more."""
        kept = []
        for note in notes:
            known = {example.sha256 for example in note.examples}
            kept += [proof for proof in self._of(note.id) if proof.example in known]
        self._by_note = {}
        self.record(kept)

    def save(self, path: Path) -> None:
        """Write the ledger whole: a crash leaves the old one."""
        ordered = sorted(self.proofs, key=_key)
        rows = [proof.model_dump(mode="json", exclude={"stale"}) for proof in ordered]
        text = "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=path.name, delete=False
        ) as file:
            file.write(text)
        os.chmod(file.name, 0o644)  # noqa: PTH101 - a ledger is for everyone to read
        Path(file.name).replace(path)

    @property
    def proofs(self) -> tuple[Proof, ...]:
        """All of them, by note and line."""
        every = (proof for known in self._by_note.values() for proof in known.values())
        return tuple(sorted(every, key=lambda proof: (proof.note_id, proof.line)))

    def _of(self, note_id: str) -> Iterable[Proof]:
        return self._by_note.get(note_id, {}).values()


def _key(proof: Proof) -> Key:
    return (proof.note_id, proof.example, proof.torch, proof.python, proof.platform)
