"""Fixtures of the server's tests."""

from __future__ import annotations

import pytest

from .fakes import FakeKnowledge


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def knowledge() -> FakeKnowledge:
    return FakeKnowledge()
