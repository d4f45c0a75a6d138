"""Where the bundled corpus, its index and its ledger are, installed or in a checkout."""

from __future__ import annotations

from pathlib import Path

from torchnotes_kb.config import Settings

__all__ = ["bundled", "corpus_dir", "home_dir", "index_dir", "ledger_file"]

PACKAGE = Path(__file__).parent
CHECKOUT = PACKAGE.parent.parent
"""Root of the source tree, when this is one."""


def bundled(name: str) -> Path:
    """`corpus` or `index`: in the wheel beside the code, in a checkout at its root."""
    installed = PACKAGE / "data" / name
    return installed if installed.exists() else CHECKOUT / name


def corpus_dir(settings: Settings) -> Path:
    """The notes in force."""
    return settings.corpus or bundled("corpus")


def index_dir(settings: Settings) -> Path:
    """The index in force."""
    return settings.index or bundled("index")


def ledger_file(settings: Settings) -> Path:
    """The proofs that ship with the corpus."""
    return corpus_dir(settings) / "proofs.json"


def home_dir(settings: Settings) -> Path:
    """Where a user's own pages, their index and their proofs are kept."""
    if settings.home is not None:
        return settings.home
    import platformdirs  # noqa: PLC0415 - only where something of the user's is looked for

    return Path(platformdirs.user_data_dir("torchnotes-kb"))
