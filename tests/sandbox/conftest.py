"""One warm sandbox for all tests of it: they are independent if runs are.

`KB_RUNTIME=/path/to/python pytest tests/sandbox` puts another interpreter to the same tests.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from torchnotes_kb.config import Limits
from torchnotes_kb.sandbox.model import Run
from torchnotes_kb.sandbox.pool import Sandbox

LIMITS = Limits(wall_s=60, cpu_s=60, memory_mib=512, disk_mib=64)
"""Of time much more than any needs: what the clock must end is given less of it."""


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    named = os.environ.get("KB_RUNTIME")
    runtime = Path(named) if named else None
    with Sandbox.open(runtime, limits=LIMITS, workers=2) as opened:
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
