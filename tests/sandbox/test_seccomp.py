"""The numbers of the filter are those of this machine's system calls."""

import platform
import re
from pathlib import Path

import pytest

from torchnotes_kb.sandbox.inside.seccomp import NUMBERS, REFUSED, refused

HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h",),
}
FOUND = [Path(path) for path in HEADERS.get(platform.machine(), ()) if Path(path).exists()]


@pytest.mark.skipif(not FOUND, reason="no kernel headers (linux-libc-dev) on this machine")
def test_every_number_is_the_kernels() -> None:
    defined = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", FOUND[0].read_text("utf-8")))
    known = {
        name: number for name, number in NUMBERS[platform.machine()].items() if name in defined
    }
    assert len(known) > len(NUMBERS[platform.machine()]) * 0.8
    assert known == {name: int(defined[name]) for name in known}


@pytest.mark.parametrize("machine", NUMBERS)
def test_every_call_that_is_refused_has_a_number_where_it_exists(machine: str) -> None:
    names = set(" ".join(REFUSED.values()).split())
    only_x86 = set(REFUSED["x86 only"].split())
    assert names - set(refused(machine)) <= (only_x86 if machine == "aarch64" else set())
