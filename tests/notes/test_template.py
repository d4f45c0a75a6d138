"""Signature templates against real wordings of messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchnotes_kb.notes.template import Template

INPLACE = Template.parse(
    "modified by an inplace operation: [{tensor}], which is output {output:d} of {op}, "
    "is at version {found:d}; expected version {expected:d} instead"
)
SHAPES = Template.parse("mat1 and mat2 shapes cannot be multiplied ({a:shape} and {b:shape})")


def test_every_kind_of_capture_is_pulled_out() -> None:
    message = (
        "modified by an inplace operation: [torch.FloatTensor [3, 4]], which is output 0 of "
        "AsStridedBackward0, is at version 2; expected version 1 instead. Hint: …"
    )
    assert INPLACE.match(message) == {
        "tensor": "torch.FloatTensor [3, 4]",
        "output": "0",
        "op": "AsStridedBackward0",
        "found": "2",
        "expected": "1",
    }


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("32x2048", "512x10"),
        ("[32, 2048]", "[512, 10]"),
        ("torch.Size([2, 3])", "[]"),
        ("4", "(3,)"),
    ],
)
def test_shapes_are_captured_however_they_are_written(a: str, b: str) -> None:
    message = f"mat1 and mat2 shapes cannot be multiplied ({a} and {b})"
    assert SHAPES.match(message) == {"a": a, "b": b}


def test_rewrapped_text_and_other_quotes_still_match() -> None:
    template = Template.parse("cannot assign '{kind}' as parameter '{name}'")
    text = "cannot  assign\n  \u2018torch.FloatTensor\u2019 as parameter `weight`"
    assert template.match(text) == {"kind": "torch.FloatTensor", "name": "weight"}


def test_match_is_anchored_and_search_is_not() -> None:
    text = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)"
    assert SHAPES.match(text) is None
    assert SHAPES.search(text) == {"a": "1x2", "b": "3x4"}


def test_search_goes_on_after_a_false_start() -> None:
    template = Template.parse("size {n:d} is wrong")
    assert template.search("size of it; size 3 is wrong") == {"n": "3"}


def test_a_final_text_capture_ends_with_its_line() -> None:
    template = Template.parse("Missing key(s) in state_dict: {keys}")
    text = 'Missing key(s) in state_dict: "a", "b".\n\tUnexpected key(s): "c"'
    assert template.match(text) == {"keys": '"a", "b".'}


def test_a_leading_capture_starts_with_its_line() -> None:
    template = Template.parse("{name} is a zip archive")
    assert template.search("torch\n  model.pth is a zip archive (did") == {"name": "model.pth"}


def test_doubled_braces_are_literal() -> None:
    assert Template.parse("set {{{name}}} now").match("set {a} now") == {"name": "a"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{a", "expected '}'"),
        ("{a:x} b", "a capture is text, d or shape"),
        ("{a!r} b", "a capture is text, d or shape"),
        ("{} b", "is not a name"),
        ("{a} {a}", "named twice"),
        ("{a}{b} c", "touches the next capture"),
        ("{a}", "no literal words"),
        ("", "no literal words"),
    ],
)
def test_a_bad_template_says_what_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("{", r"\{").replace("}", r"\}")):
        Template.parse(text)


@given(st.text(max_size=400))
def test_any_text_gives_captures_or_none(text: str) -> None:
    for template in (INPLACE, SHAPES):
        found = template.search(text)
        assert found is None or set(found) == set(template.names)


@given(
    st.integers(0, 10**6), st.integers(0, 10**6), st.from_regex(r"[A-Za-z]\w{0,20}", fullmatch=True)
)
def test_values_put_into_a_template_come_out_again(found: int, expected: int, op: str) -> None:
    values = {
        "tensor": "T [1]",
        "output": "0",
        "op": op,
        "found": str(found),
        "expected": str(expected),
    }
    message = INPLACE.text.format(tensor="T [1]", output=0, op=op, found=found, expected=expected)
    assert INPLACE.match(message) == values


def test_a_megabyte_of_one_character_takes_no_time_to_speak_of() -> None:
    for character in "( [1x\n":
        assert (
            SHAPES.search("mat1 and mat2 shapes cannot be multiplied (" + character * 1_000_000)
            is None
        )


def test_a_quoted_list_gives_its_first_item() -> None:
    template = Template.parse('Missing: "{missing}". Unexpected: "module.{unexpected}"')
    said = 'Missing: "a.w", "a.b". \n\tUnexpected: "module.a.w", "module.a.b".'
    assert template.search(said) == {"missing": "a.w", "unexpected": "a.w"}
