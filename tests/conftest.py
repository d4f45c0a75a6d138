"""What several rooms' tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

GOOD_NOTE = """\
---
id: too-small
kind: error
title: The matrix is too small
title_zh: 矩阵太小
signatures:
  - "size {found:d} is smaller than {expected:d} in {where}"
torch: ">=2.0"
tags: [shapes]
sources:
  - https://docs.pytorch.org/docs/stable/tensors.html
---

## Symptom
Something is too small.

有东西太小。

## Fails
```python fails raises="ValueError: size 2 is smaller than 3"
raise ValueError("size 2 is smaller than 3 in here")
```

## Why
It has {{found|fewer}} rows, not {{expected|enough}}.

它只有 {{found|更少的}} 行，需要 {{expected|更多}} 行。

## Works
```python works
assert 3 == 1 + 2
```
"""


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home without pages: whoever runs the tests may have some of their own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("KB_HOME", str(folder))
        yield folder


@pytest.fixture
def good_note() -> str:
    """The text of a note that lint accepts."""
    return GOOD_NOTE


@pytest.fixture
def write_note(tmp_path: Path) -> Callable[..., Path]:
    """Writes a note where lint expects one of its kind; returns its path."""

    def write(text: str = GOOD_NOTE, *, name: str = "errors/too-small.md") -> Path:
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write
