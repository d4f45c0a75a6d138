"""The bundled index, opened once."""

from collections.abc import Iterator

import pytest

from torchnotes_kb.config import Settings
from torchnotes_kb.kb import KnowledgeBase
from torchnotes_kb.resources import bundled
from torchnotes_kb.search.searcher import Searcher


@pytest.fixture(scope="package")
def kb() -> Iterator[KnowledgeBase]:
    with KnowledgeBase(Settings(index=bundled("index"))) as opened:
        yield opened


@pytest.fixture(scope="package")
def searcher(kb: KnowledgeBase) -> Searcher:
    return kb.searcher
