"""The allocator is tuned where it can be, and memory goes back once it is quiet."""

from __future__ import annotations

import asyncio

import pytest

from mcpguard.adapters.system import own_process
from mcpguard.adapters.system.own_process import Allocator, tune_allocator

pytestmark = pytest.mark.anyio


async def test_memory_is_given_back_once_after_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "QUIET_SECONDS", 0.0)
    given: list[int] = []
    tuned = Allocator()
    tuned._trim = given.append
    done = asyncio.Event()
    for _ in range(3):
        tuned.used()
    asyncio.get_running_loop().call_later(0.01, done.set)
    await asyncio.wait_for(done.wait(), 10)
    assert given == [0]


async def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    tune_allocator()
    Allocator().used()
