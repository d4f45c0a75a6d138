"""The commands as a person or a script meets them, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def kb(tmp_path: Path) -> Run:
    """Runs `kb` with a home of its own."""

    def run(
        *args: str, stdin: str | bytes = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, "-m", "torchnotes_kb", *args],
            input=given,
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "KB_HOME": str(tmp_path / "home"), **(env or {})},
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    return run


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ("broken pipe", "broken-pipe-num-workers"),
        ("反向传播 原地修改", "inplace-modified-gradient"),
        ("训练好的模型加载 state_dict 多了 module.", "state-dict-module-prefix"),
        ("one-hot 怎么用 scatter_ 构造", "scatter-one-hot"),
        ("difference between model.eval() and torch.no_grad()", "eval-vs-no-grad"),
    ],
)
def test_a_question_finds_its_note(kb: Run, query: str, note: str) -> None:
    done = kb("query", "--json", query)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["hits"][0]["note_id"] == note
    assert answer["hits"][0]["proof"][0]["verdict"]["kind"] == "proven"


def test_what_no_note_answers_is_said_so(kb: Run) -> None:
    done = kb("query", "how to bake bread")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("kb: nothing matches\n")


def test_an_answer_is_in_the_language_of_the_question_unless_asked_otherwise(kb: Run) -> None:
    own = json.loads(kb("query", "--json", "反向传播 原地修改").stdout)
    other = json.loads(kb("query", "--json", "-l", "en", "反向传播 原地修改").stdout)
    assert own["hits"][0]["title"] == "反向传播需要的张量被原地（in-place）修改"
    assert other["hits"][0]["title"] == "A tensor that autograd saved was changed in place"


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("query", ""), 2, "the query is empty"),
        (("query", "   "), 2, "the query is empty"),
        (("query", "x", "--kind", "errors"), 2, "--kind errors: use one of error, idiom, page"),
        (("query", "x", "--torch", "new"), 2, "'new' is no version"),
        (("show", "inplace-modified-gradiant"), 1, "did you mean inplace-modified-gradient"),
        (("verify", "no-such-note"), 1, "no note 'no-such-note'"),
        (("verify", "missing.py"), 2, "missing.py: No such file or directory"),
        (("verify", "-", "--expect", "works"), 2, "cannot judge 'works'"),
        (("index", "missing.md"), 2, "missing.md"),
        (("query", "x", "--index", "nowhere"), 3, "no index at nowhere: build one with `kb index`"),
        (("run", "missing.py"), 2, "missing.py: there is no such file"),
        (("verify", "-", "--runtime", "/bin/false"), 3, "runtime /bin/false: is not a Python"),
    ],
)
def test_bad_input_gets_one_clear_line(
    kb: Run, args: Sequence[str], code: int, message: str
) -> None:
    done = kb(*args)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_megabyte_is_searched_like_anything_else(kb: Run) -> None:
    done = kb("query", "-", stdin="broken pipe num_workers " * 50_000)
    assert done.returncode in (0, 1), done.stderr


def test_a_traceback_from_a_pipe_is_explained_and_passed_through(kb: Run) -> None:
    text = (
        'Traceback (most recent call last):\n  File "/home/x/infer.py", line 12, in <module>\n'
        "    net.load_state_dict(state)\n"
        "RuntimeError: Error(s) in loading state_dict for Net:\n"
        '\tMissing key(s) in state_dict: "a.weight". \n'
        '\tUnexpected key(s) in state_dict: "module.a.weight". \n'
    )
    done = kb("explain", "--tee", stdin=text)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(text)
    assert "where: /home/x/infer.py:12" in done.stdout
    assert "key.removeprefix('module.')" in done.stdout
    assert "kb show state-dict-module-prefix" in done.stdout


def tee(home: Path) -> subprocess.Popen[bytes]:
    """`kb explain --tee` between two pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "torchnotes_kb", "explain", "--tee"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "KB_HOME": str(home)},
    )


def test_what_is_passed_through_comes_at_once_and_unchanged(tmp_path: Path) -> None:
    with tee(tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b" 50%|#####     |\r\xff")  # a bar ends no line
        process.stdin.flush()
        assert process.stdout.read(17) == b" 50%|#####     |\r\xff"[:17]
        process.stdin.write(b"\nIndexError: Target 3 is out of bounds.\n")
        process.stdin.close()
        assert b"kb show ce-target-out-of-bounds" in process.stdout.read()
        assert process.wait() == 0


