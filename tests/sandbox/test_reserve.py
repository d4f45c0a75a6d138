"""What the worker imports ahead of time no program sees until it imports it itself."""

import atexit
import random
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module, reload
from importlib.util import find_spec
from pathlib import Path

import pytest

from torchnotes_kb.config import Limits
from torchnotes_kb.sandbox.inside.reserve import Reserve
from torchnotes_kb.sandbox.model import Outcome
from torchnotes_kb.sandbox.pool import Sandbox
from torchnotes_kb.sandbox.runtime import Runtime

SOURCES = {
    "shown/__init__.py": "def late(): return 'a function'\n",
    "shown/late.py": (
        "import atexit, random, warnings\nimport brought\nran = []\nrng = random.Random(1)\n"
        "atexit.register(ran.append, 1)\nwarnings.simplefilter('error', UserWarning)\n"
    ),
    "brought.py": "",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package `shown` with a submodule that brings `brought` along, in a reserve."""
    for name, source in SOURCES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    modules = dict(sys.modules)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("shown")
        Reserve().fill(["brought_by_none"], ["shown.late"])
        yield
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


@pytest.mark.usefixtures("package")
def test_a_module_in_reserve_is_out_of_sight() -> None:
    assert not {"shown.late", "brought"} & set(sys.modules)
    assert import_module("shown").late() == "a function"
    warnings.warn("no filter of its own makes this an error", UserWarning, stacklevel=1)
    spec = find_spec("shown.late")
    assert spec is not None
    assert Path(str(spec.origin)).name == "late.py"
    assert "shown.late" not in sys.modules


@pytest.mark.usefixtures("package")
def test_importing_it_shows_it_with_what_it_brings_and_does() -> None:
    exits = atexit._ncallbacks()
    late = import_module("shown.late")
    assert import_module("shown").late is late
    assert sys.modules["brought"] is late.brought
    assert type(late.__spec__.loader).__name__ == "SourceFileLoader"
    assert atexit._ncallbacks() == exits + 1
    atexit.unregister(late.ran.append)
    with pytest.raises(UserWarning, match="now it is one"):
        warnings.warn("now it is one", UserWarning, stacklevel=1)
    assert reload(late) is late
    atexit.unregister(late.ran.append)


@pytest.mark.usefixtures("package")
def test_generators_of_modules_in_reserve_get_states_of_their_own() -> None:
    (reserve,) = (finder for finder in sys.meta_path if isinstance(finder, Reserve))
    reserve.reseed()
    late = import_module("shown.late")
    assert late.rng.random() != random.Random(1).random()  # noqa: S311 - the very one
    atexit.unregister(late.ran.append)


@pytest.fixture(scope="module")
def warm(sandbox: Sandbox) -> Sandbox:
    sandbox.ready(fully=True)
    return sandbox


STATE = """
import sys, warnings, torch
str(torch.ones(1))
print(sorted(name for name in sys.modules if name.split(".")[0] in ("torch", "sympy", "functorch")))
print([name for name in ("fsdp", "tensor", "checkpoint") if hasattr(torch.distributed, name)])
print([name for name in ("_device", "serialization") if hasattr(torch.utils, name)])
print([str(entry) for entry in warnings.filters if entry[0] != "ignore"])
"""


def test_a_warm_run_sees_the_modules_and_filters_of_a_fresh_interpreter(warm: Sandbox) -> None:
    fresh = subprocess.run(
        [warm.runtime.path, "-c", STATE], capture_output=True, text=True, check=True
    )
    assert warm.run(STATE).stdout == fresh.stdout


def test_a_module_that_was_never_imported_is_an_attribute_error(warm: Sandbox) -> None:
    done = warm.run("import torch\ntorch.distributed.fsdp")
    assert done.exception is not None
    assert done.exception.message == "module 'torch.distributed' has no attribute 'fsdp'"
    assert warm.run("import torch.distributed.fsdp\ntorch.distributed.fsdp").outcome is Outcome.OK


def test_what_torch_imports_late_it_finds(warm: Sandbox) -> None:
    code = (
        "import sys, torch\nassert 'torch._dynamo' not in sys.modules\n"
        "torch.optim.SGD([torch.ones(1, requires_grad=True)], 0.1)\n"
        "assert torch._dynamo is sys.modules['torch._dynamo']\n"
        "assert torch._dynamo.__spec__.origin.endswith('__init__.py')\n"
        "assert torch.compile(lambda x: x * 2, backend='eager')(torch.ones(2)).sum() == 4\n"
    )
    done = warm.run(code)
    assert (done.outcome, done.warnings) == (Outcome.OK, ()), done


def test_no_thread_waits_in_the_worker(warm: Sandbox) -> None:
    assert warm._worker is not None
    launcher = warm._worker.process.pid
    (worker,) = Path(f"/proc/{launcher}/task/{launcher}/children").read_text("ascii").split()
    assert len(list(Path(f"/proc/{worker}/task").iterdir())) == 1


BROKEN = """
import os, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "torch._dynamo" and os.getpid() == 1:
            raise RuntimeError("this one is broken")

sys.meta_path.insert(0, Finder())
"""


def test_a_runtime_in_which_the_reserve_cannot_be_imported_works_without(
    tmp_path: Path, run_limits: Limits
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN, encoding="utf-8")
    (tmp_path / "broken.pth").write_text("import broken\n", encoding="utf-8")
    tmp_path.chmod(0o755)
    runtime = Runtime.probe()
    binds = (*runtime.binds, tmp_path)
    runtime = runtime.model_copy(update={"site_dirs": (tmp_path,), "binds": binds})
    with Sandbox.open(runtime, limits=run_limits) as opened:
        opened.ready()
        worker = opened._worker
        assert worker is not None
        worker.warm.wait(3)
        optimizer = "import torch\ntorch.optim.SGD([torch.ones(1, requires_grad=True)], 0.1)"
        for _ in range(2):
            assert opened.run(optimizer).outcome is Outcome.OK
        assert not worker.warm.is_set()
        assert worker.alive
