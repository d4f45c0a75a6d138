"""`install()` and `%load_ext`: the error first and as ever, the explanation beneath it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).parents[1] / "src")
NOTE = "note: kb show ce-target-out-of-bounds"
INSTALL = """\
import os, sys, threading
if os.environ.get('INSTALLED'):
    import torchnotes_kb; torchnotes_kb.install()
"""
OUT_OF_BOUNDS = "raise IndexError('Target 7 is out of bounds.')\n"
HEAVY = {"torch", "numpy", "pydantic", "faiss", "typer", "rich", "IPython", "torchnotes_kb.kb"}


def run(code: str, folder: Path, *, installed: bool) -> tuple[int, str, str]:
    program = folder / "program.py"
    program.write_text(INSTALL + code, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": SOURCE, "KB_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        check=False,
        cwd=folder,
        env={**env, "INSTALLED": "1" if installed else ""},
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def beneath(code: str, folder: Path) -> str:
    """What `install()` adds to standard error; all else must be as without it."""
    alone = run(code, folder, installed=False)
    ours = run(code, folder, installed=True)
    assert ours[:2] == alone[:2]
    assert ours[2].startswith(alone[2])
    return ours[2].removeprefix(alone[2])


@pytest.mark.parametrize(
    "code",
    [
        OUT_OF_BOUNDS,
        "def f():\n    " + OUT_OF_BOUNDS + "f()\n",
        "print('out')\ntry:\n    1 / 0\nexcept ZeroDivisionError as e:\n    " + OUT_OF_BOUNDS,
    ],
)
def test_an_uncaught_exception_is_explained_beneath_its_traceback(
    code: str, tmp_path: Path
) -> None:
    added = beneath(code, tmp_path)
    assert "the last layer at least 8 outputs" in added
    assert added.count(NOTE) == 1


def test_an_exception_of_a_thread_is_explained_and_the_program_goes_on(tmp_path: Path) -> None:
    code = (
        "def f():\n    " + OUT_OF_BOUNDS + "t = threading.Thread(target=f, name='loader')\n"
        "t.start(); t.join(); print('goes on')\n"
    )
    assert NOTE in beneath(code, tmp_path)


@pytest.mark.parametrize(
    "code",
    [
        "sys.exit(4)",
        "sys.exit('text')",
        "raise KeyboardInterrupt",
        "raise SystemExit",
        "print('fine')",
        "t = threading.Thread(target=sys.exit); t.start(); t.join()",
        "os._exit(3)",
    ],
)
def test_what_is_no_error_gets_no_explanation(code: str, tmp_path: Path) -> None:
    assert beneath(code, tmp_path) == ""


@pytest.mark.parametrize(
    "spoil",
    [
        "sys.executable = '/nonexistent/python'\n",
        "sys.executable = None\n",
        "import subprocess; subprocess.run = None\n",
        "os.environ['KB_INDEX'] = '/nonexistent'; os.environ['KB_CONFIG'] = '/nonexistent'\n",
    ],
)
def test_an_explanation_that_fails_is_silent(spoil: str, tmp_path: Path) -> None:
    assert beneath(spoil + OUT_OF_BOUNDS, tmp_path).strip() == ""


def test_installing_twice_explains_once(tmp_path: Path) -> None:
    twice = "if os.environ.get('INSTALLED'):\n    torchnotes_kb.install()\n"
    assert beneath(twice + OUT_OF_BOUNDS, tmp_path).count(NOTE) == 1


def test_a_hook_that_was_there_still_speaks(tmp_path: Path) -> None:
    code = (
        "before = sys.excepthook\n"
        "def mine(*a):\n    print('mine', file=sys.stderr); before(*a)\n"
        "sys.excepthook = mine\n" + OUT_OF_BOUNDS
    )
    assert NOTE in beneath(code, tmp_path)


def test_threads_that_fail_by_the_hundred_are_explained_only_a_few_times(tmp_path: Path) -> None:
    code = (
        "import subprocess\n"
        "calls = []\n"
        "def fake(*a, **k):\n    calls.append(a); raise OSError\n"
        "subprocess.run = fake\n"
        "def f():\n    " + OUT_OF_BOUNDS + "for _ in range(100):\n"
        "    t = threading.Thread(target=f); t.start(); t.join()\n"
        "print(len(calls))\n"
    )
    _, out, _ = run(code, tmp_path, installed=True)
    assert int(out) == 8


def test_a_notebook_has_no_limit(tmp_path: Path) -> None:
    code = (
        "import subprocess, types\n"
        "from torchnotes_kb import hooks\n"
        "calls = []\n"
        "def fake(*a, **k):\n    calls.append(a); raise OSError\n"
        "subprocess.run = fake\n"
        "shell = types.SimpleNamespace(showtraceback=lambda *a, **k: None)\n"
        "for _ in range(20):\n"
        "    hooks._show_in_shell(shell, ValueError, ValueError('x'), None)\n"
        "print(len(calls))\n"
    )
    _, out, _ = run(code, tmp_path, installed=False)
    assert int(out) == 20


def test_modules_of_the_program_do_not_disturb_the_explanation(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/pydantic.py").write_text("raise SystemExit(9)\n", encoding="utf-8")
    path = "os.environ['PYTHONPATH'] = 'mine' + os.pathsep + os.environ['PYTHONPATH']\n"
    warned = "os.environ['PYTHONWARNINGS'] = 'error'\n"
    assert NOTE in beneath(path + warned + OUT_OF_BOUNDS, tmp_path)


def test_installing_imports_nothing_heavy(tmp_path: Path) -> None:
    _, out, _ = run("print(*sorted(sys.modules))\n", tmp_path, installed=True)
    assert set(out.split()) & HEAVY == set()


def test_in_ipython_a_cell_is_explained_beneath_its_traceback(tmp_path: Path) -> None:
    pytest.importorskip("IPython", reason="the extension is tested where IPython is installed")
    code = f"""\
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
shell.run_line_magic("load_ext", "torchnotes_kb")
result = shell.run_cell({"x = 3" + chr(10) + OUT_OF_BOUNDS!r})
print("error", type(result.error_in_exec).__name__)
result = shell.run_cell("y = (")
print("error", type(result.error_before_exec).__name__)
shell.run_line_magic("unload_ext", "torchnotes_kb")
shell.run_cell({OUT_OF_BOUNDS!r})
print("still", shell.user_ns["x"])
"""
    returned, out, err = run(code, tmp_path, installed=False)
    assert returned == 0, err
    assert "error IndexError" in out
    assert "error SyntaxError" in out or "IncompleteInput" in out
    assert "still 3" in out
    both = out + err
    assert both.count("IndexError") >= 2
    assert both.count(NOTE) == 1
    assert both.index("Target 7 is out of bounds") < both.index(NOTE)


def test_in_a_notebook_the_explanation_folds(tmp_path: Path) -> None:
    pytest.importorskip("IPython", reason="the extension is tested where IPython is installed")
    code = """\
from IPython.testing.globalipapp import start_ipython
from IPython.utils.capture import capture_output
shell = start_ipython()
shell.run_line_magic("load_ext", "torchnotes_kb")
type(shell).kernel = object()  # as ipykernel's shell has one
shell.display_formatter.active_types = shell.display_formatter.format_types
with capture_output() as captured:
    shell.run_cell("raise IndexError('Target 7 is out of bounds. <b>')")
print(captured.outputs[-1].data["text/html"])
"""
    returned, out, err = run(code, tmp_path, installed=False)
    assert returned == 0, err
    page = out[out.index("<details>") :]
    assert "<summary><b>torchnotes</b>: IndexError: Target 7 is out of bounds. &lt;b&gt;" in page
    assert NOTE in page
    assert page.rstrip().endswith("</pre></details>")
