"""Exceptions found in every shape that people paste."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchnotes_kb.explain.cause import by_cause
from torchnotes_kb.explain.frames import torch_frames, user_frame
from torchnotes_kb.explain.traceback import parse

PLAIN = """\
Traceback (most recent call last):
  File "/home/u/train.py", line 12, in <module>
    main()
    ~~~~^^
  File "/home/u/train.py", line 8, in main
    out = net(x)
  File "/opt/env/lib/python3.10/site-packages/torch/nn/modules/linear.py", line 114, in forward
    return F.linear(input, self.weight, self.bias)
RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x2048 and 512x10)
"""
MESSAGE = "mat1 and mat2 shapes cannot be multiplied (32x2048 and 512x10)"


def prefixed(prefix: str) -> str:
    return "".join(prefix + line for line in PLAIN.splitlines(keepends=True))


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        prefixed("2024-05-01 10:00:00,123 - ERROR - train - "),
        prefixed("[2024-05-01T10:00:00Z] ERROR "),
        prefixed("[rank0]: "),
        prefixed("[default3]:"),
        prefixed("(worker pid=3121, ip=10.0.0.1) "),
        prefixed("> "),
        prefixed("\x1b[31m").replace("\n", "\x1b[0m\n"),
        "epoch 1: 50%|#####     |\r" * 50 + "\n" + PLAIN,
        "请问这个怎么解决？\n" + PLAIN + "\n谢谢大家",
        PLAIN[PLAIN.index("  File") :],
        "some log line\nanother: line\n" + PLAIN + "\nmore output\n",
    ],
    ids=[
        "plain",
        "crlf",
        "logging",
        "iso-log",
        "rank",
        "torchrun",
        "ray",
        "quoted",
        "colours",
        "progress-bar",
        "chinese-around",
        "header-cut-off",
        "among-logs",
    ],
)
def test_one_traceback_is_read_in_any_wrapping(text: str) -> None:
    raised = by_cause(parse(text))[0]
    assert raised.type == "RuntimeError"
    assert raised.message.splitlines()[0].strip() == MESSAGE
    frame = user_frame(raised.frames)
    assert frame is not None
    assert (frame.file, frame.line, frame.source) == ("/home/u/train.py", 8, "out = net(x)")
    assert torch_frames(raised.frames) == 1


def test_a_notebooks_traceback_is_read_with_its_arrow() -> None:
    text = """\
---------------------------------------------------------------------------
RuntimeError                              Traceback (most recent call last)
Cell In[3], line 2
      1 x = 3
----> 2 net(x)

File /opt/conda/lib/python3.11/site-packages/torch/nn/modules/module.py:1736, in Module._call(self)
   1734     return 1
-> 1736     return self._call_impl(*args)

