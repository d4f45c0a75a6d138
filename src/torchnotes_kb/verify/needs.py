"""What a fence's `needs` asks of a runtime."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

__all__ = ["RuntimeFacts", "unmet"]

NEED = re.compile(r"([a-z][a-z0-9_-]*)(.*)")
SYSTEMS = {"windows": "Windows", "macos": "macOS", "linux": "Linux"}


class RuntimeFacts(Protocol):
    """What is known of an interpreter without running a snippet in it."""

    @property
    def torch(self) -> str:
        """Version of torch."""

    @property
    def python(self) -> str:
        """Version of Python."""

    @property
    def platform(self) -> str:
        """System and machine, as `Linux-x86_64`."""

    @property
    def gpus(self) -> int:
        """CUDA devices that a snippet would see."""

    @property
    def packages(self) -> Mapping[str, str]:
        """Installed distributions, by normalised name, with their versions."""


def unmet(needs: Iterable[str], runtime: RuntimeFacts) -> str | None:
    """The first need that the runtime does not meet, in words; None if it meets all."""
    for need in needs:
        reason = _unmet(need, runtime)
        if reason:
            return reason
    return None


def _unmet(need: str, runtime: RuntimeFacts) -> str | None:
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - few examples need anything
    from packaging.utils import canonicalize_name  # noqa: PLC0415 - likewise

    found = NEED.fullmatch(need)
    name, bound = (found[1], found[2]) if found else (need, "")
    if name in SYSTEMS:
        system = SYSTEMS[name]
        return None if runtime.platform.startswith(system) else f"needs {system}"
    if name in {"cuda", "gpus"}:
        wanted = SpecifierSet(bound or ">=1")
        return None if wanted.contains(str(runtime.gpus)) else f"needs {need}: {runtime.gpus} here"
    if name == "mps":
        return None if runtime.platform == "macOS-arm64" else "needs an Apple GPU"
    version = runtime.torch if name == "torch" else runtime.packages.get(canonicalize_name(name))
    if version is None:
        return f"needs {need}: not installed"
    if not SpecifierSet(bound).contains(version, prereleases=True):
        return f"needs {need}: {version} is installed"
    return None
