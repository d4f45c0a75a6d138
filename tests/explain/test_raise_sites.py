"""Where torch raises a message: found in its sources, read once."""

import gc
from pathlib import Path

import pytest

from torchnotes_kb.explain.model import RaiseSite
from torchnotes_kb.explain.raise_sites import RaiseSites
from torchnotes_kb.explain.render import render_text
from torchnotes_kb.kb import KnowledgeBase

OPTIM = """\
class Shiny:
    def __init__(self, lr, *, fused, foreach):
        if not 0.0 <= lr:
            raise ValueError(f"Invalid learning rate of the shiny optimizer: {lr}")
        elif fused:
            for group in []:
                raise RuntimeError("fused and %s cannot both be asked for here" % foreach)
        else:
            raise
"""
COPY = 'def f():\n    raise ValueError("Invalid learning rate of the shiny optimizer: x")\n'


@pytest.fixture
def torch(tmp_path: Path) -> Path:
    """A package of three files, one of them broken."""
    package = tmp_path / "torch"
    for name, text in (
        ("optim/shiny.py", OPTIM),
        ("ao/copy.py", COPY),
        ("broken.py", "def f(:\n    raise ValueError('never parsed at all')\n"),
    ):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text, encoding="utf-8")
    return package


def test_a_message_leads_to_its_file_function_and_condition(torch: Path, tmp_path: Path) -> None:
    sites = RaiseSites.open(torch, "1", cache=tmp_path / "cache")
    assert len(sites) == 3
    assert sites.find("Invalid learning rate of the shiny optimizer: -1e-3") == RaiseSite(
        file="torch/optim/shiny.py", line=4, function="Shiny.__init__", condition="not 0.0 <= lr"
    )
    assert sites.find("fused and True cannot both be asked for here") == RaiseSite(
        file="torch/optim/shiny.py", line=7, function="Shiny.__init__", condition="fused"
    )


@pytest.mark.parametrize(
    "message",
    ["", "of", "never parsed at all", "quite another message about learning", "x" * 99999],
)
def test_a_message_that_nobody_raises_has_no_site(
    torch: Path, tmp_path: Path, message: str
) -> None:
    assert RaiseSites.open(torch, "1", cache=tmp_path / "cache").find(message) is None


def test_a_message_that_says_more_than_a_short_site_is_not_its(tmp_path: Path) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    code = 'def f(i):\n    if i:\n        raise IndexError(f"index {i} is out of range")\n'
    (package / "box.py").write_text(code, encoding="utf-8")
    sites = RaiseSites.open(package, "2", cache=tmp_path)
    assert sites.find("index 7 is out of range") is not None
    assert sites.find("list index out of range") is None


def test_what_the_readers_own_code_raises_is_not_looked_for_in_torch() -> None:
    message = "ValueError: You must define either total_steps OR (epochs AND steps_per_epoch)"
    frame = '  File "{}", line 3, in f\n    raise ValueError(\n'
    own = "Traceback (most recent call last):\n" + frame.format("/w/a.py")
    torchs = own + frame.format("/x/site-packages/torch/optim/lr_scheduler.py")
    with KnowledgeBase.open() as kb:
        assert kb.explain(own + message).site is None
        assert kb.explain(torchs + message).site is not None


def test_sources_are_read_once_per_version(torch: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    cache = tmp_path / "cache"

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    first = RaiseSites.open(torch, "2.9.0+cu1", cache=cache, progress=progress)
    assert told == [(1, 3), (2, 3), (3, 3)]
    again = RaiseSites.open(torch, "2.9.0+cu1", cache=cache, progress=progress)
    assert len(told) == 3
    assert len(first) == len(again)
    RaiseSites.open(torch, "2.10.0", cache=cache, progress=progress)
    assert len(told) == 6
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"[[1]]", b"{", b"[[1,2,3,4,5]]", b"\xff"])
def test_a_damaged_cache_is_built_anew(torch: Path, tmp_path: Path, damage: bytes) -> None:
    cache = tmp_path / "cache"
    RaiseSites.open(torch, "1", cache=cache)
    file = next(cache.iterdir())
    whole = file.read_bytes()
    file.write_bytes(damage)
    assert len(RaiseSites.open(torch, "1", cache=cache)) == 3
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_error(torch: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert len(RaiseSites.open(torch, "1", cache=tmp_path / "file" / "cache")) == 3


def test_the_collector_is_on_again_after_reading(torch: Path, tmp_path: Path) -> None:
    RaiseSites.open(torch, "1", cache=tmp_path / "cache")
    assert gc.isenabled()


def test_what_no_note_covers_is_found_in_the_installed_torch() -> None:
    said = "RuntimeError: lr as a Tensor is not supported for capturable=False and foreach=True"
    with KnowledgeBase.open() as kb:
        diagnosis = kb.explain(said)
        known = kb.explain("IndexError: Target 3 is out of bounds.")
    assert diagnosis.site is not None
    assert diagnosis.site.file.startswith("torch/optim/")
    assert diagnosis.site.condition
    assert "torch raises it at torch/optim/" in render_text(diagnosis)
    assert known.site is None


def test_a_note_that_only_the_search_proposes_is_said_to_be_that() -> None:
    with KnowledgeBase.open() as kb:
        diagnosis = kb.explain("the loss of my model becomes nan after some steps, exploding")
    assert diagnosis.note is not None
    assert diagnosis.signature is None
    assert "no note has this message; by its words" in render_text(diagnosis)