RuntimeError: Error(s) in loading state_dict for Net:
\tMissing key(s) in state_dict: "a".
"""
    raised = parse(text)[0]
    frame = user_frame(raised.frames)
    assert frame is not None
    assert (frame.file, frame.line, frame.source) == ("Cell In[3]", 2, "net(x)")
    assert raised.message.startswith("Error(s) in loading state_dict for Net:\n\tMissing")


def test_ranks_are_told_apart() -> None:
    lines = []
    for first, second in zip(PLAIN.splitlines(), PLAIN.splitlines(), strict=True):
        lines += [f"[rank0]: {first}", f"[rank1]: {second.replace('RuntimeError', 'ValueError')}"]
    assert [(r.rank, r.type) for r in parse("\n".join(lines))] == [
        ("0", "RuntimeError"),
        ("1", "ValueError"),
    ]


def test_the_root_of_a_chain_is_its_direct_cause() -> None:
    text = (
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nKeyError: 'x'\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    h()\n'
        "RuntimeError: outer\n"
    )
    assert [raised.type for raised in by_cause(parse(text))] == ["KeyError", "RuntimeError"]


def test_an_error_while_handling_another_comes_first() -> None:
    text = (
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nKeyError: 'x'\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    h()\n'
        "RuntimeError: later\n"
    )
    assert [raised.type for raised in by_cause(parse(text))] == ["RuntimeError", "KeyError"]


def test_a_workers_own_traceback_is_nearer_to_the_cause() -> None:
    text = (
        'Traceback (most recent call last):\n  File "t.py", line 9, in <module>\n    for b in loader:\n'
        "RuntimeError: Caught RuntimeError in DataLoader worker process 0.\n"
        "Original Traceback (most recent call last):\n"
        '  File "/x/site-packages/torch/utils/data/_utils/worker.py", line 308, in _worker_loop\n'
        "    data = fetcher.fetch(index)\n"
        "RuntimeError: stack expects each tensor to be equal size, but got [3, 4] at entry 0 and "
        "[3, 5] at entry 1\n"
    )
    assert by_cause(parse(text))[0].message.startswith("stack expects each tensor")


def test_torchruns_box_comes_after_what_the_rank_said() -> None:
    text = (
        prefixed("[rank1]: ")
        + 'Traceback (most recent call last):\n  File "/x/bin/torchrun", line 8, in <module>\n'
        + "    sys.exit(main())\n"
        + "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
        + "============================================================\ntrain.py FAILED\n"
    )
    ordered = by_cause(parse(text))
    assert ordered[0].message.startswith("mat1 and mat2")
    assert ordered[-1].type.endswith("ChildFailedError")


@pytest.mark.parametrize(
    "after",
    [
        "E1129 11:03:59.489000 18719 torch/distributed/elastic/multiprocessing/api.py:1002] failed "
        "(exitcode: 1) local_rank: 0 (pid: 18795) of binary: /usr/bin/python",
        "2024-05-01 10:00:00,123 - INFO - train - shutting down",
        "[W612 03:25:40.112 ProcessGroupNCCL.cpp:1496] Warning: destroy_process_group() was not called",
    ],
)
def test_a_line_of_the_log_does_not_belong_to_the_message_before_it(after: str) -> None:
    raised = by_cause(parse(f"{PLAIN}{after}\n"))[0]
    assert raised.message == MESSAGE
    stamp = "2024-05-01 10:00:00,123 - ERROR - train - "
    both = f"{prefixed(stamp)}{stamp}and more\n"
    assert by_cause(parse(both))[0].message == f"{MESSAGE}\nand more"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("RuntimeError: a b", "RuntimeError", "a b"),
        ("怎么办 RuntimeError：张量不对", "RuntimeError", "张量不对"),
        ("t.py:3: UserWarning: old way\n  f()", "UserWarning", "old way"),
        (r"C:\a b\t.py:3: FutureWarning: x", "FutureWarning", "x"),
        (
            "torch.OutOfMemoryError: CUDA out of memory.",
            "torch.OutOfMemoryError",
            "CUDA out of memory.",
        ),
        ("view size is not compatible", "", "view size is not compatible"),
    ],
)
def test_a_message_alone_is_enough(text: str, kind: str, message: str) -> None:
    raised = parse(text)[0]
    assert (raised.type, raised.message) == (kind, message)


@given(st.text(max_size=500))
@settings(deadline=None)
def test_any_text_gives_exceptions_and_raises_none(text: str) -> None:
    assert parse(text)


PIECES = st.sampled_from(
    [*PLAIN.splitlines(), "", "\x1b[0m", "| ", "[rank0]: ", "----> 3 f()", "^^^"]
)


@given(st.lists(PIECES, max_size=40))
@settings(deadline=None)
def test_any_shuffle_of_traceback_lines_is_read(lines: list[str]) -> None:
    assert by_cause(parse("\n".join(lines)))


@pytest.mark.parametrize("character", list("a( [|>\x1b\r^-"))
def test_a_megabyte_of_one_character_is_read(character: str) -> None:
    assert parse(character * 1_000_000)


@pytest.mark.parametrize("indent", ["", "    ", "            "])
def test_an_error_of_any_name_ends_an_indented_traceback(indent: str) -> None:
    lines = PLAIN.replace("RuntimeError", "NotFound").splitlines()
    raised = by_cause(parse("\n".join(indent + line for line in lines)))[0]
    assert (raised.type, raised.message) == ("NotFound", MESSAGE)
