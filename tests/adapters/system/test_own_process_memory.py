"""The allocator is tuned where it can be, and once it is quiet memory goes back, the code of libraries too."""

from __future__ import annotations

import asyncio
import ctypes
import mmap
import re
import sys
from pathlib import Path

import hyperscan
import pytest

from mcpguard.adapters.system import own_process
from mcpguard.adapters.system.own_process import Allocator, release_code, tune_allocator

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which only Linux has")


@pytest.mark.anyio
async def test_memory_goes_back_after_each_burst_and_code_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "QUIET_SECONDS", 0.0)
    given: list[str] = []
    done = asyncio.Event()

    def trim(_pad: int) -> None:
        given.append("heap")
        asyncio.get_running_loop().call_soon(done.set)

    monkeypatch.setattr(own_process, "release_code", lambda: given.append("code"))
    tuned = Allocator()
    tuned._trim = trim
    for _ in range(2):
        for _ in range(3):
            tuned.used()
        await asyncio.wait_for(done.wait(), 10)
        done.clear()
    assert given == ["heap", "code", "heap"]


@pytest.mark.anyio
async def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    tune_allocator()
    Allocator().used()


@linux
def test_code_that_does_not_run_leaves_memory() -> None:
    database = hyperscan.Database()
    database.compile(expressions=[b"once"], ids=[0], flags=[0])
    before = resident(r"/_hs_ext\..*")
    release_code()
    assert resident(r"/_hs_ext\..*") < before / 2
    database.compile(expressions=[b"again"], ids=[0], flags=[0])


@linux
def test_code_that_is_no_longer_as_in_its_file_stays(tmp_path: Path) -> None:
    (tmp_path / "code").write_bytes(b"a" * mmap.PAGESIZE)
    with open(tmp_path / "code", "r+b") as file:
        code = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    code[:7] = b"altered"
    place = ctypes.addressof(ctypes.c_char.from_buffer(code))
    executable = mmap.PROT_READ | mmap.PROT_EXEC
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(place), ctypes.c_size_t(len(code)), executable) == 0
    release_code()
    assert code[:7] == b"altered"


def test_where_the_system_does_not_say_what_is_in_memory_all_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    release_code()


def resident(name: str) -> int:
    """KB of executable pages of the library with this name that are in memory."""
    found = re.findall(rf"r-xp .*{name}\n(?:[A-Z].*\n)*?Rss: +(\d+) kB", Path("/proc/self/smaps").read_text())
    assert found
    return sum(map(int, found))
