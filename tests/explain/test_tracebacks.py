"""The pastes of evals/tracebacks: the right note, the right values, the reader's own line."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from torchnotes_kb.explain.diagnose import Explainer
from torchnotes_kb.explain.model import Diagnosis
from torchnotes_kb.index.signatures import SignatureTable
from torchnotes_kb.kb import KnowledgeBase
from torchnotes_kb.search.signatures import SignatureMatcher

FILE = Path(__file__).parents[2] / "evals/tracebacks/tracebacks.jsonl"
LINES = FILE.read_text(encoding="utf-8").splitlines()
SHAPES = [
    "anomaly",
    "chain",
    "chinese",
    "colour",
    "crlf",
    "cuda-assert",
    "dataloader",
    "dataparallel",
    "dynamo",
    "fence",
    "group",
    "indented",
    "ipython",
    "ipython-colour",
    "lightning",
    "log",
    "message",
    "mpirun",
    "multi-error",
    "plain",
    "progress",
    "pytest",
    "quoted",
    "rank",
    "ranks",
    "ray",
    "rich",
    "slurm",
    "spawn",
    "torchrun",
    "torchrun-record",
    "torchscript",
    "truncated",
    "warning",
    "windows",
    "wrapped",
]


@dataclass(frozen=True)
class Paste:  # noqa: D101 - its fields say all
    id: str
    shape: str
    note: str
    captured: dict[str, str]
    frame: dict[str, Any] | None
    text: str


PASTES = [Paste(**json.loads(line)) for line in LINES]


@cache
def explained() -> dict[str, Diagnosis]:
    """Every paste's diagnosis, by the notes as they are now rather than as they were indexed."""
    with KnowledgeBase.open() as kb:
        signatures = [(note.id, text) for note in kb.notes() for text in note.signatures]
        matcher = SignatureMatcher([SignatureTable.from_signatures(signatures)])
        explainer = Explainer(match=matcher.match, search=kb.search, note=kb.note)
        return {paste.id: explainer.explain(paste.text) for paste in PASTES}


def share(right: Callable[[Paste, Diagnosis], bool], pastes: list[Paste]) -> tuple[float, str]:
    found = explained()
    wrong = [paste.id for paste in pastes if not right(paste, found[paste.id])]
    return 1 - len(wrong) / len(pastes), f"wrong: {wrong}"


def has_note(paste: Paste, diagnosis: Diagnosis) -> bool:
    return diagnosis.note == paste.note


def has_values(paste: Paste, diagnosis: Diagnosis) -> bool:
    return diagnosis.captured == paste.captured


def has_frame(paste: Paste, diagnosis: Diagnosis) -> bool:
    frame = diagnosis.user_frame
    return (frame and {"file": frame.file, "line": frame.line}) == paste.frame


def test_the_pastes_are_many_and_of_every_shape() -> None:
    assert len(PASTES) >= 130
    assert len({paste.id for paste in PASTES}) == len(PASTES)
    assert len({paste.note for paste in PASTES}) >= 120
    assert sum(paste.frame is not None for paste in PASTES) >= 100
    assert {paste.shape for paste in PASTES} == set(SHAPES)


def test_the_right_note_comes_first() -> None:
    got, wrong = share(has_note, PASTES)
    assert got >= 0.95, wrong


def test_the_values_of_the_message_are_right() -> None:
    found = explained()
    told = [paste for paste in PASTES if paste.captured or found[paste.id].captured]
    assert len(told) >= 80
    got, wrong = share(has_values, told)
    assert got >= 0.98, wrong


def test_the_readers_own_line_is_found() -> None:
    got, wrong = share(has_frame, PASTES)
    assert got >= 0.95, wrong


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_is_missed_altogether(shape: str) -> None:
    own = [paste for paste in PASTES if paste.shape == shape]
    for right in (has_note, has_values, has_frame):
        got, wrong = share(right, own)
        assert got >= 0.5, (right.__name__, wrong)


@pytest.mark.parametrize(
    "text", ['  File "a.py", line 3, in f\n    g()\n', "^^^^", "\x1b[0m", "0x7fff"]
)
def test_a_paste_that_says_nothing_gets_an_answer_that_says_so(text: str) -> None:
    with KnowledgeBase.open() as kb:
        diagnosis = kb.explain(text)
    assert (diagnosis.note, diagnosis.explanation) == (None, "")
