"""Any text ends, in time linear in its length, and never in an exception."""

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from torchnotes_kb.errors import QueryError
from torchnotes_kb.explain.cause import by_cause, nearest_frames
from torchnotes_kb.explain.clean import clean_lines
from torchnotes_kb.explain.frames import torch_frames, user_frame
from torchnotes_kb.explain.reasoning import reason_about
from torchnotes_kb.explain.render import render_text
from torchnotes_kb.explain.traceback import Raised, parse
from torchnotes_kb.kb import KnowledgeBase
from torchnotes_kb.server.answers.explain import explain_answer, explain_text

FILE = Path(__file__).parents[2] / "evals/tracebacks/tracebacks.jsonl"
PASTES = [json.loads(line)["text"] for line in FILE.read_text(encoding="utf-8").splitlines()]
LINES = sorted({line for paste in PASTES for line in paste.splitlines()})
NOISE = [
    "",
    " ",
    "\x1b[31m",
    "\x1b]0;",
    "\r",
    "E   ",
    "│ ",
    "❱ 3 │ x",
    "[rank0]: ",
    "----> 3 ",
    "\x00",
    "\ud800",
]


def read(text: str) -> list[Raised]:
    """All that reading a paste does."""
    found = parse(text)
    assert found
    for raised in by_cause(found):
        frames = nearest_frames(raised, found)
        user_frame(frames)
        torch_frames(frames)
        reason_about(raised.message, frames)
    return found


@given(st.text(max_size=400))
@settings(deadline=None)
def test_any_text_is_read(text: str) -> None:
    read(text)


@given(st.lists(st.sampled_from(LINES + NOISE), max_size=60), st.sampled_from(["\n", "\r\n", "\r"]))
@settings(max_examples=150, deadline=None)
def test_lines_of_tracebacks_in_any_order_are_read(lines: list[str], end: str) -> None:
    read(end.join(lines))


@given(st.sampled_from(PASTES), st.data())
@settings(max_examples=150, deadline=None)
def test_a_paste_cut_and_spoilt_anywhere_is_read(paste: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(paste)))
    end = data.draw(st.integers(start, len(paste)))
    spoilt = data.draw(st.sampled_from(NOISE) | st.text(max_size=3))
    middle = data.draw(st.integers(start, end))
    read(paste[start:middle] + spoilt + paste[middle:end])


@given(st.sampled_from(PASTES), st.text(alphabet="ab0:|[]()/ -.", min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_whatever_is_put_before_every_line_no_exception_comes(paste: str, label: str) -> None:
    read("\n".join(label + line for line in paste.splitlines()))


@cache
def kb() -> KnowledgeBase:
    return KnowledgeBase.open()


@given(st.lists(st.sampled_from(LINES + NOISE), max_size=25), st.text(max_size=20))
@example(["\ud800"], "")
@settings(max_examples=60, deadline=None)
def test_any_text_that_is_not_blank_is_explained(lines: list[str], end: str) -> None:
    text = "\n".join([*lines, end])
    if not text.strip():
        with pytest.raises(QueryError, match="nothing to explain"):
            kb().explain(text)
        return
    diagnosis = kb().explain(text)
    render_text(diagnosis)
    explain_text(explain_answer(diagnosis, most=1000))


@pytest.mark.parametrize("character", list("a0( [|>│❱\x1b\r^~-'\"\\/:.,E\u4e00\x00\ud800"))
def test_a_megabyte_of_one_character_is_read(character: str) -> None:
    read(character * 1_000_000)


def counted(action: Callable[[], object]) -> int:
    """Steps of Python that an action takes: calls, of functions in C too, and returns."""
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return steps


BLOCKS = {
    "plain": "".join(PASTES[:3]),
    "every shape": "\n".join(PASTES),
    "headers": "Traceback (most recent call last):\n",
    "frames": '  File "a.py", line 3, in f\n',
    "notebook": "ValueError      Traceback (most recent call last)\nCell In[3], line 2\n",
    "warnings": "a.py:3: UserWarning: x\n",
    "named": "ValueError: x\nmore\n",
    "labels": 'pod 17 | Traceback (most recent call last):\npod 17 |   File "a.py", line 3, in f\n',
    "blank": "\n",
    "marked": "E   ValueError: x\n",
    "boxes": "╭─ Traceback (most recent call last) ─╮\n│ a.py:3 in f │\n",
    "chained": "During handling of the above exception, another exception occurred\nKeyError: 1\n",
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_work_grows_no_faster_than_the_text(block: str) -> None:
    small = block * max(1, 4_000 // len(block))
    once, eightfold = counted(lambda: read(small)), counted(lambda: read(small * 8))
    assert eightfold <= 12 * once


def test_thousands_of_different_errors_are_ordered_in_linear_work() -> None:
    def errors(count: int) -> str:
        return "".join(f"{PASTES[0]}\nValueError: {n}\n" for n in range(count))

    once, eightfold = counted(lambda: read(errors(20))), counted(lambda: read(errors(160)))
    assert eightfold <= 12 * once


@pytest.mark.parametrize("block", ["epoch 3 loss 0.25 acc 0.9\n", "a" * 200 + "\n", PASTES[0]])
def test_ten_megabytes_are_read(block: str) -> None:
    text = block * (10_000_000 // len(block)) + PASTES[0]
    assert by_cause(parse(text))[0].message.startswith("mat1 and mat2")
    assert sum(1 for _ in clean_lines(text)) == text.count("\n") + 1
