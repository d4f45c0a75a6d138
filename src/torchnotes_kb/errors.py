"""The tree of errors that callers may want to tell apart. Imports nothing of ours.

    KbError
    ├── ConfigError(source, problem)             kb.toml or KB_* says something we cannot use
    ├── CorpusError(findings)                    several notes are wrong; carries every finding
    │   NoteError(path, line, problem, remedy)   one note is wrong at one place
    ├── NoteNotFoundError(note_id, near)         no such note; `near` are ids that look alike
    ├── QueryError(problem)                      the query is empty or too long to mean anything
    ├── SnippetTooLargeError(size, most)         a snippet's source is beyond its limit
    ├── ClaimError(claim)                        what a snippet should do is said in no known form
    ├── IndexMissingError(path)                  no index there
    ├── IndexCorruptError(path, problem)         files are missing, cut short or changed
    ├── StaleIndexError(path, expected, found)   built by another encoder, format or corpus
    ├── IndexLockedError(path, holder)           somebody else is building it
    ├── IndexBuildError(path, problem)           it cannot be written; the old one still serves
    ├── EncoderError(encoder, problem)           the encoder cannot be loaded, or gave a bad vector
    ├── MissingExtraError(extra, command)        an optional part is not installed
    ├── RuntimeInvalidError(runtime, problem)    that interpreter cannot run snippets
    ├── SandboxUnavailableError(reason, remedy)  isolation cannot be had on this machine
    └── SandboxError(problem)                    the sandbox itself failed, not the snippet

What a snippet did is data (`sandbox.Outcome`), never one of these.
Messages are one line: what, where, what to do next. Facts are attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = [
    "ClaimError",
    "ConfigError",
    "CorpusError",
    "EncoderError",
    "IndexBuildError",
    "IndexCorruptError",
    "IndexLockedError",
    "IndexMissingError",
    "KbError",
    "MissingExtraError",
    "NoteError",
    "NoteNotFoundError",
    "QueryError",
    "RuntimeInvalidError",
    "SandboxError",
    "SandboxUnavailableError",
    "SnippetTooLargeError",
    "StaleIndexError",
]

REBUILD = "rebuild it with `kb index`"


class KbError(Exception):
    """Everything this package raises on purpose. The message is one line for people."""


class ConfigError(KbError):
    """`source` (a file, an environment variable or a flag) holds a value we cannot use."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")
        self.source = source
        self.problem = problem


class NoteError(KbError):
    """One note is wrong at one place.

    Raised when a single file is parsed; collected by lint, which reports all of them at once.
    """

    def __init__(self, path: Path, line: int, problem: str, remedy: str = "") -> None:
        super().__init__(f"{path}:{line}: {problem}" + (f" ({remedy})" if remedy else ""))
        self.path = path
        self.line = line
        self.problem = problem
        self.remedy = remedy


class CorpusError(KbError):
    """A corpus cannot be used because some notes are wrong; `findings` are all of them."""

    def __init__(self, findings: Sequence[NoteError]) -> None:
        more = f" (and {len(findings) - 1} more; `kb lint` lists them)" if len(findings) > 1 else ""
        super().__init__(f"{findings[0]}{more}")
        self.findings = tuple(findings)


class NoteNotFoundError(KbError):
    """No note has this id."""

    def __init__(self, note_id: str, near: Sequence[str] = ()) -> None:
        hint = f"did you mean {', '.join(near)}?" if near else "`kb query` finds notes by words"
        super().__init__(f"no note {note_id!r}: {hint}")
        self.note_id = note_id
        self.near = tuple(near)


class QueryError(KbError):
    """The query cannot be searched for."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class ClaimError(KbError):
    """A claim about a snippet is in none of the forms that can be judged."""

    def __init__(self, claim: str) -> None:
        super().__init__(
            f"cannot judge {claim!r}: write `raises Type: message`, `warns Category: message`, "
            "`prints text` or `no exception`, one of them; for more, put asserts into the code"
        )
        self.claim = claim


class SnippetTooLargeError(KbError):
    """A snippet's source is longer than allowed. Sizes in bytes."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"the snippet has {size} bytes, {most} are allowed: give the part to run")
        self.size = size
        self.most = most


class IndexMissingError(KbError):
    """There is no index at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"no index at {path}: build one with `kb index`")
        self.path = path


class IndexCorruptError(KbError):
    """The index at `path` is damaged."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"the index at {path} is damaged ({problem}): {REBUILD}")
        self.path = path
        self.problem = problem


class StaleIndexError(KbError):
    """The index at `path` was made by something else than what would read it."""

    def __init__(self, path: Path, *, expected: str, found: str) -> None:
        super().__init__(f"the index at {path} was built for {found}, not {expected}: {REBUILD}")
        self.path = path
        self.expected = expected
        self.found = found


class IndexLockedError(KbError):
    """Another process is building this index."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is being built by {holder}: wait for it, or stop that process")
        self.path = path
        self.holder = holder


class IndexBuildError(KbError):
    """An index cannot be written at `path`."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"cannot build an index at {path}: {problem}. What was there is unchanged")
        self.path = path
        self.problem = problem


class EncoderError(KbError):
    """An encoder cannot be loaded or returned something that is no unit vector."""

    def __init__(self, encoder: str, problem: str) -> None:
        super().__init__(f"encoder {encoder}: {problem}")
        self.encoder = encoder
        self.problem = problem


class MissingExtraError(KbError):
    """A part that is not always installed is needed."""

    def __init__(self, extra: str, command: str) -> None:
        super().__init__(f"{extra} is not installed: {command}")
        self.extra = extra
        self.command = command


class RuntimeInvalidError(KbError):
    """An interpreter named as runtime cannot run snippets (missing, no torch, too old)."""

    def __init__(self, runtime: str, problem: str) -> None:
        super().__init__(f"runtime {runtime}: {problem}")
        self.runtime = runtime
        self.problem = problem


class SandboxUnavailableError(KbError):
    """This machine cannot isolate a run. `reason` names the rule, `remedy` what would help."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"snippets cannot be isolated here: {reason}. {remedy}")
        self.reason = reason
        self.remedy = remedy


class SandboxError(KbError):
    """The sandbox failed. Says nothing about the snippet."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the sandbox failed: {problem}")
        self.problem = problem
