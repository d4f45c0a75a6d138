"""Sizes that do not fit: matrix products, convolutions, views, cat, broadcasting, recurrent layers."""

from __future__ import annotations

from torchnotes_kb.explain.reasoners.base import Case, Reason, Reasoner, elements, show, sizes

__all__ = ["REASONERS"]


def _matrix_product(case: Case) -> Reason | None:
    left, right = case.shape("left"), case.shape("right")
    if len(left) != 2 or len(right) != 2:  # noqa: PLR2004 - matrices
        return None
    rows, given = left
    wanted, out = right
    linear = f"nn.Linear({given}, {out})"
    if rows * given % wanted == 0 and given != wanted and wanted % given == 0:
        hint = (
            f" {wanted} = {wanted // given} × {given}: if these belong to one sample, a flatten is "
            f"missing before the layer, x.flatten(1)."
        )
        hint_zh = (
            f"注意 {wanted} = {wanted // given} × {given}：如果它们属于同一个样本，"
            "说明这一层之前漏了展平 x.flatten(1)。"
        )
    else:
        hint = hint_zh = ""
    return Reason(
        f"The layer expects {wanted} features and got {given}: its input is {rows} rows of {given}, "
        f"its weight takes {wanted} and gives {out}.{hint}",
        f"这一层期望 {wanted} 个特征，实际得到 {given} 个：输入是 {rows} 行、每行 {given} 个特征，"
        f"权重接收 {wanted} 个、输出 {out} 个。{hint_zh}",
        f"Either make the layer {linear}, or change what comes before it so that the last dimension "
        f"is {wanted}. Print x.shape in front of the layer.",
        f"要么把这一层改成 {linear}，要么修改前面的层，使最后一维等于 {wanted}。"
        "在这一层前面打印 x.shape。",
    )


def _conv_channels(case: Case) -> Reason:
    weight, given = case.shape("weight"), case.number("given")
    wanted, out = case.number("wanted"), weight[0]
    shape = case.shape("input")
    last = bool(shape) and shape[-1] == wanted
    order = (
        f" The last dimension has {wanted}: the input seems to be channels-last." if last else ""
    )
    order_zh = f"最后一维恰好是 {wanted}，输入很可能是通道在后的排列。" if last else ""
    mend = "x.permute(0, 3, 1, 2)" if last else f"a convolution built with in_channels={given}"
    mend_zh = "x.permute(0, 3, 1, 2)" if last else f"把卷积层改成 in_channels={given}"
    return Reason(
        f"The convolution was built for {wanted} input channels (weight {show(weight)}: {out} "
        f"filters), the input {show(shape)} has {given}.{order}",
        f"卷积层是按 {wanted} 个输入通道建的（权重 {show(weight)}，{out} 个卷积核），"
        f"而输入 {show(shape)} 有 {given} 个通道。{order_zh}",
        f"Use {mend}.",
        f"{mend_zh}。",
    )


def _view(case: Case) -> Reason:
    shape, count = case.shape("shape"), case.number("count")
    fixed = elements([size for size in shape if size > 0])
    if -1 in shape:
        needs = f"{show(shape)} needs a multiple of {fixed} elements"
        needs_zh = f"{show(shape)} 要求元素数是 {fixed} 的倍数"
    else:
        needs = f"{show(shape)} holds {fixed} elements"
        needs_zh = f"{show(shape)} 需要 {fixed} 个元素"
    rest = [size for size in shape[1:] if size > 0]
    per_row = elements(rest)
    fits = -1 not in shape and count % per_row == 0
    whole = (
        f" {count} = {count // per_row} × {per_row}: the first size could be -1." if fits else ""
    )
    whole_zh = f"{count} = {count // per_row} × {per_row}，第一维可以写 -1。" if fits else ""
    sizes_text = ", ".join(map(str, rest))
    return Reason(
        f"{needs}, the tensor has {count}.{whole}",
        f"{needs_zh}，而张量有 {count} 个。{whole_zh}",
        f"Write x.view(-1, {sizes_text}) or x.flatten(1) and check x.shape first."
        if fits
        else "Print x.shape: an earlier layer gives another size than you computed.",
        f"写成 x.view(-1, {sizes_text}) 或 x.flatten(1)，并先看看 x.shape。"
        if fits
        else "先打印 x.shape：前面某一层的输出大小和你算的不一样。",
    )


def _broadcast(case: Case) -> Reason:
    left, right, dim = case.number("left"), case.number("right"), case.number("dim")
    return Reason(
        f"In dimension {dim} one tensor has size {left}, the other {right}. Sizes are aligned from "
        "the right and must be equal, or one of them 1.",
        f"第 {dim} 维一个张量是 {left}，另一个是 {right}。广播从最右边对齐，每一维要么相等，要么其中一个为 1。",
        f"Print both shapes. If the {right} belongs elsewhere, insert a size-1 dimension with "
        "unsqueeze, or transpose.",
        "打印两个张量的 shape；如果维度放错了位置，用 unsqueeze 插入长度为 1 的维度，或先转置。",
    )


