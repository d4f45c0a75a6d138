"""Sizes that do not fit: matrix products, convolutions, views, cat, broadcasting, recurrent layers."""

from __future__ import annotations

import re

from torchnotes_kb.explain.reasoners.base import Case, Reason, Reasoner, elements, show, sizes

__all__ = ["REASONERS"]

WRITTEN_OUT = re.compile(r"\S @ \S|\b(?:matmul|b?mm)\(")
DIMENSIONS = re.compile(r"\b(\d)D\b")


def _matrix_product(case: Case) -> Reason | None:
    left, right = case.shape("left"), case.shape("right")
    if len(left) != 2 or len(right) != 2:  # noqa: PLR2004 - matrices
        return None
    if _written_by_hand(case):
        return _own_product(left, right)
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


def _written_by_hand(case: Case) -> bool:
    """Whether the last frame is a product written out, with no layer behind it."""
    source = case.frames[-1].source if case.frames else ""
    return WRITTEN_OUT.search(source) is not None


def _own_product(left: tuple[int, ...], right: tuple[int, ...]) -> Reason:
    turned = left[1] == right[1]
    return Reason(
        f"The left matrix is {show(left)}, the right one {show(right)}: the left one's {left[1]} "
        f"columns must be as many as the right one's {right[0]} rows.",
        f"左边的矩阵是 {show(left)}，右边的是 {show(right)}：左边的列数 {left[1]} 必须等于右边的行数 "
        f"{right[0]}。",
        f"Both have {left[1]} columns: turn the right one, a @ b.T gives {show((left[0], right[0]))}."
        if turned
        else "Print both shapes in front of this line; one of them is turned or was computed for "
        "another size.",
        f"两边都是 {left[1]} 列：把右边转置，a @ b.T 得到 {show((left[0], right[0]))}。"
        if turned
        else "在这一行前面打印两个 shape：其中一个方向反了，或者尺寸算错了。",
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
    move = _channels_first(shape, weight)
    mend = move if last else f"a convolution built with in_channels={given}"
    mend_zh = f"写成 {move}" if last else f"把卷积层改成 in_channels={given}"
    return Reason(
        f"The convolution was built for {wanted} input channels (weight {show(weight)}: {out} "
        f"filters), the input {show(shape)} has {given}.{order}",
        f"卷积层是按 {wanted} 个输入通道建的（权重 {show(weight)}，{out} 个卷积核），"
        f"而输入 {show(shape)} 有 {given} 个通道。{order_zh}",
        f"Use {mend}.",
        f"{mend_zh}。",
    )


def _channels_first(shape: tuple[int, ...], weight: tuple[int, ...]) -> str:
    """Channels from the end to where a convolution wants them, with or without a batch."""
    if len(shape) == len(weight) == 4:  # noqa: PLR2004 - a batch of images
        return "x.permute(0, 3, 1, 2)"
    return f"x.movedim(-1, {len(shape) - (len(weight) - 2) - 1})"


def _view(case: Case) -> Reason:
    shape, count = case.shape("shape"), case.number("count")
    whole_rows = min(shape) > 0 and count % elements(shape[1:]) == 0
    smaller = whole_rows and count < elements(shape)
    if len(shape) > 1 and min(shape) > 0 and not smaller and count % shape[0] == 0:
        return _view_of_samples(shape, count)
    fixed = elements([size for size in shape if size > 0])
    if -1 in shape:
        needs = f"{show(shape)} needs a multiple of {fixed} elements"
        needs_zh = f"{show(shape)} 要求元素数是 {fixed} 的倍数"
    else:
        needs = f"{show(shape)} holds {fixed} elements"
        needs_zh = f"{show(shape)} 需要 {fixed} 个元素"
    rest = shape[1:]
    per_row = elements(rest)
    fits = bool(rest) and whole_rows
    whole = whole_zh = ""
    if fits:
        whole = f" {count} = {count // per_row} × {per_row}: the first size could be -1."
        whole_zh = f"{count} = {count // per_row} × {per_row}，第一维可以写 -1。"
    if smaller:
        whole = f" {count} = {count // per_row} × {per_row}: a smaller batch, as the last one is."
        whole_zh = f"{count} = {count // per_row} × {per_row}：批更小，最后一批常常如此。"
    sizes_text = ", ".join(map(str, rest))
    return Reason(
        f"{needs}, the tensor has {count}.{whole}",
        f"{needs_zh}，而张量有 {count} 个。{whole_zh}",
        f"Write x.view(x.size(0), {sizes_text}), which is right for batches of any size."
        if smaller
        else f"Write x.view(-1, {sizes_text}) or x.flatten(1) and check x.shape first."
        if fits
        else "Print x.shape: an earlier layer gives another size than you computed.",
        f"写成 x.view(x.size(0), {sizes_text})，批多大都对。"
        if smaller
        else f"写成 x.view(-1, {sizes_text}) 或 x.flatten(1)，并先看看 x.shape。"
        if fits
        else "先打印 x.shape：前面某一层的输出大小和你算的不一样。",
    )


def _view_of_samples(shape: tuple[int, ...], count: int) -> Reason:
    """The batch is right and each sample is of another size: -1 would mix the samples up."""
    batch, given, wanted = shape[0], count // shape[0], elements(shape[1:])
    return Reason(
        f"{show(shape)} holds {batch * wanted} elements, the tensor has {count} = {batch} × {given}: "
        f"each of the {batch} has {given} elements and not {wanted}.",
        f"{show(shape)} 需要 {batch * wanted} 个元素，而张量有 {count} = {batch} × {given} 个："
        f"{batch} 个样本每个有 {given} 个元素，而不是 {wanted} 个。",
        f"Keep the batch and let the rest follow: x.flatten(1) gives ({batch}, {given}); the layer "
        f"after it takes {given} features. A -1 in front would mix the samples up.",
        f"保住批维，其余自动算：x.flatten(1) 得到 ({batch}, {given})，后面的层接收 {given} 个特征。"
        "第一维写 -1 会把样本混在一起。",
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
        f"{number} of the list, counted from 0, has {given} where the first has {wanted}.",
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
    most = max((int(dims) for dims in DIMENSIONS.findall(case.message)), default=len(shape))
    if len(shape) > most:
        return Reason(
            f"The layer takes at most {most} dimensions and got {len(shape)}, {show(shape)}.",
            f"这一层最多接收 {most} 维，实际得到 {len(shape)} 维：{show(shape)}。",
            "Merge what is too many into the batch, x.flatten(0, 1), and undo it behind the layer; or "
            "take out a dimension of size 1 with squeeze(dim).",
            "把多出来的维并进批维：x.flatten(0, 1)，过了这一层再还原；或者用 squeeze(dim) 去掉长度为 1 的维。",
        )
    return Reason(
        f"The layer got an input of {len(shape)} dimensions, {show(shape)}.",
        f"这一层收到的输入是 {len(shape)} 维：{show(shape)}。",
        "A single sample lacks its batch dimension: x.unsqueeze(0). A grey image lacks its channel: "
        "x.unsqueeze(1). Rows of pixels are to be images again: x.view(-1, channels, height, width).",
        "单个样本缺少批维：x.unsqueeze(0)；灰度图缺少通道维：x.unsqueeze(1)；"
        "展平成行的像素要还原成图像：x.view(-1, 通道, 高, 宽)。",
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
