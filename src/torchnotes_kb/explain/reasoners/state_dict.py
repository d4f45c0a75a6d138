"""State dicts that do not fit: prefixes, missing and unexpected keys, sizes."""

from __future__ import annotations

import re

from torchnotes_kb.explain.reasoners.base import Case, Reason, Reasoner, show, sizes

__all__ = ["REASONERS"]

KEYS = re.compile(r'"([^"\n]{1,300})"')
SHAPE = r"(torch\.Size\(\[[^\]\n]{0,200}\]\)|\[[^\]\n]{0,200}\]|\([^)\n]{0,200}\))"
SIZE = re.compile(
    rf"size mismatch for ([\w.]{{1,300}}): copying a param with shape {SHAPE} from checkpoint, "
    rf"the shape in current model is {SHAPE}"
)
WRAPPERS = {
    "module.": "DataParallel or DistributedDataParallel",
    "_orig_mod.": "torch.compile",
    "model.": "a wrapping module (Lightning, for instance)",
}


CERTAIN = {"module.", "_orig_mod."}
"""Nobody names a part of a model like this; `model.` is common without any wrapping."""
LEVELS = 3
"""Wrappers inside wrappers: `_orig_mod.module.`"""


def _keys(case: Case) -> Reason | None:
    missing = _listed(case.message, "Missing key(s) in state_dict:")
    unexpected = _listed(case.message, "Unexpected key(s) in state_dict:")
    for there, here, side in ((unexpected, missing, "file"), (missing, unexpected, "model")):
        prefix = _prefix(there, here, cut=_is_cut(case.message, side))
        if prefix:
            return _wrapped(prefix, side, every=all(key.startswith(prefix) for key in there))
    for within in ("_orig_mod.", "module."):
        if {key.replace(within, "") for key in unexpected if within in key} & set(missing):
            return _wrapped_within(within)
    if not missing and not unexpected:
        return None
    sized = len(SIZE.findall(case.message))
    if not missing and not sized and not _is_cut(case.message, "file"):
        return _surplus(unexpected)
    return Reason(
        _counted(missing, unexpected, sized, _SENTENCE),
        _counted(missing, unexpected, sized, _SENTENCE_ZH),
        "Build the model as it was when the file was saved, or rename the keys; look at "
        "list(state)[:5] beside list(model.state_dict())[:5].",
        "按保存时的结构建模型，或者给键改名；对照 list(state)[:5] 和 list(model.state_dict())[:5]。",
    )


_SENTENCE = (
    "keys that the file lacks: {}",
    "keys that the model lacks: {}",
    "tensors of other sizes: {}",
    "; ",
    ".",
)
_SENTENCE_ZH = (
    "模型有而文件没有的键：{} 个",
    "文件有而模型没有的键：{} 个",
    "两边都有但形状不同的张量：{} 个",
    "，",
    "。",
)


def _counted(
    missing: list[str], unexpected: list[str], sized: int, words: tuple[str, str, str, str, str]
) -> str:
    """How many keys differ in which way; nothing is said of a way in which none do."""
    *ways, comma, stop = words
    counts = (len(missing), len(unexpected), sized)
    parts = [way.format(count) for way, count in zip(ways, counts, strict=True) if count]
    text = comma.join(parts) + _example(missing, unexpected) + stop
    return text[0].upper() + text[1:]


def _surplus(unexpected: list[str]) -> Reason:
    return Reason(
        "The file has all that the model needs, and more" + _example([], unexpected) + ".",
        "模型需要的键文件里都有，只是多了一些" + _example([], unexpected) + "。",
        "model.load_state_dict(state, strict=False), if the model is meant to be without these.",
        "如果模型本来就不需要它们：model.load_state_dict(state, strict=False)。",
    )


def _is_cut(message: str, side: str) -> bool:
    """Whether the other side's list may have been lost: torch prints the missing keys first."""
    if side == "file":
        return "Error(s) in loading state_dict" not in message
    return not message.rstrip().endswith('".')


