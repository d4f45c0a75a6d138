"""One warm sandbox for all tests of it: they are independent if runs are."""

from collections.abc import Callable, Iterator

import pytest

from torchnotes_kb.config import Limits
from torchnotes_kb.sandbox.model import Run
from torchnotes_kb.sandbox.pool import Sandbox

LIMITS = Limits(wall_s=8, cpu_s=8, memory_mib=512, disk_mib=64)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.open(limits=LIMITS, workers=2) as opened:
        opened.ready()
        yield opened


@pytest.fixture
def run(sandbox: Sandbox) -> Callable[..., Run]:
    """Runs a program in the sandbox."""
    return sandbox.run


@pytest.fixture(scope="session")
def run_limits() -> Limits:
    """What the tests' runs get."""
    return LIMITS
