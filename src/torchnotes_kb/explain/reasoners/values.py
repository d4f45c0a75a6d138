"""Values that do not fit: labels, indices, types, devices, versions of tensors, memory."""

from __future__ import annotations

import re

from torchnotes_kb.explain.reasoners.base import Case, Reason, Reasoner

__all__ = ["REASONERS"]

UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "bytes": 1}
MEMORY = re.compile(
    r"([\d.]{1,12}) (KiB|MiB|GiB|bytes) (?:is )?(free|reserved by PyTorch but unallocated|"
    r"is reserved by PyTorch but unallocated|allocated by PyTorch|is allocated by PyTorch|"
    r"already allocated|reserved in total)"
)


def _version(case: Case) -> Reason:
    found, expected = case.number("found"), case.number("expected")
    writes = found - expected
    times, times_zh = ("once", "一次") if writes == 1 else (f"{writes} times", f"{writes} 次")
    op = case.values.get("op", "").removesuffix("Backward0").removesuffix("Backward")
    tensor = case.values.get("tensor", "a tensor")
    source = f", the output of `{op}`," if op else ""
    source_zh = f"（`{op}` 的输出）" if op else ""
    weights = op in {"AsStrided", "T", "TBackward", "Permute", "Transpose"}
    hint = (
        " A transposed weight is meant: an optimizer step came between forward and backward."
        if weights
        else ""
    )
    hint_zh = "这其实是转置后的权重：在前向和反向之间执行了优化器的 step()。" if weights else ""
    return Reason(
        f"Autograd kept {tensor}{source} at version {expected} for backward and found it at version "
        f"{found}: it was written in place {times} in between.{hint}",
        f"自动求导在版本 {expected} 保存了 {tensor}{source_zh}，反向时发现已是版本 {found}："
        f"期间被原地修改了{times_zh}。{hint_zh}",
        "Run the backward passes before optimizer.step(), or do the forward pass again after it."
        if weights
        else "Replace the in-place write after it (+=, x[i] =, names ending in _, inplace=True) by "
        "one that makes a new tensor.",
        "把两次反向都放在 optimizer.step() 之前，或者 step() 之后重新前向。"
        if weights
        else "把在它之后的原地写入（+=、x[i] =、以 _ 结尾的方法、inplace=True）改成生成新张量的写法。",
    )


def _target(case: Case) -> Reason:
    target = case.number("target")
    counted = target > 0
    return Reason(
        f"A label is {target}; the loss allows 0 … C-1 for C outputs"
        + (f", so your last layer has at most {target} outputs." if counted else "."),
        f"有一个标签是 {target}；C 个输出只允许 0 到 C-1"
        + (f"，也就是说最后一层的输出不超过 {target} 个。" if counted else "。"),
        f"If labels count from 1, subtract 1; else give the last layer at least {target + 1} outputs. "
        "If the label means “ignore”, pass ignore_index."
        if counted
        else f"If {target} means “unlabelled”, pass ignore_index={target}; else map labels to 0 … C-1.",
        f"如果标签从 1 开始就减 1；否则最后一层至少要有 {target + 1} 个输出；"
        "如果该值表示忽略，就传 ignore_index。"
        if counted
        else f"如果 {target} 表示未标注，传 ignore_index={target}；否则把标签映射到 0 到 C-1。",
    )


def _bounds(case: Case) -> Reason:
    index, dim, size = case.number("index"), case.number("dim"), case.number("size")
    if size == 0:
        return Reason(
            f"Index {index} is asked for in dimension {dim}, which is empty.",
            f"在第 {dim} 维取下标 {index}，而这一维是空的。",
            "Ask x.numel() or len(x) first: a filter, a mask or a detector found nothing.",
            "先判断 x.numel() 或 len(x)：过滤、掩码或检测的结果是空的。",
        )
    from_end, from_end_zh = (f", or {-size} … -1", f"，或 {-size} 到 -1") if index < 0 else ("", "")
    return Reason(
        f"Index {index} is asked for in dimension {dim}, which has {size} elements: 0 … {size - 1}"
        f"{from_end}.",
        f"在第 {dim} 维取下标 {index}，而这一维只有 {size} 个元素：0 到 {size - 1}{from_end_zh}。",
        "Count from 0, and check that the index was computed for this dimension.",
        "下标从 0 开始；确认这个下标是按这一维算的。",
    )


def _dtypes(case: Case) -> Reason:
    first, second = case.word("first"), case.word("second")
    mend = _converted({first.lower(), second.lower()})
    mend = mend or f"convert the one to the other, x.to({_wider(first, second)})"
    return Reason(
        f"One operand is {first}, the other {second}; this operation mixes no types.",
        f"一个操作数是 {first}，另一个是 {second}；这个操作不会自动转换类型。",
        mend,
        mend,
    )