def _wrapped_within(within: str) -> Reason:
    who = WRAPPERS[within]
    code = (
        f"state = {{key.replace({within!r}, ''): value for key, value in state.items()}}\n"
        "model.load_state_dict(state)"
    )
    return Reason(
        f"Keys of the file have `{within}` in the middle, the model's do not: a part of it was "
        f"wrapped by {who}. The tensors are the same.",
        f"文件里的键中间多了 `{within}`，模型里没有：其中一部分被 {who} 包过一层，张量本身是一样的。",
        code,
        code,
    )


def _wrapped(prefix: str, side: str, *, every: bool) -> Reason:
    known = [WRAPPERS.get(f"{part}.", "") for part in prefix.split(".")[:-1]]
    who = " and ".join(known) if all(known) else "another level of wrapping"
    only = "" if every else f" if key.startswith({prefix!r})"
    strip = (
        f"state = {{key.removeprefix({prefix!r}): value for key, value in state.items(){only}}}\n"
        "model.load_state_dict(state)"
    )
    add = (
        f"model.{prefix}load_state_dict(state)  # into the wrapped module"
        if all(part in {"module", "_orig_mod"} for part in prefix.split(".")[:-1])
        else f"state = {{{prefix!r} + key: value for key, value in state.items()}}\n"
        "model.load_state_dict(state)"
    )
    code = strip if side == "file" else add
    where, where_zh = ("file", "文件") if side == "file" else ("model", "模型")
    keys, begin, all_zh = ("Every key", "begins", "都") if every else ("Keys", "begin", "")
    return Reason(
        f"{keys} of the {where} {begin} with `{prefix}`, the other side's do not: it was wrapped by "
        f"{who}. The tensors are the same.",
        f"{where_zh}里的键{all_zh}带前缀 `{prefix}`，另一边没有：它被 {who} 包过一层，张量本身是一样的。",
        code,
        code,
    )


def _sizes(case: Case) -> Reason | None:
    found = [(name, sizes(a), sizes(b)) for name, a, b in SIZE.findall(case.message)]
    if not found:
        return None
    name, saved, built = found[0]
    head = all(a[1:] == b[1:] for _, a, b in found)
    layer = name.rpartition(".")[0]
    more = f" ({len(found)} tensors differ)" if len(found) > 1 else ""
    more_zh = f"（共 {len(found)} 个张量不一致）" if len(found) > 1 else ""
    table = _table(name, saved, built)
    if table and head:
        return table
    if len({each.rpartition(".")[0] for each, _, _ in found}) > 1:
        return _many_sizes(found)
    if head and saved and built:
        return Reason(
            f"`{layer}` gives {saved[0]} outputs in the file and {built[0]} in your model: the last "
            f"layer was trained for {saved[0]} classes, yours has {built[0]}{more}.",
            f"`{layer}` 在文件里有 {saved[0]} 个输出，在你的模型里有 {built[0]} 个：那个权重是按 "
            f"{saved[0]} 类训练的，你的模型是 {built[0]} 类{more_zh}。",
            f"Build the model with {saved[0]} classes, load, then replace `{layer}` by a new layer "
            f"of {built[0]}; or drop these keys and load with strict=False:\n"
            f"state = {{k: v for k, v in state.items() if not k.startswith({layer + '.'!r})}}\n"
            "model.load_state_dict(state, strict=False)",
            f"先按 {saved[0]} 类建模型并加载，再把 `{layer}` 换成 {built[0]} 类的新层；"
            "或者去掉这些键后用 strict=False 加载：\n"
            f"state = {{k: v for k, v in state.items() if not k.startswith({layer + '.'!r})}}\n"
            "model.load_state_dict(state, strict=False)",
        )
    return Reason(
        f"`{name}` is {show(saved)} in the file and {show(built)} in your model{more}: model and file "
        "were built with different sizes.",
        f"`{name}` 在文件里是 {show(saved)}，在你的模型里是 {show(built)}{more_zh}：两边建模时的尺寸不同。",
        "Build the model with the sizes of the file; strict=False does not help with sizes.",
        "按文件的尺寸建模型；strict=False 对形状不一致没有用。",
    )


