"""Ordinary programs run as they do outside."""

from collections.abc import Callable

import pytest

from torchnotes_kb.sandbox.model import Outcome, Run

Runs = Callable[..., Run]

PROGRAMS = {
    "main": "assert __name__ == '__main__'\nprint(__file__)",
    "inspect": "import inspect\ndef f(): return 1\nassert 'return 1' in inspect.getsource(f)",
    "training": (
        "import torch\nnet = torch.nn.Linear(4, 1)\nopt = torch.optim.SGD(net.parameters(), 0.1)\n"
        "for _ in range(5):\n    opt.zero_grad(); net(torch.randn(8, 4)).mean().backward(); opt.step()"
    ),
    "loader-fork": (
        "import torch\nfrom torch.utils.data import DataLoader\n"
        "print([b.tolist() for b in DataLoader(torch.arange(4), 2, num_workers=2)])"
    ),
    "loader-spawn": (
        "import torch\nfrom torch.utils.data import DataLoader\nif __name__ == '__main__':\n"
        "    load = DataLoader(torch.arange(4), 2, num_workers=1, multiprocessing_context='spawn')\n"
        "    print([b.tolist() for b in load])"
    ),
    "mp-fork": (
        "import torch.multiprocessing as mp\ndef f(q): q.put(3)\nif __name__ == '__main__':\n"
        "    c = mp.get_context('fork'); q = c.Queue(); p = c.Process(target=f, args=(q,))\n"
        "    p.start(); print(q.get()); p.join()"
    ),
    "gloo": (
        "import torch, torch.distributed as dist, torch.multiprocessing as mp\n"
        "def f(rank):\n"
        "    dist.init_process_group('gloo', init_method='file:///tmp/work/store', rank=rank,"
        " world_size=2)\n"
        "    t = torch.ones(1) * rank; dist.all_reduce(t); assert t.item() == 1\n"
        "    dist.destroy_process_group()\n"
        "if __name__ == '__main__':\n    mp.start_processes(f, nprocs=2, start_method='fork')"
    ),
    "save-load": (
        "import torch\ntorch.save({'a': torch.ones(2)}, 'x.pt')\n"
        "assert torch.load('x.pt', weights_only=True)['a'].sum() == 2"
    ),
    "compile-eager": (
        "import torch\nf = torch.compile(lambda x: x * 2, backend='eager')\n"
        "assert f(torch.ones(2)).sum() == 4"
    ),
    "threads": (
        "import threading\nout = []\nt = threading.Thread(target=out.append, args=(1,))\n"
        "t.start(); t.join(); assert out == [1]"
    ),
    "alarm": (
        "import signal\ndef ring(*_): raise TimeoutError('rang')\n"
        "signal.signal(signal.SIGALRM, ring); signal.setitimer(signal.ITIMER_REAL, 0.1)\n"
        "try:\n    signal.pause()\nexcept TimeoutError: print('rang')"
    ),
    "subprocess": (
        "import subprocess, sys\n"
        "print(subprocess.check_output([sys.executable, '-c', 'print(5)'], text=True))"
    ),
    "tempfile": "import tempfile\nwith tempfile.TemporaryDirectory() as d: open(d + '/x', 'w').close()",
    "atexit": "import atexit\natexit.register(print, 'bye')",
    "stdin": "import sys\nassert sys.stdin.read() == ''",
    "asyncio": "import asyncio\nasyncio.run(asyncio.sleep(0))",
    "numpy": "import numpy as np, torch\nassert torch.from_numpy(np.ones(3)).sum() == 3",
    "mp-spawn": (
        "import torch, torch.multiprocessing as mp\ndef f(i, q): q.put(i)\n"
        "if __name__ == '__main__':\n    q = mp.get_context('spawn').SimpleQueue()\n"
        "    mp.spawn(f, (q,), nprocs=2)\n    assert {q.get(), q.get()} == {0, 1}"
    ),
    "mp-pool": (
        "import multiprocessing as mp\ndef f(x): return x * x\n"
        "if __name__ == '__main__':\n    with mp.Pool(2) as p: assert p.map(f, [1, 2]) == [1, 4]"
    ),
    "process-pool": (
        "from concurrent.futures import ProcessPoolExecutor as P\ndef f(x): return x * x\n"
        "if __name__ == '__main__':\n    with P(2) as p: assert list(p.map(f, [1, 2])) == [1, 4]"
    ),
    "shared-tensor": (
        "import torch, torch.multiprocessing as mp\ndef f(t): t.add_(1)\n"
        "if __name__ == '__main__':\n    t = torch.zeros(2).share_memory_()\n"
        "    p = mp.get_context('fork').Process(target=f, args=(t,)); p.start(); p.join()\n"
        "    assert t.sum() == 2"
    ),
    "gloo-tcp": (
        "import torch, torch.distributed as dist, torch.multiprocessing as mp\n"
        "def f(rank):\n"
        "    dist.init_process_group('gloo', init_method='tcp://127.0.0.1:29500', rank=rank,"
        " world_size=2)\n"
        "    t = torch.ones(1); dist.all_reduce(t); assert t.item() == 2\n"
        "    dist.destroy_process_group()\n"
        "if __name__ == '__main__':\n    mp.start_processes(f, nprocs=2, start_method='fork')"
    ),
    "gloo-alone": (
        "import os, torch.distributed as dist\n"
        "os.environ.update(MASTER_ADDR='localhost', MASTER_PORT='29501', RANK='0', WORLD_SIZE='1')\n"
        "dist.init_process_group('gloo'); dist.barrier(); dist.destroy_process_group()"
    ),
    "no-matplotlib": (
        "try:\n    import matplotlib_that_is_not_there\nexcept ModuleNotFoundError as e: print(e.name)"
    ),
    "script": (
        "import torch\n@torch.jit.script\ndef f(x: torch.Tensor) -> torch.Tensor: return x + 1\n"
        "assert f(torch.ones(1)) == 2"
    ),
    "vmap": "import torch\nassert torch.func.vmap(torch.sum)(torch.ones(3, 2)).tolist() == [2, 2, 2]",
    "checkpoint": (
        "import torch\nfrom torch.utils.checkpoint import checkpoint\n"
        "x = torch.ones(2, requires_grad=True)\n"
        "checkpoint(lambda y: y * 2, x, use_reentrant=False).sum().backward()"
    ),
    "profiler": (
        "import torch\nwith torch.profiler.profile() as p: torch.ones(3).sum()\n"
        "assert 'aten::sum' in p.key_averages().table()"
    ),
    "logging": "import logging\nlogging.basicConfig(level=20)\nlogging.info('seen')",
    "dataclass": (
        "import dataclasses, pickle\n@dataclasses.dataclass\nclass A:\n    x: int\n"
        "assert pickle.loads(pickle.dumps(A(1))) == A(1)"
    ),
    "unittest": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass\n"
        "unittest.main(exit=False)"
    ),
    "sqlite": "import sqlite3\nsqlite3.connect('x.db').execute('create table t(x)')",
    "locks": (
        "import fcntl\nwith open('x', 'w') as f:\n    fcntl.flock(f, fcntl.LOCK_EX)\n"
        "    fcntl.lockf(f, fcntl.LOCK_EX)"
    ),
    "shell": "import subprocess\ntry: subprocess.run('true', shell=True)\nexcept FileNotFoundError: pass",
    "parallel": "import torch\nassert (torch.ones(500, 500) @ torch.ones(500, 500))[0, 0] == 500",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_everyday_program_runs_to_its_end(run: Runs, name: str) -> None:
    done = run(PROGRAMS[name])
    assert done.outcome is Outcome.OK, done


def test_what_a_program_leaves_is_finalised_as_python_does_at_its_end(run: Runs) -> None:
    """With its names still there, and in a cycle too."""
    code = (
        "import sys\nclass A:\n  def __del__(self): print('del', sys.argv[0])\n"
        "a = A()\na.self = a\nfile = open(1, 'w', closefd=False)\nfile.write('buffered ')"
    )
    done = run(code)
    assert done.outcome is Outcome.OK, done
    assert sorted(done.stdout.split()) == ["/tmp/work/snippet.py", "buffered", "del"]


def test_runs_do_not_share_random_states(run: Runs) -> None:
    code = "import torch, random\nprint(torch.rand(1).item(), random.random())"
    assert run(code).stdout != run(code).stdout
