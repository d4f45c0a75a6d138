"""Write what the corpus decides: tags.md and coverage.md in docs/, and the README's count of notes.

python tools/make_docs.py            # write them
python tools/make_docs.py --check    # exit code 1 if they are not what they should be
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from torchnotes_kb.config import Settings
from torchnotes_kb.notes.corpus import load_corpus
from torchnotes_kb.notes.model import Note, NoteKind
from torchnotes_kb.notes.proof import VerdictKind
from torchnotes_kb.notes.tags import TAGS
from torchnotes_kb.resources import corpus_dir, ledger_file
from torchnotes_kb.verify.ledger import Ledger

ROOT = Path(__file__).parent.parent
COUNTED = re.compile(r"^\d+ notes, .*docs/coverage\.md\).*$", re.MULTILINE)
"""The paragraph of the README that counts them."""


def tags_page(notes: Iterable[Note]) -> str:
    """The closed list of tags with their meaning and how many notes have them."""
    used = Counter(tag for note in notes for tag in note.tags)
    rows = [f"| `{tag}` | {meaning} | {used[tag]} |" for tag, meaning in sorted(TAGS.items())]
    head = "# Tags\n\nA closed list: `kb lint` refuses others. A new one goes into"
    place = "`src/torchnotes_kb/notes/tags.py` with its meaning."
    table = "\n".join(["| tag | notes about | how many |", "|---|---|---|", *rows])
    return f"{head} {place}\n\n{table}\n"


def coverage_page(notes: tuple[Note, ...], ledger: Ledger) -> str:
    """Notes by topic, what is proven of each, and on which versions."""
    kinds = Counter(note.kind for note in notes)
    verdicts = Counter(proof.verdict.kind for note in notes for proof in ledger.of(note))
    versions = sorted({proof.torch for proof in ledger.proofs})
    total = sum(len(note.examples) for note in notes)
    summary = (
        f"{len(notes)} notes ({kinds[NoteKind.ERROR]} errors, {kinds[NoteKind.IDIOM]} idioms) with "
        f"{total} examples: {verdicts[VerdictKind.PROVEN]} proven, "
        f"{verdicts[VerdictKind.REFUTED]} refuted, {verdicts[VerdictKind.SKIPPED]} skipped"
        + (f", on torch {', '.join(versions)}." if versions else ".")
    )
    topics: dict[str, list[Note]] = defaultdict(list)
    for note in notes:
        topics[note.tags[0]].append(note)
    parts = [f"# Coverage\n\nWritten by `tools/make_docs.py`. {summary}"]
    for topic, members in sorted(topics.items()):
        rows = [_row(note, ledger) for note in members]
        head = "| note | about | torch | examples |\n|---|---|---|---|"
        parts.append(f"## {topic}\n\n{TAGS[topic].capitalize()}.\n\n{head}\n" + "\n".join(rows))
    return "\n\n".join([*parts, _skips(notes, ledger)]) + "\n"


def readme_page(readme: str, notes: tuple[Note, ...], ledger: Ledger) -> str:
    """The README with today's numbers."""
    errors = [note for note in notes if note.kind is NoteKind.ERROR]
    shown = sum(_fails_here(note, ledger) for note in errors)
    counted = (
        f"{len(notes)} notes, {len(errors)} of them about errors and warnings. {shown} of those "
        f"{len(errors)} have a failing example that fails on a CPU, in CI, with the note's own "
        "message; [docs/coverage.md](docs/coverage.md) lists every one with its proofs."
    )
    return COUNTED.sub(counted, readme)


def _fails_here(note: Note, ledger: Ledger) -> bool:
    """Whether an example of the note raises or warns, proven on a machine without a GPU."""
    failing = {
        example.sha256
        for example in note.examples
        if example.expectation.raises or example.expectation.warns
    }
    proven = (proof for proof in ledger.of(note) if proof.verdict.kind is VerdictKind.PROVEN)
    return any(proof.example in failing and not proof.stale for proof in proven)


def _row(note: Note, ledger: Ledger) -> str:
    counts = Counter(proof.verdict.kind for proof in ledger.of(note) if not proof.stale)
    known = sum(counts.values())
    said = [f"{counts[kind]} {kind}" for kind in VerdictKind if counts[kind]]
    if known < len(note.examples):
        said.append(f"{len(note.examples) - known} not run yet")
    path = f"../corpus/{note.kind}s/{note.id}.md"
    title = note.title.replace("|", "\\|")
    return f"| [{note.id}]({path}) | {title} | {note.torch or 'any'} | {', '.join(said)} |"


def _skips(notes: Iterable[Note], ledger: Ledger) -> str:
    rows = [
        f"- `{note.id}`, line {proof.line}: {proof.verdict.reason}"
        for note in notes
        for proof in ledger.of(note)
        if proof.verdict.kind is VerdictKind.SKIPPED
    ]
    return "## Not run, and why\n\n" + ("\n".join(rows) or "Nothing.")


def main() -> None:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    settings = Settings()
    notes = load_corpus(corpus_dir(settings))
    ledger = Ledger.load(ledger_file(settings))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = {
        "docs/tags.md": tags_page(notes),
        "docs/coverage.md": coverage_page(notes, ledger),
        "README.md": readme_page(readme, notes, ledger),
    }
    stale = []
    for name, text in pages.items():
        path = ROOT / name
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            stale.append(name)
        elif not check:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.exit(f"{', '.join(stale)} differ: run python tools/make_docs.py")


if __name__ == "__main__":
    main()
