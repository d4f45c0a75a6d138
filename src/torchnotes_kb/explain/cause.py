"""Which of the exceptions of a text is the cause, and whose frames show where it happened."""

from __future__ import annotations

from collections.abc import Sequence

from torchnotes_kb.explain.frames import user_frame
from torchnotes_kb.explain.traceback import Link, Raised
from torchnotes_kb.sandbox.model import Frame

__all__ = ["by_cause", "is_wrapper", "nearest_frames"]

WRAPPERS = {"ChildFailedError", "CalledProcessError", "ProcessRaisedException", "SpawnException"}
"""They say that another process failed; what it said itself is the cause."""


def is_wrapper(raised: Raised) -> bool:
    """Whether an exception only reports another process."""
    return raised.type.rpartition(".")[2] in WRAPPERS


def by_cause(found: Sequence[Raised]) -> list[Raised]:
    """The exceptions of a text, the likeliest root cause first.

    The last error decides; where it was raised from another ("direct cause") that one is the root,
    and a traceback printed inside a message is nearer to the cause than the message. Errors that
    only report another process come after all others, then warnings, then frames whose error was
    cut off.
    """
    cut = [raised for raised in found if not raised.type and not raised.message]
    errors = [raised for raised in found if not raised.warning and (raised.type or raised.message)]
    own = [raised for raised in errors if not is_wrapper(raised)]
    warnings = [raised for raised in found if raised.warning]
    reports = [raised for raised in errors if is_wrapper(raised)]
    if not own:
        return reports + warnings + cut
    at = len(own) - 1
    originals = [n for n, raised in enumerate(own) if raised.link is Link.ORIGINAL]
    if originals:
        at = originals[-1]
    while own[at].link is Link.CAUSE and at > 0:
        at -= 1
    return [own[at], *reversed(own[at + 1 :]), *reversed(own[:at]), *reports, *warnings, *cut]


def nearest_frames(raised: Raised, found: Sequence[Raised]) -> list[Frame]:
    """The frames of an exception, or where none is the reader's, of the nearest in its chain.

    A worker's traceback may hold nothing but torch; the loop that asked for the batch is then in
    the traceback around it.
    """
    if user_frame(raised.frames) is not None:
        return raised.frames
    at = next(number for number, other in enumerate(found) if other is raised)
    start = end = at
    while found[start].link is not Link.NONE and start > 0:
        start -= 1
    while end + 1 < len(found) and found[end + 1].link is not Link.NONE:
        end += 1
    kin = sorted(range(start, end + 1), key=lambda number: (abs(number - at), number))
    own = (found[number].frames for number in kin if found[number].rank == raised.rank)
    return next((frames for frames in own if user_frame(frames) is not None), raised.frames)
