"""A knowledge base of PyTorch errors and idioms that proves itself by running its examples.

from torchnotes_kb import KnowledgeBase

with KnowledgeBase.open() as kb:
    print(kb.search("broken pipe").hits[0].title)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchnotes_kb.hooks import install, load_ipython_extension, unload_ipython_extension
    from torchnotes_kb.kb import KnowledgeBase

__version__ = "0.1.0"
__all__ = [
    "KnowledgeBase",
    "__version__",
    "install",
    "load_ipython_extension",
    "unload_ipython_extension",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - one of __all__
    """Import what is asked for and nothing else: `import torchnotes_kb` is free."""
    if name == "KnowledgeBase":
        from torchnotes_kb.kb import KnowledgeBase  # noqa: PLC0415 - see above

        return KnowledgeBase
    if name in __all__:
        from torchnotes_kb import hooks  # noqa: PLC0415 - see above

        return getattr(hooks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
