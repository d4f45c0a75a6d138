"""`kb doctor`: whether everything that `kb` needs is there and holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from torchnotes_kb.cli.common import Exit, JsonOption, console, emit_json, guarded, open_kb
from torchnotes_kb.errors import KbError
from torchnotes_kb.values import Frozen

if TYPE_CHECKING:
    from torchnotes_kb.kb import KnowledgeBase

__all__ = ["doctor"]


class Check(Frozen):
    """One thing that was looked at."""

    part: str
    name: str
    holds: bool
    detail: str = ""


@guarded
def doctor(*, json: JsonOption = False) -> int:
    """Look at the index, the encoder, the runtimes and every wall of the sandbox.

    Exit code 3 when something does not hold, with what to do about it.

    \b
    Examples:
      kb doctor
      kb doctor --json
    """
    with open_kb() as kb:
        checks = [check for part in (_index, _encoder, _runtimes, _sandbox) for check in part(kb)]
    if json:
        emit_json({"checks": checks})
    else:
        out = console()
        for check in checks:
            mark = "[green]ok[/]" if check.holds else "[bold red]NO[/]"
            detail = f" ({check.detail})" if check.detail else ""
            out.print(f"{mark}  {check.part}: {check.name}{detail}")
    return Exit.OK if all(check.holds for check in checks) else Exit.CANNOT


def _try(part: str, name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(part=part, name=name, holds=True, detail=look())
    except KbError as error:
        return Check(part=part, name=name, holds=False, detail=str(error))


def _index(kb: KnowledgeBase) -> Iterator[Check]:
    from torchnotes_kb.index.index import Index  # noqa: PLC0415 - start-up time
    from torchnotes_kb.resources import index_dir  # noqa: PLC0415 - likewise

    path = index_dir(kb.settings)

    def whole() -> str:
        index = Index.open(path, encoder=None)
        try:
            index.check(deep=True)
            return f"{index.manifest.notes} notes, {index.manifest.chunks} chunks"
        finally:
            index.close()

    yield _try("index", str(path), whole)


def _encoder(kb: KnowledgeBase) -> Iterator[Check]:
    from torchnotes_kb.encoders.model import TextKind  # noqa: PLC0415 - start-up time
    from torchnotes_kb.encoders.registry import open_encoder  # noqa: PLC0415 - likewise

    def encode() -> str:
        encoder = open_encoder(kb.settings.encoder)
        encoder.encode(["broken pipe"], kind=TextKind.QUERY)
        return f"revision {encoder.identity.revision}, {encoder.identity.dim} numbers"

    yield _try("encoder", kb.settings.encoder, encode)


def _runtimes(kb: KnowledgeBase) -> Iterator[Check]:
    from torchnotes_kb.sandbox.runtime import Runtime  # noqa: PLC0415 - start-up time

    named = {"default": None, **kb.settings.runtimes}
    for name, path in named.items():
        try:
            found = kb.runtime() if path is None else Runtime.probe(path, name=name)
        except KbError as error:
            yield Check(part="runtime", name=name, holds=False, detail=str(error))
            continue
        problem = _isolation_problem(kb, None if path is None else name)
        facts = f"{found.path}: torch {found.torch}, Python {found.python}, {found.platform}"
        detail = f"{facts}, {problem or 'can be isolated'}"
        yield Check(part="runtime", name=name, holds=not problem, detail=detail)


def _isolation_problem(kb: KnowledgeBase, runtime: str | None) -> str:
    """Why torch cannot be used behind the walls in a runtime; empty if it can."""
    try:
        return kb.verify_snippet("import torch", runtime=runtime).verdict.reason
    except KbError as error:
        return str(error)


def _sandbox(kb: KnowledgeBase) -> Iterator[Check]:
    try:
        findings = kb.sandbox_findings()
    except KbError as error:
        yield Check(part="sandbox", name=kb.settings.isolation, holds=False, detail=str(error))
        return
    for finding in findings:
        yield Check(part="sandbox", name=finding.name, holds=finding.holds, detail=finding.detail)
