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

PROOFS: TypeAdapter[tuple[Proof, ...]] = TypeAdapter(tuple[Proof, ...])


class Ledger:
    """Proofs by note. Reading never fails on a missing file: nothing is proven then."""

    def __init__(self, proofs: Iterable[Proof] = ()) -> None:
        self._proofs = {_key(proof): proof for proof in proofs}

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
            for proof in self._proofs.values()
            if proof.note_id == note.id and (proof.example in order or proof.line in lines)
        ]
        return tuple(sorted(found, key=lambda proof: (proof.line, proof.torch, proof.platform)))

    def of_examples(self, note_id: str, examples: Sequence[str]) -> tuple[Proof, ...]:
        """The proofs of these examples of a note, in their order, without the note at hand."""
        order = {example: number for number, example in enumerate(examples)}
        found = [
            proof
            for proof in self._proofs.values()
            if proof.note_id == note_id and proof.example in order
        ]
        return tuple(sorted(found, key=lambda proof: (order[proof.example], proof.torch)))

    def record(self, proofs: Iterable[Proof]) -> None:
        """Replace what is known of these examples in these runtimes."""
        self._proofs.update((_key(proof), proof) for proof in proofs)

    def keep(self, notes: Iterable[Note]) -> None:
        """Forget proofs of examples that no note has any more."""
        known = {(note.id, example.sha256) for note in notes for example in note.examples}
        self._proofs = {
            key: proof
            for key, proof in self._proofs.items()
            if (proof.note_id, proof.example) in known
        }

    def save(self, path: Path) -> None:
        """Write the ledger whole: a crash leaves the old one."""
        ordered = sorted(self._proofs.values(), key=_key)
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
        return tuple(sorted(self._proofs.values(), key=lambda proof: (proof.note_id, proof.line)))


def _key(proof: Proof) -> tuple[str, str, str, str, str]:
    return (proof.note_id, proof.example, proof.torch, proof.python, proof.platform)
