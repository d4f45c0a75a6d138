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


def _keys(case: Case) -> Reason | None:
    missing = _listed(case.message, "Missing key(s) in state_dict:")
    unexpected = _listed(case.message, "Unexpected key(s) in state_dict:")
    for there, here, side in ((unexpected, missing, "file"), (missing, unexpected, "model")):
        prefix = _prefix(there, here)
        if prefix:
            return _wrapped(prefix, side)
    if not missing and not unexpected:
        return None
    return Reason(
        f"The model has {len(missing)} keys that the file lacks, the file {len(unexpected)} that the "
        "model lacks" + _example(missing, unexpected) + ".",
        f"模型有 {len(missing)} 个键在文件里找不到，文件有 {len(unexpected)} 个键在模型里找不到"
        + _example(missing, unexpected)
        + "。",
        "Build the model as it was when the file was saved, or rename the keys; look at "
        "list(state)[:5] beside list(model.state_dict())[:5].",
        "按保存时的结构建模型，或者给键改名；对照 list(state)[:5] 和 list(model.state_dict())[:5]。",
    )


def _wrapped(prefix: str, side: str) -> Reason:
    who = WRAPPERS.get(prefix, "another level of wrapping")
    strip = (
        f"state = {{key.removeprefix({prefix!r}): value for key, value in state.items()}}\n"
        "model.load_state_dict(state)"
    )
    add = (
        f"model.{prefix}load_state_dict(state)  # into the wrapped module"
        if prefix != "model."
        else "state = {'model.' + key: value for key, value in state.items()}"
    )
    code = strip if side == "file" else add
    where, where_zh = ("file", "文件") if side == "file" else ("model", "模型")
    return Reason(
        f"Every key of the {where} begins with `{prefix}`, the other side's do not: it was wrapped by "
        f"{who}. The tensors are the same.",
        f"{where_zh}里的键都带前缀 `{prefix}`，另一边没有：它被 {who} 包过一层，张量本身是一样的。",
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


def _prefix(longer: list[str], shorter: list[str]) -> str:
    """What must be taken from the one to get the other."""
    if not longer:
        return ""
    other = set(shorter)
    for prefix in (*WRAPPERS, longer[0].partition(".")[0] + "."):
        if all(key.startswith(prefix) for key in longer) and (
            {key.removeprefix(prefix) for key in longer} & other
            or (not other and prefix in WRAPPERS)
        ):
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