@pytest.mark.parametrize("more", [["--json"], ["a message"]])
def test_tee_wants_standard_input_and_output_for_itself(kb: Run, more: list[str]) -> None:
    done = kb("explain", "--tee", *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--tee passes standard input through" in done.stderr


def test_a_proof_says_what_this_torch_says_now(kb: Run) -> None:
    said = "RuntimeError: expected scalar type Long but found Float"
    done = kb("explain", "--proof", "--json", said)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["note"] == "ce-target-dtype-long"
    assert answer["remedy"].startswith("target = target.long()")
    assert answer["reproduction"]["kind"] == "reworded"
    assert "Long or Byte" in answer["reproduction"]["said"]
    assert any("older releases" in sentence for sentence in answer["wordings"])
    text = kb("explain", "--proof", said).stdout
    assert text.count("failing example: proven") == 1
    assert "here: worded differently in this runtime (torch 2." in text
    same = json.loads(kb("explain", "--proof", "--json", "Target 7 is out of bounds.").stdout)
    assert same["reproduction"]["kind"] == "same"


def test_a_snippet_that_raises_is_verified_with_its_diagnosis(kb: Run) -> None:
    code = "raise IndexError('Target 3 is out of bounds.')"
    text = kb("verify", "-", stdin=code)
    assert text.returncode == 1
    assert "kb show ce-target-out-of-bounds" in text.stdout
    answer = json.loads(kb("verify", "-", "--json", stdin=code).stdout)
    assert answer["results"][0]["diagnosis"]["note"] == "ce-target-out-of-bounds"
    answer = json.loads(kb("verify", "-", "--json", stdin="print(1)").stdout)
    assert answer["results"][0]["diagnosis"] is None


def test_nothing_to_explain_is_wrong_usage(kb: Run) -> None:
    assert kb("explain", "-").returncode == 2


@pytest.mark.parametrize("arguments", [["run.log"], ["logs/7.txt"], ["x y", "--code", "train.py"]])
def test_a_file_that_is_not_there_is_said_to_be_missing(kb: Run, arguments: list[str]) -> None:
    done = kb("explain", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"kb: {arguments[-1]}: there is no such file\n"


def test_what_powershell_writes_to_a_file_is_read(kb: Run, tmp_path: Path) -> None:
    said = "IndexError: Target 3 is out of bounds.\r\n"
    (tmp_path / "err.txt").write_bytes(said.encode("utf-16"))
    (tmp_path / "marked.txt").write_bytes(said.encode("utf-8-sig"))
    for name in ("err.txt", "marked.txt"):
        done = kb("explain", name)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("IndexError: Target 3 is out of bounds.\n")


def test_a_program_that_ends_well_has_no_error_to_explain(kb: Run) -> None:
    done = kb("explain", "--tee", stdin="epoch 1 loss 0.3\nsaved\n")
    assert (done.returncode, done.stdout) == (1, "epoch 1 loss 0.3\nsaved\n")
    assert done.stderr == "kb: there is no error in this output\n"


@pytest.mark.parametrize(
    ("last", "code", "said"),
    [
        (b"Traceback (most recent call last):\nKeyboardInterrupt\n", 130, b"KeyboardInterrupt\n"),
        (b"IndexError: Target 3 is out of bounds.\n", 0, b"kb show ce-target-out-of-bounds"),
    ],
)
def test_what_a_program_says_of_ctrl_c_still_comes_through(
    tmp_path: Path, last: bytes, code: int, said: bytes
) -> None:
    with tee(tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"start\n")
        process.stdin.flush()
        assert process.stdout.read(6) == b"start\n"
        process.send_signal(signal.SIGINT)
        process.stdin.write(last)
        process.stdin.close()
        assert said in process.stdout.read()
        assert process.wait() == code


def test_a_tag_that_no_note_has_is_named(kb: Run) -> None:
    done = kb("query", "--tag", "shape", "view or reshape")
    assert done.returncode == 1
    assert "--tag shape: no note of the corpus has it; its tags are amp, attention" in done.stderr


def test_an_evaluation_without_queries_says_where_they_are(kb: Run) -> None:
    done = kb("eval")
    assert done.returncode == 2
    assert "evals: no queries here: go to a checkout, or name some with --queries" in done.stderr


def test_a_note_is_shown_with_its_proofs_as_markdown_in_a_pipe(kb: Run) -> None:
    done = kb("show", "scatter-one-hot", "-l", "zh")
    assert done.returncode == 0
    assert done.stdout.startswith("# one-hot（独热）编码怎么写")
    assert "*已在 torch 2.13.0" in done.stdout


def test_snippets_are_judged(kb: Run) -> None:
    done = kb("verify", "-", "--json", stdin="1 / 0")
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert answer["runtime"]["torch"].startswith("2.")
    result = answer["results"][0]
    assert result["verdict"] == {
        "kind": "refuted",
        "reason": "raised ZeroDivisionError: division by zero",
    }
    assert result["run"]["exception"]["frames"][0]["source"] == "1 / 0"


def test_a_snippet_with_a_syntax_error_is_refuted_and_not_crashed_on(kb: Run) -> None:
    done = kb("verify", "-", stdin="def f(:\n")
    assert done.returncode == 1
    assert "raised SyntaxError: invalid syntax" in done.stdout


def test_a_claim_that_holds_is_proven(kb: Run) -> None:
    code = "import torch\ntorch.ones(2, 3) @ torch.ones(2, 3)\n"
    done = kb("verify", "-", "--expect", "raises RuntimeError: mat1 and mat2 shapes", stdin=code)
    assert done.returncode == 0, done.stdout


def test_source_that_is_not_utf_8_is_refused(kb: Run) -> None:
    done = kb("verify", "-", stdin="报错".encode("gbk"))
    assert done.returncode == 2
    assert "standard input is not UTF-8" in done.stderr


BLOG = """\
# 笔记

## 1. 乌龟的梯度
乌龟模型的梯度要乘以三。

```python
print(3)
```

```
这不是代码
```
"""


def test_a_users_own_page_is_searched_verified_and_forgotten(kb: Run, tmp_path: Path) -> None:
    page = tmp_path / "turtle.md"
    page.write_text(BLOG, encoding="utf-8")
    assert kb("index", str(page)).returncode == 0
    found = json.loads(kb("query", "--json", "乌龟模型的梯度").stdout)
    assert found["hits"][0]["note_id"] == "turtle/1-乌龟的梯度"
    assert "乘以三" in kb("show", "turtle/1-乌龟的梯度").stdout
    verified = kb("verify", str(page), "--json")
    kinds = [row["verdict"]["kind"] for row in json.loads(verified.stdout)["results"]]
    assert kinds == ["proven", "skipped"]
    assert kb("index", "--forget", str(page)).returncode == 0
    after = json.loads(kb("query", "--json", "乌龟模型的梯度").stdout)
    assert not any(hit["note_id"].startswith("turtle/") for hit in after["hits"])


def test_forgetting_what_was_never_added_says_what_was(kb: Run) -> None:
    done = kb("index", "--forget", "other.md")
    assert done.returncode == 2
    assert "was never added; added are: nothing" in done.stderr


def test_a_damaged_index_is_named_and_how_to_mend_it(kb: Run, tmp_path: Path) -> None:
    corpus = tmp_path / "notes"
    (corpus / "errors").mkdir(parents=True)
    source = Path(__file__).parents[2] / "corpus/errors/zip-archive-load-old-torch.md"
    text = source.read_text(encoding="utf-8").replace("[state-dict-module-prefix]", "[]")
    (corpus / "errors" / source.name).write_text(text, encoding="utf-8")
    flags = ("--corpus", str(corpus), "--out", str(tmp_path / "i"))
    assert kb("index", *flags).returncode == 0
    assert kb("query", "--index", str(tmp_path / "i"), "zip archive").returncode == 0
    vectors = next((tmp_path / "i").rglob("vectors.npy"))
    vectors.write_bytes(vectors.read_bytes()[:-100])
    done = kb("query", "--index", str(tmp_path / "i"), "zip archive")
    assert done.returncode == 3
    assert "is damaged" in done.stderr
    assert "rebuild it with `kb index`" in done.stderr


def test_a_note_with_a_broken_fence_is_a_finding_at_its_line(kb: Run, tmp_path: Path) -> None:
    note = tmp_path / "x.md"
    note.write_text("---\nid: x\nkind: idiom\n---\n\n## Question\n```pyhton\n1\n```\n", "utf-8")
    done = kb("lint", str(note))
    assert done.returncode == 1
    assert f"{note}:7: unknown fence `pyhton`" in done.stdout


def test_a_query_imports_no_torch_no_sentence_transformers_and_no_mcp(kb: Run) -> None:
    del kb
    code = (
        "import sys\nsys.argv = ['kb', 'query', 'broken pipe']\n"
        "from torchnotes_kb.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "heavy = {'torch', 'sentence_transformers', 'transformers', 'mcp', 'faiss', 'yaml', "
        "'markdown_it', 'platformdirs', 'packaging.specifiers', 'rjieba'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KB_HOME": "/nonexistent", "KB_CONFIG": os.devnull},
    )
    assert done.stdout.strip().endswith("HEAVY []"), done.stdout + done.stderr


@pytest.mark.parametrize(
    "client", ["claude-code", "claude-desktop", "cursor", "vscode", "codex", "gemini", "zed"]
)
def test_an_assistant_is_connected_and_disconnected(kb: Run, tmp_path: Path, client: str) -> None:
    env = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "CODEX_HOME": "", "CLAUDE_CONFIG_DIR": ""}
    printed = kb("connect", client, env=env)
    assert "torchnotes" in printed.stdout
    assert "serve" in printed.stdout
    before = set(tmp_path.rglob("*"))
    wrote = kb("connect", client, "--write", env=env)
    assert (wrote.returncode, wrote.stdout) == (0, "")
    assert "restart" in wrote.stderr
    (file,) = {path for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    entered = file.read_bytes()
    assert str(Path(sys.executable).parent) in entered.decode()
    assert "has it already" in kb("connect", client, "--write", env=env).stderr
    assert file.read_bytes() == entered
    assert kb("connect", client, "--remove", env=env).returncode == 0
    assert b"torchnotes" not in file.read_bytes()
    assert kb("connect", client, "--remove", env=env).returncode == 1


def test_an_unknown_assistant_is_refused_with_those_that_are_known(kb: Run) -> None:
    done = kb("connect", "emacs")
    assert (done.returncode, done.stdout) == (2, "")
    assert "claude-code" in done.stderr


@pytest.mark.parametrize(
    "options", [("--token-variable", "KB_TOKEN"), ("--url", "kb.example.com/mcp")]
)
def test_an_entry_that_could_not_work_is_refused(kb: Run, options: tuple[str, str]) -> None:
    done = kb("connect", "codex", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--url" in done.stderr


def test_the_version_and_the_help_are_there(kb: Run) -> None:
    assert kb("--version").stdout.startswith("torchnotes-kb ")
    for command in ("query", "explain", "show", "verify", "index", "lint", "serve", "eval", "run"):
        done = kb(command, "--help")
        assert done.returncode == 0
        assert "Examples:" in done.stdout


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("query - <&-", 2, "kb: the query is empty: ask a question or paste a message\n"),
        ("explain <&-", 2, "kb: nothing to explain: give a message or a traceback\n"),
        ("query zzz 2>&-", 1, ""),
        ("query 'broken pipe' >/dev/full", 3, "kb: the output: No space left on device\n"),
        ("query --json 'broken pipe' >/dev/full", 3, "kb: the output: No space left on device\n"),
    ],
)
def test_streams_that_are_closed_or_full_get_one_clear_line(
    command: str, code: int, message: str
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -m torchnotes_kb {command}'],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (code, message) == (done.returncode, done.stderr)


def test_a_terminal_that_knows_only_ascii_still_gets_its_answer(kb: Run) -> None:
    done = kb("query", "反向传播 原地修改", env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "kb show inplace-modified-gradient" in done.stdout


def test_a_setting_that_serve_cannot_use_gets_one_clear_line(kb: Run) -> None:
    done = kb("serve", env={"KB_WORKERS": "many"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("kb: settings, KB_HOME, KB_WORKERS: ")
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_while_modules_are_imported_is_one_line() -> None:
    code = (
        "import sys; from torchnotes_kb import cli;"
        "cli._serve = lambda: exec('raise KeyboardInterrupt');"
        "sys.argv = ['kb', 'serve']; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "kb: interrupted\n")


def test_a_long_name_keeps_its_line_number(kb: Run, tmp_path: Path) -> None:
    (tmp_path / "blog.md").write_text(
        "# " + "词" * 60 + "\n\n```python\n1\n```\n", encoding="utf-8"
    )
    done = kb("verify", "blog.md")
    assert done.returncode == 0, done.stderr
    assert ":3" in done.stdout
    assert "…" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["."], "kb: .: is a directory: name the files in it\n"),
        (
            ["--expect", "prints 1", "eval-vs-no-grad"],
            "kb: --expect is for Python files and -: a note says what its examples do\n",
        ),
    ],
)
def test_what_verify_cannot_do_is_refused_and_not_passed_over(
    kb: Run, arguments: list[str], message: str
) -> None:
    done = kb("verify", *arguments)
    assert (2, "", message) == (done.returncode, done.stdout, done.stderr)


def test_a_progress_bar_leaves_no_line_in_a_pipe(kb: Run, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Page\n\nText.\n", encoding="utf-8")
    done = kb("index", "page.md")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("kb: indexed 1 notes")
