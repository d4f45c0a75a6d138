"""Messages that several notes share: the traceback decides, or the reader is told what would."""

from functools import cache

import pytest

from torchnotes_kb.explain.model import Diagnosis
from torchnotes_kb.explain.render import render_text
from torchnotes_kb.explain.tells import tell
from torchnotes_kb.kb import KnowledgeBase
from torchnotes_kb.notes.model import Language
from torchnotes_kb.notes.overlap import overlaps

SITE = "/opt/env/lib/python3.11/site-packages/torch"
OUT_OF_RANGE = "IndexError: index out of range in self"
OUT_OF_BOUNDS = "RuntimeError: index 5 is out of bounds for dimension 0 with size 3"
BROADCAST = "RuntimeError: The size of tensor a (600) must match the size of tensor b (512) at non-singleton dimension 1"
EXITED = "RuntimeError: DataLoader worker (pid(s) 4711) exited unexpectedly"
CLIP = "RuntimeError: The total norm of order 2.0 for gradients from `parameters` is non-finite, so it cannot be clipped"


@cache
def kb() -> KnowledgeBase:
    return KnowledgeBase.open()


def explain(text: str) -> Diagnosis:
    return kb().explain(text)


def raised(message: str, *frames: tuple[str, str, str]) -> str:
    lines = ["Traceback (most recent call last):"]
    for file, function, source in frames:
        lines += [f'  File "{file}", line 7, in {function}', f"    {source}"]
    return "\n".join([*lines, message, ""])


@pytest.mark.parametrize(
    ("message", "frames", "note"),
    [
        (
            OUT_OF_RANGE,
            [
                ("net.py", "forward", "e = self.table(ids)"),
                (f"{SITE}/nn/functional.py", "embedding", "return torch.embedding(weight, input)"),
            ],
            "embedding-index-out-of-range",
        ),
        (
            OUT_OF_RANGE,
            [
                ("/opt/env/lib/python3.11/site-packages/transformers/bert.py", "forward", source)
                for source in ("h = self.embeddings(ids)", "e = self.position_embeddings(p)")
            ]
            + [(f"{SITE}/nn/functional.py", "embedding", "return torch.embedding(weight, input)")],
            "embedding-position-too-long",
        ),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 130674.91 GiB. GPU 0 has a "
            "total capacity of 23.69 GiB of which 20.10 GiB is free.",
            [("knn.py", "near", "d = torch.cdist(a, b)")],
            "cuda-oom-huge-alloc",
        ),
        (
            "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 7.79 GiB total "
            "capacity; 5.10 GiB already allocated; 1.2 GiB free; 6 GiB reserved)",
            [("train.py", "step", "loss.backward()")],
            "cuda-oom",
        ),
        (OUT_OF_RANGE, [("q.py", "pick", "x.gather(1, a)")], "gather-index-semantics"),
        (OUT_OF_RANGE, [("q.py", "pick", "x.index_select(0, i)")], "index-out-of-bounds-dim"),
        (OUT_OF_BOUNDS, [("q.py", "pick", "q.gather(1, actions)")], "gather-index-semantics"),
        (OUT_OF_BOUNDS, [("y.py", "f", "y.scatter_(1, t, 1.0)")], "scatter-one-hot"),
        (OUT_OF_BOUNDS, [("y.py", "f", "last = h[5]")], "index-out-of-bounds-dim"),
        (
            BROADCAST,
            [("bert.py", "forward", "e = tokens + self.position_embeddings(p)")],
            "embedding-position-too-long",
        ),
        (BROADCAST, [("unet.py", "forward", "x = x + skip")], "size-of-tensor-must-match"),
        (
            EXITED,
            [(f"{SITE}/utils/data/dataloader.py", "_try_get_data", "raise RuntimeError(")],
            "dataloader-worker-exited",
        ),
        (
            EXITED,
            [
                (
                    r"C:\env\lib\site-packages\torch\utils\data\dataloader.py",
                    "f",
                    "raise RuntimeError(",
                )
            ],
            "broken-pipe-num-workers",
        ),
        (
            "RuntimeError: mat1 and mat2 must have the same dtype, but got Float and BFloat16",
            [(f"{SITE}/nn/modules/linear.py", "forward", "return F.linear(input, self.weight)")],
            "half-float-dtype-mismatch",
        ),
    ],
)
def test_the_traceback_decides(message: str, frames: list[tuple[str, str, str]], note: str) -> None:
    diagnosis = explain(raised(message, *frames))
    assert (diagnosis.note, diagnosis.undecided) == (note, False)


def test_without_a_traceback_the_usual_cause_comes_first_and_the_others_say_when() -> None:
    diagnosis = explain(OUT_OF_RANGE)
    assert diagnosis.note == "embedding-index-out-of-range"
    assert [(other.note_id, bool(other.tell)) for other in diagnosis.alternatives] == [
        ("embedding-position-too-long", True),
        ("gather-index-semantics", True),
        ("index-out-of-bounds-dim", True),
    ]


@pytest.mark.parametrize(
    ("message", "notes"),
    [
        (CLIP, {"clip-grad-placement", "loss-nan"}),
        (BROADCAST, {"embedding-position-too-long", "size-of-tensor-must-match"}),
        (EXITED, {"dataloader-worker-exited", "broken-pipe-num-workers"}),
    ],
)
def test_what_nothing_decides_is_left_to_the_reader(message: str, notes: set[str]) -> None:
    diagnosis = explain(message)
    assert diagnosis.undecided
    assert {diagnosis.note, diagnosis.alternatives[0].note_id} == notes
    assert diagnosis.tell
    assert diagnosis.alternatives[0].tell
    text = render_text(diagnosis.model_copy(update={"language": Language.EN}))
    assert f"if {diagnosis.tell}" in text
    assert f"({diagnosis.alternatives[0].tell})" in text


def test_words_that_say_more_decide_where_no_frame_does() -> None:
    diagnosis = explain('Unexpected key(s) in state_dict: "state_dict".')
    assert (diagnosis.note, diagnosis.undecided) == ("checkpoint-dict-not-state-dict", False)


def test_notes_with_the_same_message_have_words_that_tell_them_apart() -> None:
    """Else the one that stands first in the alphabet would always win."""
    found = {(o.note_id, o.signature, o.other, o.covering) for o in overlaps(kb().notes())}
    shared = {
        note
        for note, signature, other, covering in found
        if (other, covering, note, signature) in found
    }
    assert shared
    assert {note for note in shared if not tell(note, Language.EN)} == set()
