"""Explanations that speak of the reader's own values."""

import pytest

from torchnotes_kb.explain.reasoning import reason_about
from torchnotes_kb.notes.model import Language
from torchnotes_kb.sandbox.model import Frame


@pytest.mark.parametrize(
    ("message", "said", "mended"),
    [
        (
            "mat1 and mat2 shapes cannot be multiplied (32x2048 and 512x10)",
            "expects 512 features and got 2048",
            "nn.Linear(2048, 10)",
        ),
        (
            "Error(s) in loading state_dict for Net:\n\tsize mismatch for fc.weight: copying a param "
            "with shape torch.Size([1000, 512]) from checkpoint, the shape in current model is "
            "torch.Size([10, 512]).",
            "`fc` gives 1000 outputs in the file and 10 in your model",
            "strict=False",
        ),
        (
            'Missing key(s) in state_dict: "a.w", "a.b".\n\tUnexpected key(s) in state_dict: '
            '"module.a.w", "module.a.b".',
            "Every key of the file begins with `module.`",
            "removeprefix('module.')",
        ),
        (
            'Missing key(s) in state_dict: "a.w".\n\tUnexpected key(s) in state_dict: "_orig_mod.a.w".',
            "wrapped by torch.compile",
            "removeprefix('_orig_mod.')",
        ),
        (
            'Missing key(s) in state_dict: "module.a".\n\tUnexpected key(s) in state_dict: "a".',
            "Every key of the model begins with `module.`",
            "model.module.load_state_dict(state)",
        ),
        (
            "modified by an inplace operation: [torch.FloatTensor [3]], which is output 0 of "
            "SigmoidBackward0, is at version 4; expected version 1 instead. Hint: x",
            "written in place 3 times",
            "makes a new tensor",
        ),
        (
            "modified by an inplace operation: [torch.FloatTensor [64, 1]], which is output 0 of "
            "AsStridedBackward0, is at version 2; expected version 1 instead.",
            "an optimizer step came between",
            "before optimizer.step()",
        ),
        (
            "Given groups=1, weight of size [64, 3, 7, 7], expected input[1, 1, 28, 28] to have 3 "
            "channels, but got 1 channels instead",
            "built for 3 input channels",
            "in_channels=1",
        ),
        (
            "Given groups=1, weight of size [8, 3, 3, 3], expected input[4, 32, 32, 3] to have 3 "
            "channels, but got 32 channels instead",
            "channels-last",
            "x.permute(0, 3, 1, 2)",
        ),
        ("Target 10 is out of bounds.", "at most 10 outputs", "at least 11 outputs"),
        ("Target -1 is out of bounds.", "A label is -1", "ignore_index=-1"),
        (
            "shape '[-1, 400]' is invalid for input of size 179776",
            "the tensor has 179776",
            "Print x.shape",
        ),
        (
            "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1",
            "In dimension 1 one tensor has size 3, the other 4",
            "unsqueeze",
        ),
        (
            "Sizes of tensors must match except in dimension 1. Expected size 76 but got size 75 for "
            "tensor number 1 in the list.",
            "has 75 where the first has 76",
            "pad or crop",
        ),
        (
            "Expected all tensors to be on the same device, but found at least two devices, cuda:0 "
            "and cpu! (when checking argument for argument mat1)",
            "One tensor is on cuda:0, the other on cpu.",
            "x.to(device)",
        ),
        (
            "mat1 and mat2 must have the same dtype, but got Double and Float",
            "One operand is Double, the other Float",
            "x.float()",
        ),
        (
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.78 GiB "
            "of which 512.00 MiB is free. Of the allocated memory 10.00 GiB is allocated by PyTorch, "
            "and 4.00 GiB is reserved by PyTorch but unallocated.",
            "This is fragmentation",
            "expandable_segments:True",
        ),
        (
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.78 GiB "
            "of which 512.00 MiB is free.",
            "1.50 GiB short",
            "gradient accumulation",
        ),
        (
            "CUDA out of memory. Tried to allocate 1.00 GiB. GPU 0 has a total capacity of 23.69 GiB "
            "of which 3.51 GiB is free. 8.00 GiB allowed; Of the allocated memory 7.02 GiB is "
            "allocated by PyTorch, and 51.00 MiB is reserved by PyTorch but unallocated.",
            "3.51 GiB are free, but not to this process",
            "gradient accumulation",
        ),
        (
            "shape '[64, 784]' is invalid for input of size 15680",
            "15680 = 20 × 784: a smaller batch",
            "x.view(x.size(0), 784)",
        ),
        (
            "shape '[64, 400]' is invalid for input of size 179200",
            "each of the 64 has 2800 elements and not 400",
            "x.flatten(1) gives (64, 2800)",
        ),
        ("shape '[100]' is invalid for input of size 150", "the tensor has 150.", "Print x.shape"),
        ("shape '[0, 4]' is invalid for input of size 8", "the tensor has 8.", "Print x.shape"),
        (
            "Given groups=1, weight of size [64, 12, 3], expected input[8, 500, 12] to have 12 "
            "channels, but got 500 channels instead",
            "channels-last",
            "x.movedim(-1, 1)",
        ),
        (
            "Given groups=1, weight of size [8, 3, 3, 3], expected input[32, 32, 3] to have 3 "
            "channels, but got 32 channels instead",
            "channels-last",
            "x.movedim(-1, 0)",
        ),
        (
            "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: "
            "[2, 8, 3, 224, 224]",
            "takes at most 4 dimensions and got 5",
            "x.flatten(0, 1)",
        ),
        (
            "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [28, 28]",
            "an input of 2 dimensions",
            "x.unsqueeze(0)",
        ),
        (
            "index 0 is out of bounds for dimension 0 with size 0",
            "dimension 0, which is empty",
            "x.numel()",
        ),
        (
            "index -5 is out of bounds for dimension 1 with size 4",
            "4 elements: 0 … 3, or -4 … -1.",
            "Count from 0",
        ),
        (
            "mat1 and mat2 must have the same dtype, but got Float and Long",
            "One operand is Float, the other Long",
            "x.to(torch.float)",
        ),
        (
            "mat1 and mat2 must have the same dtype, but got Float and ComplexFloat",
            "the other ComplexFloat",
            "x.to(torch.cfloat)",
        ),
        (
            'Missing key(s) in state_dict: "w".\n\tUnexpected key(s) in state_dict: '
            '"_orig_mod.module.w".',
            "wrapped by torch.compile and DataParallel",
            "removeprefix('_orig_mod.module.')",
        ),
        (
            'Missing key(s) in state_dict: "enc.w".\n\tUnexpected key(s) in state_dict: '
            '"enc._orig_mod.w".',
            "`_orig_mod.` in the middle",
            "key.replace('_orig_mod.', '')",
        ),
        (
            'Missing key(s) in state_dict: "0.w".\n\tUnexpected key(s) in state_dict: "net.0.w", '
            '"loss.w".',
            "Keys of the file begin with `net.`",
            "for key, value in state.items() if key.startswith('net.')}",
        ),
        (
            "Error(s) in loading state_dict for Net:\n\tUnexpected key(s) in state_dict: "
            '"model.embeddings.position_ids".',
            "The file has all that the model needs, and more (`model.embeddings.position_ids`)",
            "strict=False",
        ),
        (
            'Error(s) in loading state_dict for Net:\n\tMissing key(s) in state_dict: "module.a".',
            "Keys that the file lacks: 1 (`module.a`).",
            "rename the keys",
        ),
        (
            'Error(s) in loading state_dict for Net:\n\tUnexpected key(s) in state_dict: "a.w".\n'
            "\tsize mismatch for b.w: copying a param with shape torch.Size([2, 3]) from checkpoint, "
            "the shape in current model is torch.Size([2, 4]).",
            "Keys that the model lacks: 1; tensors of other sizes: 1 (`a.w`).",
            "rename the keys",
        ),
        (
            "size mismatch for a.w: copying a param with shape torch.Size([255, 8]) from checkpoint, "
            "the shape in current model is torch.Size([18, 8]).\n\tsize mismatch for b.w: copying a "
            "param with shape torch.Size([255, 9]) from checkpoint, the shape in current model is "
            "torch.Size([18, 9]).",
            "2 tensors of several layers have other sizes; the first, `a.w`",
            "v.shape == own[k].shape",
        ),
        (
            "size mismatch for embed.weight: copying a param with shape torch.Size([30522, 768]) from "
            "checkpoint, the shape in current model is torch.Size([21128, 768]).",
            "has 30522 rows in the file and 21128 in your model",
            "the tokenizer that belongs to the file",
        ),
        (
            "Expected hidden[0] size (2, 16, 128), got [2, 32, 128]",
            "The batch in it is 32, the input's is 16",
            "leave it out",
        ),
    ],
)
def test_the_numbers_of_a_message_are_explained(message: str, said: str, mended: str) -> None:
    reason = reason_about(message)
    assert reason is not None
    assert said in reason.explained(Language.EN)
    assert mended in reason.mended(Language.EN)
    assert reason.explained(Language.ZH) != reason.explained(Language.EN)


@pytest.mark.parametrize(
    ("source", "said", "mended"),
    [
        ("y = x @ w", "left matrix is (32, 10), the right one (20, 10)", "a @ b.T gives (32, 20)"),
        ("y = torch.mm(x, w)", "the right one's 20 rows", "a @ b.T"),
        ("return F.linear(x, w)", "The layer expects 20 features", "nn.Linear(10, 10)"),
        ("y = comm(x)", "The layer expects 20 features", "nn.Linear(10, 10)"),
    ],
)
def test_a_product_that_is_written_out_is_not_called_a_layer(
    source: str, said: str, mended: str
) -> None:
    frame = Frame(file="a.py", line=3, function="f", source=source)
    reason = reason_about("mat1 and mat2 shapes cannot be multiplied (32x10 and 20x10)", [frame])
    assert reason is not None
    assert said in reason.explained(Language.EN)
    assert mended in reason.mended(Language.EN)


@pytest.mark.parametrize("message", ["", "something else", "Missing key(s) in state_dict:"])
def test_what_no_family_knows_is_left_alone(message: str) -> None:
    assert reason_about(message) is None
