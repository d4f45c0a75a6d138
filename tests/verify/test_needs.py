"""What a fence's needs ask of a runtime."""

from dataclasses import dataclass, field

import pytest

from torchnotes_kb.verify.needs import unmet


@dataclass(frozen=True)
class Facts:
    """A runtime without devices."""

    torch: str = "2.13.0+cpu"
    python: str = "3.11.7"
    platform: str = "Linux-x86_64"
    gpus: int = 0
    packages: dict[str, str] = field(default_factory=lambda: {"numpy": "2.4.6"})


@pytest.mark.parametrize("need", ["linux", "torch>=2.6", "torch<3", "numpy", "numpy>=2"])
def test_needs_that_are_met_say_nothing(need: str) -> None:
    assert unmet([need], Facts()) is None


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        ("cuda", "needs cuda: 0 here"),
        ("gpus>=2", "needs gpus>=2: 0 here"),
        ("mps", "needs an Apple GPU"),
        ("windows", "needs Windows"),
        ("macos", "needs macOS"),
        ("torch<2.6", "needs torch<2.6: 2.13.0+cpu is installed"),
        ("torchvision", "needs torchvision: not installed"),
        ("numpy<2", "needs numpy<2: 2.4.6 is installed"),
    ],
)
def test_needs_that_are_not_met_say_what_is_missing(need: str, reason: str) -> None:
    assert unmet([need], Facts()) == reason


def test_two_gpus_are_enough_for_both_needs() -> None:
    assert unmet(["cuda", "gpus>=2"], Facts(gpus=2)) is None
