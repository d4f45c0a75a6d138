"""Promise 1: reads what Python needs, writes in directories of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from torchnotes_kb.sandbox.model import Outcome, Run

Runs = Callable[..., Run]


def test_a_file_of_the_host_is_not_there(run: Runs, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret", encoding="utf-8")
    for path in (canary, Path(__file__), Path("/etc/shadow"), Path.home() / ".bashrc"):
        done = run(f"print(open({str(path)!r}).read())")
        assert done.exception is not None
        assert done.exception.type in ("FileNotFoundError", "PermissionError")


def test_etc_is_made_up(run: Runs) -> None:
    done = run("import os, pwd; print(os.listdir('/etc'), pwd.getpwuid(os.getuid()).pw_name)")
    assert "sandbox" in done.stdout
    assert "shadow" not in done.stdout


@pytest.mark.parametrize("place", ["/", "/usr/lib", "/etc", "/kb", "/proc/self"])
def test_nothing_can_be_written_but_the_own_directories(run: Runs, place: str) -> None:
    done = run(f"open('{place}/x', 'w')")
    assert done.outcome is Outcome.RAISED


@pytest.mark.parametrize(
    "reach",
    [
        "open({path!r})",
        "open('/proc/self/root' + {path!r})",
        "open('/proc/self/cwd/../..' + {path!r})",
        "open('/proc/1/root' + {path!r})",
        "import os; os.symlink({path!r}, 'link'); open('link')",
        "import os; os.link({path!r}, 'link'); open('link')",
        "import os; os.chdir('/..'); open({path!r}[1:])",
        "import subprocess, sys; c = 'open(' + repr({path!r}) + ')'\n"
        "subprocess.run([sys.executable, '-c', c], check=True, capture_output=True)",
    ],
)
def test_no_way_leads_to_a_file_of_the_host(run: Runs, reach: str) -> None:
    canary = Path(__file__).with_name("conftest.py")  # not beneath /tmp, which a run has its own of
    done = run(reach.format(path=str(canary)))
    assert done.outcome is Outcome.RAISED, done
    assert canary.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", ["torch.__file__", "os.__file__", "sys.executable"])
@pytest.mark.parametrize("change", ["open({}, 'a')", "os.unlink({})", "os.chmod({}, 0o777)"])
def test_the_runtime_cannot_be_changed(run: Runs, file: str, change: str) -> None:
    done = run("import os, sys, torch\n" + change.format(file))
    assert done.exception is not None
    assert done.exception.type in ("OSError", "PermissionError")


def test_there_are_four_devices(run: Runs) -> None:
    code = (
        "import os, stat\nfound = []\n"
        "for name in ('full', 'kmsg', 'kvm', 'mem', 'null', 'nvidia0', 'ptmx', 'random', 'tty',\n"
        "             'urandom', 'vda', 'zero'):\n"
        "    try:\n        if stat.S_ISCHR(os.stat('/dev/' + name).st_mode): found.append(name)\n"
        "    except OSError:\n        pass\nprint(found)"
    )
    assert run(code).stdout == "['full', 'null', 'random', 'urandom']\n"
