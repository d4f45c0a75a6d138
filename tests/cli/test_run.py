"""`kb run`: the program as its interpreter would run it, and an explanation beneath its death."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).parents[2] / "src")
SHAPES = 'raise RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)")\n'
NOTE = "note: kb show mat1-mat2-shapes"


@dataclass(frozen=True)
class Ended:  # noqa: D101 - its fields say all
    code: int
    out: str
    err: str


def run(command: list[str], folder: Path, *, stdin: str = "") -> Ended:
    done = subprocess.run(
        [sys.executable, *command],
        input=stdin.encode(),
        capture_output=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": SOURCE, "KB_HOME": str(folder / "home")},
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def both(program: list[str], folder: Path, *, stdin: str = "") -> tuple[Ended, Ended]:
    """How a program ends by itself, and under `kb run`."""
    ours = ["-m", "torchnotes_kb", "run", *program]
    return run(program, folder, stdin=stdin), run(ours, folder, stdin=stdin)


PROGRAMS = {
    "arguments": "import sys; print(sys.argv)",
    "names": "import sys; print(__name__, __file__, sys.path[0], __spec__, sys.flags.safe_path)",
    "standard input": "import sys; print(sys.stdin.read()[::-1], end='')",
    "both streams": "import sys; print(1); print(2, file=sys.stderr); print(3)",
    "exit code": "import sys; sys.exit(7)",
    "exit with words": "import sys; sys.exit('no data')",
    "exit at once": "import os; os._exit(5)",
    "exit of nothing": "raise SystemExit",
    "terminated": f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})",
    "killed": f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})",
    "interrupted": "raise KeyboardInterrupt",
    "at exit": "import atexit; atexit.register(print, 'bye'); print('hi')",
    "annotations": "x: int = 3\nprint(__annotations__)",
    "pickled": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))))",
    "its own hook": "import sys\nsys.excepthook = lambda *a: print('mine')\nraise ValueError('x')",
    "spawned": (
        "import multiprocessing as mp\n"
        "def work(q): q.put(__name__)\n"
        "if __name__ == '__main__':\n"
        "    mp.set_start_method('spawn'); q = mp.Queue()\n"
        "    p = mp.Process(target=work, args=(q,)); p.start(); print(q.get()); p.join()\n"
    ),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_program_behaves_as_by_itself(program: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    alone, ours = both(["program.py", "-x", "--epochs", "3", "a b"], tmp_path, stdin="line\n")
    assert ours == alone


@pytest.mark.parametrize(
    "program",
    [SHAPES, "def f():\n    " + SHAPES + "f()\n", f"try:\n    1 / 0\nfinally:\n    {SHAPES}"],
)
def test_an_explanation_comes_beneath_the_unchanged_traceback(program: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    alone, ours = both(["program.py"], tmp_path)
    assert (ours.code, ours.out) == (1, alone.out) == (alone.code, "")
    assert ours.err.startswith(alone.err)
    beneath = ours.err.removeprefix(alone.err)
    assert "The layer expects 4 features and got 3" in beneath
    assert NOTE in beneath


def test_a_program_that_does_not_parse_says_so_as_ever(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("def f(:\n", encoding="utf-8")
    alone, ours = both(["program.py"], tmp_path)
    assert ours.code == alone.code == 1
    assert ours.err.startswith(alone.err)
    assert "bootstrap" not in ours.err


def test_a_module_is_run_as_one(tmp_path: Path) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    text = "import sys\nprint(__name__, __package__, sys.argv[1:])\n" + SHAPES
    (package / "train.py").write_text(text, encoding="utf-8")
    alone, ours = both(["-m", "mine.train", "--lr", "1"], tmp_path)
    assert (ours.code, ours.out) == (alone.code, alone.out)
    assert ours.out.startswith("__main__ mine")
    assert f'File "{package / "train.py"}", line 3, in <module>' in ours.err
    assert "runpy" not in ours.err
    assert NOTE in ours.err


def test_modules_of_the_program_do_not_disturb_the_explanation(tmp_path: Path) -> None:
    (tmp_path / "pydantic.py").write_text("raise SystemExit(9)\n", encoding="utf-8")
    (tmp_path / "program.py").write_text(SHAPES, encoding="utf-8")
    kb = [sys.executable, "-P", "-m", "torchnotes_kb", "run", "program.py"]
    done = subprocess.run(
        kb,
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": SOURCE, "KB_HOME": str(tmp_path / "home")},
    )
    assert done.returncode == 1
    assert NOTE in done.stderr.decode()


def test_a_linked_script_finds_what_is_beside_the_real_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/beside.py").write_text("", encoding="utf-8")
    text = "import sys, beside; print(__file__, sys.path[0])"
    (tmp_path / "real/program.py").write_text(text, encoding="utf-8")
    (tmp_path / "link.py").symlink_to(tmp_path / "real/program.py")
    alone, ours = both(["link.py"], tmp_path)
    assert ours == alone
    assert ours.code == 0


def test_a_safe_path_stays_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    (tmp_path / "program.py").write_text("import sys; print(sys.path)", encoding="utf-8")
    alone, ours = both(["program.py"], tmp_path)
    assert ours == alone


@pytest.mark.parametrize("program", [["-m"], ["missing.py"]])
def test_a_program_that_is_not_there_is_wrong_usage(program: list[str], tmp_path: Path) -> None:
    _, ours = both(program, tmp_path)
    assert ours.code == 2
    assert ours.err.startswith("kb: ")


def test_options_after_the_script_are_the_scripts(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAMS["arguments"], encoding="utf-8")
    _, ours = both(["program.py", "--runtime", "x", "--help", "--", "-m"], tmp_path)
    assert ours.out == "['program.py', '--runtime', 'x', '--help', '--', '-m']\n"
