"""The closed list of fences."""

import pytest

from torchnotes_kb.notes.fences import FenceProblem, parse_info
from torchnotes_kb.notes.model import Expectation, Role


@pytest.mark.parametrize(
    ("info", "role", "expectation", "needs"),
    [
        (
            "python fails raises=\"KeyError: 'a'\"",
            Role.FAILS,
            Expectation(raises="KeyError: 'a'"),
            (),
        ),
        ('python fails raises="A: \\"x\\""', Role.FAILS, Expectation(raises='A: "x"'), ()),
        (
            'python fails warns="UserWarning: /a.b/"',
            Role.FAILS,
            Expectation(warns="UserWarning: /a.b/"),
            (),
        ),
        ("python fails wrong", Role.FAILS, Expectation(wrong=True), ()),
        ('python fails wrong needs="cuda"', Role.FAILS, Expectation(wrong=True), ("cuda",)),
        ("python works", Role.WORKS, Expectation(), ()),
        (
            'python works needs="torch<2.6, torchvision"',
            Role.WORKS,
            Expectation(),
            ("torch<2.6", "torchvision"),
        ),
        ("python shows", Role.SHOWS, Expectation(), ()),
        ('python fragment because="no GPU"', Role.FRAGMENT, Expectation(because="no GPU"), ()),
        ("text", None, Expectation(), ()),
        ("console", None, Expectation(), ()),
    ],
)
def test_each_allowed_fence_is_read(
    info: str, role: Role | None, expectation: Expectation, needs: tuple[str, ...]
) -> None:
    fence = parse_info(info)
    assert (fence.role, fence.expectation, fence.needs) == (role, expectation, needs)


@pytest.mark.parametrize(
    ("info", "problem"),
    [
        ("", "unknown fence"),
        ("py works", "unknown fence"),
        ("python", "no role"),
        ("python work", "unknown role `work`"),
        ("python fails", "does not say how"),
        ('python fails raises="A: b" wrong', "does not say how"),
        ("python fails raises", "incomplete"),
        ('python works raises="A: b"', "not one of `works`'s"),
        ("python fails wrong wrong", "twice"),
        ('python fails raises="A: b', "cannot read"),
        ('python fails raises="not a type"', "does not begin with a type"),
        ('python fails raises="A: /(/"', "not a regular expression"),
        ("python fragment", "does not say why"),
        ('python fragment because=" "', "does not say why"),
        ('python works needs="a GPU!"', "cannot read needs"),
        ("text works", "takes no attributes"),
    ],
)
def test_anything_else_is_refused_with_a_remedy(info: str, problem: str) -> None:
    with pytest.raises(FenceProblem, match=problem) as caught:
        parse_info(info)
    assert caught.value.remedy
