"""`kb verify` against a ledger, over a corpus of one note."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOTE = Path(__file__).parents[2] / "corpus/errors/topk-k-out-of-range.md"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of one note whose ledger was just saved."""
    folder = tmp_path_factory.mktemp("verify") / "corpus"
    (folder / "errors").mkdir(parents=True)
    text = NOTE.read_text(encoding="utf-8").replace("[index-out-of-bounds-dim]", "[]")
    (folder / "errors" / NOTE.name).write_text(text, encoding="utf-8")
    done = kb(folder, "verify", "--save")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def corpus(built: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    shutil.copytree(built.parent, tmp_path / "copy")
    return tmp_path / "copy" / "corpus"


def kb(corpus: Path, *args: str) -> subprocess.CompletedProcess[str]:
    place = corpus.parent
    here = {"KB_CORPUS": str(corpus), "KB_INDEX": str(place / "i"), "KB_HOME": str(place / "home")}
    return subprocess.run(
        [sys.executable, "-m", "torchnotes_kb", *args, "--jobs", "1"],
        capture_output=True,
        check=False,
        cwd=place,
        encoding="utf-8",
        env={**os.environ, **here},
    )


def rows(corpus: Path) -> list[dict[str, object]]:
    ledger: list[dict[str, object]] = json.loads((corpus / "proofs.json").read_bytes())
    return ledger


def test_saving_again_changes_only_the_times(corpus: Path) -> None:
    times = {"duration_ms", "when"}
    before = rows(corpus)
    assert kb(corpus, "verify", "--save").returncode == 0
    after = rows(corpus)
    assert [{k: row[k] for k in row.keys() - times} for row in after] == [
        {k: row[k] for k in row.keys() - times} for row in before
    ]


def test_what_was_proven_and_is_not_any_more_is_a_difference(corpus: Path) -> None:
    assert kb(corpus, "verify", "--check").returncode == 0
    note = next(corpus.rglob("topk*.md"))
    text = note.read_text(encoding="utf-8")
    note.write_text(text.replace("python works", 'python works needs="torch<1"', 1), "utf-8")
    done = kb(corpus, "verify", "--check")
    assert done.returncode == 1
    assert "is not in it: run `kb verify --save`" in done.stderr

    kept = rows(corpus)
    assert kb(corpus, "verify", "--save").returncode == 0
    skipped = next(
        row for row in rows(corpus) if row["example"] not in {r["example"] for r in kept}
    )
    lie = [
        {**row, "verdict": {"kind": "proven", "reason": ""}} if row == skipped else row
        for row in rows(corpus)
    ]
    (corpus / "proofs.json").write_text(json.dumps(lie), encoding="utf-8")
    done = kb(corpus, "verify", "--check")
    assert done.returncode == 1
    assert f"topk-k-out-of-range:{skipped['line']} was proven, is skipped" in done.stderr


def test_a_page_of_ones_own_is_not_looked_up_in_the_ledger(corpus: Path) -> None:
    page = corpus.parent / "page.md"
    page.write_text("# A page\n\n```python\nprint(1)\n```\n", encoding="utf-8")
    done = kb(corpus, "verify", "--check", str(page))
    assert (done.returncode, done.stderr.count("ledger")) == (0, 0)
