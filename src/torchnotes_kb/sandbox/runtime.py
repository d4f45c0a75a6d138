"""Runtimes: the interpreters that snippets run in, and what is known of them beforehand."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torchnotes_kb.errors import RuntimeInvalidError
from torchnotes_kb.sandbox.layout import interpreter_paths
from torchnotes_kb.values import Frozen

__all__ = ["Runtime"]

OLDEST = (3, 9)
PROBE_TIMEOUT_S = 20
QUERY = """
import json, os, site, sys
prefix, system_site = sys.argv[1] or sys.prefix, sys.argv[2] == "true"
sys.prefix = sys.exec_prefix = prefix  # as site would: Debian's asks whether this is a venv
sites = site.getsitepackages([prefix])
if prefix != sys.base_prefix and system_site:
    sites += site.getsitepackages([sys.base_prefix])
user = []
if prefix == sys.base_prefix or system_site:
    user = [site.getusersitepackages()]
print(json.dumps({
    "implementation": sys.implementation.name, "version": list(sys.version_info[:3]),
    "executable": sys.executable, "prefix": prefix, "base_prefix": sys.base_prefix,
    "stdlib": [path for path in sys.path if os.path.exists(path)],
    "sites": [path for path in sites if os.path.isdir(path)],
    "user": [path for path in user if os.path.isdir(path)],
}))
"""
"""Asked with `-I -S`: no site-packages, no .pth file, nothing that a package could have put in."""
SYSTEM_NAMES = {"Darwin": "macOS"}


class Runtime(Frozen):
    """An interpreter with torch."""

    name: str
    """As the configuration calls it; its path where it has no name."""
    path: Path
    torch: str
    python: str
    platform: str
    """System and machine, as `Linux-x86_64`."""
    torch_dir: Path | None = None
    """Its torch package: sources to look messages up in, nothing is imported from there."""
    cuda: str | None = None
    """The CUDA version its torch was built for."""
    gpus: int = 0
    """CUDA devices that a snippet sees: none, the sandbox gives it no device."""
    packages: Mapping[str, str]
    """Installed distributions, by normalised name."""
    binds: tuple[Path, ...] = ()
    """What of the host it needs besides the system's libraries."""
    site_dirs: tuple[Path, ...] = ()
    """Package directories that it would not look into when isolated."""

    @classmethod
    def probe(cls, path: Path | None = None, *, name: str = "") -> Runtime:
        """What is known of an interpreter, without importing anything in it.

        The interpreter itself is started, isolated from its packages and from the environment:
        whoever names it must trust it that far. torch's version is read, not imported.

        Args:
            path: The interpreter; None: the one that runs this.
            name: What to call it.

        Raises:
            RuntimeInvalidError: no such file, not a CPython, older than 3.9 or without torch.
        """
        executable = (path or Path(sys.executable)).expanduser().absolute()
        name = name or str(executable)
        found = _ask(executable, name)
        executable = Path(found["executable"] or executable)
        if found["implementation"] != "cpython" or tuple(found["version"]) < OLDEST:
            version = ".".join(map(str, found["version"]))
            raise RuntimeInvalidError(
                name, f"is {found['implementation']} {version}; CPython 3.9 or later is needed"
            )
        sites = [Path(site) for site in found["sites"] + found["user"]]
        torch, cuda, torch_dir = _torch(sites, name)
        imports = [Path(entry) for entry in found["stdlib"]] + sites
        prefixes = [Path(found["prefix"]), Path(found["base_prefix"])]
        return cls(
            name=name,
            path=executable,
            torch=torch,
            torch_dir=torch_dir,
            python=".".join(map(str, found["version"])),
            platform=platform_name(),
            cuda=cuda,
            packages=_packages(sites),
            binds=tuple(interpreter_paths(executable, prefixes, imports)),
            site_dirs=tuple(Path(site) for site in found["user"]),
        )


def platform_name() -> str:
    """This machine, as runtimes are named by it."""
    system = platform.system()
    return f"{SYSTEM_NAMES.get(system, system)}-{platform.machine()}"


def _ask(executable: Path, name: str) -> dict[str, Any]:
    if executable.is_dir():
        raise RuntimeInvalidError(name, "is a directory; name the interpreter in it (bin/python)")
    if not executable.is_file():
        raise RuntimeInvalidError(name, "there is no such file")
    prefix, system_site = _virtual_environment(executable)
    command = [str(executable), "-I", "-S", "-B", "-c", QUERY, prefix, system_site]
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            check=True,
            timeout=PROBE_TIMEOUT_S,
            env={"PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
        )
        found: dict[str, Any] = dict(json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise RuntimeInvalidError(name, "is not a Python interpreter") from error
    return found


def _virtual_environment(executable: Path) -> tuple[str, str]:
    """Prefix of the virtual environment it is in, and whether that sees the system's packages."""
    for prefix in (executable.parent.parent, executable.parent):
        config = prefix / "pyvenv.cfg"
        if config.is_file():
            text = config.read_text(encoding="utf-8", errors="replace").lower()
            shared = re.search(r"^include-system-site-packages\s*=\s*(\w+)", text, re.MULTILINE)
            return str(prefix), shared[1] if shared else "true"
    return "", "true"


def _torch(sites: Iterable[Path], name: str) -> tuple[str, str | None, Path]:
    """Its version, the CUDA it was built for, and its directory, from the file that says so."""
    for site in sites:
        try:
            text = (site / "torch" / "version.py").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        version = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
        cuda = re.search(r"^cuda\b[^=]*=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
        if version:
            return version[1], cuda[1] if cuda else None, site / "torch"
    raise RuntimeInvalidError(name, "torch is not installed there (`python -m pip install torch`)")


def _packages(sites: Iterable[Path]) -> dict[str, str]:
    found: dict[str, str] = {}
    for site in sites:
        for info in sorted(site.glob("*-*.*-info")):
            name, _, version = info.stem.partition("-")
            version = version.partition("-")[0]
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return dict(sorted(found.items()))
