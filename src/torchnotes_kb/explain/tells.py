"""What tells notes with one message apart: words in the traceback, and words for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torchnotes_kb.explain.frames import is_torch
from torchnotes_kb.notes.model import Language
from torchnotes_kb.notes.template import Template
from torchnotes_kb.sandbox.model import Frame

__all__ = ["borrowers", "tell", "weigh"]


@dataclass(frozen=True)
class Tell:
    """Words in frames that speak for a note, and what to look for."""

    words: tuple[str, ...]
    """Empty where no frame would show it."""
    text: str
    text_zh: str
    caller: tuple[str, ...] = ()
    """Words that decide where the nearest frame outside torch has one of them."""
    borrowed: tuple[str, ...] = ()
    """Templates of other notes' messages that this note explains too, where the frames say so."""
    says: str = ""
    """A pattern of the message's own values that decides; where it is not met, nothing is
    borrowed."""


OUT_OF_RANGE = "index out of range in self"
OUT_OF_BOUNDS = "index {index:d} is out of bounds for dimension {dim:d} with size {size:d}"
ASKED_FOR = "CUDA out of memory. Tried to allocate {asked}"
AMBIGUOUS = "Boolean value of Tensor with more than one value is ambiguous"
TELLS = {
    "loss-class-called-as-function": Tell(
        ("_reduction.py", "Loss("),
        "the failing line makes a loss: nn.SomeLoss(output, target)",
        "出错的那行在构造损失：nn.SomeLoss(output, target)",
    ),
    "tensor-truth-value": Tell(
        ("if ", "while ", "assert ", " and ", " or ", "not ", " in "),
        "the failing line uses a tensor as a condition",
        "出错的那行把张量当作条件",
        borrowed=(AMBIGUOUS,),
    ),
    "embedding-index-out-of-range": Tell(
        ("embedding", "sparse.py"),
        "the traceback passes through nn.Embedding or F.embedding",
        "调用栈经过 nn.Embedding 或 F.embedding",
    ),
    "embedding-position-too-long": Tell(
        ("position", "wpe", "pos_emb"),
        "the table is one of positions and the sequence is longer than it",
        "查的是位置编码表，而序列比它长",
        caller=("position_emb", "pos_emb", "wpe(", "embed_positions"),
        borrowed=(OUT_OF_RANGE,),
    ),
    "gather-index-semantics": Tell(
        (".gather(", "take_along_dim("),
        "the failing line calls gather",
        "出错的那行调用了 gather",
        borrowed=(OUT_OF_BOUNDS, OUT_OF_RANGE),
    ),
    "scatter-one-hot": Tell(
        (".scatter(", ".scatter_("),
        "the failing line calls scatter_",
        "出错的那行调用了 scatter_",
        borrowed=(OUT_OF_BOUNDS,),
    ),
    "index-out-of-bounds-dim": Tell(
        ("index_select(", "["),
        "the failing line indexes a tensor, or calls index_select",
        "出错的那行在索引张量，或调用了 index_select",
        borrowed=(OUT_OF_RANGE,),
    ),
    "cuda-oom-huge-alloc": Tell(
        (),
        "the request is larger than any card, thousands of GiB",
        "一次申请的显存比任何显卡都大，上千 GiB",
        says=r"Tried to allocate (?:\d{4,}(?:\.\d+)? GiB|\d+(?:\.\d+)? [TPE]iB)",
        borrowed=(
            ASKED_FOR + ". GPU {gpu:d} has a total capacity of {total} of which {free} is free.",
            ASKED_FOR + " (GPU {gpu:d}; {total} total capacity; {allocated} already allocated;"
            " {free} free;",
            ASKED_FOR,
        ),
    ),
    "size-of-tensor-must-match": Tell(
        (), "two tensors of other sizes meet", "是另外两个大小不同的张量相遇"
    ),
    "clip-grad-placement": Tell(
        (),
        "the loss itself is finite: gradients are clipped before unscale_, or grow too large",
        "loss 本身是有限值：裁剪放在了 unscale_ 之前，或梯度过大",
    ),
    "loss-nan": Tell((), "the loss itself is nan or inf", "loss 本身已经是 nan 或 inf"),
    "dataloader-worker-exited": Tell(
        ("signal_handling.py", "/torch/utils/data/dataloader.py"),
        "Linux: the worker was killed, for memory or by a crash in native code",
        "Linux：worker 被系统杀掉（内存、共享内存）或在本地代码里崩溃",
    ),
    "ce-target-dtype-long": Tell(
        ("cross_entropy", "nll_loss", "loss.py"),
        "the traceback passes through a loss",
        "调用栈经过损失函数",
    ),
    "bce-target-float": Tell(
        ("binary_cross_entropy",), "the loss is a binary cross entropy", "用的是二元交叉熵"
    ),
    "dtype-double-vs-float": Tell(
        ("linear", "conv", "addmm"),
        "the data come from NumPy or pandas as float64",
        "数据来自 NumPy 或 pandas，是 float64",
    ),
    "half-float-dtype-mismatch": Tell(
        ("autocast", "half(", "bfloat16"),
        "a part of the model is in half precision",
        "模型的一部分是半精度",
    ),
    "device-mismatch": Tell(
        ("forward", ".to("), "a tensor was not moved with the model", "有张量没有随模型移动"
    ),
    "index-device-mismatch": Tell(
        ("__getitem__", "["), "the failing line indexes with a tensor", "出错的那行用张量做索引"
    ),
    "modify-pretrained-model-children": Tell(
        ("Sequential", "children"),
        "the model was put together from children()",
        "模型是用 children() 拼起来的",
    ),
    "state-dict-module-prefix": Tell(
        ("load_state_dict",), "keys differ by `module.` only", "键只差 module. 前缀"
    ),
    "broken-pipe-num-workers": Tell(
        ("spawn.py", "popen_spawn", "reduction.py", ":\\"),
        "Windows, macOS or the spawn method, and no main guard",
        "Windows、macOS 或 spawn 方式，且没有 main 保护",
    ),
}


def weigh(note_id: str, frames: Sequence[Frame], message: str) -> int:
    """How much message and frames speak for a note: the frame nearest to the error counts most.

    Below 0 where there are frames, and none of what would show.
    """
    known = TELLS.get(note_id)
    if known is not None and known.says and re.search(known.says, message):
        return len(frames) + 2
    if known is None or not known.words or not frames:
        return 0
    caller = next((frame for frame in reversed(frames) if not is_torch(frame)), None)
    if caller is not None and any(word in caller.source for word in known.caller):
        return len(frames) + 1
    for distance, frame in enumerate(reversed(frames)):
        text = f"{frame.file} {frame.function} {frame.source}"
        if any(word in text for word in known.words):
            return len(frames) - distance
    return -1


def borrowers(message: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Notes that could explain the message of another: id, template and values."""
    for note_id, known in TELLS.items():
        if not re.search(known.says, message):
            continue
        for text in known.borrowed:
            captured = Template.parse(text).search(message)
            if captured is not None:
                yield note_id, text, captured


def tell(note_id: str, language: Language) -> str:
    """What to look for to know that it is this note; empty where nothing is known."""
    known = TELLS.get(note_id)
    if known is None:
        return ""
    return known.text_zh if language is Language.ZH else known.text
