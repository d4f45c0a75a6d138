"""Interpreters of others: what is known of them, and what of the host they bring along."""

import os
import sys
from pathlib import Path

import pytest

from torchnotes_kb.errors import RuntimeInvalidError
from torchnotes_kb.sandbox.layout import interpreter_paths
from torchnotes_kb.sandbox.pool import Sandbox
from torchnotes_kb.sandbox.runtime import Runtime

BASES = {str(Path(sys.executable).resolve())}
BASES |= {str(Path(path).resolve()) for path in ("/usr/bin/python3",) if Path(path).exists()}


def environment(root: Path, base: str, config: str = "") -> Path:
    """A virtual environment of an interpreter, as `venv` makes it."""
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "python").symlink_to(base)
    home = f"home = {Path(base).parent}\n"
    (root / "pyvenv.cfg").write_text(home + config, encoding="utf-8")
    name = Path(base).name if Path(base).name.startswith("python3.") else "python3"
    version = name.removeprefix("python") if "." in name else "3.11"
    packages = root / "lib" / f"python{version}" / "site-packages"
    packages.mkdir(parents=True)
    return packages


def with_torch(packages: Path, init: str = "") -> None:
    (packages / "torch").mkdir()
    (packages / "torch" / "version.py").write_text(
        "__version__ = '9.8.7+cu121'\ncuda: Optional[str] = '12.1'\n", encoding="utf-8"
    )
    (packages / "torch" / "__init__.py").write_text(init, encoding="utf-8")
    (packages / "Some_Thing-1.2.dist-info").mkdir()


@pytest.mark.parametrize("base", sorted(BASES))
def test_torch_is_found_in_a_virtual_environment_of_any_python(base: str, tmp_path: Path) -> None:
    """Debian's Python has directories of its own, and the usual one in environments alone."""
    with_torch(environment(tmp_path / "venv", base))
    found = Runtime.probe(tmp_path / "venv" / "bin" / "python", name="mine")
    assert (found.name, found.torch, found.cuda) == ("mine", "9.8.7+cu121", "12.1")
    assert found.packages["some-thing"] == "1.2"
    assert found.path == tmp_path / "venv" / "bin" / "python"


def test_packages_of_the_base_are_seen_where_the_environment_says_so(tmp_path: Path) -> None:
    base = str(Path(sys.executable).resolve())
    environment(tmp_path / "own", base, "include-system-site-packages = false\n")
    environment(tmp_path / "shared", base, "include-system-site-packages = true\n")
    for name in ("own", "shared"):
        (packages,) = (tmp_path / name).glob("lib/python*/site-packages")
        with_torch(packages)
    own, shared = (Runtime.probe(tmp_path / name / "bin" / "python") for name in ("own", "shared"))
    assert own.packages == {"some-thing": "1.2"}
    assert shared.packages.items() > own.packages.items()  # the base has pip at least


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("missing", "there is no such file"),
        (".", "is a directory; name the interpreter in it"),
        ("text", "is not a Python interpreter"),
        ("liar", "is not a Python interpreter"),
        ("old", "is cpython 3.8.1; CPython 3.9 or later is needed"),
        ("other", "is pypy 3.11.0; CPython 3.9 or later is needed"),
        ("empty/bin/python", "torch is not installed there"),
    ],
)
def test_what_cannot_run_snippets_is_said_in_a_line(
    path: str, problem: str, tmp_path: Path
) -> None:
    environment(tmp_path / "empty", str(Path(sys.executable).resolve()))
    programs = {"text": "hello", "liar": "#!/bin/sh\necho nothing\n"}
    answer = '{{"implementation": "{}", "version": {}, "executable": ""}}'
    programs["old"] = f"#!/bin/sh\necho '{answer.format('cpython', [3, 8, 1])}'\n"
    programs["other"] = f"#!/bin/sh\necho '{answer.format('pypy', [3, 11, 0])}'\n"
    for name, text in programs.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(RuntimeInvalidError, match=problem) as caught:
        Runtime.probe(tmp_path / path, name="mine")
    assert str(caught.value).startswith("runtime mine: ")
    assert "\n" not in str(caught.value)


def test_a_torch_that_cannot_be_imported_is_the_runtimes_fault(tmp_path: Path) -> None:
    packages = environment(tmp_path / "venv", str(Path(sys.executable).resolve()))
    with_torch(packages, "raise ImportError('libcudart.so.12: no such file')")
    tmp_path.chmod(0o755)
    with (
        Sandbox.open(tmp_path / "venv" / "bin" / "python") as opened,
        pytest.raises(RuntimeInvalidError, match=r"torch cannot be imported: .*libcudart\.so\.12"),
    ):
        opened.run("print(1)")


def test_probing_runs_nothing_that_lies_in_the_environment(tmp_path: Path) -> None:
    packages = environment(tmp_path / "venv", str(Path(sys.executable).resolve()))
    trace = tmp_path / "trace"
    with_torch(packages, f"open({str(trace)!r}, 'w')")
    (packages / "x.pth").write_text(f"import os; open({str(trace)!r}, 'w')\n", encoding="utf-8")
    (packages / "sitecustomize.py").write_text(f"open({str(trace)!r}, 'w')\n", encoding="utf-8")
    Runtime.probe(tmp_path / "venv" / "bin" / "python")
    assert not trace.exists()


def test_a_project_around_its_environment_is_not_bound(tmp_path: Path) -> None:
    """`python -m venv .` makes the project's own directory the prefix."""
    with_torch(environment(tmp_path, str(Path(sys.executable).resolve())))
    (tmp_path / "secrets.py").touch()
    found = Runtime.probe(tmp_path / "bin" / "python")
    assert not [path for path in found.binds if (tmp_path / "secrets.py").is_relative_to(path)]


@pytest.mark.parametrize("prefix", ["/", "/usr", "/usr/local"])
def test_of_a_shared_prefix_only_the_interpreter_is_bound(prefix: str) -> None:
    bound = interpreter_paths(Path("/usr/bin/env"), [Path(prefix)], [])
    assert Path("/usr/bin/env") in bound
    assert not {Path("/"), Path("/usr"), Path("/usr/bin"), Path("/usr/local")} & set(bound)


def test_an_interpreter_behind_links_is_bound_with_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("/usr/bin/env")
    bound = interpreter_paths(tmp_path / "one", [], [])
    assert {tmp_path / "one", tmp_path / "two", Path("/usr/bin/env")} <= set(bound)


def test_nothing_of_the_callers_environment_reaches_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "usercustomize.py").write_text(f"open({str(trace)!r}, 'w')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "usercustomize.py"))
    assert Runtime.probe(Path(os.environ.get("KB_RUNTIME") or sys.executable)).torch
    assert not trace.exists()
