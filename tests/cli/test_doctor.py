"""`kb doctor` as a user sees it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch


def test_doctor_lists_every_runtime_and_whether_torch_can_be_used_behind_the_walls(
    tmp_path: Path,
) -> None:
    names = {"mine": sys.executable, "bare": tmp_path / "bare", "gone": tmp_path / "gone"}
    (tmp_path / "bare").write_text("#!/bin/sh\necho no Python\n", encoding="utf-8")
    (tmp_path / "bare").chmod(0o755)
    lines = ["[runtimes]", *(f'{name} = "{path}"' for name, path in names.items())]
    (tmp_path / "kb.toml").write_text("\n".join(lines), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "torchnotes_kb", "doctor", "--json"],
        env={**os.environ, "KB_CONFIG": str(tmp_path / "kb.toml"), "KB_HOME": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    checks = json.loads(done.stdout)["checks"]
    runtimes = {c["name"]: c for c in checks if c["part"] == "runtime"}
    facts = f"torch {torch.__version__}, Python {sys.version.split()[0]}"
    for name in ("default", "mine"):
        assert runtimes[name]["holds"]
        assert facts in runtimes[name]["detail"]
        assert runtimes[name]["detail"].endswith("can be isolated")
    assert runtimes["bare"]["detail"] == "runtime bare: is not a Python interpreter"
    assert runtimes["gone"]["detail"] == "runtime gone: there is no such file"
    walls = [c for c in checks if c["part"] == "sandbox"]
    assert len(walls) >= 15
    assert [c for c in walls if not c["holds"]] == []
    assert done.returncode == 3  # two of the runtimes cannot be used