def _expected_dtype(case: Case) -> Reason:
    wanted, given = case.word("first"), case.word("second")
    mend = _converted({wanted.lower(), given.lower()})
    if wanted == "Long":
        mend = "target = target.long()  # class numbers; ids and indices likewise"
    elif given in {"Long", "Int", "Bool", "Byte"}:
        mend = f"target = target.to(torch.{wanted.lower()})"
    return Reason(
        f"This operation wants {wanted} here and was given {given}.",
        f"这个操作在此处需要 {wanted}，得到的却是 {given}。",
        mend or f"x = x.to(torch.{wanted.lower()})",
        mend or f"x = x.to(torch.{wanted.lower()})",
    )


def _wider(first: str, second: str) -> str:
    """The type of two that loses nothing: complex before floating, floating before integers."""
    order = ("ComplexDouble", "ComplexFloat", "Double", "Float", "BFloat16", "Half", "Long", "Int")
    widest = next((name for name in order if name in {first, second}), second)
    return {"ComplexFloat": "torch.cfloat", "ComplexDouble": "torch.cdouble"}.get(
        widest, f"torch.{widest.lower()}"
    )


def _converted(types: set[str]) -> str:
    """The usual conversion where float64 or half precision is involved."""
    if "double" in types:
        return "x = x.float()  # NumPy's default is float64"
    if types & {"half", "bfloat16"}:
        return "run the forward pass under torch.autocast, or convert both with .to(model.dtype)"
    return ""


def _devices(case: Case) -> Reason:
    first, second = case.word("first"), case.word("second")
    return Reason(
        f"One tensor is on {first}, the other on {second}.",
        f"一个张量在 {first}，另一个在 {second}。",
        "Move data with x.to(device), the model with model.to(device). A tensor made in forward or "
        "kept as a plain attribute does not move with the model: make it with device=x.device, or "
        "register_buffer it.",
        "数据用 x.to(device)，模型用 model.to(device)。在 forward 里新建的、或作为普通属性保存的张量"
        "不会跟着模型走：创建时写 device=x.device，或用 register_buffer。",
    )


def _memory(case: Case) -> Reason | None:
    asked = _bytes(case.values["size"])
    amounts = {
        name.removeprefix("is "): float(number) * UNITS[unit]
        for number, unit, name in MEMORY.findall(case.message)
    }
    free = amounts.get("free")
    idle = amounts.get("reserved by PyTorch but unallocated")
    if asked is None or free is None:
        return None
    text = f"{_mib(asked)} were asked for, {_mib(free)} are free"
    text_zh = f"申请 {_mib(asked)}，空闲 {_mib(free)}"
    if idle is not None and idle >= asked:
        return Reason(
            f"{text}, but {_mib(idle)} are reserved and unused: enough, in pieces that are too small. "
            "This is fragmentation.",
            f"{text_zh}，但有 {_mib(idle)} 已保留却未使用：总量够，只是碎片太小，属于显存碎片。",
            "Set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True before starting.",
            "启动前设置 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True。",
        )
    short, short_zh = f": {_mib(asked - free)} short.", f"，还差 {_mib(asked - free)}。"
    if free >= asked:
        short = ", but not to this process: a limit was set, or another process took them."
        short_zh = "，但本进程用不到：设了上限，或被别的进程占用。"
    return Reason(
        f"{text}{short}",
        f"{text_zh}{short_zh}",
        "Smaller batch with gradient accumulation, autocast, activation checkpointing; and look for "
        "tensors kept with their graph (total += loss).",
        "减小批大小并做梯度累积、用 autocast、激活检查点；并检查是否保留了带计算图的张量（total += loss）。",
    )


def _bytes(text: str) -> float | None:
    found = re.match(r"([\d.]{1,12}) ?(KiB|MiB|GiB|bytes)", text)
    return float(found[1]) * UNITS[found[2]] if found else None


def _mib(amount: float) -> str:
    return f"{amount / 2**30:.2f} GiB" if amount >= 2**30 else f"{amount / 2**20:.1f} MiB"


REASONERS = (
    Reasoner.of(
        "modified by an inplace operation: [{tensor}], which is output {output:d} of {op}, is at "
        "version {found:d}; expected version {expected:d} instead",
        _version,
    ),
    Reasoner.of(
        "modified by an inplace operation: [{tensor}] is at version {found:d}; expected version "
        "{expected:d} instead",
        _version,
    ),
    Reasoner.of("Target {target:d} is out of bounds", _target),
    Reasoner.of(
        "index {index:d} is out of bounds for dimension {dim:d} with size {size:d}", _bounds
    ),
    Reasoner.of("must have the same dtype, but got {first} and {second}", _dtypes),
    Reasoner.of("expected scalar type {first} but found {second}", _expected_dtype),
    Reasoner.of("but found at least two devices, {first} and {second}", _devices),
    Reasoner.of("out of memory. Tried to allocate {size}", _memory),
)