def _many_sizes(found: list[tuple[str, tuple[int, ...], tuple[int, ...]]]) -> Reason:
    """Layers that differ: dropping the keys of one of them would leave the others to fail."""
    name, saved, built = found[0]
    code = (
        "own = model.state_dict()\n"
        "state = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}\n"
        "model.load_state_dict(state, strict=False)"
    )
    return Reason(
        f"{len(found)} tensors of several layers have other sizes; the first, `{name}`, is "
        f"{show(saved)} in the file and {show(built)} in your model. File and model were built with "
        "different sizes or numbers of classes.",
        f"有 {len(found)} 个张量的形状不同，分属几层；第一个 `{name}` 在文件里是 {show(saved)}，在你的模型里是 "
        f"{show(built)}。两边建模时的尺寸或类别数不同。",
        "Build the model with the sizes of the file. If only the heads are to be new, load what fits "
        f"and train the rest:\n{code}",
        f"按文件的尺寸建模型。如果只是要换输出层，就只加载形状相同的部分，其余重新训练：\n{code}",
    )


def _table(name: str, saved: tuple[int, ...], built: tuple[int, ...]) -> Reason | None:
    """An embedding has rows, not classes: they are tokens or positions."""
    if "embed" not in name or len(saved) != 2:  # noqa: PLR2004 - rows of vectors
        return None
    return Reason(
        f"The table `{name}` has {saved[0]} rows in the file and {built[0]} in your model: another "
        "vocabulary, or another greatest length.",
        f"`{name}` 这张表在文件里有 {saved[0]} 行，在你的模型里有 {built[0]} 行：词表或最大长度不同。",
        f"Build the model with {saved[0]} rows and use the tokenizer that belongs to the file; if "
        "tokens were added, load first and enlarge the table afterwards.",
        f"按 {saved[0]} 行建模型，并使用与该文件配套的分词器；如果加过新词，先加载再扩表。",
    )


def _group(case: Case) -> Reason:
    del case
    return Reason(
        "The saved optimizer has parameter groups of other sizes than this one: the model or the list "
        "of trained parameters is not the one that was saved.",
        "保存的优化器和当前优化器的参数组大小不同：模型或参与训练的参数与保存时不一致。",
        "Build model and parameter groups as they were (freeze and add layers first), then load.",
        "先按保存时的方式建好模型和参数组（该冻结、该加的层先处理），再加载。",
    )


def _listed(message: str, head: str) -> list[str]:
    """The quoted keys that follow `head`, up to the next heading."""
    _, _, rest = message.partition(head)
    for end in ("Missing key(s)", "Unexpected key(s)", "size mismatch for"):
        rest = rest.partition(end)[0]
    return KEYS.findall(rest)


def _prefix(longer: list[str], shorter: list[str], *, cut: bool) -> str:
    """What must be taken from the one to get the other; where that one was cut off, a guess."""
    if not longer:
        return ""
    other, parts = set(shorter), longer[0].split(".")[:-1]
    levels = [".".join(parts[:depth]) + "." for depth in range(1, min(len(parts), LEVELS) + 1)]
    for prefix in dict.fromkeys((*WRAPPERS, *levels)):
        own = [key for key in longer if key.startswith(prefix)]
        stripped = {key.removeprefix(prefix) for key in own}
        if other and (other <= stripped or (len(own) == len(longer) and stripped & other)):
            return prefix
        if cut and not other and len(own) == len(longer) and prefix in CERTAIN:
            return prefix
    return ""


def _example(missing: list[str], unexpected: list[str]) -> str:
    shown = [f"`{keys[0]}`" for keys in (missing, unexpected) if keys]
    return f" ({' / '.join(shown)})" if shown else ""


REASONERS = (
    Reasoner.of("Missing key(s) in state_dict:", _keys),
    Reasoner.of("Unexpected key(s) in state_dict:", _keys),
    Reasoner.of("size mismatch for {name}: copying a param with shape", _sizes),
    Reasoner.of(
        "loaded state dict contains a parameter group that doesn't match the size of "
        "optimizer's group",
        _group,
    ),
)
