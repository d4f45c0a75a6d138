"""Which error of a text is explained, and what is said where no note explains it."""

from functools import cache

import pytest

from torchnotes_kb.explain.frames import user_frame
from torchnotes_kb.explain.render import render_text
from torchnotes_kb.explain.traceback import parse
from torchnotes_kb.kb import KnowledgeBase

WARNED = """\
/w/a.py:12: UserWarning: Using a target size (torch.Size([32])) that is different to the input size \
(torch.Size([32, 1])). This will likely lead to incorrect results due to broadcasting. Please ensure \
they have the same size.
  loss = F.mse_loss(out, y)
"""
UNKNOWN = """\
Traceback (most recent call last):
  File "/w/a.py", line 31, in <module>
    rate = settings["rate"]
KeyError: 'rate'
"""
KNOWN = """\
Traceback (most recent call last):
  File "/w/a.py", line 7, in <module>
    loss = criterion(out, y)
IndexError: Target 3 is out of bounds.
"""


@cache
def kb() -> KnowledgeBase:
    return KnowledgeBase.open()


def test_a_warning_is_not_made_the_cause_of_an_error_that_no_note_explains() -> None:
    diagnosis = kb().explain(WARNED + UNKNOWN)
    assert (diagnosis.error_type, diagnosis.note, diagnosis.explanation) == ("KeyError", None, "")
    assert diagnosis.alternatives[0].note_id == "target-size-broadcast-warning"
    assert kb().explain(WARNED).note == "target-size-broadcast-warning"


def test_an_earlier_error_is_explained_with_the_later_one_that_no_note_explains() -> None:
    diagnosis = kb().explain(KNOWN + UNKNOWN)
    assert (diagnosis.note, diagnosis.unexplained) == (
        "ce-target-out-of-bounds",
        "KeyError: 'rate'",
    )
    assert "(this came before KeyError: 'rate', which no note explains)" in render_text(diagnosis)
    assert kb().explain(UNKNOWN + KNOWN).unexplained == ""


@pytest.mark.parametrize(
    "message",
    [
        "ZeroDivisionError: division by zero",
        "TypeError: 'NoneType' object is not subscriptable",
        "TypeError: unsupported operand type(s) for +: 'int' and 'str'",
        "AttributeError: 'dict' object has no attribute 'iteritems'",
        "TypeError: main() takes 0 positional arguments but 1 was given",
    ],
)
def test_what_python_says_of_other_things_matches_no_note(message: str) -> None:
    assert kb().explain(message).signature is None


def test_what_ends_before_the_exception_is_said_to() -> None:
    text = 'Traceback (most recent call last):\n  File "/w/a.py", line 3, in f\n    net(x)\n'
    first, where, *_ = render_text(kb().explain(text)).splitlines()
    assert first == "(the exception is missing: the text ends before it)"
    assert where == "where: /w/a.py:3 f"


def test_a_message_of_megabytes_is_not_printed_again() -> None:
    assert len(render_text(kb().explain(f"ValueError: {'x ' * 1_000_000}"))) < 10_000


def test_one_frame_is_one_frame() -> None:
    site = "/opt/lib/python3.11/site-packages/torch/nn/functional.py"
    frame = f'  File "{site}", line 9, in f\n    g()\n'
    one, two = (KNOWN.replace("IndexError", frame * count + "IndexError") for count in (1, 2))
    assert "(1 frame of torch folded)" in render_text(kb().explain(one))
    assert "(2 frames of torch folded)" in render_text(kb().explain(two))


@pytest.mark.parametrize(
    ("file", "own"),
    [
        ("/w/lib/types.py", True),
        (r"C:\Python310\Lib\types.py", False),
        (r"C:\Python310\lib\multiprocessing\spawn.py", False),
        (r"C:\work\lib\boxes.py", True),
    ],
)
def test_a_folder_named_lib_may_be_the_readers_own(file: str, own: bool) -> None:  # noqa: FBT001 - a case
    text = f'Traceback (most recent call last):\n  File "{file}", line 1, in f\n    g()\nError: x\n'
    assert (user_frame(parse(text)[0].frames) is not None) is own