def _cat(case: Case) -> Reason:
    dim, wanted, given = case.number("dim"), case.number("wanted"), case.number("given")
    number = case.number("number")
    return Reason(
        f"Tensors are joined along dimension {dim}; all other sizes must agree. Tensor number "
        f"{number} of the list has {given} where the first has {wanted}.",
        f"沿第 {dim} 维拼接时，其余各维必须相同。列表里第 {number} 个张量（从 0 数）的大小是 {given}，"
        f"而第一个是 {wanted}。",
        f"A difference of {abs(wanted - given)} usually comes from an odd size that was halved and "
        "doubled (U-Net): pad or crop the one to the other, or resize inputs to a multiple of the "
        "total stride."
        if 0 < abs(wanted - given) <= 2  # noqa: PLR2004 - rounding of two strides
        else "Print the shapes of the list; another dim for cat, or a stack, may be what you want.",
        f"相差 {abs(wanted - given)}，多半是奇数尺寸先减半再加倍造成的（U-Net 常见）：补齐或裁剪其中一个，"
        "或者把输入缩放到总步长的整数倍。"
        if 0 < abs(wanted - given) <= 2  # noqa: PLR2004 - likewise
        else "打印列表中各张量的 shape；也许该换一个 dim，或者该用 stack。",
    )


def _stack(case: Case) -> Reason:
    first, other, entry = case.shape("first"), case.shape("other"), case.number("entry")
    return Reason(
        f"The batch cannot be stacked: its first sample has shape {show(first)}, sample {entry} has "
        f"{show(other)}.",
        f"无法把一批样本堆叠起来：第一个样本形状是 {show(first)}，第 {entry} 个样本是 {show(other)}。",
        "Resize or pad in the dataset, or give DataLoader a collate_fn that pads "
        "(torch.nn.utils.rnn.pad_sequence) or keeps a list.",
        "在数据集里统一尺寸或补齐，或者给 DataLoader 传 collate_fn：用 "
        "torch.nn.utils.rnn.pad_sequence 补齐，或保留成列表。",
    )


def _hidden(case: Case) -> Reason:
    wanted, given = case.shape("wanted"), case.shape("given")
    swapped = len(wanted) == len(given) == 3 and wanted[1] != given[1]  # noqa: PLR2004 - (L, N, H)
    why = (
        f" The batch in it is {given[1]}, the input's is {wanted[1]}: the last batch is smaller, or "
        "batch_first is set for one and not for the other (it does not apply to hidden states)."
        if swapped
        else ""
    )
    why_zh = (
        f"其中批大小是 {given[1]}，而输入的批大小是 {wanted[1]}：要么最后一批不足，要么 batch_first "
        "理解有误（它不影响隐状态的排列）。"
        if swapped
        else ""
    )
    return Reason(
        f"The hidden state must be {show(wanted)} (layers × directions, batch, hidden), it is "
        f"{show(given)}.{why}",
        f"隐状态应为 {show(wanted)}（层数×方向数, 批大小, 隐藏维），实际是 {show(given)}。{why_zh}",
        "Make it from the input: torch.zeros(layers * directions, x.size(batch_dim), hidden), or "
        "leave it out.",
        "按输入生成：torch.zeros(层数*方向数, x.size(批所在维), 隐藏维)，或者干脆不传。",
    )


def _input_size(case: Case) -> Reason:
    wanted, given = case.number("wanted"), case.number("given")
    return Reason(
        f"The recurrent layer was built with input_size={wanted}, the last dimension of its input "
        f"is {given}.",
        f"循环层的 input_size={wanted}，而输入的最后一维是 {given}。",
        f"Build it with input_size={given}, or transpose the input so that features come last.",
        f"改成 input_size={given}，或者转置输入，让特征放在最后一维。",
    )


def _stacked_dims(case: Case) -> Reason:
    shape = sizes(case.values["shape"])
    return Reason(
        f"The layer got an input of {len(shape)} dimensions, {show(shape)}.",
        f"这一层收到的输入是 {len(shape)} 维：{show(shape)}。",
        "A single sample lacks its batch dimension: x.unsqueeze(0). A grey image lacks its channel: "
        "x.unsqueeze(1).",
        "单个样本缺少批维：x.unsqueeze(0)；灰度图缺少通道维：x.unsqueeze(1)。",
    )


REASONERS = (
    Reasoner.of(
        "mat1 and mat2 shapes cannot be multiplied ({left:shape} and {right:shape})",
        _matrix_product,
    ),
    Reasoner.of("size mismatch, m1: {left:shape}, m2: {right:shape}", _matrix_product),
    Reasoner.of(
        "weight of size {weight:shape}, expected input{input:shape} to have {wanted:d} channels, "
        "but got {given:d} channels instead",
        _conv_channels,
    ),
    Reasoner.of("shape '{shape:shape}' is invalid for input of size {count:d}", _view),
    Reasoner.of(
        "The size of tensor a ({left:d}) must match the size of tensor b ({right:d}) at "
        "non-singleton dimension {dim:d}",
        _broadcast,
    ),
    Reasoner.of(
        "Sizes of tensors must match except in dimension {dim:d}. Expected size {wanted:d} but got "
        "size {given:d} for tensor number {number:d} in the list",
        _cat,
    ),
    Reasoner.of(
        "stack expects each tensor to be equal size, but got {first:shape} at entry 0 and "
        "{other:shape} at entry {entry:d}",
        _stack,
    ),
    Reasoner.of("Expected hidden size {wanted:shape}, got {given:shape}", _hidden),
    Reasoner.of("Expected hidden[0] size {wanted:shape}, got {given:shape}", _hidden),
    Reasoner.of(
        "input.size(-1) must be equal to input_size. Expected {wanted:d}, got {given:d}",
        _input_size,
    ),
    Reasoner.of("but got input of size: {shape:shape}", _stacked_dims),
)
